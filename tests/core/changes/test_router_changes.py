"""Changes of a router: guarded, read back, taken back when cut off, told in a receipt, and never with a secret in it."""

import asyncio
import contextlib
import json
from pathlib import Path

import pytest

from executor_tui.agents import network
from executor_tui.config.general import ApprovalPolicy
from executor_tui.core.alerts import approval_alert
from executor_tui.core.changes.receipts import check_store
from executor_tui.core.changes.requests import undo_of, wait_for
from executor_tui.core.fleet import ping_agents, sync_registry
from executor_tui.domain.agent import AgentState
from executor_tui.domain.approval import Decision
from executor_tui.domain.change import ChangeStatus
from tests.conftest import CANARY
from tests.core.changes.office import FILTER, ROUTER, Office, office  # noqa: F401 - a fixture

BLOCK = {"op": "net.rule", "action": "drop", "src_address": "10.0.0.5"}
ALLOW = {"op": "net.rule", "chain": "input", "action": "accept", "protocol": "tcp", "dst_port": "22", "src_address": "10.7.0.0/24"}
OLD = [{"version": "7.17"}]


async def test_a_rule_is_made_under_safe_mode_and_the_receipt_says_before_and_after(office: Office) -> None:  # noqa: F811
    change = await office.done(BLOCK)
    assert office.ours() == [f"executor {change.id}.1"] and office.router.safe_mode.holder is None
    receipt = await office.receipt(change)
    mark = f"rule {change.id}.1"
    assert receipt.before["rows"] == {mark: None}
    assert receipt.after["rows"][mark]["src-address"] == "10.0.0.5"
    assert receipt.undo == ({"op": "net.remove", "kind": "rule", "mark": f"{change.id}.1"},)
    assert [e.command for e in office.router.effects] == ["/safe-mode/take", f"{FILTER}/add", "/safe-mode/release"]


async def test_undo_is_a_change_that_leaves_the_router_as_it_was(office: Office) -> None:  # noqa: F811
    before = office.rules()
    change = await office.done(BLOCK)
    undone = await office.done(*undo_of(await office.receipt(change), "ada").operations)
    assert office.rules() == before and undone.risk == "disruptive"
    assert (await office.ended(await office.ask(*undone.operations))).status is ChangeStatus.NOTHING_TO_DO


@pytest.mark.parametrize("when", ["after the rule", "before the commit"])
async def test_cut_between_apply_and_commit_the_rule_is_gone_and_the_receipt_says_so(office: Office, when: str) -> None:  # noqa: F811
    before = office.rules()
    cut = office.router.faults.cut_after if when == "after the rule" else office.router.faults.cut_before
    cut.add(f"{FILTER}/add" if when == "after the rule" else "/safe-mode/release")
    change = await office.ended(await office.ask(BLOCK))
    assert change.status is ChangeStatus.ROLLED_BACK and "taken back, read back as before" in change.detail
    assert office.rules() == before
    receipt = await office.receipt(change)
    assert receipt.outcome is ChangeStatus.ROLLED_BACK and receipt.after == receipt.before


async def test_cut_after_the_commit_it_is_in_force_and_said_to_be(office: Office) -> None:  # noqa: F811
    office.router.faults.cut_after.add("/safe-mode/release")
    change = await office.ended(await office.ask(BLOCK))
    assert change.status is ChangeStatus.DONE and "it is in force, read back as wanted" in change.detail
    assert len(office.ours()) == 1


async def test_a_refused_call_takes_back_what_came_before_it(office: Office) -> None:  # noqa: F811
    before = office.rules()
    office.router.faults.refuse["/queue/simple/add"] = "failure: no more queues"
    change = await office.ended(await office.ask(BLOCK, {"op": "net.limit", "target": "192.168.88.23", "down": "20M"}))
    assert change.status is ChangeStatus.ROLLED_BACK and "no more queues" in change.detail
    assert office.rules() == before


async def test_a_router_that_nods_and_does_nothing_is_found_out_by_reading_back(office: Office) -> None:  # noqa: F811
    office.router.faults.ignore.add(f"{FILTER}/add")
    change = await office.ended(await office.ask(BLOCK))
    assert change.status is ChangeStatus.ROLLED_BACK and "read back, it is not as wanted" in change.detail


