"""The repositories, on SQLite and on a real Postgres."""

import asyncio
from datetime import timedelta

import pytest

from executor_tui.domain.agent import Agent, AgentState, AgentType, Role
from executor_tui.domain.alert import Alert, Severity
from executor_tui.domain.approval import Approval, ApprovalKind, ApprovalScope, ApprovalStatus, Decision
from executor_tui.domain.call import Call, CallStatus, VirtualKey
from executor_tui.domain.clock import ManualClock
from executor_tui.domain.errors import ConflictError, NotFoundError
from executor_tui.domain.event import Event, Level
from executor_tui.domain.key import FailureClass, Key, Park, ParkScope, ParkSource, QuotaPool
from executor_tui.domain.model import Tier
from executor_tui.domain.project import Project, ProjectStatus, Question, Stage, Step
from executor_tui.domain.recovery import Checkpoint, OutageKind, RecoveryReport
from executor_tui.store.store import Store

POOL = QuotaPool("google/a", "google", "a")


def a_key(**values: object) -> Key:
    given = {"id": "key-1", "provider": "google", "pool_id": POOL.id, "tier": Tier.PREMIUM, "secret_ref": "key-1", "fingerprint": "f1"}
    return Key(**{**given, **values})  # type: ignore[arg-type]


def a_park(clock: ManualClock, minutes: float | None, park_id: str = "prk-1") -> Park:
    ends = None if minutes is None else clock.now() + timedelta(minutes=minutes)
    reason, source = FailureClass.RATE_LIMITED, ParkSource.PROVIDER
    return Park(park_id, ParkScope.POOL_MODEL, POOL.id, "gemini-pro", "", reason, source, clock.now(), ends)


async def test_a_project_comes_back_as_it_was_written(any_store: Store) -> None:
    made = await any_store.projects.create(Project("prj-1", "a goal with ünïcode ☃", budget_usd=1.25, max_rounds=3))
    assert await any_store.projects.get("prj-1") == made


async def test_an_unknown_id_is_named_in_the_error(any_store: Store) -> None:
    with pytest.raises(NotFoundError, match="no project 'prj-9'"):
        await any_store.projects.get("prj-9")


async def test_only_one_of_two_nodes_starts_a_queued_project(any_store: Store) -> None:
    await any_store.projects.create(Project("prj-1", "goal"))
    moves = await asyncio.gather(
        *(any_store.projects.move("prj-1", (ProjectStatus.QUEUED,), ProjectStatus.RUNNING, node_id=f"node-{n}") for n in range(5))
    )
    assert sorted(moves) == [False, False, False, False, True]


async def test_a_step_written_twice_is_one_step_in_its_place(any_store: Store) -> None:
    await any_store.projects.create(Project("prj-1", "goal"))
    for step_id in ("s1", "s2", "s1"):
        await any_store.steps.put(Step(step_id, "prj-1", 0, Stage.CODER, 1, "turn", f"turn {step_id}", tool_calls=({"name": "read"},)))
    steps = await any_store.steps.of("prj-1")
    assert [(s.id, s.seq) for s in steps] == [("s1", 1), ("s2", 2)]
    assert steps[0].tool_calls == ({"name": "read"},)


async def test_the_first_decision_on_an_approval_wins(any_store: Store) -> None:
    await any_store.approvals.request(Approval("apr-1", ApprovalKind.CRITICAL_MODEL, "claude-opus for coder"))
    answers = await asyncio.gather(
        any_store.approvals.decide("apr-1", Decision(True, "ann", "console")),
        any_store.approvals.decide("apr-1", Decision(False, "bob", "telegram")),
        return_exceptions=True,
    )
    winners = [a for a in answers if isinstance(a, Approval)]
    assert len(winners) == 1
    assert sum(isinstance(a, ConflictError) for a in answers) == 1
    stored = await any_store.approvals.get("apr-1")
    assert (stored.status, stored.decided_by) == (winners[0].status, winners[0].decided_by)


async def test_asking_again_after_a_restart_neither_doubles_nor_decides(any_store: Store) -> None:
    first = await any_store.approvals.request(Approval("apr-1", ApprovalKind.CRITICAL_MODEL, "x"))
    await any_store.approvals.decide("apr-1", Decision(True, "ann", "console"))
    again = await any_store.approvals.request(Approval("apr-1", ApprovalKind.CRITICAL_MODEL, "x"))
    assert first.status is ApprovalStatus.PENDING
    assert again.status is ApprovalStatus.APPROVED
    assert len(await any_store.approvals.list()) == 1


