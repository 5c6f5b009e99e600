"""The Fleet screen's data: every agent, now or as it was."""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from executor_tui.domain.agent import Agent
from executor_tui.ui.data import past

if TYPE_CHECKING:
    from executor_tui.store.store import Store

TOPICS = frozenset({"fleet"})


@dataclass(frozen=True, slots=True)
class FleetView:
    agents: tuple[Agent, ...]

    def summary(self) -> str:
        """`7 agents · 1 offline · 2 busy`, the worst first; online agents are not news."""
        counts = Counter("paused" if a.paused else a.state.value for a in self.agents)
        named = [f"{counts[s]} {s}" for s in ("offline", "degraded", "waiting", "busy", "paused") if counts[s]]
        return " · ".join([f"{len(self.agents)} agents" if len(self.agents) != 1 else "1 agent", *named])


async def fetch(store: "Store", at: datetime | None = None) -> FleetView:
    return FleetView(await store.agents.list() if at is None else await past.fleet_then(store, at))
