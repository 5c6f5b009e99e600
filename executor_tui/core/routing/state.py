"""What the router knows: registry, keys, parks, limits. Loaded from the store, kept equal to it, and every park and counter kept in it."""

import asyncio
import contextlib
import logging
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from executor_tui.config.load import Config
from executor_tui.domain.clock import Clock
from executor_tui.domain.errors import ExecutorError, StoreError, VaultError
from executor_tui.domain.event import Event, Level
from executor_tui.domain.ids import Rng, new_id
from executor_tui.domain.key import FailureClass, Key, KeyState, Park, ParkScope, QuotaPool
from executor_tui.hydra.failures import ParkOrder, Reach, Verdict
from executor_tui.hydra.learn import Learned
from executor_tui.hydra.ledger import Ledger
from executor_tui.hydra.limits import KNOWN_FOR, Bucket
from executor_tui.hydra.moment import Moment
from executor_tui.hydra.parks import ParkBook, ParkKey, describe
from executor_tui.hydra.pool import KeyPool
from executor_tui.hydra.registry import Registry, build_registry
from executor_tui.hydra.search import Pick
from executor_tui.hydra.select import Selector
from executor_tui.hydra.waiting import WaitingRoom
from executor_tui.store.limits import LimitRow
from executor_tui.store.store import Store
from executor_tui.vault.base import Opener

log = logging.getLogger(__name__)

IN_A_ROW_S = 30.0
"""Failures further apart than this are not in a row."""
LEARNED_EVERY_S = 5.0
"""How often what the provider says is left goes to the store, for the console."""
REFUSALS_TO_INVALID = 2
"""A key is called invalid when it was refused again after its first park."""