async def test_safe_mode_that_somebody_ends_in_the_middle_is_told_and_nothing_is_claimed(office: Office) -> None:  # noqa: F811
    router = office.router

    def meddle(path: str, row: object, gone: bool) -> None:
        if path == FILTER:
            router.safe_mode.release(session=999_999)

    router.state.listeners.append(meddle)
    router.faults.refuse["/queue/simple/add"] = "failure: no more queues"
    change = await office.ended(await office.ask(BLOCK, {"op": "net.limit", "target": "192.168.88.23", "down": "20M"}))
    assert change.status is ChangeStatus.FAILED and len(office.ours()) == 1
    assert "what was changed is in force and will not be undone" in change.detail
    assert "it stands half-way, still missing: + limit 192.168.88.23/32" in change.detail


@pytest.mark.parametrize("office", OLD, indirect=True)
async def test_before_safe_mode_a_backup_stands_guard_and_is_cleared_away(office: Office) -> None:  # noqa: F811
    change = await office.done(BLOCK)
    assert len(office.ours()) == 1 and office.router.state.reboots == 0
    assert office.router.values("/system/scheduler") == [] and office.router.values("/file") == []
    commands = [e.command for e in office.router.effects]
    assert commands.index("/system/scheduler/add") < commands.index(f"{FILTER}/add") < commands.index("/system/scheduler/remove")
    assert change.detail == ""


@pytest.mark.parametrize("office", OLD, indirect=True)
async def test_before_safe_mode_a_failed_change_restarts_the_router_to_go_back(office: Office) -> None:  # noqa: F811
    before = office.rules()
    office.router.faults.refuse["/queue/simple/add"] = "failure: no more queues"
    change = await office.ended(await office.ask(BLOCK, {"op": "net.limit", "target": "192.168.88.23", "down": "20M"}))
    assert change.status is ChangeStatus.ROLLED_BACK and office.router.state.reboots == 1
    assert office.rules() == before and office.router.values("/system/scheduler") == [] and office.router.values("/file") == []


async def test_somebody_else_in_safe_mode_is_waited_for(office: Office) -> None:  # noqa: F811
    office.router.safe_mode.take(session=999_999)
    change = await office.ask(BLOCK)
    async with asyncio.timeout(20):
        while not [e for e in office.router.effects if e.outcome == "failure: safe mode is already taken"]:
            await asyncio.sleep(0)
    assert office.ours() == []
    office.router.safe_mode.release(session=999_999)
    assert (await office.ended(change)).status is ChangeStatus.DONE and len(office.ours()) == 1


async def test_somebody_who_stays_in_safe_mode_keeps_the_change_from_beginning(
    office: Office, monkeypatch: pytest.MonkeyPatch  # noqa: F811
) -> None:  # fmt: skip
    monkeypatch.setattr(network, "BUSY_TRIES", 1)
    office.router.safe_mode.take(session=999_999)
    change = await office.ended(await office.ask(BLOCK))
    assert change.status is ChangeStatus.FAILED and "safe mode cannot be taken" in change.detail and "nothing was changed" in change.detail
    assert office.router.safe_mode.holder == 999_999


async def test_two_changes_at_once_go_one_after_the_other_and_the_second_plans_anew(office: Office) -> None:  # noqa: F811
    office.policy = ApprovalPolicy(auto_approve=("read",))
    first, second = await office.ask(ALLOW), await office.ask({**ALLOW, "dst_port": "2222"})
    await office.approval(first)
    stale = await office.approval(second)
    assert (await office.decide(first, True)).status is ChangeStatus.DONE
    await office.store.approvals.decide(stale.id, Decision(True, "ada", "console"))
    async with asyncio.timeout(30):
        await wait_for(office.store, second.id, until=lambda c: c.approval_id != stale.id)
    assert len(office.ours()) == 1
    assert (await office.decide(second, True)).status is ChangeStatus.DONE
    assert len(office.ours()) == 2


async def test_many_at_once_each_end_well_and_none_undoes_another(office: Office) -> None:  # noqa: F811
    asked = [await office.ask({"op": "net.address", "list": "blocked", "address": f"10.1.0.{n}"}) for n in range(3)]
    ended = await asyncio.gather(*(office.ended(change) for change in asked))
    assert [c.status for c in ended] == [ChangeStatus.DONE] * 3
    assert {row["address"] for row in office.router.values("/ip/firewall/address-list")} >= {f"10.1.0.{n}" for n in range(3)}


