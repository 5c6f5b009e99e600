"""What can be done with containers, each looked at afterwards in the fake itself."""

from typing import Any

import pytest

from executor_tui.infra.proxmox.driver import Proxmox, next_vmid
from executor_tui.infra.proxmox.errors import (
    ExistsError,
    MissingError,
    ProxmoxError,
    ShutdownTimeoutError,
    StorageMissingError,
    TemplateMissingError,
    WrongStateError,
)
from executor_tui.infra.proxmox.model import Power, TaskResult
from tests.infra.proxmox.conftest import TEMPLATE, MakeDriver, new_container

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGJ executor"


async def test_a_created_container_is_unprivileged_tagged_and_holds_our_key(pve: Any, driver: Proxmox) -> None:
    result = await driver.create(new_container(address="10.0.0.23/24", gateway="10.0.0.1", public_keys=(KEY,), description="change chg-1"))
    assert (result.warnings, pve.ct(101).status) == (0, "stopped")
    config = await driver.config("pve1", 101)
    assert config.unprivileged and not config.nesting
    assert config.tags == ("executor", "run-p1")
    assert (config.cores, config.memory_mb, config.swap_mb, config.disk_gb, config.storage) == (2, 1024, 512, 8, "local-lvm")
    assert (config.address, config.nets["net0"]["gw"], config.description) == ("10.0.0.23", "10.0.0.1", "change chg-1")
    sent = next(body for method, path, body in pve.requests if (method, path[-4:]) == ("POST", "/lxc"))
    assert b"ssh-public-keys=ssh-ed25519" in sent and b"storage=local-lvm" in sent


async def test_nesting_only_when_asked(driver: Proxmox) -> None:
    await driver.create(new_container(nesting=True))
    assert (await driver.config("pve1", 101)).nesting


async def test_a_dhcp_container_has_no_address_of_its_own(driver: Proxmox) -> None:
    await driver.create(new_container())
    config = await driver.config("pve1", 101)
    assert config.nets["net0"]["ip"] == "dhcp" and config.address == ""


async def test_start_shutdown_stop_and_delete(pve: Any, driver: Proxmox) -> None:
    await driver.create(new_container())
    await driver.start("pve1", 101)
    assert (await driver.container(101)).power is Power.RUNNING
    await driver.shutdown("pve1", 101)
    assert (await driver.container(101)).power is Power.STOPPED
    await driver.start("pve1", 101)
    await driver.stop("pve1", 101)
    await driver.delete("pve1", 101)
    assert pve.ct(101) is None
    with pytest.raises(MissingError):
        await driver.container(101)


async def test_a_running_container_is_not_deleted(driver: Proxmox) -> None:
    await driver.create(new_container())
    await driver.start("pve1", 101)
    with pytest.raises(WrongStateError) as caught:
        await driver.delete("pve1", 101)
    assert "running" in caught.value.message


async def test_a_slow_shutdown_says_that_it_still_runs(pve: Any, driver: Proxmox) -> None:
    await driver.create(new_container())
    await driver.start("pve1", 101)
    pve.ct(101).shutdown_secs = 300
    with pytest.raises(ShutdownTimeoutError):
        await driver.shutdown("pve1", 101, timeout_s=5)


async def test_snapshots_are_taken_listed_rolled_back_to_and_deleted(pve: Any, driver: Proxmox) -> None:
    await driver.create(new_container())
    await driver.snapshot("pve1", 101, "clean", "before the tests")
    await driver.configure("pve1", 101, {"cores": 4})
    await driver.snapshot("pve1", 101, "later")
    listed = await driver.snapshots("pve1", 101)
    assert {s.name for s in listed} == {"clean", "later"}
    assert next(s.description for s in listed if s.name == "clean") == "before the tests"
    await driver.rollback("pve1", 101, "clean")
    assert (await driver.config("pve1", 101)).cores == 2
    await driver.delete_snapshot("pve1", 101, "later")
    assert [s.name for s in await driver.snapshots("pve1", 101)] == ["clean"]


async def test_a_clone_is_made_from_a_snapshot_of_a_running_container(driver: Proxmox) -> None:
    await driver.create(new_container())
    await driver.snapshot("pve1", 101, "clean")
    await driver.start("pve1", 101)
    await driver.clone("pve1", 101, 102, "qa-102", snapshot="clean")
    assert (await driver.config("pve1", 102)).hostname == "qa-102"
    assert (await driver.container(102)).power is Power.STOPPED


