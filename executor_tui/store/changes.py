"""Changes to machines and their receipts."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from sqlalchemy import insert, select, update

from executor_tui.domain.change import Change, ChangeStatus, Receipt
from executor_tui.domain.event import Event
from executor_tui.domain.node import Lease
from executor_tui.store import tables
from executor_tui.store.codec import to_row
from executor_tui.store.repository import Repository, record


class Changes(Repository[Change]):
    table, cls, topic, noun = tables.changes, Change, "changes", "change"

    async def put(self, change: Change, event: Event | None = None) -> None:
        now = self.clock.now()
        await self._put(replace(change, created_at=change.created_at or now, updated_at=now), event)

    async def update(self, change_id: str, event: Event | None = None, fence: Lease | None = None, **values: Any) -> None:
        await self._update(change_id, event, fence, updated_at=self.clock.now(), **values)

    async def begin(self, change_id: str, event: Event | None = None, fence: Lease | None = None, **values: Any) -> Change | None:
        """Move a change to `applying`, unless another one that is being applied holds one of its targets: then that one is returned.

        A change that is being applied already stays so: it goes on after a restart.
        """
        c = self.table.c
        async with self.db.write(*self._topics(event), fence=fence) as conn:
            rows = (await conn.execute(select(self.table).where(c.status == ChangeStatus.APPLYING.value))).mappings().all()
            busy = [change for row in rows if (change := self._one(row)) is not None and change.id != change_id]
            mine = self._one((await conn.execute(select(self.table).where(c.id == change_id))).mappings().first())
            if mine is None:
                return None
            for other in busy:
                if other.device == mine.device and set(other.targets) & set(mine.targets):
                    return other
            values = {"status": ChangeStatus.APPLYING.value, "updated_at": self.clock.now(), **values}
            await conn.execute(update(self.table).where(c.id == change_id).values(**values))
            await record(conn, self.clock, event)
        return None

    async def in_status(self, *statuses: ChangeStatus) -> tuple[Change, ...]:
        """Changes in any of these states, oldest first."""
        wanted = [s.value for s in statuses]
        return await self._many(select(self.table).where(self.table.c.status.in_(wanted)).order_by(self.table.c.created_at))

    async def list(self) -> tuple[Change, ...]:
        """All, newest first."""
        return await self._many(select(self.table).order_by(self.table.c.created_at.desc()))


class Receipts(Repository[Receipt]):
    table, cls, topic, noun = tables.receipts, Receipt, "changes", "receipt"

    async def append(
        self, receipt: Receipt, seal: Callable[[Receipt, Receipt | None], Receipt], event: Callable[[Receipt], Event]
    ) -> Receipt:
        """Add a receipt to the end of the chain, in the order of commits. One whose id is known is returned as it stands.

        `seal` is given the receipt and the last one before it, and returns it with place and digests filled in.
        """
        c = self.table.c
        async with self.db.write("changes", "events") as conn:
            known = self._one((await conn.execute(select(self.table).where(c.id == receipt.id))).mappings().first())
            if known is not None:
                return known
            last = self._one((await conn.execute(select(self.table).order_by(c.seq.desc()).limit(1))).mappings().first())
            sealed = seal(replace(receipt, created_at=receipt.created_at or self.clock.now()), last)
            await conn.execute(insert(self.table).values(**to_row(sealed)))
            await record(conn, self.clock, event(sealed))
        return sealed

    async def of_change(self, change_id: str) -> Receipt | None:
        """The receipt a change left."""
        return self._one(await self.db.one(select(self.table).where(self.table.c.change_id == change_id)))

    async def list(self) -> tuple[Receipt, ...]:
        """All, oldest first: the order of the chain."""
        return await self._many(select(self.table).order_by(self.table.c.seq))

    async def last(self) -> Receipt | None:
        found = await self._many(select(self.table).order_by(self.table.c.seq.desc()).limit(1))
        return found[0] if found else None
