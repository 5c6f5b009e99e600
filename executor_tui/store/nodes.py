"""Nodes, the leadership lease, attached operators, and small named notes."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select, update

from executor_tui.domain.clock import Clock
from executor_tui.domain.errors import NotFoundError
from executor_tui.domain.node import Lease, Node, Operator
from executor_tui.store import tables
from executor_tui.store.codec import from_row, to_row
from executor_tui.store.database import LEADER, Database
from executor_tui.store.repository import Repository


class Nodes(Repository[Node]):
    table, cls, topic, noun = tables.nodes, Node, "nodes", "node"

    async def put(self, node: Node) -> None:
        await self._put(node)

    async def update(self, node_id: str, **values: Any) -> None:
        await self._update(node_id, None, None, **values)

    async def heartbeat(self, node_id: str) -> None:
        """Say that this node lives. Quiet: no topic of its own, the heartbeat is read with everything else."""
        async with self.db.write() as conn:
            values = {"heartbeat_at": self.clock.now()}
            if (await conn.execute(update(self.table).where(self.table.c.id == node_id).values(**values))).rowcount == 0:
                raise NotFoundError(f"node {node_id} is not registered in the store")


class Leases:
    """Leadership. The fencing number grows with each new holder and never goes back."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self.db, self.clock = db, clock

    async def current(self, name: str = LEADER) -> Lease | None:
        """The lease as it stands, expired or not."""
        row = await self.db.one(select(tables.leases).where(tables.leases.c.name == name))
        return None if row is None else from_row(Lease, row)

    async def leader(self) -> Lease | None:
        """The lease, only if somebody holds it now."""
        lease = await self.current()
        return lease if lease is not None and lease.holder and lease.expires_at > self.clock.now() else None

    async def take(self, holder: str, ttl_s: float, name: str = LEADER) -> Lease | None:
        """Take a free or expired lease, or renew one's own; None while another node holds it."""
        now, until = self.clock.now(), self.clock.now() + timedelta(seconds=ttl_s)
        t = tables.leases
        async with self.db.write() as conn:
            # The row is made first, so that there is one to lock: of two nodes starting at once on Postgres the second waits here.
            await conn.execute(self.db.insert_new(t, to_row(Lease(name, "", 0, now))))
            row = (await conn.execute(select(t).where(t.c.name == name).with_for_update())).mappings().one()
            lease = from_row(Lease, row)
            if lease.holder and lease.holder != holder and lease.expires_at > now:
                return None
            same = lease.holder == holder and lease.expires_at > now
            lease = Lease(name, holder, lease.fencing if same else lease.fencing + 1, until)
            await conn.execute(update(t).where(t.c.name == name).values(**to_row(lease)))
        return lease

    async def release(self, lease: Lease) -> None:
        """Give leadership back, so that another node need not wait for the lease to run out."""
        t = tables.leases
        async with self.db.write("nodes") as conn:
            where = (t.c.name == lease.name, t.c.holder == lease.holder, t.c.fencing == lease.fencing)
            await conn.execute(update(t).where(*where).values(holder="", expires_at=self.clock.now()))


class Operators(Repository[Operator]):
    table, cls, topic, noun = tables.operators, Operator, "operators", "operator"

    async def attach(self, operator: Operator) -> None:
        now = self.clock.now()
        await self._put(replace(operator, attached_at=operator.attached_at or now, seen_at=now))

    async def seen(self, operator_id: str, screen: str, looking_at: str = "") -> None:
        """Where an operator is now."""
        await self._update(operator_id, None, None, screen=screen, looking_at=looking_at, seen_at=self.clock.now())

    async def detach(self, operator_id: str) -> None:
        async with self.db.write("operators") as conn:
            await conn.execute(self.table.delete().where(self.table.c.id == operator_id))

    async def present(self, within_s: float = 60.0) -> tuple[Operator, ...]:
        """Operators seen lately."""
        since = self.clock.now() - timedelta(seconds=within_s)
        return await self._many(select(self.table).where(self.table.c.seen_at >= since).order_by(self.table.c.attached_at))


class Notes:
    """Small named JSON values."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self.db, self.clock = db, clock

    async def get(self, name: str) -> object | None:
        row = await self.db.one(select(tables.notes.c.value).where(tables.notes.c.name == name))
        return None if row is None else row["value"]

    async def put(self, name: str, value: object) -> None:
        async with self.db.write("notes") as conn:
            await conn.execute(self.db.upsert(tables.notes, {"name": name, "value": value, "updated_at": self.clock.now()}))

    async def claim(self, name: str, value: object) -> bool:
        """Write a note only if it does not exist yet; says whether this call wrote it. The way to do something once."""
        async with self.db.write("notes") as conn:
            values = {"name": name, "value": value, "updated_at": self.clock.now()}
            return (await conn.execute(self.db.insert_new(tables.notes, values))).first() is not None

    async def delete(self, name: str) -> None:
        async with self.db.write("notes") as conn:
            await conn.execute(tables.notes.delete().where(tables.notes.c.name == name))

    async def updated_at(self, name: str) -> datetime | None:
        row = await self.db.one(select(tables.notes.c.updated_at).where(tables.notes.c.name == name))
        return None if row is None else row["updated_at"]
