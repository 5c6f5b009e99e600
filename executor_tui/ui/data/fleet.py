"""The Fleet screen's data: every agent, now or as it was."""

from collections import Counter
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from executor_tui.domain.agent import Agent, AgentState
from executor_tui.domain.event import Event

if TYPE_CHECKING:
    from executor_tui.store.store import Store

TOPICS = frozenset({"fleet"})
PAST_EVENTS = 20_000
_STATES = {s.value: s for s in AgentState}


@dataclass(frozen=True, slots=True)
class FleetView:
    agents: tuple[Agent, ...]

    def summary(self) -> str:
        """`7 agents · 2 busy · 1 offline`; online agents are not news."""
        counts = Counter("paused" if a.paused else a.state.value for a in self.agents)
        named = [f"{counts[s]} {s}" for s in ("busy", "waiting", "degraded", "offline", "paused") if counts[s]]
        return " · ".join([f"{len(self.agents)} agents" if len(self.agents) != 1 else "1 agent", *named])


async def fetch(store: "Store", at: datetime | None = None) -> FleetView:
    agents = await store.agents.list()
    if at is None:
        return FleetView(agents)
    return FleetView(as_of(agents, await store.events.tail(PAST_EVENTS, kinds=("agent.state_changed",), until=at)))


def as_of(agents: tuple[Agent, ...], changes: tuple[Event, ...]) -> tuple[Agent, ...]:
    """Agents in the state their last recorded change left them; those of which nothing is known yet are left out."""
    last = {event.agent_id: event for event in changes}
    return tuple(_then(agent, last[agent.id]) for agent in agents if agent.id in last)


def _then(agent: Agent, event: Event) -> Agent:
    word = str(event.data.get("to", ""))
    state = _STATES.get(word, AgentState.OFFLINE)
    reason = str(event.data.get("reason", ""))
    return replace(agent, state=state, reason=reason, state_since=event.at, task="", project_id=event.project_id or None, paused=False)
