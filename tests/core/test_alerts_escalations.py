"""What Executor brings up by itself, rule by rule."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from executor_tui.config.general import EscalationSettings
from executor_tui.core.escalations import Disk, Snapshot, escalate
from executor_tui.domain.agent import Agent, AgentState, AgentType, Role
from executor_tui.domain.alert import Alert, Severity
from executor_tui.domain.approval import Approval, ApprovalKind
from executor_tui.domain.key import Park, ParkScope, ParkSource
from executor_tui.domain.project import Project, ProjectStatus, Question, Stage, Step
from executor_tui.store.limits import LimitRow

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
CODER = Agent("coder-1", "Coder", AgentType.PROJECT, Role.CODER, AgentState.BUSY, task="tests", project_id="prj-a", state_since=NOW)
PROJECT = Project("prj-a", "a goal", ProjectStatus.RUNNING, budget_usd=5.0)


def ago(minutes: float) -> datetime:
    return NOW - timedelta(minutes=minutes)


def alerts(**seen: object) -> tuple[Alert, ...]:
    return escalate(Snapshot(NOW, **seen), EscalationSettings())  # type: ignore[arg-type]


def agent(**changes: object) -> Agent:
    given = {f: getattr(CODER, f) for f in CODER.__dataclass_fields__}
    return Agent(**{**given, **changes})


def step(minutes_ago: float, *calls: tuple[str, object]) -> Step:
    tool_calls = tuple({"name": name, "arguments": arguments} for name, arguments in calls)
    return Step("s", "prj-a", 1, Stage.CODER, 1, "turn", "x", tool_calls=tool_calls, ended_at=ago(minutes_ago))


def test_a_quiet_house_raises_nothing() -> None:
    assert alerts(agents=[CODER], projects=[PROJECT], steps={"prj-a": [step(1)]}, disk=Disk(10**12, 2 * 10**12)) == ()


def test_an_agent_without_progress_is_stuck_and_the_alert_says_what_to_press() -> None:
    (alert,) = alerts(agents=[agent(progress_at=ago(16), state_since=ago(60))])
    assert "no progress since 16 minutes" in alert.title
    assert "executor fleet pause coder-1" in alert.body and "executor project cancel prj-a" in alert.body
    assert alert.group == "agents stuck"


@pytest.mark.parametrize(
    "changes",
    [
        {"progress_at": NOW - timedelta(minutes=14), "state_since": NOW - timedelta(hours=2)},
        {"progress_at": NOW - timedelta(hours=1), "state_since": NOW - timedelta(minutes=2)},
        {"progress_at": NOW - timedelta(hours=1), "state": AgentState.WAITING},
        {"progress_at": None, "state_since": None},
    ],
)
def test_an_agent_that_moved_lately_or_waits_is_not_stuck(changes: dict[str, object]) -> None:
    assert alerts(agents=[agent(**changes)]) == ()


@pytest.mark.parametrize(("watched_minutes", "raised"), [(2, 0), (20, 1)])
def test_standing_still_while_everything_was_down_is_not_being_stuck(watched_minutes: int, raised: int) -> None:
    busy = agent(progress_at=ago(600), state_since=ago(600))
    assert len(alerts(agents=[busy], watched_since=ago(watched_minutes))) == raised


def test_steps_of_its_project_count_as_progress() -> None:
    quiet = agent(progress_at=ago(60), state_since=ago(60))
    assert alerts(agents=[quiet], steps={"prj-a": [step(3)]}) == ()


def test_being_stuck_since_the_same_moment_is_one_occasion_and_since_another_a_new_one() -> None:
    first, again, later = (alerts(agents=[agent(progress_at=ago(m), state_since=ago(90))])[0].dedupe_key for m in (30, 30, 20))
    assert first == again != later


def loop(*calls: tuple[str, object]) -> Sequence[Alert]:
    return alerts(steps={"prj-a": [step(1, call) for call in calls]})


def test_the_same_call_five_times_running_is_a_loop() -> None:
    same = ("read", {"path": "a.py"})
    (alert,) = loop(("run", {}), *[same] * 5)
    assert "5 times read" in alert.title and "a.py" in alert.body
    assert loop(*[same] * 4) == ()
    assert loop(*[same] * 4, ("read", {"path": "b.py"}), same) == ()


def test_the_order_of_arguments_does_not_hide_a_loop() -> None:
    assert loop(*[("e", {"a": 1, "b": 2}), ("e", {"b": 2, "a": 1})] * 3)


@pytest.mark.parametrize(("cost", "budget", "raised"), [(5.0, 5.0, 1), (4.99, 5.0, 0), (9.0, None, 0), (0.0, 0.0, 0)])
def test_a_project_at_its_budget_is_told(cost: float, budget: float | None, raised: int) -> None:
    project = Project("prj-a", "goal", ProjectStatus.ASKING, budget_usd=budget, cost_usd=cost)
    assert len(alerts(projects=[project])) == raised


def daily(**changes: object) -> LimitRow:
    given: dict[str, object] = {
        "pool_id": "gemini/a", "model_id": "*", "kind": "rpd", "value": 1000, "used": 900, "window_started_at": ago(240),
        "resets_at": NOW + timedelta(hours=20),
    }  # fmt: skip
    return LimitRow(**{**given, **changes})  # type: ignore[arg-type]


def test_a_quota_that_ends_within_the_hour_at_todays_pace_is_running_dry() -> None:
    (alert,) = alerts(limits=[daily()])
    assert "gemini/a runs dry in 27 minutes" in alert.title and "executor keys add gemini" in alert.body


@pytest.mark.parametrize(
    "changes",
    [
        {"used": 500}, {"resets_at": NOW + timedelta(minutes=20)}, {"kind": "rpm"}, {"window_started_at": ago(5)}, {"used": 4},
        {"window_started_at": None}, {"remaining": 900}, {"used": 1000},
    ],
)  # fmt: skip
def test_a_quota_that_lasts_or_of_which_too_little_is_known_is_not(changes: dict[str, object]) -> None:
    assert alerts(limits=[daily(**changes)]) == ()


def park(scope: ParkScope, source: ParkSource = ParkSource.PROVIDER, ends_at: datetime | None = None) -> Park:
    return Park("prk-1", scope, "openai/a", "", "key-1" if scope is ParkScope.KEY else "", "credit", source, NOW, ends_at)


def test_keys_and_pools_put_aside_are_told_and_the_daily_round_of_rate_limits_is_not() -> None:
    assert [a.title for a in alerts(parks=[park(ParkScope.KEY)])] == ["key-1 is parked (credit) until you clear it"]
    assert [a.group for a in alerts(parks=[park(ParkScope.POOL)])] == ["keys parked"]
    assert alerts(parks=[park(ParkScope.POOL_MODEL)]) == ()
    assert alerts(parks=[park(ParkScope.KEY, ParkSource.OPERATOR)]) == ()


def device(state: AgentState, **changes: object) -> Agent:
    return agent(id="net-1", name="Network", role=Role.NETWORK, state=state, device="routeros://r1", last_seen_at=NOW, **changes)


def test_a_device_that_is_unwell_is_told_once_an_hour_however_often_it_flaps() -> None:
    (alert,) = alerts(agents=[device(AgentState.DEGRADED, reason="certificate expires in 3 days", state_since=ago(1))])
    assert alert.title == "Network is degraded: certificate expires in 3 days"
    flap = alerts(agents=[device(AgentState.DEGRADED, reason="x", state_since=ago(2))])[0]
    later = alerts(agents=[device(AgentState.DEGRADED, reason="x", state_since=ago(70))])[0]
    assert alert.dedupe_key == flap.dedupe_key != later.dedupe_key
    assert alerts(agents=[device(AgentState.ONLINE)]) == () and alerts(agents=[agent(state=AgentState.OFFLINE)]) == ()


@pytest.mark.parametrize(("jump_s", "way"), [(86_400.0, "forward"), (-86_400.0, "back")])
def test_a_clock_that_jumps_is_told(jump_s: float, way: str) -> None:
    (alert,) = alerts(clock_jump_s=jump_s)
    assert f"jumped {way} by 86400 s" in alert.title
    assert alerts(clock_jump_s=jump_s / 86_400) == ()


def test_a_filling_disk_is_critical_and_told_once_a_day() -> None:
    (alert,) = alerts(disk=Disk(4 * 10**9, 100 * 10**9))
    assert alert.severity is Severity.CRITICAL and "4.0 GB free (4 %)" in alert.title
    assert alerts(disk=Disk(8 * 10**8, 8 * 10**9)) and not alerts(disk=Disk(6 * 10**9, 100 * 10**9))


def test_what_waits_for_the_operator_and_what_came_to_its_end_are_alerts_too() -> None:
    approval = Approval("apr-1", ApprovalKind.CHANGE, "delete CT 7", risk="destructive", details={"diff": ["- CT 7"]})
    question = Question("qst-1", "prj-a", "rounds", "More rounds?", ("yes", "no"))
    done = Project("prj-b", "goal", ProjectStatus.DELIVERED, round=2, cost_usd=0.5, branch="executor/prj-b", repo_path="/srv/prj-b")
    found = {a.dedupe_key: a for a in alerts(approvals=[approval], questions=[question], projects=[PROJECT, done])}
    assert set(found) == {"approval:apr-1", "question:qst-1", "project:prj-b:delivered"}
    assert found["approval:apr-1"].data == {"approval": "apr-1", "word": "apr-1", "diff": ["- CT 7"]}
    assert found["question:qst-1"].data["options"] == ["yes", "no"]
    assert "branch executor/prj-b in /srv/prj-b" in found["project:prj-b:delivered"].body
