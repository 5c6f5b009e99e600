"""The key pool: provider → quota pool → key. Finds a key that may be used now, or says why none may and when one will.

A lane is one model at one provider: its quota pools taking turns. Pools that cannot be used rest in the lane until they can, so finding
one costs the same with ten as with ten thousand.
"""

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

from executor_tui.config.models import LimitSettings, ProviderSettings
from executor_tui.domain.ids import Rng
from executor_tui.domain.key import Key, KeyState, Park, ParkScope, QuotaPool
from executor_tui.domain.model import Tier
from executor_tui.hydra.blocked import Blocked
from executor_tui.hydra.limits import Bucket, Limits, Need, Reservation
from executor_tui.hydra.moment import Moment
from executor_tui.hydra.parks import ParkBook, ParkKey
from executor_tui.hydra.rotation import Strategy, rotation
from executor_tui.hydra.search import KeyCheck, Lane, Pick, PoolOfKeys, Search
from executor_tui.hydra.turnstile import Turnstile

STICKY_MEMORY = 10_000


@dataclass(slots=True)
class Hold:
    """What one attempt holds. Give it back exactly once; giving it back again does nothing."""

    pick: Pick
    reservation: Reservation
    held: bool = True


def local_key(provider: str) -> Key:
    """The stand-in for a provider that takes no key."""
    pool = QuotaPool.id_for(provider, "local")
    return Key(f"{provider}-no-key", provider, pool, Tier.FREE, "", f"{provider}-no-key", state=KeyState.VERIFIED)


