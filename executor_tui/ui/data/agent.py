"""One agent: its row, its checkpoint, its last calls and what it said."""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from executor_tui.domain.agent import Agent
from executor_tui.domain.call import Call
from executor_tui.domain.errors import NotFoundError
from executor_tui.domain.event import Event
from executor_tui.domain.recovery import Checkpoint
from executor_tui.ui.data import past

if TYPE_CHECKING:
    from executor_tui.store.store import Store

TOPICS = frozenset({"fleet", "events", "calls"})


@dataclass(frozen=True, slots=True)
class AgentView:
    agent: Agent
    checkpoint: Checkpoint | None
    calls: tuple[Call, ...]
    events: tuple[Event, ...]


async def fetch(store: "Store", agent_id: str, at: datetime | None = None) -> AgentView:
    """Raises NotFoundError, also for an agent of which nothing was known then."""
    events = await store.events.tail(60, agent_id=agent_id, until=at)
    calls = await store.calls.recent(20, agent_id=agent_id, until=at)
    if at is None:
        return AgentView(await store.agents.get(agent_id), await store.checkpoints.find(agent_id), calls, events)
    agent = next((a for a in await past.fleet_then(store, at) if a.id == agent_id), None)
    if agent is None:
        raise NotFoundError(f"nothing was known of {agent_id} then", hint="] goes on in time, :now returns to the present")
    return AgentView(agent, None, tuple(past.call_then(c, at) for c in calls), events)
