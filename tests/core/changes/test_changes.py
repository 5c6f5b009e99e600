"""The way of a change: planned, consented to, applied, verified, and told in a receipt."""

import asyncio
import itertools
from typing import Any

import pytest

from executor_tui.config.general import ApprovalPolicy
from executor_tui.core.changes.receipts import check_store
from executor_tui.core.changes.requests import undo_of, wait_for
from executor_tui.core.changes.runtime import OfficeLostError
from executor_tui.domain.approval import Decision
from executor_tui.domain.change import ChangeStatus, Risk
from executor_tui.domain.node import Lease
from tests.core.changes.conftest import World

CREATE = {"op": "lxc.create", "hostname": "web", "cores": 2, "memory_mb": 1024, "disk_gb": 8}


async def test_a_container_is_created_and_the_receipt_says_by_whose_consent(world: World, pve: Any) -> None:
    change = await world.done(CREATE)
    assert pve.ct(100).status == "running" and pve.ct(100).config["hostname"] == "web"
    receipt = await world.receipt(change)
    assert receipt.outcome is ChangeStatus.DONE
    assert receipt.before == {"100": None}
    assert receipt.after["100"]["memory_mb"] == 1024
    assert receipt.consented_by == "policy: restorable changes need no consent"
    assert receipt.undo == ({"op": "lxc.delete", "container": 100},)


async def test_what_stands_already_is_said_and_nothing_is_done(world: World, pve: Any) -> None:
    await world.done(CREATE)
    before = len(pve.tasklog)
    change = await world.ended(await world.ask({"op": "lxc.start", "container": "web"}))
    assert (change.status, change.detail) == (ChangeStatus.NOTHING_TO_DO, "everything is as wanted already")
    assert len(pve.tasklog) == before


async def test_a_destructive_change_waits_for_consent_with_everything_a_person_needs(world: World, pve: Any) -> None:
    await world.done(CREATE)
    change = await world.ask({"op": "lxc.delete", "container": 100})
    approval = await world.approval(change)
    assert (approval.risk, approval.confirm_word, approval.subject_id) == ("destructive", "web", change.id)
    assert approval.details["diff"] == ["- container 100 web"]
    assert approval.details["calls"] == ["stop container 100 web", "delete container 100 web"]
    assert "executor lxc backup 100" in approval.details["warnings"][0]
    assert pve.ct(100) is not None
    ended = await world.decide(change, True)
    assert ended.status is ChangeStatus.DONE and pve.ct(100) is None
    assert (await world.receipt(change)).consented_by == "ada via console"


async def test_no_means_that_nothing_is_changed(world: World, pve: Any) -> None:
    await world.done(CREATE)
    change = await world.decide(await world.ask({"op": "lxc.delete", "container": 100}), False)
    assert change.status is ChangeStatus.REFUSED and "denied by ada" in change.detail
    assert pve.ct(100).status == "running"


async def test_silence_means_no(world: World, pve: Any) -> None:
    await world.done(CREATE)
    world.policy = world.policy.model_copy(update={"expire_minutes": 0.001})
    change = await world.ended(await world.ask({"op": "lxc.delete", "container": 100}))
    assert change.status is ChangeStatus.REFUSED and "nobody consented in time" in change.detail
    assert pve.ct(100) is not None


async def test_a_tier_that_is_not_approved_by_policy_is_asked_about(world: World, pve: Any) -> None:
    world.policy = ApprovalPolicy(auto_approve=("read",))
    change = await world.ask(CREATE)
    approval = await world.approval(change)
    assert (approval.risk, approval.confirm_word) == ("restorable", "")
    assert pve.ct(100) is None
    assert (await world.decide(change, True)).status is ChangeStatus.DONE


async def test_the_freeze_switch_stops_every_write_at_once(world: World, pve: Any) -> None:
    world.policy = world.policy.model_copy(update={"freeze": True})
    change = await world.ended(await world.ask(CREATE))
    assert change.status is ChangeStatus.REFUSED and "frozen" in change.detail
    assert pve.ct(100) is None


