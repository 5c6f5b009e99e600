"""The outbox: alerts and their deliveries. An alert is a row before it is a message."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy import func, insert, or_, select, update

from executor_tui.domain.alert import Alert, Delivery, DeliveryStatus
from executor_tui.domain.event import Event
from executor_tui.domain.ids import new_id
from executor_tui.store import tables
from executor_tui.store.codec import from_row, out_values, to_row
from executor_tui.store.repository import Repository, record

ASKING = ("approval:", "question:")
"""Dedupe keys that begin so ask for an answer: their messages are edited once it has been given."""


class Alerts(Repository[Alert]):
    table, cls, topic, noun = tables.alerts, Alert, "alerts", "alert"

    async def raise_(self, alert: Alert, channels: Sequence[str], not_before: Mapping[str, datetime] | None = None) -> bool:
        """Record an alert and one pending delivery per channel, once per `dedupe_key`; says whether it was new.

        `not_before` gives, by channel, the moment before which a delivery is not due.
        """
        now = self.clock.now()
        async with self.db.write("alerts", "events") as conn:
            known = await conn.execute(select(self.table.c.id).where(self.table.c.dedupe_key == alert.dedupe_key))
            if known.first() is not None:
                return False
            await conn.execute(insert(self.table).values(**to_row(replace(alert, created_at=alert.created_at or now))))
            last = int((await conn.execute(select(func.coalesce(func.max(tables.deliveries.c.seq), 0)))).scalar_one())
            for channel in channels:
                due = (not_before or {}).get(channel, now)
                row = to_row(Delivery(new_id("dlv"), alert.id, channel, next_at=due, seq=last + 1))
                await conn.execute(insert(tables.deliveries).values(**row))
            await record(
                conn,
                self.clock,
                Event("alert.raised", alert.title, subject_id=alert.id, data={"severity": str(alert.severity)}),
            )
        return True

    async def recent(self, limit: int = 100) -> tuple[Alert, ...]:
        """The newest alerts, newest first."""
        return await self._many(select(self.table).order_by(self.table.c.created_at.desc(), self.table.c.id).limit(limit))

    async def known_keys(self, dedupe_keys: Sequence[str]) -> frozenset[str]:
        """Which of these have been raised already."""
        key = self.table.c.dedupe_key
        return frozenset(row["dedupe_key"] for row in await self.db.all(select(key).where(key.in_(dedupe_keys))))


class Deliveries(Repository[Delivery]):
    table, cls, topic, noun = tables.deliveries, Delivery, "alerts", "delivery"

    async def due(self, channel: str, limit: int = 100) -> tuple[Delivery, ...]:
        """Pending deliveries of a channel whose time has come, in order."""
        c = self.table.c
        where = (
            c.channel == channel,
            c.status == DeliveryStatus.PENDING.value,
            or_(c.next_at.is_(None), c.next_at <= self.clock.now()),
        )
        return await self._many(select(self.table).where(*where).order_by(c.next_at, c.seq, c.id).limit(limit))

    async def queue(self, channel: str, limit: int = 200) -> tuple[tuple[Delivery, Alert], ...]:
        """Pending deliveries of a channel with their alerts, due or not, in the order in which they will go out."""
        c = self.table.c
        pending = (c.channel == channel, c.status == DeliveryStatus.PENDING.value)
        found = await self._many(select(self.table).where(*pending).order_by(c.next_at, c.seq, c.id).limit(limit))
        return await self._with_alerts(found)

    async def asking(self, channel: str) -> tuple[tuple[Delivery, Alert], ...]:
        """Sent deliveries of alerts that ask for an answer and have not been settled."""
        c, key = self.table.c, tables.alerts.c.dedupe_key
        query = select(self.table).join(tables.alerts, tables.alerts.c.id == c.alert_id)
        asks = or_(*(key.like(f"{prefix}%") for prefix in ASKING))
        where = (c.channel == channel, c.status == DeliveryStatus.SENT.value, c.settled_at.is_(None), asks)
        return await self._with_alerts(await self._many(query.where(*where).order_by(c.seq)))

    async def _with_alerts(self, found: Sequence[Delivery]) -> tuple[tuple[Delivery, Alert], ...]:
        t = tables.alerts
        rows = await self.db.all(select(t).where(t.c.id.in_({d.alert_id for d in found})))
        alerts = {row["id"]: from_row(Alert, row) for row in rows}
        return tuple((d, alerts[d.alert_id]) for d in found if d.alert_id in alerts)

    async def update(self, delivery_id: str, **values: object) -> None:
        await self.update_all((delivery_id,), **values)

    async def update_all(self, delivery_ids: Sequence[str], event: Event | None = None, /, **values: object) -> None:
        """The same for several deliveries, in one transaction with the event that tells of it."""
        async with self.db.write(*self._topics(event)) as conn:
            await conn.execute(update(self.table).where(self.table.c.id.in_(delivery_ids)).values(**out_values(values)))
            await record(conn, self.clock, event)

    async def attempt(self, delivery_ids: Sequence[str]) -> None:
        """Record that sending is about to be tried; until its outcome is recorded too, `attempts` without `error` means: unknown."""
        c = self.table.c
        async with self.db.write(self.topic) as conn:
            await conn.execute(update(self.table).where(c.id.in_(delivery_ids)).values(attempts=c.attempts + 1, error=""))

    async def in_status(self, status: DeliveryStatus) -> tuple[Delivery, ...]:
        return await self._many(select(self.table).where(self.table.c.status == status.value))

    async def dead(self) -> tuple[tuple[Delivery, Alert], ...]:
        """What a channel would never take, with what it was, oldest first."""
        query = select(self.table).where(self.table.c.status == DeliveryStatus.DEAD.value).order_by(self.table.c.seq)
        return await self._with_alerts(await self._many(query))

    async def revive(self, delivery_ids: Sequence[str], event: Event | None = None) -> int:
        """Put dead letters back into their queue; says how many there were."""
        return await self._from_dead(delivery_ids, event, status=DeliveryStatus.PENDING, next_at=self.clock.now(), error="", attempts=0)

    async def forget(self, delivery_ids: Sequence[str], event: Event | None = None) -> int:
        """Let dead letters rest; says how many there were."""
        return await self._from_dead(delivery_ids, event, status=DeliveryStatus.SKIPPED)

    async def _from_dead(self, delivery_ids: Sequence[str], event: Event | None, **values: object) -> int:
        c = self.table.c
        where = (c.id.in_(delivery_ids), c.status == DeliveryStatus.DEAD.value)
        async with self.db.write(*self._topics(event)) as conn:
            found = (await conn.execute(update(self.table).where(*where).values(**out_values(values)))).rowcount
            await record(conn, self.clock, event if found else None)
        return found
