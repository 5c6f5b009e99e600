"""Events and log lines: appended in batches, read by cursor."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy import Select, func, or_, select

from executor_tui.domain.clock import Clock
from executor_tui.domain.errors import StoreError
from executor_tui.domain.event import Event, Level
from executor_tui.store import tables
from executor_tui.store.database import Database
from executor_tui.store.repository import Repository, record

FLUSH_S = 0.05
LOG_LINE = "log.line"
MAX_MESSAGE_CHARS = 4_000
_LEVELS = {Level.DEBUG: 0, Level.INFO: 1, Level.WARNING: 2, Level.ERROR: 3}


class Events(Repository[Event]):
    """`emit` is for log lines and other things that may be 50 ms late; events that must not be lost go with the write they tell of."""

    table, cls, topic, noun = tables.events, Event, "events", "event"

    def __init__(self, db: Database, clock: Clock) -> None:
        super().__init__(db, clock)
        self._waiting: list[Event] = []
        self._flusher: asyncio.Task[None] | None = None
        self.lost = 0

    def emit(self, event: Event) -> None:
        """Queue an event; it is on disk within 50 ms. Never blocks, never raises: a line that cannot be written is counted in `lost`."""
        message = event.message if len(event.message) <= MAX_MESSAGE_CHARS else event.message[:MAX_MESSAGE_CHARS] + " …"
        self._waiting.append(replace(event, message=message, at=event.at or self.clock.now()))
        if self._flusher is None or self._flusher.done():
            self._flusher = asyncio.get_running_loop().create_task(self._flush_soon(), name="event-flush")

    async def _flush_soon(self) -> None:
        await asyncio.sleep(FLUSH_S)
        while self._waiting:
            try:
                await self.flush()
            except StoreError:
                self.lost += len(self._waiting)
                self._waiting.clear()

    async def flush(self) -> None:
        """Write what is queued now."""
        batch = self._waiting[:1000]
        if not batch:
            return
        async with self.db.write("events") as conn:
            await record(conn, self.clock, *batch)
        del self._waiting[: len(batch)]

    async def add(self, *events: Event) -> None:
        """Write events at once; on disk when this returns."""
        async with self.db.write("events") as conn:
            await record(conn, self.clock, *events)

    async def tail(
        self,
        limit: int = 500,
        *,
        before_seq: int | None = None,
        min_level: Level = Level.DEBUG,
        agent_id: str = "",
        project_id: str = "",
        kinds: Sequence[str] = (),
        until: datetime | None = None,
    ) -> tuple[Event, ...]:
        """The newest `limit` matching events, oldest of them first; `before_seq` pages backwards, `until` looks at a past moment."""
        c = self.table.c
        query = self._filtered(min_level, agent_id, project_id, kinds).order_by(c.seq.desc()).limit(limit)
        if before_seq is not None:
            query = query.where(c.seq < before_seq)
        if until is not None:
            query = query.where(c.at <= until)
        return tuple(reversed(await self._many(query)))

    async def after(
        self, seq: int, limit: int = 1000, *, agent_id: str = "", project_id: str = "", min_level: Level = Level.DEBUG
    ) -> tuple[Event, ...]:
        """Events since `seq`, oldest first."""
        c = self.table.c
        query = self._filtered(min_level, agent_id, project_id, ()).where(c.seq > seq)
        return await self._many(query.order_by(c.seq).limit(limit))

    async def between(self, start: datetime, end: datetime, limit: int = 1000) -> tuple[Event, ...]:
        """Events of a span of time, oldest first."""
        c = self.table.c
        return await self._many(select(self.table).where(c.at >= start, c.at <= end).order_by(c.seq).limit(limit))

    async def seq_of(self, moment: datetime) -> int:
        """The last event at or before a moment; 0 when there is none."""
        c = self.table.c
        row = await self.db.one(select(c.seq).where(c.at <= moment).order_by(c.at.desc(), c.seq.desc()).limit(1))
        return int(row["seq"]) if row else 0

    async def moment_near(self, here: datetime, direction: int, at_least: timedelta) -> datetime | None:
        """When something other than a log line happened last before (-1) or first after (1) a moment, `at_least` away from it."""
        c = self.table.c
        query = select(c.at).where(c.kind != LOG_LINE)
        if direction < 0:
            query = query.where(c.at <= here - at_least).order_by(c.at.desc())
        else:
            query = query.where(c.at >= here + at_least).order_by(c.at)
        row = await self.db.one(query.limit(1))
        return None if row is None else row["at"]

    async def find_text(self, text: str, from_seq: int, direction: int) -> int | None:
        """`seq` of the nearest event after (1) or before (-1) `from_seq` whose message holds a text in any case; None if none does."""
        c = self.table.c
        pattern = "%" + text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
        query = select(c.seq).where(c.message.ilike(pattern, escape="\\"))
        query = query.where(c.seq > from_seq).order_by(c.seq) if direction > 0 else query.where(c.seq < from_seq).order_by(c.seq.desc())
        row = await self.db.one(query.limit(1))
        return None if row is None else int(row["seq"])

    async def last_seq(self) -> int:
        row = await self.db.one(select(func.coalesce(func.max(self.table.c.seq), 0).label("seq")))
        return int(row["seq"]) if row else 0

    def _filtered(self, min_level: Level, agent_id: str, project_id: str, kinds: Sequence[str]) -> Select[tuple[object, ...]]:
        c = self.table.c
        query = select(self.table)
        if min_level is not Level.DEBUG:
            query = query.where(c.level.in_([lv.value for lv, rank in _LEVELS.items() if rank >= _LEVELS[min_level]]))
        if agent_id:
            query = query.where(c.agent_id == agent_id)
        if project_id:
            query = query.where(c.project_id == project_id)
        if kinds:
            query = query.where(or_(*(c.kind.like(f"{k}%") for k in kinds)))
        return query