async def test_resources_change_and_the_disk_only_grows(driver: Proxmox) -> None:
    await driver.create(new_container())
    config = await driver.config("pve1", 101)
    await driver.configure("pve1", 101, {"cores": 4, "memory": 2048, "swap": 0}, config.digest)
    await driver.grow_disk("pve1", 101, 12)
    config = await driver.config("pve1", 101)
    assert (config.cores, config.memory_mb, config.swap_mb, config.disk_gb) == (4, 2048, 0, 12)
    with pytest.raises(ProxmoxError, match="unable to shrink"):
        await driver.grow_disk("pve1", 101, 4)


async def test_a_change_against_an_old_reading_is_refused(driver: Proxmox) -> None:
    await driver.create(new_container())
    old = (await driver.config("pve1", 101)).digest
    await driver.configure("pve1", 101, {"cores": 3})
    with pytest.raises(ProxmoxError, match="detected modified configuration"):
        await driver.configure("pve1", 101, {"cores": 4}, old)


async def test_options_can_be_taken_away(driver: Proxmox) -> None:
    await driver.create(new_container())
    await driver.unset("pve1", 101, "cores")
    assert (await driver.config("pve1", 101)).cores is None


async def test_a_taken_id_is_told_from_other_failures(driver: Proxmox) -> None:
    await driver.create(new_container())
    with pytest.raises(ExistsError):
        await driver.create(new_container())


async def test_a_missing_template_leaves_no_container_behind(pve: Any, driver: Proxmox) -> None:
    with pytest.raises(TemplateMissingError):
        await driver.create(new_container(template="local:vztmpl/gone_1.0_amd64.tar.zst"))
    assert pve.ct(101) is None


async def test_a_missing_storage_leaves_no_container_behind(pve: Any, driver: Proxmox) -> None:
    with pytest.raises(StorageMissingError):
        await driver.create(new_container(storage="nowhere"))
    assert pve.ct(101) is None


async def test_templates_are_found_on_every_storage_that_holds_them(driver: Proxmox) -> None:
    cluster = await driver.cluster()
    templates = await driver.templates(cluster)
    assert {(t.volume, t.node) for t in templates} == {(TEMPLATE, "pve1"), (TEMPLATE, "pve2")}


async def test_a_cluster_shows_nodes_storages_and_every_taken_id(pve: Any, driver: Proxmox) -> None:
    pve.add_vm(100, "a-virtual-machine")
    await driver.create(new_container(103))
    cluster = await driver.cluster()
    assert [(n.name, n.online, n.memory_free) for n in cluster.nodes] == [("pve1", True, 6 * 1024**3), ("pve2", True, 6 * 1024**3)]
    assert cluster.taken_ids == {100, 103} and [c.vmid for c in cluster.containers] == [103]
    assert next_vmid(cluster.taken_ids, (101,)) == 102
    assert {s.name for s in cluster.storages if "rootdir" in s.content} == {"local-lvm"}


async def test_the_addresses_of_a_running_container(driver: Proxmox) -> None:
    await driver.create(new_container(address="10.0.0.23/24"))
    await driver.start("pve1", 101)
    assert await driver.addresses("pve1", 101) == ("10.0.0.23",)


@pytest.mark.fakepve(time_scale=0.01)
async def test_the_log_of_a_task_is_shown_while_it_runs(pve: Any, make_driver: MakeDriver) -> None:
    driver, lines = make_driver(), []
    await driver.create(new_container(), lines.append)
    pve.ct_secs["clone"] = 10
    result: TaskResult = await driver.clone("pve1", 101, 102, "copy", on_line=lines.append)
    assert "creating a clone of container 101 with ID 102" in lines and lines[-1] == "TASK OK"
    assert result.upid.startswith("UPID:pve1:") and result.lines[-1] == "TASK OK"


async def test_warnings_of_a_task_are_counted_and_not_taken_for_failure(pve: Any, driver: Proxmox) -> None:
    await driver.create(new_container())
    upid = next(upid for upid, task in pve.tasks.items() if task["type"] == "vzcreate")
    pve.tasks[upid]["exitstatus"] = "WARNINGS: 2"
    assert (await driver.follow(upid, "create container 101")).warnings == 2


async def test_a_task_that_ended_badly_is_an_error_however_it_is_worded(pve: Any, driver: Proxmox) -> None:
    await driver.create(new_container())
    upid = next(upid for upid, task in pve.tasks.items() if task["type"] == "vzcreate")
    pve.tasks[upid]["exitstatus"] = "interrupted by signal"
    with pytest.raises(ProxmoxError, match="create container 101: interrupted by signal"):
        await driver.follow(upid, "create container 101")