async def test_shutting_ourselves_out_takes_a_typed_word_and_is_warned_of_in_the_approval(office: Office) -> None:  # noqa: F811
    change = await office.ask({"op": "net.rule", "chain": "input", "action": "drop", "src_address": "127.0.0.0/8"})
    approval = await office.approval(change)
    assert (approval.risk, approval.confirm_word) == ("destructive", "network-001")
    assert approval.details["diff"][0].startswith("! this would drop Executor's next connection")
    assert approval.details["warnings"][0].startswith("this would drop Executor's next connection")
    assert office.ours() == []
    assert (await office.decide(change, False)).status is ChangeStatus.REFUSED


async def test_no_password_and_no_key_is_in_anything_that_is_kept(office: Office) -> None:  # noqa: F811
    made = await office.done({"op": "net.wireguard", "name": "wg-field"}, {"op": "net.peer", "name": "van", "interface": "wg-field"})
    office.router.faults.refuse["/queue/simple/add"] = "failure: no more queues"
    phone = {"op": "net.peer", "name": "phone", "interface": "wg-staff"}
    failed = await office.ended(await office.ask(phone, {"op": "net.limit", "target": "10.0.0.1", "up": "1M"}))
    assert failed.status is ChangeStatus.ROLLED_BACK
    await office.store.events.flush()
    marks = [f"{made.id}.1-key", f"{made.id}.2-key", f"{made.id}.2-psk", f"{failed.id}.1-key", f"{failed.id}.1-psk"]
    refs = [f"wg-network-001-{mark}" for mark in marks]
    secrets = [CANARY, *_keys(office), *[await office.host.runtime.secret(ref) for ref in refs]]
    assert len(set(secrets)) == 6
    store = office.store
    kept = repr([await store.changes.list(), await store.receipts.list(), await store.events.tail(1000), await store.approvals.list()])
    files = [path.read_bytes() for path in _files(office)]
    for secret in secrets:
        assert secret not in kept and not any(secret.encode() in content for content in files)
    assert not any(secret in str(effect) for secret in secrets for effect in office.router.effects)
    assert (await check_store(office.store)).faults == ()


def _keys(office: Office) -> list[str]:  # noqa: F811
    rows = [*office.router.values("/interface/wireguard"), *office.router.values("/interface/wireguard/peers")]
    made = [row for row in rows if row.get("comment", "").startswith("executor ")]
    return [row[name] for row in made for name in ("private-key", "preshared-key") if name in row]


def _files(office: Office) -> list[Path]:  # noqa: F811
    folders = (office.places.state_dir, office.places.config_dir)
    return [path for folder in folders for path in folder.rglob("*") if path.is_file()]


async def test_the_registry_holds_a_reference_once_the_password_was_used(office: Office) -> None:  # noqa: F811
    await office.done(BLOCK)
    device = json.loads((office.places.config_dir / "fleet_registry.json").read_text())["agents"][0]["device"]
    assert device["password"] == "vault:device-network-001-password"


async def test_the_agent_waits_as_long_as_any_change_of_its_router_does(office: Office) -> None:  # noqa: F811
    await sync_registry(office.store, office.config())
    office.policy = ApprovalPolicy(auto_approve=("read",))
    first, second = await office.ask(BLOCK), await office.ask(ALLOW)
    await office.approval(first)
    await office.approval(second)
    await agent_is(office, AgentState.WAITING, "add filter")
    pings = await ping_agents(office.store, await office.store.agents.list(), office.config(), office.places, deadline_s=10)
    assert [p.state for p in pings] == [AgentState.ONLINE]
    await agent_is(office, AgentState.WAITING, "add filter")
    await office.decide(first, False)
    await agent_is(office, AgentState.WAITING, (await office.store.changes.get(second.id)).summary)
    await office.decide(second, False)
    await agent_is(office, AgentState.ONLINE, "")


async def agent_is(office: Office, state: AgentState, task: str) -> None:  # noqa: F811
    """Wait until the fleet shows the agent like this."""
    async with asyncio.timeout(20), contextlib.aclosing(office.store.feed()) as feed:
        async for _ in feed:
            agent = await office.store.agents.get(ROUTER)
            if agent.state is state and agent.task.startswith(task) and bool(agent.task) == bool(task):
                return


async def test_who_is_asked_elsewhere_sees_the_plan_and_its_warnings_too(office: Office) -> None:  # noqa: F811
    office.policy = ApprovalPolicy(auto_approve=("read",))
    approval = await office.approval(await office.ask({"op": "net.limit", "target": "192.168.88.23", "down": "20M"}))
    shown = approval_alert(approval).data["diff"]
    assert isinstance(shown, list) and shown[0] == "+ limit 192.168.88.23/32: down 20M, up unlimited"
    assert shown[1].startswith("warning: connections that rule *6 fasttracks pass every queue by")