class RouterState:
    """One per gateway process."""

    def __init__(self, store: Store, vault: Opener | None, config: Config, clock: Clock, rng: Rng) -> None:
        self.store, self.config, self.clock, self.rng = store, config, clock, rng
        self._vault = vault
        self.parks = ParkBook(rng)
        self.pool = KeyPool(config.models.providers, config.hydra_keys.rotation_strategy, self.parks, rng)
        self.selector = Selector(build_registry(config.models, clock.now().date(), {}), self.pool)
        self.ledger = Ledger(store, clock)
        self.room = WaitingRoom()
        self._secrets: dict[str, str] = {}
        self._told_at_s: dict[tuple[str, str], float] = {}

    def now(self) -> Moment:
        return Moment.of(self.clock)

    # -- loading

    async def configure(self, config: Config) -> None:
        """Take on settings; what is in flight, counted and parked stays."""
        registry = await asyncio.to_thread(_registry, config, self.clock.now())
        self.config = config
        self.pool.configure(config.models.providers, config.hydra_keys.rotation_strategy)
        self.selector = Selector(registry, self.pool)
        await self.load_keys()

    async def load_keys(self) -> None:
        """The usable keys as they are in the store now."""
        keys = await self.store.keys.usable()
        self.pool.set_keys(self._canonical(key) for key in keys)
        refs = {key.secret_ref for key in keys}
        for ref in [r for r in self._secrets if r not in refs]:
            del self._secrets[ref]
        self.room.call_all()

    def _canonical(self, key: Key) -> Key:
        """The key under its provider's own name, where it was entered under an alias."""
        provider = self.config.models.provider_named(key.provider)
        if provider is None or provider == key.provider:
            return key
        account = key.pool_id.partition("/")[2] or "default"
        return replace(key, provider=provider, pool_id=QuotaPool.id_for(provider, account))

    async def load_parks(self) -> None:
        """The parks of the store: other processes' and the operator's, and which were cleared."""
        standing = [park.id for park in self.parks.in_force()]
        cleared = await self.store.parks.cleared(standing) if standing else frozenset()
        in_store = await self.store.parks.open()
        ended = self.parks.sync(in_store, cleared, self.now())
        for park in ended:
            self.pool.forget_told(park)
        for park in (*ended, *in_store):
            self._wake(park)
        self.room.call_all()

    async def load_limits(self) -> None:
        """Learned limits and the counters of days that are not over."""
        now = self.now()
        days: dict[tuple[str, str, datetime], dict[str, int]] = {}
        for row in await self.store.limits.list():
            bucket = self.pool.bucket(row.pool_id, row.model_id)
            if bucket is None:
                continue
            if row.source == "learned" and row.value >= 1 and row.learned_at is not None and now.wall - row.learned_at < KNOWN_FOR:
                bucket.learn(Learned(kind=row.kind, limit=row.value), now)
            if row.kind in ("rpd", "tpd") and row.window_started_at is not None:
                days.setdefault((row.pool_id, row.model_id, row.window_started_at), {})[row.kind] = row.used
        for (pool_id, name, started_at), used in days.items():
            if (bucket := self.pool.bucket(pool_id, name)) is not None:
                bucket.restore_day(started_at, used.get("rpd", 0), used.get("tpd", 0), now)

    # -- secrets

    async def secret(self, key: Key) -> str:
        """The key itself, opened once and kept in memory. Raises VaultError."""
        if not key.secret_ref:
            return ""
        known = self._secrets.get(key.secret_ref)
        if known is None:
            if self._vault is None:
                raise VaultError("this process may not open keys")
            known = await self._vault.open(key.secret_ref, await self.store.keys.ciphertext(key.secret_ref))
            self._secrets[key.secret_ref] = known
        return known

    # -- limits

    def counters(self, pick: Pick) -> tuple[LimitRow, ...]:
        """The daily counters that a call of this pick changes, where a daily limit is known: they are kept with the call's own row."""
        bucket = self.pool.bucket(pick.pool_id, pick.bucket)
        if bucket is None or bucket.day is None:
            return ()
        limits = bucket.limits
        counted = (("rpd", limits.rpd, bucket.day_requests), ("tpd", limits.tpd, bucket.day_tokens))
        return tuple(
            LimitRow(pick.pool_id, pick.bucket, kind, limit, source=_source(bucket, kind), used=used, window_started_at=bucket.day.start)
            for kind, limit, used in counted
            if limit is not None
        )

    def learn(self, pick: Pick, told: Iterable[Learned], now: Moment) -> None:
        """Take in what the provider said of its limits."""
        bucket = self.pool.bucket(pick.pool_id, pick.bucket)
        heard = tuple(told)
        if bucket is None or not heard:
            return
        changed = [bucket.learn(learned, now) for learned in heard]
        at = (pick.pool_id, pick.bucket)
        if any(changed) or now.mono_s - self._told_at_s.get(at, -LEARNED_EVERY_S) >= LEARNED_EVERY_S:
            self._told_at_s[at] = now.mono_s
            self.ledger.count(_rows(pick, bucket, heard, now))

    # -- parks

    async def park(self, verdict: Verdict, pick: Pick, now: Moment) -> None:
        """Set aside what a failure calls for. On disk when this returns."""
        order = verdict.park
        if order is None:
            return
        key = park_key(order.reach, pick, verdict.failure)
        if order.after > 1 and not self.parks.missed(key, order.after, IN_A_ROW_S, now):
            return
        for_s = order.for_s
        if order.ends_at is None and for_s is None:
            for_s = self.parks.guess_s(key, order.base_s, order.cap_s, now)
        await self.set_aside(key, order, for_s, verdict.failure, f"{verdict.rule}: {verdict.message}", now)
        if verdict.failure is FailureClass.AUTH and self.parks.strikes(key) >= REFUSALS_TO_INVALID:
            reason = f"refused again: {verdict.message}"
            event = Event("key.invalid", f"key {pick.key.id} of {pick.provider} is invalid: {reason}", Level.ERROR, subject_id=pick.key.id)
            await self.store.keys.set_state(pick.key.id, KeyState.INVALID, reason, event)

    async def set_aside(self, key: ParkKey, order: ParkOrder, for_s: float | None, reason: FailureClass, detail: str, now: Moment) -> Park:
        """Park something and keep it in the store. Returns what stands, which may be an earlier, longer park."""
        ends_at = order.ends_at if for_s is None else now.wall + timedelta(seconds=for_s)
        park = Park(new_id("prk", self.rng), *key, reason, order.source, now.wall, ends_at, detail[:400])
        standing = self.parks.add(park, now)
        if standing is not park:
            return standing
        self._wake(park)
        what = park.key_id or park.pool_id + (f", {park.model_id}" if park.model_id else "")
        event = Event(
            "key.parked", f"{what} {describe(park)} ({detail[:200]})", Level.WARNING, subject_id=park.id,
            data={"pool_id": park.pool_id, "model_id": park.model_id, "key_id": park.key_id, "reason": str(reason)},
        )  # fmt: skip
        try:
            kept = await self.store.parks.park(park, event)
        except StoreError as exc:
            log.error("park %s is kept in memory only: %s", park.id, exc.message)
            return park
        self.parks.add(kept, now, saved=True)
        return kept

    async def succeeded(self, pick: Pick, now: Moment) -> None:
        """A call went through: what it probed is free again."""
        keys = [park_key(reach, pick, FailureClass.RATE_LIMITED) for reach in Reach]
        keys.append(park_key(Reach.MODEL, pick, FailureClass.FORBIDDEN_MODEL))
        ended = self.parks.succeeded(keys)
        for park in ended:
            self._wake(park)
        if ended:
            self.room.call_all()
            await self._tell_ended(ended, now)

    async def _tell_ended(self, parks: Iterable[Park], now: Moment) -> None:
        for park in parks:
            message = f"{park.pool_id}{', ' + park.model_id if park.model_id else ''} works again"
            event = Event("key.unparked", message, subject_id=park.id)
            if park.ends_at is not None and park.ends_at <= now.wall:
                self.store.events.emit(event)
                continue
            try:
                await self.store.parks.clear(park.id, "probe", event)
            except ExecutorError as exc:
                log.error("park %s is over, but not in the store: %s", park.id, exc.message)

    def _wake(self, park: Park) -> None:
        if park.key_id:
            self.pool.wake_key(park.pool_id, park.key_id)
        else:
            self.pool.wake(park.pool_id)

    async def close(self) -> None:
        """Write what is queued."""
        with contextlib.suppress(asyncio.CancelledError):
            await self.ledger.close()


