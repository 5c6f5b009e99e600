"""Calls to models and the virtual keys they come in with. Spend is what this table says."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Table, case, func, insert, select, type_coerce, update

from executor_tui.domain.call import Call, CallStatus, VirtualKey
from executor_tui.domain.errors import NotFoundError
from executor_tui.domain.event import Event, Level
from executor_tui.store import tables
from executor_tui.store.codec import out_values, to_row
from executor_tui.store.repository import Repository, record

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Spend:
    """Sums over calls: settled cost plus the estimates of those still in flight or lost."""

    calls: int
    failed: int
    input_tokens: int
    output_tokens: int
    cost_usd: float


class Calls(Repository[Call]):
    table, cls, topic, noun = tables.calls, Call, "calls", "call"

    async def begin(self, calls: Sequence[Call]) -> None:
        """Record calls as in flight, before they are sent. One transaction for the batch."""
        async with self.db.write("calls") as conn:
            await conn.execute(insert(self.table), [to_row(c) for c in calls])

    async def settle(self, calls: Sequence[Call], event: Event | None = None) -> None:
        """Record how calls ended and add them to their key, virtual key, agent and project, at once. Settling twice adds once."""
        async with self.db.write("calls", "keys", "tokens", "fleet", "project", *(("events",) if event else ())) as conn:
            for call in calls:
                c = self.table.c
                where = (c.id == call.id, c.status.in_([CallStatus.IN_FLIGHT.value, CallStatus.LOST.value]))
                if (await conn.execute(update(self.table).where(*where).values(**to_row(call)))).rowcount == 0:
                    continue
                for table, row_id, values in _shares(call):
                    await conn.execute(update(table).where(table.c.id == row_id).values(**values))
            await record(conn, self.clock, event)

    async def lose_in_flight(
        self, gateway_call_ids: Sequence[str] | None = None, *, node_ids: Sequence[str] | None = None, before: datetime | None = None
    ) -> tuple[Call, ...]:
        """Mark calls left in flight by a dead gateway as lost; their estimates stay counted. Returns them.

        With `node_ids` only calls carried by those nodes, with `before` only those begun before then.
        """
        c = self.table.c
        where = [c.status == CallStatus.IN_FLIGHT.value]
        if node_ids is not None:
            where.append(c.node_id.in_(node_ids))
        if before is not None:
            where.append(c.started_at < before)
        if gateway_call_ids is not None:
            where.append(c.id.in_(gateway_call_ids))
        found = await self._many(select(self.table).where(*where))
        if found:
            async with self.db.write("calls", "events") as conn:
                await conn.execute(update(self.table).where(*where).values(status=CallStatus.LOST.value, ended_at=self.clock.now()))
                total = sum(call.estimate_usd for call in found)
                message = f"{len(found)} calls were in flight when the gateway died; ${total:.4f} estimated stays counted"
                await record(
                    conn,
                    self.clock,
                    Event("calls.lost", message, Level.WARNING, data={"calls": len(found), "estimate_usd": total}),
                )
        return found

    async def spend(
        self,
        *,
        project_id: str = "",
        agent_id: str = "",
        key_id: str = "",
        token_id: str = "",
        since: datetime | None = None,
    ) -> Spend:
        """Spend over every call that matches."""
        given = {"project_id": project_id, "agent_id": agent_id, "key_id": key_id, "token_id": token_id}
        where = [self.table.c[name] == value for name, value in given.items() if value]
        if since is not None:
            where.append(self.table.c.started_at >= since)
        row = await self.db.one(select(*self._sums()).where(*where))
        return _spend(row)

    async def spend_by(self, column: str, since: datetime | None = None, project_id: str = "", pool_id: str = "") -> dict[str, Spend]:
        """Spend grouped by `model_id`, `key_id`, `pool_id`, `agent_id`, `project_id` or `token_id`."""
        by = self.table.c[column]
        query = select(by.label("name"), *self._sums()).group_by(by)
        if since is not None:
            query = query.where(self.table.c.started_at >= since)
        if project_id:
            query = query.where(self.table.c.project_id == project_id)
        if pool_id:
            query = query.where(self.table.c.pool_id == pool_id)
        return {str(row["name"]): _spend(row) for row in await self.db.all(query)}

    async def spend_per(self, step_s: int, since: datetime, until: datetime) -> dict[int, Spend]:
        """Spend by slice of `step_s` seconds: number of the slice, counted from `since` → sums. Empty slices are absent."""
        started = self.table.c.started_at
        offset = int((since - _EPOCH).total_seconds())
        slot = ((type_coerce(started, BigInteger) // 1_000_000 - offset) // step_s).label("slot")
        query = select(slot, *self._sums()).where(started >= since, started < until).group_by(slot)
        return {int(row["slot"]): _spend(row) for row in await self.db.all(query)}

    async def recent(self, limit: int = 100, project_id: str = "", pool_id: str = "", agent_id: str = "") -> tuple[Call, ...]:
        """The newest calls, newest first."""
        query = select(self.table).order_by(self.table.c.started_at.desc()).limit(limit)
        for column, value in (("project_id", project_id), ("pool_id", pool_id), ("agent_id", agent_id)):
            if value:
                query = query.where(self.table.c[column] == value)
        return await self._many(query)

    def _sums(self) -> tuple[ColumnElement[Any], ...]:
        c = self.table.c
        open_states = [CallStatus.IN_FLIGHT.value, CallStatus.LOST.value]
        cost = case((c.status.in_(open_states), c.estimate_usd), else_=c.cost_usd)
        failed = case((c.status == CallStatus.FAILED.value, 1), else_=0)
        return (
            func.count().label("calls"), func.coalesce(func.sum(failed), 0).label("failed"),
            func.coalesce(func.sum(c.input_tokens), 0).label("input_tokens"),
            func.coalesce(func.sum(c.output_tokens), 0).label("output_tokens"), func.sum(cost).label("cost_usd"),
        )  # fmt: skip


def _spend(row: Mapping[str, object] | None) -> Spend:
    if row is None:
        return Spend(0, 0, 0, 0, 0.0)
    number = {name: float(str(row[name] or 0)) for name in ("calls", "failed", "input_tokens", "output_tokens", "cost_usd")}
    tokens = (int(number["input_tokens"]), int(number["output_tokens"]))
    return Spend(int(number["calls"]), int(number["failed"]), *tokens, number["cost_usd"])


def _shares(call: Call) -> list[tuple[Table, str, dict[str, Any]]]:
    """What a settled call adds to the rows that carry running totals."""
    k, v, a, p = tables.keys, tables.virtual_keys, tables.agents, tables.projects
    failed = 1 if call.status is CallStatus.FAILED else 0
    shares: list[tuple[Table, str, dict[str, Any]]] = [
        (k, call.key_id, {"calls": k.c.calls + 1, "failures": k.c.failures + failed, "cost_usd": k.c.cost_usd + call.cost_usd,
                          "last_used_at": call.ended_at}),
        (v, call.token_id, {"requests": v.c.requests + 1, "spent_usd": v.c.spent_usd + call.cost_usd, "last_used_at": call.ended_at}),
        (a, call.agent_id, {"cost_usd": a.c.cost_usd + call.cost_usd}),
        (p, call.project_id, {"cost_usd": p.c.cost_usd + call.cost_usd}),
    ]  # fmt: skip
    return [share for share in shares if share[1]]


class VirtualKeys(Repository[VirtualKey]):
    table, cls, topic, noun = tables.virtual_keys, VirtualKey, "tokens", "virtual key"

    async def add(self, key: VirtualKey) -> None:
        await self._insert(key, Event("token.created", f"virtual key {key.name} created", subject_id=key.id))

    async def by_digest(self, digest: str) -> VirtualKey | None:
        """The key with this SHA-256 digest of its secret, revoked or not."""
        return self._one(await self.db.one(select(self.table).where(self.table.c.digest == digest)))

    async def by_name(self, name: str) -> VirtualKey | None:
        """The live key of this name."""
        c = self.table.c
        return self._one(await self.db.one(select(self.table).where(c.name == name, c.revoked_at.is_(None))))

    async def revoke(self, name_or_id: str) -> VirtualKey:
        """End a key now. Raises NotFoundError when no live key has that name or id."""
        key = await self.by_name(name_or_id) or await self.find(name_or_id)
        if key is None or key.revoked_at is not None:
            raise NotFoundError(f"no live virtual key {name_or_id!r}", hint="see them with: executor tokens list")
        values: dict[str, Any] = out_values({"revoked_at": self.clock.now()})
        await self._update(key.id, Event("token.revoked", f"virtual key {key.name} revoked", subject_id=key.id), **values)
        return key
