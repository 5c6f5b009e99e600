"""What Executor brings to the operator by itself. Each rule is a pure function of a snapshot; each alert says what to press or type."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from executor_tui.config.general import EscalationSettings
from executor_tui.core.alerts import approval_alert, project_alert, question_alert
from executor_tui.domain.agent import Agent, AgentState
from executor_tui.domain.alert import Alert, Severity
from executor_tui.domain.approval import Approval
from executor_tui.domain.ids import new_id
from executor_tui.domain.key import Park, ParkScope, ParkSource
from executor_tui.domain.project import Project, ProjectStatus, Question, Step
from executor_tui.store.limits import LimitRow

MIN_PACE_S, MIN_USED = 600.0, 5
_DAILY = ("rpd", "tpd")
_GB = 1e9


@dataclass(frozen=True, slots=True)
class Disk:
    free_bytes: int
    total_bytes: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What the rules look at. `steps` are the newest of each running project; `clock_jump_s` how far wall and monotonic time came apart."""

    now: datetime
    agents: Sequence[Agent] = ()
    projects: Sequence[Project] = ()
    steps: Mapping[str, Sequence[Step]] = field(default_factory=dict)
    approvals: Sequence[Approval] = ()
    questions: Sequence[Question] = ()
    limits: Sequence[LimitRow] = ()
    parks: Sequence[Park] = ()
    disk: Disk | None = None
    clock_jump_s: float = 0.0
    watched_since: datetime | None = None
    """Since when this node looks: what stood still while everything was down is not stuck."""


def escalate(seen: Snapshot, settings: EscalationSettings) -> tuple[Alert, ...]:
    """Every alert the snapshot calls for; their dedupe keys make one alert of one occasion."""
    return (
        *(approval_alert(a) for a in seen.approvals), *(question_alert(q) for q in seen.questions),
        *(alert for p in seen.projects if (alert := project_alert(p)) is not None),
        *stuck(seen, settings), *looping(seen, settings), *out_of_budget(seen), *running_dry(seen, settings), *parked(seen),
        *unwell(seen), *clock_wrong(seen, settings), *disk_filling(seen, settings),
    )  # fmt: skip


def stuck(seen: Snapshot, settings: EscalationSettings) -> list[Alert]:
    """Busy agents that made no progress for too long, by what they and their project's steps record."""
    found = []
    for agent in seen.agents:
        steps = seen.steps.get(agent.project_id or "", ())
        moments = [seen.watched_since, agent.progress_at, agent.state_since, *(s.ended_at or s.started_at for s in steps)]
        since = max((m for m in moments if m is not None), default=None)
        if agent.state is not AgentState.BUSY or since is None or seen.now - since < timedelta(minutes=settings.stuck_minutes):
            continue
        minutes = (seen.now - since).total_seconds() / 60
        press = f"See what it does on the Logs screen; stop it with: executor fleet pause {agent.id}"
        if agent.project_id:
            press += f", or end its project with: executor project cancel {agent.project_id}"
        body = f"{agent.task or 'no task named'}\n{press}"
        title = f"{agent.name} makes no progress since {minutes:.0f} minutes"
        found.append(_alert(f"stuck:{agent.id}:{since.isoformat()}", title, body, "agents stuck", agent.id))
    return found


def looping(seen: Snapshot, settings: EscalationSettings) -> list[Alert]:
    """Projects whose agent makes the same tool call over and over."""
    found = []
    for project_id, steps in seen.steps.items():
        calls = [_call(call) for step in steps for call in step.tool_calls]
        repeats = next((n for n, call in enumerate(reversed(calls)) if call != calls[-1]), len(calls))
        if repeats >= settings.loop_repeats:
            digest = hashlib.sha256(calls[-1].encode()).hexdigest()[:12]
            title = f"Project {project_id} repeats one call: {repeats} times {json.loads(calls[-1])[0]}"
            body = f"{calls[-1][:300]}\nGive it a hint or stop it: executor project cancel {project_id}"
            found.append(_alert(f"loop:{project_id}:{digest}", title, body, "projects in a loop", project_id))
    return found


def out_of_budget(seen: Snapshot) -> list[Alert]:
    """Projects that have spent what they may."""
    return [
        _alert(
            f"budget:{p.id}:{p.budget_usd}", f"Project {p.id} has spent its budget: ${p.cost_usd:.4f} of ${p.budget_usd:.2f}",
            f"{p.goal}\nOpen it on the Projects screen and answer its question, or: executor project cancel {p.id}",
            "projects out of budget", p.id,
        )
        for p in seen.projects
        if p.budget_usd is not None and not p.status.final and p.cost_usd >= p.budget_usd > 0
    ]  # fmt: skip