async def test_freeze_also_stops_what_was_consented_to_before(world: World, pve: Any) -> None:
    await world.done(CREATE)
    change = await world.ask({"op": "lxc.delete", "container": 100})
    await world.approval(change)
    world.policy = world.policy.model_copy(update={"freeze": True})
    ended = await world.decide(change, True)
    assert ended.status is ChangeStatus.REFUSED and pve.ct(100) is not None


async def test_a_device_that_changed_since_is_planned_for_anew_and_asked_about_again(world: World, pve: Any) -> None:
    await world.done(CREATE)
    change = await world.ask({"op": "lxc.delete", "container": 100})
    first = await world.approval(change)
    pve.ct(100).config["hostname"] = "precious"
    await world.store.approvals.decide(first.id, Decision(True, "ada", "console"))
    async with asyncio.timeout(30):
        seen = await wait_for(world.store, change.id, until=lambda c: c.approval_id != first.id)
    second = await world.store.approvals.get(seen.approval_id)
    assert second.details["diff"] == ["- container 100 precious"] and second.confirm_word == "precious"
    assert pve.ct(100) is not None
    assert (await world.decide(change, False)).status is ChangeStatus.REFUSED


async def test_two_changes_of_one_container_go_one_after_the_other_and_the_second_plans_anew(world: World, pve: Any) -> None:
    await world.done(CREATE)
    world.policy = ApprovalPolicy(auto_approve=("read",))
    first = await world.ask({"op": "lxc.resize", "container": 100, "cores": 4})
    second = await world.ask({"op": "lxc.resize", "container": 100, "memory_mb": 2048})
    await world.approval(first)
    stale = await world.approval(second)
    assert (await world.decide(first, True)).status is ChangeStatus.DONE
    await world.store.approvals.decide(stale.id, Decision(True, "ada", "console"))
    async with asyncio.timeout(30):
        await wait_for(world.store, second.id, until=lambda c: c.approval_id != stale.id)
    assert pve.ct(100).config["memory"] == 1024
    assert (await world.decide(second, True)).status is ChangeStatus.DONE
    assert (pve.ct(100).config["cores"], pve.ct(100).config["memory"]) == (4, 2048)


async def test_changes_asked_for_at_once_take_different_ids(world: World, pve: Any) -> None:
    asked = [await world.ask({**CREATE, "hostname": f"web{n}", "memory_mb": 256}) for n in range(5)]
    ended = await asyncio.gather(*(world.ended(change) for change in asked))
    assert [c.status for c in ended] == [ChangeStatus.DONE] * 5
    assert sorted(ct.vmid for ct in pve.cts) == [100, 101, 102, 103, 104]


async def test_undo_is_a_change_like_any_other(world: World, pve: Any) -> None:
    await world.done(CREATE)
    change = await world.done({"op": "lxc.resize", "container": 100, "cores": 4, "memory_mb": 2048})
    asked = undo_of(await world.receipt(change), "ada")
    assert asked.operations == ({"op": "lxc.resize", "container": 100, "cores": 2, "memory_mb": 1024},)
    undone = await world.done(*asked.operations, summary=asked.summary)
    assert (pve.ct(100).config["cores"], pve.ct(100).config["memory"]) == (2, 1024)
    assert (await world.receipt(undone)).summary.startswith(f"undo {change.id}")


async def test_a_failure_half_way_is_taken_back_and_read_back(world: World, pve: Any) -> None:
    pve.fail("POST", "/nodes/pve1/lxc/100/status/start", 500, "startup for container '100' failed")
    change = await world.ended(await world.ask(CREATE))
    assert change.status is ChangeStatus.ROLLED_BACK
    assert "startup for container '100' failed" in change.detail and "read back as before" in change.detail
    assert pve.ct(100) is None
    assert (await world.receipt(change)).after == {"100": None}


