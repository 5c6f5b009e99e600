"""Faults of a cluster in the middle of a change: one clear line in its receipt, nothing half made, nothing lost."""

from typing import Any

import pytest

from executor_tui.core.changes.receipts import check_store
from executor_tui.domain.change import Change, ChangeStatus
from tests.core.changes.conftest import World

CREATE = {"op": "lxc.create", "hostname": "web", "cores": 2, "memory_mb": 1024, "disk_gb": 8}


async def told(world: World, change: Change, outcome: ChangeStatus, *words: str) -> None:
    """The receipt says how it ended, in one line that holds these words."""
    receipt = await world.receipt(change)
    assert (change.status, receipt.outcome) == (outcome, outcome), change.detail
    assert "\n" not in receipt.detail and len(receipt.detail) < 600
    for word in words:
        assert word in receipt.detail, receipt.detail
    assert receipt.before == receipt.after
    assert (await check_store(world.store)).whole


async def test_a_container_that_is_locked_for_a_backup_is_left_as_it_is(world: World, pve: Any) -> None:
    await world.done({**CREATE, "start": False})
    pve.snapshot_lock(100, "backup")
    change = await world.ended(await world.ask({"op": "lxc.start", "container": 100}))
    await told(world, change, ChangeStatus.ROLLED_BACK, "locked", "backup")
    assert pve.ct(100).status == "stopped"


async def test_quorum_lost_between_planning_and_applying_changes_nothing(world: World, pve: Any) -> None:
    await world.done({**CREATE, "start": False})
    world.policy = world.policy.model_copy(update={"auto_approve": ("read",)})
    change = await world.ask({"op": "lxc.resize", "container": 100, "cores": 4})
    await world.approval(change)
    pve.lose_quorum()
    ended = await world.decide(change, True)
    await told(world, ended, ChangeStatus.ROLLED_BACK, "no quorum")
    assert pve.ct(100).config["cores"] == 2


async def test_an_offline_node_is_named_before_anything_is_tried(world: World, pve: Any) -> None:
    await world.done({**CREATE, "node": "pve2", "start": False})
    pve.set_node_offline("pve2")
    change = await world.ended(await world.ask({"op": "lxc.start", "container": 100}))
    await told(world, change, ChangeStatus.FAILED, "node pve2, which is offline", "nothing was changed")


async def test_a_container_goes_to_a_node_that_is_online(world: World, pve: Any) -> None:
    pve.set_node_offline("pve2")
    change = await world.done(CREATE)
    assert change.diff[0].startswith("+ container 100 web on pve1")


@pytest.mark.parametrize(
    ("path", "words", "said"),
    [
        ("/nodes/pve1/lxc", "unable to create CT 100 - No space left on device", "free space on the storage"),
        ("/nodes/pve1/lxc", "unable to create CT 100 - volume 'local:vztmpl/gone.tar.zst' does not exist", "template"),
    ],
    ids=["storage", "template"],
)
async def test_a_storage_that_fills_up_or_a_template_that_goes_leaves_no_container(
    path: str, words: str, said: str, world: World, pve: Any
) -> None:  # fmt: skip
    pve.fail("POST", path, 500, words)
    change = await world.ended(await world.ask({**CREATE, "node": "pve1"}))
    await told(world, change, ChangeStatus.ROLLED_BACK, said)
    assert pve.cts == []


async def test_a_disk_larger_than_the_storage_is_refused_before_anything_is_tried(world: World, pve: Any) -> None:
    change = await world.ended(await world.ask({**CREATE, "disk_gb": 1_000_000}))
    await told(world, change, ChangeStatus.FAILED, "GiB free, 1e+06 GiB wanted", "nothing was changed")
    assert pve.tasklog == []


async def test_a_template_that_is_not_there_is_refused_with_those_that_are(world: World, pve: Any) -> None:
    change = await world.ended(await world.ask({**CREATE, "template": "alpine"}))
    await told(world, change, ChangeStatus.FAILED, "no template matches 'alpine'", "debian-12-standard")


async def test_a_container_that_does_not_shut_down_in_time_still_runs_and_one_that_may_be_forced_is_stopped(world: World, pve: Any) -> None:
    await world.done(CREATE)
    pve.time_scale = 0.01
    pve.ct(100).shutdown_secs = 10_000
    change = await world.ended(await world.ask({"op": "lxc.shutdown", "container": 100, "timeout_s": 1}))
    await told(world, change, ChangeStatus.ROLLED_BACK, "did not")
    assert pve.ct(100).status == "running"
    await world.done({"op": "lxc.shutdown", "container": 100, "timeout_s": 1, "force": True})
    assert pve.ct(100).status == "stopped"


async def test_tickets_revoked_in_the_middle_of_a_change_cost_nothing(world: World, pve: Any) -> None:
    await world.done({**CREATE, "start": False})
    pve.time_scale = 0.01
    pve.ct_secs["snapshot"] = 30
    change = await world.ask({"op": "lxc.snapshot", "container": 100, "name": "clean"})
    async for _ in world.store.feed():
        if any(task["type"] == "vzsnapshot" for task in pve.tasklog):
            break
    pve.revoke_tickets()
    ended = await world.ended(change)
    assert ended.status is ChangeStatus.DONE, ended.detail
    assert [task["type"] for task in pve.tasklog].count("vzsnapshot") == 1


async def test_over_a_connection_that_keeps_dropping_it_is_done_once_or_not_begun(world: World, pve: Any) -> None:
    """Which requests are dropped depends on the order they come in, so each of the ends may be met; nothing in between may."""
    await world.done({**CREATE, "start": False})
    pve.flaky_network(drop_rate=0.2, seed=11)
    change = await world.ended(await world.ask({"op": "lxc.start", "container": 100}))
    pve.flaky_network(drop_rate=0.0)
    begun = [task["type"] for task in pve.tasklog].count("vzstart")
    if change.status is ChangeStatus.DONE:
        assert pve.ct(100).status == "running" and begun == 1
    elif change.status is ChangeStatus.ROLLED_BACK:
        assert pve.ct(100).status == "stopped" and begun <= 1
    else:
        assert change.status is ChangeStatus.FAILED and "nothing was changed" in change.detail
        assert pve.ct(100).status == "stopped" and begun == 0


async def test_of_two_containers_of_one_change_none_is_left_when_one_cannot_be_made(world: World, pve: Any) -> None:
    pve.fail("POST", "/nodes/pve1/lxc/101/status/start", 500, "startup for container '101' failed")
    pve.fail("POST", "/nodes/pve2/lxc/101/status/start", 500, "startup for container '101' failed")
    change = await world.ended(await world.ask(CREATE, {**CREATE, "hostname": "api"}))
    await told(world, change, ChangeStatus.ROLLED_BACK, "startup for container '101' failed")
    assert pve.cts == []
