"""What the repositories share: reading rows as dataclasses, writing them, and recording the event of a write in its own transaction."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Generic, TypeVar

from sqlalchemy import Executable, RowMapping, Table, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from executor_tui.domain.clock import Clock
from executor_tui.domain.errors import NotFoundError
from executor_tui.domain.event import Event
from executor_tui.domain.node import Lease
from executor_tui.store import tables
from executor_tui.store.codec import from_row, from_rows, out_values, to_row
from executor_tui.store.database import Database

T = TypeVar("T")


async def record(conn: AsyncConnection, clock: Clock, *events: Event | None) -> None:
    """Insert events inside the caller's transaction; None is skipped, a missing time is now."""
    rows = [to_row(replace(e, at=e.at or clock.now())) for e in events if e is not None]
    for row in rows:
        del row["seq"]
    if rows:
        await conn.execute(insert(tables.events), rows)


class Repository(Generic[T]):
    """One aggregate: its table, its dataclass, its topic in the change feed."""

    table: Table
    cls: type[T]
    topic: str
    noun: str

    def __init__(self, db: Database, clock: Clock) -> None:
        self.db = db
        self.clock = clock

    async def get(self, item_id: str) -> T:
        """The item with this id. Raises NotFoundError naming it."""
        item = await self.find(item_id)
        if item is None:
            raise NotFoundError(f"no {self.noun} {item_id!r}", hint=f"see what there is with: executor {self.topic} list")
        return item

    async def find(self, item_id: str) -> T | None:
        """The item with this id, or None."""
        key = next(iter(self.table.primary_key))
        return self._one(await self.db.one(select(self.table).where(key == item_id)))

    async def list(self) -> tuple[T, ...]:
        """Every item, in the order of its id."""
        return await self._many(select(self.table).order_by(next(iter(self.table.primary_key))))

    def _one(self, row: Mapping[str, Any] | RowMapping | None) -> T | None:
        return None if row is None else from_row(self.cls, row)

    async def _many(self, statement: Executable) -> tuple[T, ...]:
        return from_rows(self.cls, *await self.db.table(statement))

    async def _insert(self, item: T, event: Event | None = None, fence: Lease | None = None) -> None:
        async with self.db.write(*self._topics(event), fence=fence) as conn:
            await conn.execute(insert(self.table).values(**to_row(item)))
            await record(conn, self.clock, event)

    async def _put(self, item: T, event: Event | None = None, fence: Lease | None = None) -> None:
        async with self.db.write(*self._topics(event), fence=fence) as conn:
            await conn.execute(self.db.upsert(self.table, to_row(item)))
            await record(conn, self.clock, event)

    async def _update(self, item_id: str, event: Event | None = None, fence: Lease | None = None, **values: Any) -> None:
        """Set some columns of one row. Raises NotFoundError when there is no such row."""
        key = next(iter(self.table.primary_key))
        async with self.db.write(*self._topics(event), fence=fence) as conn:
            statement = update(self.table).where(key == item_id).values(**out_values(values))
            if (await conn.execute(statement)).rowcount == 0:
                raise NotFoundError(f"no {self.noun} {item_id!r}")
            await record(conn, self.clock, event)

    def _topics(self, event: Event | None) -> tuple[str, ...]:
        return (self.topic, "events") if event is not None else (self.topic,)