async def test_a_request_withdrawn_at_the_moment_it_is_decided_stays_decided(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    await store.approvals.request(Approval("apr-1", ApprovalKind.CRITICAL_MODEL, "x"))
    look = store.approvals.get

    async def decided_after_the_look(approval_id: str) -> Approval:
        seen = await look(approval_id)
        monkeypatch.undo()
        await store.approvals.decide(approval_id, Decision(True, "ann", "console"))
        return seen

    monkeypatch.setattr(store.approvals, "get", decided_after_the_look)
    await store.approvals.cancel("apr-1", "the change is over")
    assert (await look("apr-1")).decided_by == "ann"


async def test_silence_past_the_deadline_is_a_no(any_store: Store, clock: ManualClock) -> None:
    late = Approval("apr-1", ApprovalKind.CHANGE, "drop all", expires_at=clock.now() + timedelta(seconds=30))
    await any_store.approvals.request(late)
    await clock.advance(31)
    with pytest.raises(ConflictError, match="expired"):
        await any_store.approvals.decide("apr-1", Decision(True, "ann", "console"))
    assert (await any_store.approvals.get("apr-1")).status is ApprovalStatus.EXPIRED


async def test_an_approved_scope_reaches_until_its_limit_or_its_time(any_store: Store, clock: ManualClock) -> None:
    for number, decision in enumerate(
        (
            Decision(True, "ann", "console", ApprovalScope.PROJECT, limit_usd=1.0),
            Decision(True, "ann", "console", ApprovalScope.MINUTES, minutes=10),
            Decision(True, "ann", "console", ApprovalScope.ONCE),
        )
    ):
        kind = ApprovalKind.CRITICAL_MODEL
        await any_store.approvals.request(Approval(f"apr-{number}", kind, "x", project_id="prj-1", model_id="opus"))
        await any_store.approvals.decide(f"apr-{number}", decision)
    assert {a.id for a in await any_store.approvals.standing("prj-1", "opus")} == {"apr-0", "apr-1"}
    assert {a.id for a in await any_store.approvals.standing("prj-2", "opus")} == {"apr-1"}
    assert await any_store.approvals.standing("prj-1", "other") == ()
    await any_store.approvals.spend("apr-0", 0.4)
    await any_store.approvals.spend("apr-0", 0.6)
    await clock.advance(11 * 60)
    assert await any_store.approvals.standing("prj-1", "opus") == ()


async def test_a_shorter_park_never_replaces_a_longer_one(any_store: Store, clock: ManualClock) -> None:
    await any_store.parks.park(a_park(clock, 60))
    kept = await any_store.parks.park(a_park(clock, 5, "prk-2"))
    assert kept.id == "prk-1"
    longer = await any_store.parks.park(a_park(clock, 120, "prk-3"))
    assert [p.id for p in await any_store.parks.open()] == [longer.id] == ["prk-3"]
    await any_store.parks.park(a_park(clock, None, "prk-4"))
    assert (await any_store.parks.park(a_park(clock, 500, "prk-5"))).id == "prk-4"


async def test_a_known_key_is_refused_and_its_secret_dies_with_it(any_store: Store) -> None:
    await any_store.keys.add(a_key(), POOL, b"sealed")
    with pytest.raises(ConflictError, match="already known"):
        await any_store.keys.add(a_key(id="key-2", secret_ref="key-2"), POOL, b"sealed")
    assert await any_store.keys.ciphertext("key-1") == b"sealed"
    await any_store.keys.remove("key-1")
    assert await any_store.keys.ciphertext("key-1") is None
    assert await any_store.keys.list() == ()


async def test_settling_a_call_twice_charges_once_everywhere(any_store: Store, clock: ManualClock) -> None:
    await any_store.keys.add(a_key(), POOL, None)
    await any_store.tokens.add(VirtualKey("vk-1", "coder", "digest"))
    await any_store.agents.put(Agent("coder-001", "Coder", AgentType.PROJECT, Role.CODER))
    await any_store.projects.create(Project("prj-1", "goal"))
    begun = Call("c1", CallStatus.IN_FLIGHT, "opus", "opus", "google", POOL.id, "key-1", "vk-1", "coder-001", "prj-1", estimate_usd=0.5,
                 started_at=clock.now())  # fmt: skip
    await any_store.calls.begin([begun])
    assert (await any_store.calls.spend(project_id="prj-1")).cost_usd == 0.5
    ended = Call("c1", CallStatus.OK, "opus", "opus", "google", POOL.id, "key-1", "vk-1", "coder-001", "prj-1", 100, 20, cost_usd=0.125,
                 started_at=clock.now(), ended_at=clock.now())  # fmt: skip
    await any_store.calls.settle([ended])
    await any_store.calls.settle([ended])
    assert (await any_store.calls.spend(project_id="prj-1")).cost_usd == 0.125
    assert (await any_store.projects.get("prj-1")).cost_usd == 0.125
    assert (await any_store.keys.get("key-1")).calls == 1
    assert (await any_store.tokens.get("vk-1")).spent_usd == 0.125
    assert (await any_store.agents.get("coder-001")).cost_usd == 0.125


async def test_many_small_costs_add_up_exactly(any_store: Store, clock: ManualClock) -> None:
    calls = [Call(f"c{n}", CallStatus.OK, "m", "m", cost_usd=0.1, project_id="p", started_at=clock.now()) for n in range(1000)]
    await any_store.calls.begin(calls)
    assert (await any_store.calls.spend(project_id="p")).cost_usd == 100.0


async def test_calls_of_a_dead_gateway_are_lost_but_stay_counted(any_store: Store, clock: ManualClock) -> None:
    await any_store.calls.begin([Call("c1", CallStatus.IN_FLIGHT, "m", estimate_usd=0.25, project_id="p", started_at=clock.now())])
    lost = await any_store.calls.lose_in_flight()
    assert [c.id for c in lost] == ["c1"]
    assert (await any_store.calls.spend(project_id="p")).cost_usd == 0.25
    assert await any_store.calls.lose_in_flight() == ()


async def test_a_question_is_asked_once_and_answered_once(any_store: Store) -> None:
    for _ in range(2):
        await any_store.questions.ask(Question("q1", "prj-1", "rounds", "more rounds?", ("more", "stop")))
    assert len(await any_store.questions.open()) == 1
    await any_store.questions.answer("q1", "more", "ann")
    with pytest.raises(ConflictError):
        await any_store.questions.answer("q1", "stop", "bob")
    assert (await any_store.questions.get("q1")).answer == "more"


async def test_an_agents_state_event_is_written_only_when_it_changes(any_store: Store) -> None:
    await any_store.agents.put(Agent("a", "A", AgentType.PROJECT, Role.PM))
    for _ in range(3):
        await any_store.agents.set_state("a", AgentState.ONLINE)
    events = await any_store.events.tail(kinds=("agent.",))
    assert [e.kind for e in events] == ["agent.state_changed"]


async def test_events_are_filtered_by_level_agent_and_project(any_store: Store) -> None:
    await any_store.events.add(
        Event("log.line", "one", Level.DEBUG, agent_id="a"),
        Event("log.line", "two", Level.ERROR, agent_id="a", project_id="p"),
        Event("key.parked", "three", Level.WARNING),
    )
    assert [e.message for e in await any_store.events.tail(min_level=Level.WARNING)] == ["two", "three"]
    assert [e.message for e in await any_store.events.tail(agent_id="a")] == ["one", "two"]
    assert [e.message for e in await any_store.events.tail(kinds=("key.",))] == ["three"]
    last = await any_store.events.last_seq()
    assert [e.message for e in await any_store.events.after(last - 1)] == ["three"]


async def test_emitted_lines_are_bounded_and_written_in_order(any_store: Store) -> None:
    for number in range(50):
        any_store.events.emit(Event("log.line", f"line {number} " + "x" * 10_000))
    await any_store.events.flush()
    found = await any_store.events.tail(limit=100)
    assert [e.message.split()[1] for e in found] == [str(n) for n in range(50)]
    assert all(len(e.message) < 4_100 for e in found)


async def test_an_outage_is_reported_once(any_store: Store, clock: ManualClock) -> None:
    report = RecoveryReport("rep-1", "node-1", OutageKind.CRASH, "certain", None, clock.now(), 5.0, "crashed")
    assert await any_store.reports.add(report)
    assert not await any_store.reports.add(report)
    assert (await any_store.reports.last()) is not None


async def test_a_checkpoint_replaces_the_one_before(any_store: Store) -> None:
    await any_store.checkpoints.save(Checkpoint("coder-001", "busy", "turn 1", step=1, holds=("ct:101",)))
    await any_store.checkpoints.save(Checkpoint("coder-001", "busy", "turn 2", step=2))
    found = await any_store.checkpoints.get("coder-001")
    assert (found.step, found.holds) == (2, ())


async def test_a_repeated_alert_is_one_row_with_one_delivery_per_channel(any_store: Store) -> None:
    alert = Alert("alr-1", "park:google", Severity.WARNING, "google parked")
    assert await any_store.alerts.raise_(alert, ("telegram", "discord"))
    assert not await any_store.alerts.raise_(alert, ("telegram", "discord"))
    assert len(await any_store.deliveries.due("telegram")) == 1


async def test_a_note_is_claimed_by_exactly_one(any_store: Store) -> None:
    claims = await asyncio.gather(*(any_store.notes.claim("once", n) for n in range(5)), return_exceptions=True)
    assert sum(c is True for c in claims) == 1


async def test_a_virtual_key_is_found_by_digest_and_ends_when_revoked(any_store: Store) -> None:
    await any_store.tokens.add(VirtualKey("vk-1", "me", "d1"))
    assert (await any_store.tokens.by_digest("d1")) is not None
    await any_store.tokens.revoke("me")
    with pytest.raises(NotFoundError):
        await any_store.tokens.revoke("me")
