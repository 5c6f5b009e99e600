"""One walk through a lane: the first quota pool and key of it that may be used now, or the best account of why there is none."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import inf

from executor_tui.domain.key import Key, ParkScope
from executor_tui.hydra.blocked import Blocked
from executor_tui.hydra.limits import Bucket, Need
from executor_tui.hydra.moment import Moment
from executor_tui.hydra.parks import ParkBook, ParkKey
from executor_tui.hydra.turnstile import Turnstile

LOOK_AT_MOST = 64
"""Pools looked at for one request that does not fit them though a smaller one would."""
KeyCheck = Callable[[str], Blocked | None]
"""Something else that may speak against a key: its budget."""
POOLS_TRIED = Blocked("every quota pool was tried", never=True, vague=True)
KEYS_TRIED = Blocked("every key of this quota pool was tried", general=False, never=True, vague=True)


@dataclass(frozen=True, slots=True)
class Pick:
    """A key that may be used, and what must be told about it: `probes` are parks of which this call finds out whether they are over."""

    provider: str
    model_id: str
    pool_id: str
    bucket: str
    key: Key
    probes: tuple[ParkKey, ...] = ()


@dataclass(slots=True)
class PoolOfKeys:
    """A quota pool and its keys taking turns."""

    id: str
    provider: str
    keys: dict[str, Key]
    turn: Turnstile


@dataclass(slots=True)
class Lane:
    """One model at one provider. Quota pools that cost nothing take turns in the first turnstile, the others in the second."""

    provider: str
    model_id: str
    bucket: str
    turns: tuple[Turnstile, Turnstile]


class Search:
    """One walk through a lane."""

    __slots__ = ("_book", "_bucket_at", "_check", "_lane", "_need", "_now", "_pool_at", "_probes", "_skip")

    def __init__(
        self,
        pool_at: Callable[[str], PoolOfKeys | None],
        bucket_at: Callable[[Lane, str], Bucket],
        book: ParkBook,
        lane: Lane,
        need: Need,
        now: Moment,
        skip: frozenset[str] | set[str],
        key_check: KeyCheck | None,
        probes: tuple[ParkKey, ...],
    ) -> None:
        self._pool_at, self._bucket_at, self._book = pool_at, bucket_at, book
        self._lane, self._need, self._now = lane, need, now
        self._skip, self._check, self._probes = skip, key_check, probes

    def through(self, turns: tuple[Turnstile, ...]) -> Pick | Blocked:
        """The first quota pool that can serve, those first in `turns` preferred."""
        soonest = POOLS_TRIED
        for turn in turns:
            found = self._walk(turn)
            if isinstance(found, Pick):
                return found
            soonest = soonest.or_else(found)
        return soonest

    def _walk(self, turn: Turnstile) -> Pick | Blocked:
        resting: list[tuple[str, float]] = []
        soonest = POOLS_TRIED
        looked, picked = 0, None
        for pool_id in turn.order(self._now.mono_s):
            found = self.at(pool_id)
            if isinstance(found, Pick):
                if pool_id in self._skip:
                    continue
                picked = found
                break
            soonest = soonest.or_else(found)
            if found.general:
                resting.append((pool_id, found.ready_s))
            else:
                looked += 1
                if looked >= LOOK_AT_MOST:
                    break
        for pool_id, ready_s in resting:
            turn.rest(pool_id, ready_s)
        return picked or self._explained(turn, soonest)

    def _explained(self, turn: Turnstile, soonest: Blocked) -> Pick | Blocked:
        """The answer when nothing was ready; what rested before this walk counts too, and is asked again in case it need not rest."""
        first = turn.first_resting()
        if first is None:
            return soonest
        name, ready_s = first
        again = self.at(name)
        if isinstance(again, Pick):
            turn.wake(name)
            return soonest if name in self._skip else again
        both = soonest.or_else(replace(again, ready_s=min(again.ready_s, ready_s)))
        others_rest_until_an_event = turn.endless > (1 if ready_s == inf else 0)
        return replace(both, on_release=True) if others_rest_until_an_event else both

    def at(self, pool_id: str, key_id: str = "") -> Pick | Blocked:
        """Whether this quota pool, and a key of it (`key_id` or whichever is next), can serve."""
        pool = self._pool_at(pool_id)
        if pool is None or (key_id and key_id not in pool.keys):
            return Blocked("gone", never=True)
        probes = self._probes
        if len(self._book):
            parked = self._parked(pool_id)
            if isinstance(parked, Blocked):
                return parked
            probes += parked
        if (blocked := self._bucket_at(self._lane, pool_id).blocked(self._need, self._now)) is not None:
            return blocked
        return self._key(pool, key_id, probes)

    def _parked(self, pool_id: str) -> Blocked | tuple[ParkKey, ...]:
        lane, probes = self._lane, []
        keys = [ParkKey(ParkScope.POOL, pool_id, "", ""), ParkKey(ParkScope.POOL_MODEL, pool_id, lane.bucket, "")]
        if lane.model_id != lane.bucket:
            keys.append(ParkKey(ParkScope.POOL_MODEL, pool_id, lane.model_id, ""))
        for key in keys:
            found = self._book.find(key, self._now)
            if isinstance(found, Blocked):
                return found
            if found is not None:
                probes.append(found)
        return tuple(probes)

    def _key(self, pool: PoolOfKeys, key_id: str, probes: tuple[ParkKey, ...]) -> Pick | Blocked:
        resting: list[tuple[str, float]] = []
        soonest = KEYS_TRIED
        picked, for_all = None, True
        for name in (key_id,) if key_id else pool.turn.order(self._now.mono_s):
            against, probe = self._against(pool, name)
            if against is None:
                more = (*probes, probe) if probe is not None else probes
                picked = Pick(self._lane.provider, self._lane.model_id, pool.id, self._lane.bucket, pool.keys[name], more)
                break
            soonest = soonest.or_else(against)
            for_all = for_all and against.general
            if against.general:
                resting.append((name, against.ready_s))
        for name, ready_s in resting:
            pool.turn.rest(name, ready_s)
        if picked is not None:
            return picked
        first = pool.turn.first_resting()
        ready_s = min(soonest.ready_s, first[1]) if first else soonest.ready_s
        if soonest.never and first is not None:
            return Blocked("every key of this quota pool is parked or was tried", ready_s, general=False)
        return replace(soonest, ready_s=ready_s, general=for_all and not self._skip)

    def _against(self, pool: PoolOfKeys, key_id: str) -> tuple[Blocked | None, ParkKey | None]:
        """What speaks against one key, or which park of it is to be probed."""
        if key_id in self._skip:
            return Blocked("this key was tried", general=False, never=True, vague=True), None
        found = self._book.find(ParkKey(ParkScope.KEY, pool.id, "", key_id), self._now) if len(self._book) else None
        if isinstance(found, Blocked):
            return found, None
        if self._check is not None and (over := self._check(key_id)) is not None:
            return replace(over, general=False), None
        return None, found
