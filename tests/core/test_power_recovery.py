"""Power recovery as a node uses it: begin, recover, one report per outage, everything put back."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from executor_tui.config.files import NotificationSettings
from executor_tui.config.places import Places
from executor_tui.core.power_recovery import SCAN_REQUEST, Limits, PowerRecovery
from executor_tui.core.recovery import report as reports
from executor_tui.core.recovery.last_state import decode
from executor_tui.core.recovery.work import release
from executor_tui.domain.agent import Agent, AgentState, AgentType, Ping, Role
from executor_tui.domain.approval import Approval, ApprovalKind, ApprovalStatus
from executor_tui.domain.call import Call, CallStatus
from executor_tui.domain.change import Change, ChangeStatus, Risk
from executor_tui.domain.clock import ManualClock
from executor_tui.domain.errors import ExecutorError
from executor_tui.domain.node import Node
from executor_tui.domain.project import Project, ProjectStatus, Stage, Step
from executor_tui.domain.recovery import Checkpoint, OutageKind, RecoveryReport
from executor_tui.store.store import Store

SETTINGS = NotificationSettings.model_validate({"discord": {"enabled": True, "webhook_url": "https://discord.example/api/webhooks/1/t"}})


class Machine:
    """One machine with one state directory, on which nodes come and go."""

    def __init__(self, store: Store, places: Places, clock: ManualClock) -> None:
        self.store, self.places, self.clock = store, places, clock
        self.boot = "boot-1"
        self.answers: tuple[Ping, ...] = ()
        self.resumed: list[dict[str, object]] = []

    def node(self, **limits: float) -> PowerRecovery:
        return PowerRecovery(
            self.store, self.places, self.clock, "node-a", notification=lambda: SETTINGS, boot_id=lambda: self.boot,
            limits=Limits(**limits) if limits else None, wtmp=Path("/nonexistent"),
        )  # fmt: skip

    async def ping_all(self) -> object:
        return self.answers

    async def resume_work(self) -> object:
        return self.resumed

    async def start(self, **limits: float) -> tuple[PowerRecovery, RecoveryReport | None]:
        node = self.node(**limits)
        await node.begin()
        return node, await node.recover(self.ping_all, self.resume_work)


@pytest.fixture
def machine(store: Store, places: Places, clock: ManualClock) -> Machine:
    return Machine(store, places, clock)


async def running_project(store: Store, project_id: str = "prj-a", **values: object) -> Project:
    project = Project(project_id, "a goal", ProjectStatus.RUNNING, Stage.CODER, round=2, node_id="node-a")
    return await store.projects.create(project)


async def test_a_first_start_is_not_reported(machine: Machine) -> None:
    _, report = await machine.start()
    assert report is None and await machine.store.reports.list() == ()


async def test_a_clean_stop_is_not_reported_but_work_is_resumed_all_the_same(machine: Machine) -> None:
    node, _ = await machine.start()
    await node.clean_stop()
    asked = []

    async def resume() -> object:
        asked.append(True)
        return []

    node = machine.node()
    assert (await node.begin()).kind is OutageKind.CLEAN_STOP
    assert await node.recover(machine.ping_all, resume) is None
    assert asked and await machine.store.reports.list() == ()


async def test_a_power_loss_is_reported_once_with_agents_before_and_after(machine: Machine, clock: ManualClock) -> None:
    store = machine.store
    await store.agents.put(Agent("coder-1", "Coder", AgentType.PROJECT, Role.CODER, AgentState.BUSY))
    await store.agents.put(Agent("net-1", "Network", AgentType.INFRASTRUCTURE, Role.NETWORK, AgentState.ONLINE))
    node, _ = await machine.start()
    await node.save_checkpoint(Checkpoint("coder-1", "busy", "writing tests", "prj-a", "wf-1", 7, ("container:123",)))
    await node.beat()
    await clock.advance(8000)
    machine.boot = "boot-2"
    machine.answers = (Ping("coder-1", AgentState.ONLINE), Ping("net-1", AgentState.OFFLINE, "no answer within 5 s"))
    machine.resumed = [{"id": "prj-a", "kind": "project", "outcome": "resumed", "detail": "coder, round 2", "goal": "x"}]

    node, report = await machine.start()

    assert report is not None
    assert (report.kind, report.sure, report.downtime_s) == (OutageKind.POWER_LOSS, "likely", 8000.0)
    assert report.agents["coder-1"] == {"name": "Coder", "before": "busy", "after": "online", "reason": ""}
    assert report.agents["net-1"] == {"name": "Network", "before": "online", "after": "offline", "reason": "no answer within 5 s"}
    assert report.work[0] == {"id": "prj-a", "kind": "project", "outcome": "resumed", "detail": "coder, round 2"}
    assert report.summary == "Power loss (likely): down 2 h 13 min; 1 of 2 agents back, 1 resumed"
    assert any("net-1 (no answer within 5 s)" in line for line in report.todo)
    assert [m["what"] for m in report.timeline][:2] == ["last sign of life", "started again"]
    assert (await node.load_checkpoint("coder-1")) == (await store.checkpoints.get("coder-1"))
    assert [a.dedupe_key for a in await store.alerts.list()] == [f"recovery:{report.id}"]
    assert [d.channel for d in await store.deliveries.list()] == ["discord"]


async def test_a_second_start_after_the_report_does_not_report_that_outage_again(machine: Machine) -> None:
    await machine.start()
    node, report = await machine.start()
    assert report is not None and report.kind is OutageKind.CRASH
    await node.clean_stop()
    _, again = await machine.start()
    assert again is None
    assert len(await machine.store.reports.list()) == len(await machine.store.alerts.list()) == 1


async def test_two_crashes_are_two_outages(machine: Machine, clock: ManualClock) -> None:
    await machine.start()
    await clock.advance(5)
    await machine.start()
    await clock.advance(5)
    await machine.start()
    assert len({r.id for r in await machine.store.reports.list()}) == 2


async def test_a_crash_while_recovering_belongs_to_the_same_outage(machine: Machine, clock: ManualClock) -> None:
    await machine.start()
    await clock.advance(100)
    machine.boot = "boot-2"
    first = machine.node()
    await first.begin()
    await clock.advance(50)  # and it falls over before it reports
    _, report = await machine.start()
    assert report is not None
    assert (report.kind, report.downtime_s) == (OutageKind.POWER_LOSS, 150.0)
    assert any("1 more times while recovering" in line for line in report.todo)
    assert len(await machine.store.reports.list()) == 1


async def test_a_crash_between_report_and_alert_leaves_one_report_and_one_alert_in_the_end(machine: Machine, clock: ManualClock) -> None:
    await machine.start()
    await clock.advance(5)
    second = machine.node()
    await second.begin()
    found = await second._scan(machine.ping_all, machine.resume_work, ())
    assert second._state is not None and second._state.unreported is not None
    written = reports.build("node-a", second._state.unreported, found, clock.now())
    await machine.store.reports.add(written)  # and here it dies, before the alert
    assert await machine.store.alerts.list() == ()

    await clock.advance(5)
    _, report = await machine.start()

    assert report is not None and report.id != written.id
    assert {a.dedupe_key for a in await machine.store.alerts.list()} == {f"recovery:{written.id}", f"recovery:{report.id}"}


async def test_a_node_that_never_led_keeps_its_outage_for_the_day_it_does(machine: Machine, clock: ManualClock) -> None:
    await machine.start()
    await clock.advance(60)
    standby = machine.node()
    await standby.begin()
    await standby.clean_stop()
    await clock.advance(60)
    _, report = await machine.start()
    assert report is not None and report.kind is OutageKind.CRASH and not any("while recovering" in t for t in report.todo)


async def test_calls_in_flight_are_lost_and_their_money_is_named(machine: Machine, clock: ManualClock) -> None:
    await machine.start()
    await machine.store.calls.begin([Call("call-1", CallStatus.IN_FLIGHT, "opus", estimate_usd=0.12, started_at=clock.now())])
    await clock.advance(10)
    _, report = await machine.start()
    assert report is not None and report.in_flight_usd == pytest.approx(0.12)
    assert (await machine.store.calls.get("call-1")).status is CallStatus.LOST


async def test_a_call_that_the_new_gateway_has_already_begun_is_left_alone(machine: Machine, clock: ManualClock) -> None:
    await machine.start()
    node = machine.node()
    await node.begin()
    await machine.store.calls.begin([Call("call-2", CallStatus.IN_FLIGHT, "opus", node_id="node-a", started_at=clock.now())])
    await node.recover(machine.ping_all, machine.resume_work)
    assert (await machine.store.calls.get("call-2")).status is CallStatus.IN_FLIGHT


async def test_calls_of_another_living_node_are_left_alone(machine: Machine, clock: ManualClock) -> None:
    await machine.start()
    await machine.store.nodes.put(Node("node-a", "a", 1, "boot-1", "0.1.0", started_at=clock.now(), heartbeat_at=clock.now()))
    await clock.advance(90)
    await machine.store.nodes.put(Node("node-b", "b", 1, "boot-9", "0.1.0", started_at=clock.now(), heartbeat_at=clock.now()))
    for call, node in (("call-a", "node-a"), ("call-b", "node-b")):
        at = clock.now() - timedelta(seconds=30)
        await machine.store.calls.begin([Call(call, CallStatus.IN_FLIGHT, "opus", node_id=node, started_at=at)])
    await machine.start()
    assert (await machine.store.calls.get("call-a")).status is CallStatus.LOST
    assert (await machine.store.calls.get("call-b")).status is CallStatus.IN_FLIGHT


async def test_waiting_approvals_keep_their_deadlines_and_overdue_ones_are_a_no(machine: Machine, clock: ManualClock) -> None:
    await machine.start()
    soon, later = clock.now() + timedelta(seconds=60), clock.now() + timedelta(hours=1)
    for approval_id, until in (("apr-soon", soon), ("apr-later", later)):
        await machine.store.approvals.request(Approval(approval_id, ApprovalKind.CRITICAL_MODEL, f"use {approval_id}", expires_at=until))
    await clock.advance(300)
    _, report = await machine.start()
    assert report is not None
    assert {w["id"]: w["outcome"] for w in report.work} == {"apr-soon": "expired", "apr-later": "waiting"}
    kept = await machine.store.approvals.get("apr-later")
    assert (kept.status, kept.expires_at, kept.decided_by) == (ApprovalStatus.PENDING, later, "")
    assert any("executor approvals approve apr-later" in line for line in report.todo)


async def test_a_project_that_stands_still_through_three_crashes_is_quarantined_and_named(machine: Machine, clock: ManualClock) -> None:
    store = machine.store
    await machine.start()
    await running_project(store, "prj-bad")
    await running_project(store, "prj-good")
    found = []
    for n in range(3):
        await store.steps.put(Step(f"stp-{n}", "prj-good", 0, Stage.CODER, 2, "turn", f"turn {n}"))
        await clock.advance(5)
        _, report = await machine.start()
        assert report is not None
        found.append(report)
    assert (await store.projects.get("prj-bad")).status is ProjectStatus.QUARANTINED
    assert (await store.projects.get("prj-good")).status is ProjectStatus.RUNNING
    outcomes = [{str(w["id"]): w["outcome"] for w in r.work} for r in found]
    assert [o["prj-bad"] for o in outcomes] == ["resumed", "resumed", "quarantined"]
    assert any("executor recovery release prj-bad" in line for line in found[-1].todo)
    assert await release(store, "prj-bad", "ops") and (await store.projects.get("prj-bad")).status is ProjectStatus.QUEUED
    assert not await release(store, "prj-bad", "ops")


async def test_three_power_cuts_quarantine_nothing(machine: Machine, clock: ManualClock) -> None:
    await machine.start()
    await running_project(machine.store)
    for n in range(4):
        machine.boot = f"boot-{n + 2}"
        await clock.advance(5)
        await machine.start()
    assert (await machine.store.projects.get("prj-a")).status is ProjectStatus.RUNNING


async def test_a_change_that_takes_the_node_down_three_times_is_not_applied_again(machine: Machine, clock: ManualClock) -> None:
    change = Change("chg-1", "router", "network", "a queue", ChangeStatus.APPLYING, Risk.RESTORABLE)
    await machine.start()
    await machine.store.changes.put(change)
    for _ in range(3):
        await clock.advance(5)
        _, report = await machine.start()
    assert report is not None
    assert (await machine.store.changes.get("chg-1")).status is ChangeStatus.FAILED
    assert {"id": "chg-1", "kind": "change", "outcome": "quarantined"}.items() <= report.work[0].items()


async def test_changes_that_ended_while_recovering_are_told_by_how_they_ended(machine: Machine) -> None:
    store = machine.store
    await machine.start()
    for name in ("done", "back"):
        await store.changes.put(Change(f"chg-{name}", "router", "network", name, ChangeStatus.APPLYING, Risk.RESTORABLE))

    async def resume() -> object:
        await store.changes.update("chg-done", status=ChangeStatus.DONE)
        await store.changes.update("chg-back", status=ChangeStatus.ROLLED_BACK)
        return []

    node = machine.node()
    await node.begin()
    report = await node.recover(machine.ping_all, resume)
    assert report is not None
    assert {w["id"]: w["outcome"] for w in report.work} == {"chg-done": "finished", "chg-back": "rolled back"}


async def test_pings_that_never_answer_do_not_hold_up_the_report(machine: Machine, clock: ManualClock) -> None:
    await machine.store.agents.put(Agent("net-1", "Network", AgentType.INFRASTRUCTURE, Role.NETWORK, AgentState.OFFLINE))
    await machine.start()
    asleep = asyncio.Event()

    async def never() -> object:
        asleep.set()
        return await asyncio.Event().wait()

    node = machine.node(ping_deadline_s=7)
    await node.begin()
    recovering = asyncio.create_task(node.recover(never, machine.resume_work))
    await asleep.wait()
    while not recovering.done():
        await clock.advance(7)
    report = recovering.result()
    assert report is not None and any("pings given up after 7 s" in str(m["what"]) for m in report.timeline)
    assert "1 of 1 agents not heard of yet" in report.summary and "executor fleet ping" in report.todo[-1]


async def test_work_that_takes_longer_to_resume_than_the_report_waits_goes_on(machine: Machine, clock: ManualClock) -> None:
    await machine.start()
    asleep, enough, resumed = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def slow() -> object:
        asleep.set()
        await enough.wait()
        resumed.set()
        return []

    node = machine.node(resume_deadline_s=7)
    await node.begin()
    recovering = asyncio.create_task(node.recover(machine.ping_all, slow))
    await asleep.wait()
    while not recovering.done():
        await clock.advance(7)
    report = recovering.result()
    assert report is not None and any("still being resumed after 7 s" in str(m["what"]) for m in report.timeline)
    enough.set()
    await asyncio.wait_for(resumed.wait(), 20)


async def test_work_that_cannot_be_resumed_is_said_and_the_report_goes_out(machine: Machine) -> None:
    await machine.start()

    async def broken() -> object:
        raise ExecutorError("the workflow engine does not start")

    node = machine.node()
    await node.begin()
    report = await node.recover(machine.ping_all, broken)
    assert report is not None and "the workflow engine does not start" in " ".join(report.todo)


async def test_a_damaged_last_state_is_survived_by_what_the_store_knows(machine: Machine, clock: ManualClock, places: Places) -> None:
    await machine.start()
    at = clock.now()
    await machine.store.nodes.put(Node("node-a", "host", 1, "boot-1", "0.1.0", started_at=at, heartbeat_at=at))
    places.last_state_file.write_text('{"format": 1, "node_')
    await clock.advance(30)
    machine.boot = "boot-2"
    _, report = await machine.start()
    assert report is not None
    assert (report.kind, report.sure, report.downtime_s) == (OutageKind.POWER_LOSS, "likely", 30.0)
    assert any("could not be used" in line and ".damaged-" in line for line in report.todo)


async def test_a_lost_last_state_after_a_clean_stop_is_no_outage(machine: Machine, clock: ManualClock, places: Places) -> None:
    at = clock.now()
    await machine.store.nodes.put(Node("node-a", "host", 1, "boot-1", "0.1.0", started_at=at, heartbeat_at=at, stopped_at=at))
    _, report = await machine.start()
    assert report is None


async def test_the_heartbeat_moves_and_keeps_the_agents_states(machine: Machine, clock: ManualClock) -> None:
    await machine.store.agents.put(Agent("coder-1", "Coder", AgentType.PROJECT, Role.CODER, AgentState.BUSY))
    node, _ = await machine.start()
    await clock.advance(30)
    await node.beat()
    state = decode(machine.places.last_state_file.read_bytes())
    assert state.heartbeat_at == clock.now() and state.agents == {"coder-1": "busy"} and not state.clean


async def test_a_state_directory_lost_while_running_is_said_and_does_not_stop_the_node(machine: Machine, places: Places) -> None:
    node, _ = await machine.start()
    await machine.store.nodes.put(Node("node-a", "here", 1, "boot-1", "1"))
    gone = places.state_dir.with_name("gone")
    places.state_dir.rename(gone)
    places.state_dir.write_text("not a directory")
    await node.beat()
    assert "last_state.json cannot be written" in node.trouble
    assert (await machine.store.nodes.get("node-a")).unwell == node.trouble, "the console shows it"
    places.state_dir.unlink()
    gone.rename(places.state_dir)
    await node.beat()
    assert node.trouble == "" == (await machine.store.nodes.get("node-a")).unwell


async def test_a_scan_somebody_asked_for_is_a_report_of_its_own_without_an_alert(machine: Machine, clock: ManualClock) -> None:
    node, _ = await machine.start()
    await machine.store.notes.put(SCAN_REQUEST, {"report_id": "rec-asked", "by": "ops"})
    running = asyncio.create_task(node.run(2.0))
    while await machine.store.reports.find("rec-asked") is None:
        await clock.advance(2.0)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    report = await machine.store.reports.get("rec-asked")
    assert report.kind is OutageKind.SCAN and report.summary.startswith("Scan on request")
    assert await machine.store.alerts.list() == () and await machine.store.notes.get(SCAN_REQUEST) is None


async def test_checkpoints_saved_at_once_share_commits_and_the_last_of_each_agent_wins(machine: Machine) -> None:
    node = machine.node()
    before = (await machine.store.db.revisions()).get("checkpoints", 0)
    await asyncio.gather(*(node.save_checkpoint(Checkpoint(f"agent-{n % 50}", "busy", step=n)) for n in range(500)))
    saved = await machine.store.checkpoints.list()
    assert {c.agent_id: c.step for c in saved} == {f"agent-{n}": 450 + n for n in range(50)}
    assert (await machine.store.db.revisions())["checkpoints"] - before < 10


async def test_a_checkpoint_that_cannot_be_written_is_an_error_for_its_caller(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    node = machine.node()
    await machine.store.db.close()
    path = machine.store.db.path
    assert path is not None
    path.with_name("executor.db-wal").unlink(missing_ok=True)
    path.unlink()
    path.mkdir()
    with pytest.raises(ExecutorError, match="store at"):
        await node.save_checkpoint(Checkpoint("agent-1", "busy"))


@pytest.fixture
def on_both(any_store: Store, places: Places, clock: ManualClock) -> Callable[[], Machine]:
    return lambda: Machine(any_store, places, clock)


async def test_recovery_is_the_same_on_both_databases(on_both: Callable[[], Machine], clock: ManualClock) -> None:
    machine = on_both()
    await machine.store.agents.put(Agent("coder-1", "Coder", AgentType.PROJECT, Role.CODER, AgentState.BUSY))
    node, _ = await machine.start()
    await asyncio.gather(*(node.save_checkpoint(Checkpoint(f"agent-{n}", "busy", step=n)) for n in range(5)))
    machine.answers = (Ping("coder-1", AgentState.ONLINE, latency_ms=3.0), Ping("nobody", AgentState.ONLINE))
    await clock.advance(5)
    _, report = await machine.start()
    assert report is not None and report == await machine.store.reports.last()
    agent = await machine.store.agents.get("coder-1")
    assert (agent.state, agent.latency_ms, agent.state_since) == (AgentState.ONLINE, 3.0, clock.now())
