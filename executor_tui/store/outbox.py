"""The outbox: alerts and their deliveries. An alert is a row before it is a message."""

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import insert, or_, select, update

from executor_tui.domain.alert import Alert, Delivery, DeliveryStatus
from executor_tui.domain.event import Event
from executor_tui.domain.ids import new_id
from executor_tui.store import tables
from executor_tui.store.codec import out_values, to_row
from executor_tui.store.repository import Repository, record


class Alerts(Repository[Alert]):
    table, cls, topic, noun = tables.alerts, Alert, "alerts", "alert"

    async def raise_(self, alert: Alert, channels: Sequence[str]) -> bool:
        """Record an alert and one pending delivery per channel, once per `dedupe_key`; says whether it was new."""
        now = self.clock.now()
        async with self.db.write("alerts", "events") as conn:
            known = await conn.execute(select(self.table.c.id).where(self.table.c.dedupe_key == alert.dedupe_key))
            if known.first() is not None:
                return False
            await conn.execute(insert(self.table).values(**to_row(replace(alert, created_at=alert.created_at or now))))
            for channel in channels:
                row = to_row(Delivery(new_id("dlv"), alert.id, channel, next_at=now))
                await conn.execute(insert(tables.deliveries).values(**row))
            await record(
                conn,
                self.clock,
                Event("alert.raised", alert.title, subject_id=alert.id, data={"severity": str(alert.severity)}),
            )
        return True


class Deliveries(Repository[Delivery]):
    table, cls, topic, noun = tables.deliveries, Delivery, "alerts", "delivery"

    async def due(self, channel: str, limit: int = 100) -> tuple[Delivery, ...]:
        """Pending deliveries of a channel whose time has come, in the order they were raised."""
        c = self.table.c
        where = (
            c.channel == channel,
            c.status == DeliveryStatus.PENDING.value,
            or_(c.next_at.is_(None), c.next_at <= self.clock.now()),
        )
        query = select(self.table).join(tables.alerts, tables.alerts.c.id == c.alert_id).where(*where)
        return await self._many(query.order_by(tables.alerts.c.created_at, c.id).limit(limit))

    async def update(self, delivery_id: str, **values: object) -> None:
        async with self.db.write("alerts") as conn:
            await conn.execute(update(self.table).where(self.table.c.id == delivery_id).values(**out_values(values)))

    async def in_status(self, status: DeliveryStatus) -> tuple[Delivery, ...]:
        return await self._many(select(self.table).where(self.table.c.status == status.value))
