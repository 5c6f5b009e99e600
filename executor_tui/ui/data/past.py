"""Things as they were at a past moment, told from what the store keeps of them: their times, and the events recorded up to then.

What was never recorded is left blank rather than filled in from today.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from executor_tui.domain.agent import Agent, AgentState
from executor_tui.domain.approval import Approval, ApprovalStatus
from executor_tui.domain.call import Call, CallStatus
from executor_tui.domain.change import Change, ChangeStatus, Receipt
from executor_tui.domain.event import Event
from executor_tui.domain.key import Key, KeyState
from executor_tui.domain.project import Project, ProjectStatus, Question, Stage, Step, StepStatus

if TYPE_CHECKING:
    from executor_tui.store.store import Store

MOST_EVENTS = 20_000
AGENT_KINDS = ("agent.state_changed", "agent.paused", "agent.resumed")
_AGENT_STATES = {s.value: s for s in AgentState}
_PROJECT_STATUSES = {s.value: s for s in ProjectStatus} | {"released": ProjectStatus.QUEUED}


def was(moment: datetime | None, at: datetime) -> bool:
    """Whether something with this time had happened."""
    return moment is not None and moment <= at


# -- agents ---------------------------------------------------------------------------------------------------


def agents_then(agents: Iterable[Agent], told: Sequence[Event], cost_usd: Mapping[str, float]) -> tuple[Agent, ...]:
    """Agents in the state their last recorded change left them; those of which nothing was known yet are left out."""
    last: dict[str, Event] = {}
    paused: dict[str, bool] = {}
    for event in told:
        if event.kind == "agent.state_changed":
            last[event.agent_id] = event
        else:
            paused[event.agent_id] = event.kind == "agent.paused"
    return tuple(_agent_then(a, last[a.id], paused.get(a.id, False), cost_usd.get(a.id, 0.0)) for a in agents if a.id in last)


def _agent_then(agent: Agent, event: Event, paused: bool, cost_usd: float) -> Agent:
    return replace(
        agent, state=_AGENT_STATES.get(str(event.data.get("to", "")), AgentState.OFFLINE), reason=str(event.data.get("reason", "")),
        state_since=event.at, task="", project_id=event.project_id or None, paused=paused, cost_usd=cost_usd, latency_ms=None,
        last_seen_at=None,
    )  # fmt: skip


async def fleet_then(store: "Store", at: datetime) -> tuple[Agent, ...]:
    told = await store.events.tail(MOST_EVENTS, kinds=AGENT_KINDS, until=at)
    spent = await store.calls.spend_by("agent_id", until=at)
    return agents_then(await store.agents.list(), told, {name: s.cost_usd for name, s in spent.items()})


# -- projects -------------------------------------------------------------------------------------------------


def project_then(project: Project, told: Sequence[Event], steps: Sequence[Step], asked: Sequence[Question], cost_usd: float) -> Project:
    """`told`, `steps` and `asked` reach up to the moment, and are this project's.

    The last event names the status (`project.delivered`); running once anything was said after queued; asking while a question was open.
    """
    status = ProjectStatus.QUEUED
    for event in told:
        status = _PROJECT_STATUSES.get(event.kind.removeprefix("project."), ProjectStatus.RUNNING)
    if not status.final and any(q.answered_at is None for q in asked):
        status = ProjectStatus.ASKING
    stage, rounds = (steps[-1].stage, steps[-1].round) if steps else (Stage.PM, 0)
    head = next((s.commit for s in reversed(steps) if s.commit), "")
    finished = project.finished_at if status.final else None
    return replace(
        project, status=status, stage=stage, round=rounds, finished_at=finished, cost_usd=cost_usd, detail="", head=head, wake_at=None
    )


def steps_then(steps: Iterable[Step], at: datetime) -> tuple[Step, ...]:
    """Steps begun by then; one that ended later was still running, and had brought nothing yet."""
    return tuple(
        step if was(step.ended_at, at)
        else replace(step, status=StepStatus.RUNNING, ended_at=None, reply="", tool_calls=(), commit="", cost_usd=0.0, output_tokens=0)
        for step in steps if step.started_at is None or step.started_at <= at
    )  # fmt: skip


def questions_then(questions: Iterable[Question], at: datetime) -> tuple[Question, ...]:
    """Questions asked by then; those answered later were open."""
    asked = [q for q in questions if was(q.created_at, at)]
    return tuple(q if was(q.answered_at, at) else replace(q, answer="", answered_at=None, answered_by="") for q in asked)


async def projects_then(store: "Store", at: datetime) -> tuple[Project, ...]:
    told = await store.events.tail(MOST_EVENTS, kinds=("project.",), until=at)
    spent = await store.calls.spend_by("project_id", until=at)
    found = []
    for project in await store.projects.list():
        if was(project.created_at, at):
            mine = [e for e in told if e.project_id == project.id]
            # One that was over by then and is unchanged since needs no looking up.
            over = project.status.final and was(project.updated_at, at)
            steps = () if over else steps_then(await store.steps.of(project.id), at)
            asked = () if over else questions_then(await store.questions.of(project.id), at)
            cost = spent[project.id].cost_usd if project.id in spent else 0.0
            found.append(project if over else project_then(project, mine, steps, asked, cost))
    return tuple(found)


# -- consent, changes, keys, calls ----------------------------------------------------------------------------


def approval_then(approval: Approval, at: datetime) -> Approval:
    """One decided later still waited."""
    if approval.decided_at is not None and approval.decided_at > at:
        return replace(
            approval, status=ApprovalStatus.PENDING, decided_at=None, decided_by="", decided_via="", spent_usd=0.0, valid_until=None
        )
    return approval


def change_then(change: Change, at: datetime, receipt: Receipt | None, approval: Approval | None, progressed: bool) -> Change:
    """A change by its receipt, else by its approval, else by whether work on it had begun."""
    if was(change.updated_at, at):
        return change
    if receipt is not None and was(receipt.created_at, at):
        return replace(change, status=receipt.outcome)
    status = ChangeStatus.APPLYING if progressed else ChangeStatus.PLANNED
    if approval is not None and was(approval.created_at, at) and not was(approval.decided_at, at):
        status = ChangeStatus.WAITING
    return replace(change, status=status, detail="")


async def changes_then(store: "Store", at: datetime) -> tuple[Change, ...]:
    receipts = {r.change_id: r for r in await store.receipts.list()}
    approvals = {a.id: a for a in await store.approvals.list()}
    told = await store.events.tail(MOST_EVENTS, kinds=("change.progress",), until=at)
    begun = {e.subject_id for e in told}
    return tuple(
        change_then(c, at, receipts.get(c.id), approvals.get(c.approval_id), c.id in begun)
        for c in await store.changes.list()
        if was(c.created_at, at)
    )


def keys_then(keys: Iterable[Key], at: datetime) -> tuple[Key, ...]:
    """Keys there were by then; one verified later was unverified. How often each had been used is not kept."""
    return tuple(
        key if key.verified_at is None or key.verified_at <= at else replace(key, state=KeyState.UNVERIFIED, state_reason="")
        for key in keys
        if key.created_at is None or key.created_at <= at
    )


def call_then(call: Call, at: datetime) -> Call:
    """A call that ended later was in flight."""
    if was(call.ended_at, at):
        return call
    return replace(call, status=CallStatus.IN_FLIGHT, cost_usd=0.0, output_tokens=0, failure="", ended_at=None, duration_ms=None)
