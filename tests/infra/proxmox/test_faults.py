"""Faults of a cluster: each is one clear line, nothing is half made, and nothing is lost."""

from typing import Any

import pytest

from executor_tui.infra.proxmox.driver import Proxmox, require_online
from executor_tui.infra.proxmox.errors import (
    DroppedError,
    ForbiddenError,
    LockedError,
    NodeOfflineError,
    ProxmoxError,
    QuorumLostError,
    RefusedError,
    StorageFullError,
    TaskTimeoutError,
    UnreachableError,
    from_words,
)
from tests.infra.proxmox.conftest import MakeDriver, new_container


def is_one_clear_line(error: ProxmoxError) -> bool:
    return error.message.startswith("proxmox pve: ") and "\n" not in error.message and len(error.message) < 400


async def test_without_quorum_it_can_be_read_but_not_changed(pve: Any, driver: Proxmox) -> None:
    pve.lose_quorum()
    assert (await driver.status()).quorate is False
    with pytest.raises(QuorumLostError) as caught:
        await driver.create(new_container())
    assert is_one_clear_line(caught.value) and caught.value.hint
    assert pve.ct(101) is None


async def test_an_offline_node_is_named(pve: Any, driver: Proxmox) -> None:
    pve.set_node_offline("pve2")
    with pytest.raises(NodeOfflineError) as caught:
        await driver.create(new_container(node="pve2"))
    assert is_one_clear_line(caught.value) and "pve2" in caught.value.message
    cluster = await driver.cluster()
    with pytest.raises(NodeOfflineError):
        require_online("pve", cluster, "pve2")
    assert {t.node for t in await driver.templates(cluster)} == {"pve1"}


async def test_a_container_under_backup_is_locked(pve: Any, driver: Proxmox) -> None:
    await driver.create(new_container())
    pve.snapshot_lock(101, "backup")
    with pytest.raises(LockedError) as caught:
        await driver.start("pve1", 101)
    assert is_one_clear_line(caught.value) and "backup" in caught.value.message
    assert (await driver.container(101)).lock == "backup"


async def test_a_full_storage_is_said_to_be_full(pve: Any, driver: Proxmox) -> None:
    pve.fail("POST", "/nodes/pve1/lxc", 500, "unable to create CT 101 - No space left on device")
    with pytest.raises(StorageFullError) as caught:
        await driver.create(new_container())
    assert is_one_clear_line(caught.value)


async def test_a_missing_privilege_names_path_and_privilege(pve: Any, make_driver: MakeDriver) -> None:
    pve.users["bot@pve"] = "pw"
    pve.grant("bot@pve", "/", "Sys.Audit", "VM.Audit")
    with pytest.raises(ForbiddenError) as caught:
        await make_driver(user="bot@pve", password="pw").create(new_container())
    assert is_one_clear_line(caught.value)


async def test_a_bad_parameter_is_named(driver: Proxmox) -> None:
    with pytest.raises(RefusedError) as caught:
        await driver.create(new_container(hostname="not a host name"))
    assert is_one_clear_line(caught.value) and "hostname" in caught.value.message


async def test_a_failed_task_is_reported_with_its_last_word(pve: Any, driver: Proxmox) -> None:
    await driver.create(new_container())
    pve.ct(101).start_error = "startup for container '101' failed"
    with pytest.raises(ProxmoxError, match="startup for container '101' failed"):
        await driver.start("pve1", 101)


async def test_a_dropped_read_is_repeated(pve: Any, driver: Proxmox) -> None:
    await driver.status()
    pve.flaky_network(drop_rate=1.0)
    with pytest.raises(DroppedError) as caught:
        await driver.status()
    assert is_one_clear_line(caught.value)
    pve.flaky_network(drop_rate=0.0)
    assert (await driver.status()).quorate


async def test_a_dropped_change_is_not_repeated_but_reported_as_unknown(pve: Any, driver: Proxmox) -> None:
    await driver.create(new_container())
    pve.flaky_network(drop_rate=1.0)
    with pytest.raises(DroppedError) as caught:
        await driver.configure("pve1", 101, {"cores": 4})
    assert is_one_clear_line(caught.value) and "look" in caught.value.hint
    pve.flaky_network(drop_rate=0.0)
    assert (await driver.config("pve1", 101)).cores == 2


