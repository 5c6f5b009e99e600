"""The work an outage caught: what was in progress, settling what cannot be resumed, quarantine, and what became of the rest."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from executor_tui.core.recovery.report import (
    EXPIRED,
    FINISHED,
    LOST,
    NEEDS_YOU,
    QUARANTINED,
    QUEUED,
    RESUMED,
    ROLLED_BACK,
    WAITING,
    WorkThen,
)
from executor_tui.domain.change import Change, ChangeStatus
from executor_tui.domain.event import Event, Level
from executor_tui.domain.project import Project, ProjectStatus
from executor_tui.store.store import Store

NODE_SILENT_S = 60.0
_OPEN_PROJECTS = (ProjectStatus.RUNNING, ProjectStatus.ASKING, ProjectStatus.QUEUED, ProjectStatus.WAITING_KEYS)
_OPEN_CHANGES = (ChangeStatus.PLANNED, ChangeStatus.WAITING, ChangeStatus.APPLYING)
_PROJECT_OUTCOMES = {
    ProjectStatus.RUNNING: RESUMED, ProjectStatus.ASKING: NEEDS_YOU, ProjectStatus.QUEUED: QUEUED, ProjectStatus.WAITING_KEYS: NEEDS_YOU,
    ProjectStatus.DELIVERED: FINISHED, ProjectStatus.QUARANTINED: QUARANTINED, ProjectStatus.FAILED: NEEDS_YOU,
    ProjectStatus.CANCELLED: FINISHED,
}  # fmt: skip
_CHANGE_OUTCOMES = {
    ChangeStatus.PLANNED: RESUMED, ChangeStatus.APPLYING: RESUMED, ChangeStatus.WAITING: WAITING, ChangeStatus.DONE: FINISHED,
    ChangeStatus.NOTHING_TO_DO: FINISHED, ChangeStatus.ROLLED_BACK: ROLLED_BACK, ChangeStatus.REFUSED: FINISHED,
    ChangeStatus.FAILED: NEEDS_YOU,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Before:
    """The open work and the agents' states as the outage left them."""

    projects: Mapping[str, Project] = field(default_factory=dict)
    changes: Mapping[str, Change] = field(default_factory=dict)
    steps: Mapping[str, int] = field(default_factory=dict)
    agents: Mapping[str, str] = field(default_factory=dict)

    @staticmethod
    async def of(store: Store) -> "Before":
        projects = {p.id: p for p in await store.projects.in_status(*_OPEN_PROJECTS)}
        changes = {c.id: c for c in await store.changes.in_status(*_OPEN_CHANGES)}
        steps = await store.steps.last_seqs() if projects else {}
        return Before(projects, changes, steps, await store.agents.states())


def in_progress(before: Before, node_id: str) -> dict[str, str]:
    """Work that ran on this node when it went down → where it stood."""
    running = {
        f"project:{p.id}": f"{p.stage} {p.round}.{before.steps.get(p.id, 0)} {p.head[:8]}".rstrip()
        for p in before.projects.values()
        if p.status is ProjectStatus.RUNNING and p.node_id in ("", node_id)
    }
    applying = {f"change:{c.id}": str(c.status) for c in before.changes.values() if c.status is ChangeStatus.APPLYING}
    return running | applying


async def quarantine(store: Store, work: str, crashes: int) -> None:
    """Take work out of circulation; a person decides what becomes of it. Doing it twice changes nothing."""
    kind, _, work_id = work.partition(":")
    detail = f"in progress at each of {crashes} crashes running; not resumed"
    if kind == "project":
        event = Event("project.quarantined", f"project {work_id} {detail}", Level.ERROR, project_id=work_id)
        await store.projects.move(work_id, _OPEN_PROJECTS, ProjectStatus.QUARANTINED, event, detail=detail)
    elif kind == "change":
        change = await store.changes.find(work_id)
        if change is not None and change.status is ChangeStatus.APPLYING:
            event = Event("change.quarantined", f"change {work_id} {detail}; look at {change.device}", Level.ERROR, subject_id=work_id)
            await store.changes.update(work_id, event, status=ChangeStatus.FAILED, detail=detail)


async def release(store: Store, project_id: str, by: str) -> bool:
    """Let a quarantined project run again; says whether it was in quarantine."""
    event = Event("project.released", f"project {project_id} released from quarantine by {by}", project_id=project_id)
    return await store.projects.move(project_id, (ProjectStatus.QUARANTINED,), ProjectStatus.QUEUED, event, detail="")


async def settle(store: Store, node_id: str, started_at: datetime, since: datetime | None = None) -> tuple[list[WorkThen], float]:
    """Calls of dead gateways become lost, approvals past their deadline expire, others go on waiting. Returns rows and the USD lost.

    Calls that the new gateway, or a start that died, has marked as lost since the outage (`since`) are told of too.
    """
    now = store.clock.now()
    late = [a for a in await store.approvals.pending() if a.expires_at is not None and a.expires_at <= now]
    await store.approvals.expire(now)
    waiting = await store.approvals.pending()
    dead = await _dead_nodes(store, node_id)
    await store.calls.lose_in_flight(node_ids=dead, before=started_at)
    lost = await store.calls.lost_since(since or now, dead)
    usd = sum(call.estimate_usd for call in lost)
    rows = [WorkThen(a.id, "approval", EXPIRED, f"{a.subject}; unanswered by its deadline, taken as no") for a in late]
    for approval in waiting:
        until = f", until {approval.expires_at:%H:%M:%S} UTC" if approval.expires_at else ""
        rows.append(WorkThen(approval.id, "approval", WAITING, f"{approval.subject}{until}"))
    if lost:
        rows.append(WorkThen(lost[0].id, "call", LOST, f"{len(lost)} calls in flight, ${usd:.4f} estimated stays counted"))
    return rows, usd


async def _dead_nodes(store: Store, node_id: str) -> tuple[str, ...] | None:
    """Nodes whose gateways are gone; None for all of them when no other node lives."""
    fresh = store.clock.now() - timedelta(seconds=NODE_SILENT_S)
    nodes = await store.nodes.list()
    alive = [n for n in nodes if n.id != node_id and n.stopped_at is None and n.heartbeat_at is not None and n.heartbeat_at > fresh]
    if not alive:
        return None
    living = {n.id for n in alive}
    return tuple(n.id for n in nodes if n.id not in living)


async def still_open(store: Store, before: Before, told: Collection[str], quarantined: Sequence[str]) -> list[WorkThen]:
    """What became of the work that was open before, beyond what resuming it already told."""
    rows = []
    shut = {work.partition(":")[2] for work in quarantined}
    projects = {p.id: p for p in await store.projects.list()} if before.projects or shut else {}
    for project_id in dict.fromkeys([*before.projects, *(i for i in projects if i in shut)]):
        project = projects.get(project_id)
        if project is not None and project_id not in told:
            rows.append(WorkThen(project_id, "project", _PROJECT_OUTCOMES[project.status], _where(project)))
    for change_id in dict.fromkeys([*before.changes, *(w.partition(":")[2] for w in quarantined if w.startswith("change:"))]):
        change = await store.changes.find(change_id)
        if change is not None and change_id not in told:
            outcome = QUARANTINED if change_id in shut else _CHANGE_OUTCOMES[change.status]
            rows.append(WorkThen(change_id, "change", outcome, change.detail or change.summary))
    return rows


def _where(project: Project) -> str:
    return project.detail or f"{project.stage}, round {project.round}"
