"""Getting in: certificates, passwords, tokens, tickets that end."""

import logging
import socket
from typing import Any

import pytest

from executor_tui.infra.proxmox.driver import Proxmox
from executor_tui.infra.proxmox.errors import AuthError, UnreachableError, UntrustedError
from tests.infra.proxmox.conftest import MakeDriver


async def test_status_tells_quorum_nodes_and_version(driver: Proxmox) -> None:
    status = await driver.status()
    assert (status.quorate, status.nodes, status.nodes_online) == (True, 2, 2)
    assert status.version.startswith("9.")


async def test_a_wrong_password_is_one_line_that_names_the_account(make_driver: MakeDriver) -> None:
    with pytest.raises(AuthError) as caught:
        await make_driver(password="nope-nope").status()
    assert "root@pam was not let in" in caught.value.message
    assert "nope-nope" not in repr(caught.value) and "nope-nope" not in str(caught.value.__cause__)


async def test_a_second_factor_is_named_in_the_hint(pve: Any, driver: Proxmox) -> None:
    pve.tfa = True
    with pytest.raises(AuthError) as caught:
        await driver.status()
    assert "API token" in caught.value.hint


async def test_an_api_token_needs_no_ticket(pve: Any, make_driver: MakeDriver) -> None:
    pve.apitokens["root@pam!executor"] = "token-value"
    assert (await make_driver(password="", token_name="executor", token_value="token-value").status()).quorate
    assert not any(path.endswith("/access/ticket") for _, path, _ in pve.requests)


async def test_a_wrong_token_is_an_auth_error(make_driver: MakeDriver) -> None:
    with pytest.raises(AuthError):
        await make_driver(password="", token_name="executor", token_value="wrong").status()


async def test_a_revoked_ticket_is_renewed_and_the_request_repeated(pve: Any, driver: Proxmox) -> None:
    await driver.status()
    pve.revoke_tickets()
    assert (await driver.status()).quorate
    assert sum(path.endswith("/access/ticket") for _, path, _ in pve.requests) == 2


async def test_another_certificate_than_the_pinned_one_gets_no_password(pve: Any, make_driver: MakeDriver, fingerprint: str) -> None:
    with pytest.raises(UntrustedError) as caught:
        await make_driver(fingerprint="00" * 32).status()
    assert fingerprint.replace(":", "").lower() in caught.value.message
    assert pve.requests == []


async def test_a_certificate_that_does_not_verify_is_refused_with_the_fingerprint_to_pin(
    pve: Any, make_driver: MakeDriver, fingerprint: str
) -> None:
    with pytest.raises(UntrustedError) as caught:
        await make_driver(fingerprint="").status()
    assert fingerprint.replace(":", "").lower() in caught.value.hint
    assert pve.requests == []


async def test_nobody_listening_is_unreachable(make_driver: MakeDriver) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    with pytest.raises(UnreachableError) as caught:
        await make_driver(port=port).status()
    assert "refuses the connection" in caught.value.message


async def test_a_name_that_does_not_resolve_is_unreachable(make_driver: MakeDriver) -> None:
    with pytest.raises(UnreachableError) as caught:
        await make_driver(host="pve.invalid").status()
    assert "cannot be resolved" in caught.value.message


async def test_passwords_and_tokens_stay_out_of_log_and_repr(make_driver: MakeDriver, caplog: pytest.LogCaptureFixture) -> None:
    driver = make_driver()
    with caplog.at_level(logging.DEBUG):
        await driver.status()
    assert "secret" not in caplog.text
    assert "secret" not in repr(driver.target)
