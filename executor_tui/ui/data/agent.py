"""One agent: its row, its checkpoint, its last calls and what it said."""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from executor_tui.domain.agent import Agent
from executor_tui.domain.call import Call
from executor_tui.domain.event import Event
from executor_tui.domain.recovery import Checkpoint

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
    """Raises NotFoundError."""
    return AgentView(
        await store.agents.get(agent_id), await store.checkpoints.find(agent_id), await store.calls.recent(20, agent_id=agent_id),
        await store.events.tail(60, agent_id=agent_id, until=at),
    )  # fmt: skip