async def test_a_failure_before_anything_was_done_says_that_nothing_was_changed(world: World, pve: Any) -> None:
    pve.lose_quorum()
    change = await world.ended(await world.ask(CREATE))
    assert change.status in (ChangeStatus.FAILED, ChangeStatus.ROLLED_BACK)
    assert "no quorum" in change.detail and pve.ct(100) is None


async def test_what_cannot_be_planned_fails_with_the_reason_and_touches_nothing(world: World, pve: Any) -> None:
    change = await world.ended(await world.ask({"op": "lxc.start", "container": "nobody"}))
    assert change.status is ChangeStatus.FAILED
    assert "no container named 'nobody'" in change.detail and "nothing was changed" in change.detail
    assert pve.tasklog == []


async def test_an_answer_lost_on_the_way_is_looked_for_before_anything_is_sent_again(world: World, pve: Any) -> None:
    await world.done(CREATE)
    world.proxy.cut = lambda: world.proxy.cuts == 0 and any(task["type"] == "vzsnapshot" for task in pve.tasklog)
    await world.done({"op": "lxc.snapshot", "container": 100, "name": "clean"})
    assert world.proxy.cuts == 1
    assert [task["type"] for task in pve.tasklog].count("vzsnapshot") == 1


async def test_an_answer_lost_to_something_that_does_not_show_is_looked_for_in_the_tasks(world: World, pve: Any) -> None:
    await world.done(CREATE)
    world.proxy.cut = lambda: world.proxy.cuts == 0 and any(task["type"] == "vzreboot" for task in pve.tasklog)
    await world.done({"op": "lxc.reboot", "container": 100})
    assert world.proxy.cuts == 1
    assert [task["type"] for task in pve.tasklog].count("vzreboot") == 1


async def test_progress_is_told_as_events_while_it_happens(world: World) -> None:
    change = await world.done(CREATE)
    await world.store.events.flush()
    lines = [e.message for e in await world.store.events.tail(200, kinds=("change.",)) if e.subject_id == change.id]
    assert any("asked for by tester" in line for line in lines)
    assert "create container 100 web on pve1" in lines and "TASK OK" in lines


@pytest.mark.parametrize("lost_at", [2, 3, 4, 6])
async def test_losing_the_right_half_way_ends_no_change_and_repeats_no_call(
    world: World, pve: Any, monkeypatch: pytest.MonkeyPatch, lost_at: int
) -> None:
    """As when the lease runs out under a machine that is too busy to renew it, and is taken again."""
    runtime, asked = world.host.runtime, itertools.count(1)
    held = runtime.require_office

    def sometimes() -> Lease:
        if next(asked) == lost_at:
            raise OfficeLostError("the right to work on changes has run out")
        return held()

    monkeypatch.setattr(runtime, "require_office", sometimes)
    await world.done(CREATE)
    assert [task["type"] for task in pve.tasklog] == ["vzcreate", "vzstart"]


async def test_every_ending_continues_the_chain_of_receipts(world: World) -> None:
    await world.done(CREATE)
    await world.ended(await world.ask({"op": "lxc.start", "container": 100}))
    await world.decide(await world.ask({"op": "lxc.delete", "container": 100}), False)
    check = await check_store(world.store)
    assert (check.receipts, check.faults) == (3, ())


async def test_the_devices_password_is_in_the_vault_and_nowhere_else(world: World) -> None:
    await world.done(CREATE)
    text = (world.places.config_dir / "fleet_registry.json").read_text()
    assert '"password": "vault:device-proxmox-001-password"' in text
    await world.store.events.flush()
    rows = [repr(await world.store.changes.list()), repr(await world.store.receipts.list()), repr(await world.store.events.tail(1000))]
    assert not any("OPENSSH PRIVATE KEY" in row for row in rows)


async def test_the_row_of_a_finished_change_names_risk_targets_and_calls(world: World) -> None:
    change = await world.done(CREATE)
    assert (change.risk, change.targets) == (Risk.RESTORABLE, ("lxc/100",))
    assert [call["what"] for call in change.plan] == ["create", "start"]
    assert change.workflow_id == change.id and change.agent_id == ""