async def test_a_silent_server_is_given_up_in_time(pve: Any, make_driver: MakeDriver) -> None:
    driver = make_driver(answer_s=0.2)
    await driver.status()
    pve.time_scale = 0.001
    pve.flaky_network(hang_rate=1.0, hang_secs=2000)
    with pytest.raises(DroppedError) as caught:
        await driver.configure("pve1", 101, {"cores": 4})
    assert "no answer in time" in caught.value.message


async def test_a_proxys_page_instead_of_json_is_one_line(pve: Any, driver: Proxmox) -> None:
    await driver.status()
    pve.fail("GET", "/cluster/status", 502, "<html><body>Bad gateway</body></html>", html=True)
    with pytest.raises(UnreachableError) as caught:
        await driver.status()
    assert is_one_clear_line(caught.value) and "502" in caught.value.message


async def test_a_ticket_revoked_in_the_middle_of_a_task_costs_nothing(pve: Any, driver: Proxmox) -> None:
    await driver.create(new_container())
    pve.time_scale = 0.01
    pve.ct(101).start_secs = 20
    seen: list[str] = []

    def revoke_once(_line: str) -> None:
        if not seen:
            pve.revoke_tickets()
            seen.append("revoked")

    pve.ct_secs["clone"] = 20
    await driver.clone("pve1", 101, 102, "copy", on_line=revoke_once)
    assert seen and pve.ct(102) is not None


async def test_a_task_that_runs_too_long_is_left_running_and_named(pve: Any, make_driver: MakeDriver) -> None:
    driver = make_driver(task_s=0.2)
    await driver.create(new_container())
    pve.time_scale = 0.01
    pve.ct_secs["snapshot"] = 200
    with pytest.raises(TaskTimeoutError) as caught:
        await driver.snapshot("pve1", 101, "slow")
    assert caught.value.upid.startswith("UPID:pve1:")
    running = await driver.running_tasks("pve1", 101)
    assert [(t.kind, t.vmid, t.upid) for t in running] == [("vzsnapshot", 101, caught.value.upid)]
    pve.time_scale = 0.001
    pve.ct_secs["snapshot"] = 0


async def test_a_connection_lost_while_a_task_runs_is_taken_up_again(pve: Any, driver: Proxmox) -> None:
    await driver.create(new_container())
    pve.time_scale = 0.01
    pve.ct_secs["clone"] = 30

    def break_the_line(_line: str) -> None:
        pve.flaky_network(drop_rate=0.7, seed=7)

    await driver.clone("pve1", 101, 102, "copy", on_line=break_the_line)
    pve.flaky_network(drop_rate=0.0)
    assert pve.ct(102) is not None and not pve.ct(102).lock


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ("cluster not ready - no quorum?", "QuorumLostError"),
        ("CT is locked (snapshot-delete)", "LockedError"),
        ("can't lock file '/run/lock/lxc/pve-config-101.lock' - got timeout", "LockedError"),
        ("unable to create CT 101 - volume 'local:vztmpl/x_1_amd64.tar.zst' does not exist", "TemplateMissingError"),
        ("storage 'fast' does not exist", "StorageMissingError"),
        ("Configuration file 'nodes/pve1/lxc/9.conf' does not exist", "MissingError"),
        ("CT 100 already exists on node 'pve1'", "ExistsError"),
        ("lvcreate 'pve/vm-1-disk-0' error: Insufficient free space: 2048 extents needed", "StorageFullError"),
        ("container did not stop", "ShutdownTimeoutError"),
        ("Permission check failed (/vms/100, VM.Allocate)", "ForbiddenError"),
        ("something nobody has seen", "ProxmoxError"),
    ],
)
def test_the_servers_words_tell_the_error(words: str, kind: str) -> None:
    assert type(from_words("pve", words)).__name__ == kind


def test_what_a_server_says_is_kept_to_one_printable_line() -> None:
    error = from_words("pve", "bad\nthing \x1b[31mred\x1b[0m " + "x" * 1000)
    assert "\n" not in error.message and "\x1b" not in error.message and len(error.message) < 400