def running_dry(seen: Snapshot, settings: EscalationSettings) -> list[Alert]:
    """Daily quotas that will not last until their reset at the pace of this window."""
    found = []
    for row in seen.limits:
        minutes = _minutes_left(row, seen.now)
        if minutes is None or minutes > settings.pool_dry_minutes:
            continue
        assert row.window_started_at is not None
        model = f" for {row.model_id}" if row.model_id not in ("", "*") else ""
        title = f"{row.pool_id} runs dry in {minutes:.0f} minutes at today's pace ({row.kind}{model})"
        until = f"It is full again at {row.resets_at:%Y-%m-%d %H:%M} UTC. " if row.resets_at else ""
        body = f"{until}Add a key of another account: executor keys add {row.pool_id.partition('/')[0]}"
        key = f"dry:{row.pool_id}:{row.model_id}:{row.kind}:{row.window_started_at.isoformat()}"
        found.append(_alert(key, title, body, "quotas running dry", row.pool_id))
    return found


def parked(seen: Snapshot) -> list[Alert]:
    """Keys and whole pools put aside for something waiting does not heal, or that a provider said; not the daily round of rate limits."""
    found = []
    for park in seen.parks:
        if park.scope is ParkScope.POOL_MODEL or park.source is ParkSource.OPERATOR:
            continue
        what = park.key_id if park.scope is ParkScope.KEY else park.pool_id
        until = f"until {park.ends_at:%Y-%m-%d %H:%M} UTC" if park.ends_at else "until you clear it"
        body = f"{park.detail}\nSee the Hydra screen; try it again with: executor keys unpark {park.key_id or park.pool_id}".strip()
        found.append(_alert(f"park:{park.id}", f"{what} is parked ({park.reason}) {until}", body, "keys parked", park.id))
    return found


def unwell(seen: Snapshot) -> list[Alert]:
    """Devices that answer badly or not at all; at most one alert an hour for each state, however often it flaps."""
    found = []
    for agent in seen.agents:
        if not agent.device or agent.state not in (AgentState.DEGRADED, AgentState.OFFLINE) or agent.last_seen_at is None:
            continue
        since = agent.state_since or seen.now
        title = f"{agent.name} is {agent.state}" + (f": {agent.reason}" if agent.reason else "")
        body = f"{agent.device}, since {since:%Y-%m-%d %H:%M} UTC\nAsk it again with: executor fleet ping {agent.id}"
        found.append(_alert(f"unwell:{agent.id}:{agent.state}:{since:%Y%m%d%H}", title, body, "devices unwell", agent.id))
    return found


def clock_wrong(seen: Snapshot, settings: EscalationSettings) -> list[Alert]:
    """The wall clock moved against monotonic time: resets, deadlines and quiet hours follow the wall clock."""
    if abs(seen.clock_jump_s) <= settings.clock_jump_s:
        return []
    way = "forward" if seen.clock_jump_s > 0 else "back"
    title = f"The machine's clock jumped {way} by {abs(seen.clock_jump_s):.0f} s"
    body = "Check its time source with: timedatectl timesync-status. Approvals and parks keep to the clock as it is now."
    return [_alert(f"clock:{seen.now:%Y%m%d%H%M}", title, body)]


def disk_filling(seen: Snapshot, settings: EscalationSettings) -> list[Alert]:
    """Little room left where the state directory is; once a day."""
    disk = seen.disk
    if disk is None or not disk.total_bytes:
        return []
    percent = 100 * disk.free_bytes / disk.total_bytes
    if percent >= settings.disk_free_percent and disk.free_bytes >= settings.disk_free_gb * _GB:
        return []
    title = f"The disk is filling: {disk.free_bytes / _GB:.1f} GB free ({percent:.0f} %)"
    body = "Make room: delivered projects under projects/, old files under backups/ of the state directory. A full disk keeps nothing."
    return [_alert(f"disk:{seen.now:%Y%m%d}", title, body, severity=Severity.CRITICAL)]


def _minutes_left(row: LimitRow, now: datetime) -> float | None:
    """How long a daily quota lasts; None where that cannot be said, or where it lasts until its reset."""
    if row.kind not in _DAILY or row.window_started_at is None or row.used < MIN_USED:
        return None
    elapsed_s = (now - row.window_started_at).total_seconds()
    left = row.remaining if row.remaining is not None else row.value - row.used
    if elapsed_s < MIN_PACE_S or left <= 0:
        return None
    lasts_s = left / (row.used / elapsed_s)
    if row.resets_at is not None and row.resets_at <= now + timedelta(seconds=lasts_s):
        return None
    return lasts_s / 60


def _call(call: Mapping[str, object]) -> str:
    return json.dumps([call.get("name"), call.get("arguments")], sort_keys=True, default=str)


def _alert(key: str, title: str, body: str, group: str = "", subject_id: str = "", severity: Severity = Severity.WARNING) -> Alert:
    return Alert(new_id("alr"), key, severity, title, body, group, subject_id)


RUNNING = (ProjectStatus.RUNNING, ProjectStatus.ASKING)
ENDED = (ProjectStatus.DELIVERED, ProjectStatus.FAILED, ProjectStatus.QUARANTINED)
