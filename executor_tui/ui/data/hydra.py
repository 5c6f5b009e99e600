"""The Hydra screen's data: keys by quota pool, parks, learned limits, spend."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from executor_tui.domain.call import Call
from executor_tui.domain.key import Key, KeyState, Park, QuotaPool
from executor_tui.ui.data import past
from executor_tui.ui.form import money
from executor_tui.ui.text import plural

if TYPE_CHECKING:
    from executor_tui.store.calls import Spend
    from executor_tui.store.limits import LimitRow
    from executor_tui.store.store import Store

TOPICS = frozenset({"keys", "parks", "limits", "calls"})
DAY = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class KeyRow:
    """A key with what stands in its way (`park`) and what it cost since midnight UTC."""

    key: Key
    park: Park | None
    today_usd: float


@dataclass(frozen=True, slots=True)
class HydraView:
    keys: tuple[KeyRow, ...]
    parks: tuple[Park, ...]
    pools: tuple[QuotaPool, ...]
    today_usd: float

    def summary(self) -> str:
        bad = sum(r.key.state is KeyState.INVALID for r in self.keys)
        parts = [plural(len(self.keys), "key"), plural(len({r.key.pool_id for r in self.keys}), "pool")]
        parts += [f"{bad} invalid"] if bad else []
        parts += [f"{len(self.parks)} parked"] if self.parks else []
        return " · ".join([*parts, f"{money(self.today_usd)} today"])


@dataclass(frozen=True, slots=True)
class PoolView:
    """One quota pool in depth."""

    pool_id: str
    keys: tuple[Key, ...]
    parks: tuple[Park, ...]
    limits: "tuple[LimitRow, ...]"
    by_model: "dict[str, Spend]"
    calls: tuple[Call, ...]


async def fetch(store: "Store", at: datetime | None = None) -> HydraView:
    now = at or store.clock.now()
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    keys, parks = await store.keys.list(), await store.parks.open(at)
    if at is not None:
        keys = past.keys_then(keys, at)
    spent = await store.calls.spend_by("key_id", since=midnight, until=at)
    rows = [KeyRow(k, _in_the_way(k, parks), spent[k.id].cost_usd if k.id in spent else 0.0) for k in keys]
    rows.sort(key=lambda r: (r.key.provider, r.key.pool_id, r.key.id))
    return HydraView(tuple(rows), parks, await store.keys.pools(), sum(s.cost_usd for s in spent.values()))


def _in_the_way(key: Key, parks: tuple[Park, ...]) -> Park | None:
    """The park that stops most of this key: its own, its pool's, or one of a single model."""
    mine = [p for p in parks if p.key_id == key.id or (p.pool_id == key.pool_id and not p.key_id)]
    order = {"key": 0, "pool": 1, "pool_model": 2}
    return min(mine, key=lambda p: order[p.scope.value]) if mine else None


async def fetch_pool(store: "Store", pool_id: str, at: datetime | None = None) -> PoolView:
    """What is known of the limits is known now: their past is not kept."""
    since = (at or store.clock.now()) - DAY
    keys = await store.keys.list() if at is None else past.keys_then(await store.keys.list(), at)
    calls = await store.calls.recent(50, pool_id=pool_id, until=at)
    return PoolView(
        pool_id,
        tuple(k for k in keys if k.pool_id == pool_id),
        tuple(p for p in await store.parks.open(at) if p.pool_id == pool_id),
        () if at is not None else tuple(row for row in await store.limits.list() if row.pool_id == pool_id),
        await store.calls.spend_by("model_id", since=since, pool_id=pool_id, until=at),
        calls if at is None else tuple(past.call_then(c, at) for c in calls),
    )
