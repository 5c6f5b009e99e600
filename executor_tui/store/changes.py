"""Changes to machines and their receipts."""

from dataclasses import replace
from typing import Any

from sqlalchemy import select

from executor_tui.domain.change import Change, ChangeStatus, Receipt
from executor_tui.domain.event import Event
from executor_tui.store import tables
from executor_tui.store.repository import Repository


class Changes(Repository[Change]):
    table, cls, topic, noun = tables.changes, Change, "changes", "change"

    async def put(self, change: Change, event: Event | None = None) -> None:
        now = self.clock.now()
        await self._put(replace(change, created_at=change.created_at or now, updated_at=now), event)

    async def update(self, change_id: str, event: Event | None = None, **values: Any) -> None:
        await self._update(change_id, event, updated_at=self.clock.now(), **values)

    async def in_status(self, *statuses: ChangeStatus) -> tuple[Change, ...]:
        """Changes in any of these states, oldest first."""
        wanted = [s.value for s in statuses]
        return await self._many(select(self.table).where(self.table.c.status.in_(wanted)).order_by(self.table.c.created_at))

    async def list(self) -> tuple[Change, ...]:
        """All, newest first."""
        return await self._many(select(self.table).order_by(self.table.c.created_at.desc()))


class Receipts(Repository[Receipt]):
    table, cls, topic, noun = tables.receipts, Receipt, "changes", "receipt"

    async def add(self, receipt: Receipt, event: Event | None = None) -> None:
        await self._insert(replace(receipt, created_at=receipt.created_at or self.clock.now()), event)

    async def list(self) -> tuple[Receipt, ...]:
        """All, oldest first: the order of the chain."""
        return await self._many(select(self.table).order_by(self.table.c.created_at))

    async def last(self) -> Receipt | None:
        found = await self._many(select(self.table).order_by(self.table.c.created_at.desc()).limit(1))
        return found[0] if found else None
