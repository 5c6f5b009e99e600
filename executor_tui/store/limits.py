"""Learned limits and the counters of windows that must survive a restart (requests per day)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from executor_tui.domain.clock import Clock
from executor_tui.store import tables
from executor_tui.store.codec import from_row, to_row
from executor_tui.store.database import Database


@dataclass(frozen=True, slots=True)
class LimitRow:
    """`kind` is rpm, tpm, rpd, tpd or concurrent; `used` counts within the window that began at `window_started_at`."""

    pool_id: str
    model_id: str
    kind: str
    value: float
    remaining: float | None = None
    resets_at: datetime | None = None
    source: str = ""
    learned_at: datetime | None = None
    used: int = 0
    window_started_at: datetime | None = None


class Limits:
    def __init__(self, db: Database, clock: Clock) -> None:
        self.db, self.clock = db, clock

    async def put(self, rows: Sequence[LimitRow]) -> None:
        """Write limits and counters; one transaction."""
        async with self.db.write("limits") as conn:
            for row in rows:
                await conn.execute(self.db.upsert(tables.limits, to_row(row)))

    async def list(self) -> tuple[LimitRow, ...]:
        return tuple(from_row(LimitRow, r) for r in await self.db.all(select(tables.limits)))
