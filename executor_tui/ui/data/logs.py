"""The Logs screen's pages of events."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from executor_tui.domain.event import Event, Level

if TYPE_CHECKING:
    from executor_tui.store.store import Store

TOPICS = frozenset({"events"})
PAGE = 500
BURST = 2_000
"""When more than this arrived since the last look, the log starts over at the end instead of reading it all."""


@dataclass(frozen=True, slots=True)
class Narrow:
    """Which events are wanted; survives every toggle of the screen."""

    level: Level = Level.INFO
    agent_id: str = ""
    project_id: str = ""


@dataclass(frozen=True, slots=True)
class LogPage:
    """`restarted`: these replace what was shown; else they follow it. `skipped` events were left out of a burst."""

    events: tuple[Event, ...]
    restarted: bool
    skipped: int = 0


async def newest(store: "Store", narrow: Narrow, at: datetime | None = None) -> LogPage:
    found = await store.events.tail(PAGE, min_level=narrow.level, agent_id=narrow.agent_id, project_id=narrow.project_id, until=at)
    return LogPage(found, True)


async def after(store: "Store", narrow: Narrow, seq: int) -> LogPage:
    """What followed an event, or the newest page when too much did."""
    last = await store.events.last_seq()
    if last - seq > BURST:
        page = await newest(store, narrow)
        return LogPage(page.events, True, last - seq - len(page.events))
    found = await store.events.after(seq, BURST, agent_id=narrow.agent_id, project_id=narrow.project_id, min_level=narrow.level)
    return LogPage(found, False)


async def before(store: "Store", narrow: Narrow, seq: int) -> tuple[Event, ...]:
    """The page before an event."""
    return await store.events.tail(PAGE, before_seq=seq, min_level=narrow.level, agent_id=narrow.agent_id, project_id=narrow.project_id)


async def around(store: "Store", narrow: Narrow, seq: int) -> tuple[Event, ...]:
    """Half a page before an event and half a page after it."""
    earlier = await before(store, narrow, seq)
    later = await store.events.after(seq - 1, PAGE // 2, agent_id=narrow.agent_id, project_id=narrow.project_id, min_level=narrow.level)
    return (*earlier[-PAGE // 2 :], *later)


def names(events: Sequence[Event]) -> tuple[str, ...]:
    """Agents that speak in these events."""
    return tuple(sorted({e.agent_id for e in events if e.agent_id}))
