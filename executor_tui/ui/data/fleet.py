"""The Fleet screen's data: every agent, now or as it was."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from executor_tui.domain.agent import Agent
from executor_tui.ui.data import past
from executor_tui.ui.text import plural

if TYPE_CHECKING:
    from executor_tui.store.store import Store

TOPICS = frozenset({"fleet"})


@dataclass(frozen=True, slots=True)
class FleetView:
    """`counted` is what the summary says: counting ten thousand agents belongs where they are read, not where keys are heard."""

    agents: tuple[Agent, ...]
    counted: str = ""

    def summary(self) -> str:
        return self.counted or count(self.agents)


def count(agents: Sequence[Agent]) -> str:
    """`7 agents · 1 offline · 2 busy`, the worst first; online agents are not news."""
    counts = Counter("paused" if a.paused else a.state.value for a in agents)
    named = [f"{counts[s]} {s}" for s in ("offline", "degraded", "waiting", "busy", "paused") if counts[s]]
    return " · ".join([plural(len(agents), "agent"), *named])


async def fetch(store: "Store", at: datetime | None = None) -> FleetView:
    agents = await store.agents.list() if at is None else await past.fleet_then(store, at)
    return FleetView(agents, count(agents))