class KeyPool:
    """Every key, with what is in flight, counted and parked. Nothing here waits, reads or writes."""

    def __init__(self, providers: Mapping[str, ProviderSettings], strategy: Strategy, parks: ParkBook, rng: Rng) -> None:
        self.providers, self.parks = providers, parks
        self._strategy, self._rng = strategy, rng
        self._pools: dict[str, PoolOfKeys] = {}
        self._by_provider: dict[str, dict[str, PoolOfKeys]] = {}
        self._lanes: dict[tuple[str, str], Lane] = {}
        self._lanes_of: dict[str, list[Lane]] = {}
        self.buckets: dict[tuple[str, str], Bucket] = {}
        self._sticky: OrderedDict[tuple[str, str, str], tuple[str, str]] = OrderedDict()
        self.off: dict[str, str] = {}
        """Providers that cannot be used at all, with the reason (the opencode program is not installed)."""

    # -- what there is

    def set_keys(self, keys: Iterable[Key]) -> None:
        """These keys and no others. What is in flight, counted and parked stays."""
        wanted = {key.id: key for key in keys if key.provider in self.providers}
        with_keys = {key.provider for key in wanted.values()}
        for name, settings in self.providers.items():
            if not settings.needs_key and name not in with_keys:
                wanted[local_key(name).id] = local_key(name)
        for pool in list(self._pools.values()):
            for key_id in [k for k in pool.keys if k not in wanted or wanted[k].pool_id != pool.id]:
                del pool.keys[key_id]
                pool.turn.remove(key_id)
        for key in wanted.values():
            self._put(key)
        for pool in [p for p in self._pools.values() if not p.keys]:
            self._drop(pool)

    def _put(self, key: Key) -> None:
        pool = self._pools.get(key.pool_id)
        if pool is None:
            pool = PoolOfKeys(key.pool_id, key.provider, {}, self._turnstile())
            self._pools[pool.id] = pool
            self._by_provider.setdefault(pool.provider, {})[pool.id] = pool
        fresh = key.id not in pool.keys
        pool.keys[key.id] = key
        if fresh:
            pool.turn.add(key.id)
            for lane in self._lanes_of.get(pool.provider, ()):
                self._enter(lane, pool)
            self.wake(pool.id)

    def _drop(self, pool: PoolOfKeys) -> None:
        del self._pools[pool.id], self._by_provider[pool.provider][pool.id]
        for lane in self._lanes_of.get(pool.provider, ()):
            for turn in lane.turns:
                turn.remove(pool.id)

    def configure(self, providers: Mapping[str, ProviderSettings], strategy: Strategy) -> None:
        """New settings. Lanes are built anew when next used; counters stay with their pools."""
        self.providers, self._strategy = providers, strategy
        self._lanes.clear()
        self._lanes_of.clear()
        for pool in self._pools.values():
            pool.turn = self._turnstile()
            for key_id in pool.keys:
                pool.turn.add(key_id)
        for (pool_id, name), bucket in self.buckets.items():
            if (settings := providers.get(pool_id.split("/", 1)[0])) is not None:
                bucket.configure(_limits(settings.limits.get(name) or settings.limits.get("*")), settings.daily_reset)

    def keys(self) -> Iterator[Key]:
        for pool in self._pools.values():
            yield from pool.keys.values()

    def has_keys(self, provider: str) -> bool:
        return bool(self._by_provider.get(provider))

    def pool_of(self, key_id: str) -> str | None:
        return next((p.id for p in self._pools.values() if key_id in p.keys), None)

    # -- finding

    def find(
        self,
        provider: str,
        model_id: str,
        need: Need,
        now: Moment,
        *,
        sticky: str = "",
        prefer_free: bool = False,
        skip: frozenset[str] | set[str] = frozenset(),
        key_check: KeyCheck | None = None,
    ) -> Pick | Blocked:
        """A key for this model at this provider, without taking it; or why there is none, and when there will be one.

        `skip` holds ids of pools and keys not to be tried again. `prefer_free`: keys of tier FREE come first.
        """
        if reason := self.off.get(provider):
            return Blocked(reason, never=True)
        if not self._by_provider.get(provider):
            return Blocked(f"no key of {provider}", never=True)
        lane = self._lane(provider, model_id)
        route = self.parks.find(ParkKey(ParkScope.POOL_MODEL, f"{provider}/*", model_id, ""), now)
        if isinstance(route, Blocked):
            return route
        probes = (route,) if route is not None else ()
        search = Search(self.pool, self._bucket_at, self.parks, lane, need, now, skip, key_check, probes)
        stuck = self._sticky.get((provider, model_id, sticky)) if sticky else None
        if stuck is not None and skip.isdisjoint(stuck):
            found = search.at(*stuck)
            if isinstance(found, Pick):
                return found
        return search.through(lane.turns if prefer_free else lane.turns[::-1])

    def take(self, pick: Pick, need: Need, now: Moment, sticky: str = "") -> Hold:
        """Reserve what was found. No await may lie between `find` and this."""
        bucket = self._bucket(pick.provider, pick.pool_id, pick.bucket)
        pool = self._pools[pick.pool_id]
        pool.turn.took(pick.key.id)
        for turn in self._lane(pick.provider, pick.model_id).turns:
            turn.took(pick.pool_id)
        for probe in pick.probes:
            self.parks.begin_probe(probe)
        if sticky:
            self._sticky[(pick.provider, pick.model_id, sticky)] = (pick.pool_id, pick.key.id)
            self._sticky.move_to_end((pick.provider, pick.model_id, sticky))
            if len(self._sticky) > STICKY_MEMORY:
                self._sticky.popitem(last=False)
        return Hold(pick, bucket.reserve(need, now))

    def answered(self, hold: Hold, now: Moment) -> None:
        """The provider has answered, with whatever."""
        self._bucket_of(hold).answered(hold.reservation, now)

    def release(self, hold: Hold, now: Moment, *, tokens: int | None = None, sent: bool = True) -> None:
        """The attempt is over. `tokens`: what it really took; `sent=False`: it never reached the provider."""
        if not hold.held:
            return
        hold.held = False
        pick, bucket = hold.pick, self._bucket_of(hold)
        if sent:
            bucket.release(hold.reservation, now, tokens)
        else:
            bucket.unsend(hold.reservation, now)
        for probe in pick.probes:
            self.parks.end_probe(probe, now)
        if (pool := self._pools.get(pick.pool_id)) is not None:
            pool.turn.gave_back(pick.key.id)
            pool.turn.wake(pick.key.id)
        if (lane := self._lanes.get((pick.provider, pick.model_id))) is not None:
            for turn in lane.turns:
                turn.gave_back(pick.pool_id)
        self.wake(pick.pool_id)

    def wake(self, pool_id: str) -> None:
        """Something about this pool changed: whatever rested may be tried again. `provider/*` means all of a provider's."""
        provider, _, account = pool_id.partition("/")
        if account == "*":
            for name in self._by_provider.get(provider, {}):
                self.wake(name)
            return
        for lane in self._lanes_of.get(provider, ()):
            for turn in lane.turns:
                turn.wake(pool_id)

    def wake_key(self, pool_id: str, key_id: str) -> None:
        if (pool := self._pools.get(pool_id)) is not None:
            pool.turn.wake(key_id)
            self.wake(pool_id)

    # -- inside

    def pool(self, pool_id: str) -> PoolOfKeys | None:
        return self._pools.get(pool_id)

    def _bucket_at(self, lane: Lane, pool_id: str) -> Bucket:
        return self.buckets.get((pool_id, lane.bucket)) or self._bucket(lane.provider, pool_id, lane.bucket)

    def _turnstile(self) -> Turnstile:
        return Turnstile(rotation(self._strategy, self._rng))

    def _lane(self, provider: str, model_id: str) -> Lane:
        lane = self._lanes.get((provider, model_id))
        if lane is None:
            bucket = bucket_name(self.providers[provider].limits, model_id)
            lane = Lane(provider, model_id, bucket, (self._turnstile(), self._turnstile()))
            self._lanes[(provider, model_id)] = lane
            self._lanes_of.setdefault(provider, []).append(lane)
            for pool in self._by_provider.get(provider, {}).values():
                self._enter(lane, pool)
        return lane

    @staticmethod
    def _enter(lane: Lane, pool: PoolOfKeys) -> None:
        free = all(key.tier is Tier.FREE for key in pool.keys.values())
        lane.turns[1 if free else 0].remove(pool.id)
        lane.turns[0 if free else 1].add(pool.id)

    def bucket_for(self, provider: str, model_id: str) -> str:
        """The name of the counter this model uses at this provider."""
        settings = self.providers.get(provider)
        return bucket_name(settings.limits, model_id) if settings is not None else model_id

    def bucket(self, pool_id: str, name: str) -> Bucket | None:
        """The counters of a quota pool's bucket; None when its provider is not configured."""
        provider = pool_id.split("/", 1)[0]
        return self._bucket(provider, pool_id, name) if provider in self.providers else self.buckets.get((pool_id, name))

    def forget_told(self, park: Park) -> None:
        """A park was cleared by hand: what the provider said along with it does not go on keeping calls away."""
        for (pool_id, name), bucket in self.buckets.items():
            if pool_id == park.pool_id and park.model_id in ("", name):
                bucket.forget_told()

    def _bucket(self, provider: str, pool_id: str, name: str) -> Bucket:
        bucket = self.buckets.get((pool_id, name))
        if bucket is None:
            settings = self.providers[provider]
            limits = _limits(settings.limits.get(name) or settings.limits.get("*"))
            bucket = self.buckets[(pool_id, name)] = Bucket(limits, settings.daily_reset)
        return bucket

    def _bucket_of(self, hold: Hold) -> Bucket:
        return self._bucket(hold.pick.provider, hold.pick.pool_id, hold.pick.bucket)


def bucket_name(limits: Mapping[str, LimitSettings], model_id: str) -> str:
    """Which counter a model shares: its own, or that of a pattern such as `*:free`, which counts all models it matches together."""
    if model_id in limits:
        return model_id
    shared = [p for p in limits if p != "*" and "*" in p and fnmatchcase(model_id, p)]
    return max(shared, key=len) if shared else model_id


def _limits(settings: LimitSettings | None) -> Limits:
    return Limits() if settings is None else Limits(settings.rpm, settings.tpm, settings.rpd, settings.tpd, settings.concurrent)