def park_key(reach: Reach, pick: Pick, failure: FailureClass) -> ParkKey:
    """What a park of this reach takes out. Models that share a limit share its parks, unless one of them alone is forbidden."""
    if reach is Reach.KEY:
        return ParkKey(ParkScope.KEY, pick.pool_id, "", pick.key.id)
    if reach is Reach.POOL:
        return ParkKey(ParkScope.POOL, pick.pool_id, "", "")
    if reach is Reach.ROUTE:
        return ParkKey(ParkScope.POOL_MODEL, f"{pick.provider}/*", pick.model_id, "")
    model_id = pick.model_id if failure is FailureClass.FORBIDDEN_MODEL else pick.bucket
    return ParkKey(ParkScope.POOL_MODEL, pick.pool_id, model_id, "")


def _registry(config: Config, now: datetime) -> Registry:
    return build_registry(config.models, now.date(), last_resort=config.hydra_keys.fallback)


def _source(bucket: Bucket, kind: str) -> str:
    return "learned" if kind in bucket.learned else "config"


def _rows(pick: Pick, bucket: Bucket, heard: tuple[Learned, ...], now: Moment) -> list[LimitRow]:
    """What was heard, for the store. A dimension whose window cannot be told is shown under the minute."""
    minute: Mapping[str, str] = {"requests": "rpm", "tokens": "tpm", "input_tokens": "tpm"}
    rows = []
    for told in heard:
        kind = told.kind or minute.get(told.dimension, "")
        limit = bucket.learned.get(kind) or told.limit
        if not kind or limit is None:
            continue
        resets_at = now.wall + timedelta(seconds=told.resets_in_s) if told.resets_in_s is not None else None
        day = bucket.day if kind in ("rpd", "tpd") else None
        used = 0 if day is None else bucket.day_requests if kind == "rpd" else bucket.day_tokens
        source = "learned" if kind in bucket.learned else "told"
        at = day.start if day else None
        rows.append(LimitRow(pick.pool_id, pick.bucket, kind, limit, told.remaining, resets_at, source, now.wall, used, at))
    return rows
