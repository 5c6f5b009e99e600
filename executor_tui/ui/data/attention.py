"""What waits for the operator, most urgent first: the attention line of the console and `executor watch` say the same."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal

from executor_tui.domain.agent import Agent, AgentState
from executor_tui.domain.alert import DeliveryStatus
from executor_tui.domain.approval import Approval
from executor_tui.domain.key import Park
from executor_tui.domain.project import Project, ProjectStatus, Question
from executor_tui.ui.form import left, money
from executor_tui.ui.text import clean, plural

if TYPE_CHECKING:
    from executor_tui.store.store import Store

Kind = Literal["approval", "question", "failure", "park"]
FAILED_LATELY = timedelta(hours=24)
MOST_NAMED = 50


@dataclass(frozen=True, slots=True)
class Matter:
    """One thing that waits. `screen` and `target` say where it is dealt with."""

    kind: Kind
    id: str
    text: str
    screen: str
    target: str = ""


@dataclass(frozen=True, slots=True)
class Attention:
    """`counts` are totals; `matters` names the first of them in order of urgency."""

    matters: tuple[Matter, ...] = ()
    approvals: int = 0
    questions: int = 0
    failures: int = 0
    parks: int = 0

    def line(self) -> str:
        """One plain line, as `executor watch` prints it."""
        if not self.matters:
            return "nothing waits for you"
        rest = self.rest()
        return self.matters[0].text + (f" · {rest}" if rest else "")

    def rest(self) -> str:
        """What waits besides the first matter, as counts."""
        return " · ".join(plural(n, _WORDS[kind]) for kind, n in self._others() if n > 0)

    def short_rest(self) -> str:
        """The same counts behind the glyphs of their kinds, for narrow terminals."""
        return " ".join(f"{_GLYPHS[kind]}{n}" for kind, n in self._others() if n > 0)

    def _others(self) -> list[tuple[Kind, int]]:
        counts: dict[Kind, int] = {"approval": self.approvals, "question": self.questions, "failure": self.failures, "park": self.parks}
        if self.matters:
            counts[self.matters[0].kind] -= 1
        return list(counts.items())


_GLYPHS: dict[Kind, str] = {"approval": "▲", "question": "?", "failure": "✗", "park": "◷"}
_WORDS = {"approval": "approval", "question": "question", "failure": "failure", "park": "park"}


async def fetch(store: "Store", at: datetime | None = None) -> Attention:
    """What waits now."""
    now = at or store.clock.now()
    approvals = await store.approvals.pending()
    questions = await store.questions.open()
    projects = await store.projects.in_status(ProjectStatus.FAILED, ProjectStatus.QUARANTINED)
    agents, unwell = await store.agents.in_state(AgentState.DEGRADED, AgentState.OFFLINE, limit=MOST_NAMED)
    found = assemble(now, approvals, questions, projects, agents, unwell, await store.parks.open())
    troubles = await _troubles(store)
    asked = [m for m in found.matters if m.kind in ("approval", "question")]
    matters = (*asked, *troubles, *found.matters[len(asked) :])
    return replace(found, matters=matters, failures=found.failures + len(troubles))


async def _troubles(store: "Store") -> list[Matter]:
    """What is wrong with Executor itself: the leading node is unwell, a configuration file cannot be used."""
    lease = await store.leases.leader()
    node = await store.nodes.find(lease.holder) if lease is not None else None
    problem = await store.notes.get("config.problem")
    troubles = (
        [Matter("failure", f"node-{node.id}", f"✗ {node.id} is unwell: {clean(node.unwell)}", "settings")] if node and node.unwell else []
    )
    if problem:
        troubles.append(Matter("failure", "config", f"✗ {clean(str(problem).splitlines()[0])}", "settings"))
    return troubles + await _unsent(store)


async def _unsent(store: "Store") -> list[Matter]:
    """Channels that are switched off by their service, and alerts that a channel would not take."""
    troubles = []
    for name in ("telegram", "discord"):
        state = await store.notes.get(f"channel.{name}")
        if isinstance(state, Mapping) and state.get("state") == "closed":
            troubles.append(Matter("failure", f"channel-{name}", f"✗ {name} is off: {clean(str(state.get('reason', '')))}", "settings"))
    dead = len(await store.deliveries.in_status(DeliveryStatus.DEAD))
    if dead:
        text = f"✗ {plural(dead, 'alert')} could not be delivered: executor recovery letters"
        troubles.append(Matter("failure", "letters", text, "settings"))
    return troubles


def assemble(
    now: datetime,
    approvals: Sequence[Approval],
    questions: Sequence[Question],
    projects: Sequence[Project],
    agents: Sequence[Agent],
    unwell: int,
    parks: Sequence[Park],
) -> Attention:
    """Order: approvals (soonest to expire first), questions, projects that failed, agents that are unwell, parks."""
    asked = sorted(approvals, key=lambda a: a.expires_at or now + timedelta(days=365))
    failed = [p for p in projects if p.status is ProjectStatus.QUARANTINED or (p.finished_at or now) > now - FAILED_LATELY]
    matters = [
        *(_approval(a, now) for a in asked),
        *(_question(q) for q in questions),
        *(Matter("failure", p.id, f"✗ {p.id} {p.status}: {clean(p.detail or p.goal)}", "projects", p.id) for p in failed),
        *(Matter("failure", a.id, f"✗ {a.id} {a.state}" + (f": {clean(a.reason)}" if a.reason else ""), "fleet", a.id) for a in agents),
        *(Matter("park", p.id, f"◷ {p.pool_id} parked {left(p.ends_at, now)}: {clean(str(p.reason))}", "hydra", p.id) for p in parks),
    ]
    return Attention(tuple(matters), len(asked), len(questions), len(failed) + unwell, len(parks))


def _approval(approval: Approval, now: datetime) -> Matter:
    cost = f" ~{money(approval.estimate_usd)}" if approval.estimate_usd else ""
    until = f", {left(approval.expires_at, now)} left" if approval.expires_at else ""
    return Matter("approval", approval.id, f"▲ approve? {clean(approval.subject)}{cost}{until}", "approvals", approval.id)


def _question(question: Question) -> Matter:
    if question.kind == "keys":
        return Matter("question", question.id, f"? {clean(question.text)}", "hydra", question.id)
    return Matter("question", question.id, f"? {clean(question.text)}", "projects", question.project_id or "")
