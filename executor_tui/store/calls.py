"""Calls to models and the virtual keys they come in with. Spend is what this table says."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast

from sqlalchemy import BigInteger, ColumnElement, Table, bindparam, case, exists, func, literal_column, select, type_coerce, update
from sqlalchemy.sql import Insert, Update

from executor_tui.domain.call import Call, CallStatus, VirtualKey
from executor_tui.domain.clock import Clock
from executor_tui.domain.errors import NotFoundError
from executor_tui.domain.event import Event, Level
from executor_tui.store import tables
from executor_tui.store.batch import Batches, Step, insert_whole
from executor_tui.store.codec import out_values, to_row
from executor_tui.store.database import Database
from executor_tui.store.limits import LimitRow
from executor_tui.store.repository import Repository, record
from executor_tui.store.types import Usd, UtcTime

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

    def __init__(self, db: Database, clock: Clock, batches: Batches) -> None:
        super().__init__(db, clock)
        self._batches = batches
        self._put_limits = cast(Insert, db.upsert_many(tables.limits))

    async def begin(self, calls: Sequence[Call]) -> None:
        """Record calls as in flight, before they are sent. One transaction for the batch."""
        await self.write(calls, ())

    async def settle(self, calls: Sequence[Call]) -> None:
        """Record how calls ended and add them to their key, virtual key, agent, project and approval, at once. Settling twice adds once."""
        await self.write((), calls)

    async def write(self, begun: Sequence[Call], settled: Sequence[Call], counters: Sequence[LimitRow] = ()) -> None:
        """Calls that begin, calls that ended and counters of limits, in one transaction that is on disk when this returns."""
        ended = sorted({call.id: call for call in reversed(settled)}.values(), key=lambda call: call.id)
        steps = [
            Step(_BEGIN, [to_row(call) for call in begun]),
            *(Step(share.statement, _rows_of(share, ended)) for share in _SHARES),
            Step(_SETTLE, [{**to_row(call), "settled_id": call.id} for call in ended]),
            Step(self._put_limits, [to_row(row) for row in counters]),
        ]
        topics = ["calls"] if begun or ended else []
        topics += ["keys", "tokens", "fleet", "project"] if ended else []
        await self._batches.write(steps, [*topics, "limits"] if counters else topics)

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

    async def lost_since(self, moment: datetime, node_ids: Sequence[str] | None = None) -> tuple[Call, ...]:
        """Calls marked as lost from then on; with `node_ids` only those carried by these nodes."""
        c = self.table.c
        where = [c.status == CallStatus.LOST.value, c.ended_at >= moment]
        if node_ids is not None:
            where.append(c.node_id.in_(node_ids))
        return await self._many(select(self.table).where(*where).order_by(c.started_at, c.id))

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

    async def spend_by(
        self, column: str, since: datetime | None = None, project_id: str = "", pool_id: str = "", until: datetime | None = None
    ) -> dict[str, Spend]:
        """Spend grouped by `model_id`, `key_id`, `pool_id`, `agent_id`, `project_id` or `token_id`."""
        by = self.table.c[column]
        query = select(by.label("name"), *self._sums()).group_by(by)
        if since is not None:
            query = query.where(self.table.c.started_at >= since)
        if until is not None:
            query = query.where(self.table.c.started_at <= until)
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

    async def recent(
        self, limit: int = 100, project_id: str = "", pool_id: str = "", agent_id: str = "", until: datetime | None = None
    ) -> tuple[Call, ...]:
        """The newest calls, newest first."""
        query = select(self.table).order_by(self.table.c.started_at.desc()).limit(limit)
        if until is not None:
            query = query.where(self.table.c.started_at <= until)
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


_OPEN: list[ColumnElement[str]] = [literal_column(f"'{status.value}'") for status in (CallStatus.IN_FLIGHT, CallStatus.LOST)]
"""Spelt out in the statement, so that it is the same text for every batch."""
_BEGIN = insert_whole(tables.calls)
_SETTLE = (
    update(tables.calls)
    .where(tables.calls.c.id == bindparam("settled_id"), tables.calls.c.status.in_(_OPEN))
    .values({c.name: bindparam(c.name, type_=c.type) for c in tables.calls.columns if c.name != "id"})
)


@dataclass(frozen=True, slots=True)
class _Share:
    """What a settled call adds to a row with running totals. Added before the call is marked as ended, and only while it is not: once."""

    column: str
    statement: Update


def _share(column: str, table: Table, **values: ColumnElement[Any]) -> _Share:
    still_open = exists().where(tables.calls.c.id == bindparam("call_id"), tables.calls.c.status.in_(_OPEN))
    return _Share(column, update(table).where(table.c.id == bindparam("row_id"), still_open).values(values))


_one = literal_column("1", BigInteger())
_cost, _ended = bindparam("cost", type_=Usd()), bindparam("ended", type_=UtcTime())
_k, _v, _a, _p, _ok = (t.c for t in (tables.keys, tables.virtual_keys, tables.agents, tables.projects, tables.approvals))
_SHARES = (
    _share("key_id", tables.keys, calls=_k.calls + _one, failures=_k.failures + bindparam("failed", type_=BigInteger()),
           cost_usd=_k.cost_usd + _cost, last_used_at=_ended),
    _share("token_id", tables.virtual_keys, requests=_v.requests + _one, spent_usd=_v.spent_usd + _cost, last_used_at=_ended),
    _share("agent_id", tables.agents, cost_usd=_a.cost_usd + _cost),
    _share("project_id", tables.projects, cost_usd=_p.cost_usd + _cost),
    _share("approval_id", tables.approvals, spent_usd=_ok.spent_usd + _cost),
)  # fmt: skip


def _rows_of(share: _Share, calls: Sequence[Call]) -> list[dict[str, Any]]:
    rows = []
    for call in calls:
        if row_id := getattr(call, share.column):
            failed = 1 if call.status is CallStatus.FAILED else 0
            rows.append({"row_id": row_id, "call_id": call.id, "cost": call.cost_usd, "failed": failed, "ended": call.ended_at})
    return sorted(rows, key=lambda row: str(row["row_id"]))


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
