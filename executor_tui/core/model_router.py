"""Hydra's front: from a request to an answer, over whichever model, route and key can give it.

`select_model` is pure and says why. `select_with_fallback` owns a request from selection to settlement: limits and budgets reserved, the
call's row begun before sending, attempts, parks, retries, fallback, consent for CRITICAL, and the deadline over all of it.
"""

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime

from executor_tui.config.load import Config
from executor_tui.core.critical import CriticalGate
from executor_tui.core.feed_watch import FeedWatch
from executor_tui.core.routing.run import Run, T
from executor_tui.core.routing.served import Closer, Served
from executor_tui.core.routing.spend import SpendKeeper
from executor_tui.core.routing.state import RouterState
from executor_tui.domain.clock import Clock
from executor_tui.domain.errors import StoreError
from executor_tui.domain.event import Event, Level
from executor_tui.domain.ids import Rng
from executor_tui.domain.key import FailureClass, Park, ParkScope, ParkSource
from executor_tui.domain.model import Capability, Complexity
from executor_tui.hydra.failures import ParkOrder, Reach
from executor_tui.hydra.parks import ParkKey
from executor_tui.hydra.registry import Registry
from executor_tui.hydra.request import Grant, RouteRequest
from executor_tui.hydra.select import Selection
from executor_tui.store.keys import KEYRING
from executor_tui.store.store import Store
from executor_tui.vault.base import Opener

log = logging.getLogger(__name__)

RESYNC_S = 5.0
"""How often spend is read again while other gateways share the store."""
GUESS_S, LONGEST_GUESS_S = 10.0, 300.0

__all__ = ["ModelRouter", "PoolLoad", "Served"]


@dataclass(frozen=True, slots=True)
class PoolLoad:
    """What one quota pool has in flight for one model (or a group that shares a limit), and what it counted today."""

    pool_id: str
    bucket: str
    in_flight: int
    day_requests: int


class ModelRouter:
    """One per gateway process. `start` before use, `close` after. Without a vault it can select but not send."""

    def __init__(
        self, store: Store, vault: Opener | None, config: Config, clock: Clock, *, node_id: str = "", rng: Rng = secrets.randbelow
    ) -> None:
        self._node_id = node_id
        self._state = RouterState(store, vault, config, clock, rng)
        self._feed = FeedWatch(store, clock)
        self._gate = CriticalGate(store, clock, self._feed, self._state.ledger.flush)
        self._spend = SpendKeeper(self._state)
        self._closer = Closer(self._state, self._spend.book, self._gate)
        self._changed: set[str] = set()
        self._woken = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    # -- life

    async def load(self) -> None:
        """Registry, keys, parks and counters as they are in the store. Enough for `select_model`."""
        await self._state.configure(self._state.config)
        await self._state.load_limits()
        await self._state.load_parks()

    async def start(self) -> None:
        """Load, mark calls that a dead gateway of this node left in flight as lost, and follow the change feed."""
        await self._state.store.calls.lose_in_flight(node_ids=[self._node_id], before=self._state.clock.now())
        await self.load()
        for line in self.registry.warnings:
            self._state.store.events.emit(Event("model.warning", line, Level.WARNING))
        self._feed.listen(self._note)
        self._feed.start()
        self._tasks = [
            asyncio.create_task(self._keep_fresh(), name="router-refresh"),
            asyncio.create_task(self._keep_in_step(), name="router-resync"),
        ]

    async def close(self) -> None:
        """Write what is queued and stop following the feed."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []
        await self._feed.close()
        await self._state.ledger.close()

    async def reload(self, config: Config) -> None:
        """New settings; what is in flight, counted and parked stays."""
        await self._state.configure(config)
        self._state.room.call_all()

    async def refresh(self) -> None:
        """Take in the keys and parks of the store now; otherwise the change feed does it within its own time."""
        await self._state.load_keys()
        await self._state.load_parks()

    def provider_off(self, provider: str, reason: str) -> None:
        """This provider cannot be used at all (`reason` is shown with every candidate), or can again with an empty reason."""
        if reason:
            self._state.pool.off[provider] = reason
        else:
            self._state.pool.off.pop(provider, None)
            self._state.room.call_all()

    # -- choosing and serving

    def select_model(
        self,
        complexity: Complexity | None = None,
        budget_usd: float | None = None,
        *,
        model: str = "executor/auto",
        needs: frozenset[Capability] = frozenset(),
        input_tokens: int = 1_000,
        max_output_tokens: int | None = None,
        chain: tuple[str, ...] | None = None,
        explain: bool = False,
    ) -> Selection:
        """Which model, route and key would serve now, with the reason for every candidate. No I/O, nothing reserved.

        Raises UsageError for an unknown model name. With `explain` the candidates after the chosen one are looked at as well.
        """
        asked = RouteRequest(
            model, needs=needs, input_tokens=input_tokens, max_output_tokens=max_output_tokens, complexity=complexity,
            budget_usd=budget_usd, chain=chain,
        )  # fmt: skip
        return self.select(asked, explain=explain)

    def select(self, request: RouteRequest, *, explain: bool = False) -> Selection:
        """As `select_model`, for a whole request."""
        return self._state.selector.select(request, self._state.now(), explain=explain)

    async def select_with_fallback(self, request: RouteRequest, send: Callable[[Grant], Awaitable[T]]) -> Served[T]:
        """Serve a request. `send` makes one attempt over one grant and raises ProviderFailure; for a stream it returns once the first
        event has arrived.

        Raises NothingServedError (with `available_at`), BudgetError, RequestRefused, UsageError for an unknown model name, StoreError when
        the call cannot be recorded. Cancelling the caller's task releases everything held.
        """
        return await Run(self._state, self._spend, self._gate, self._closer, self._node_id, request, send).serve()

    async def mark_rate_limited(
        self, provider: str, model_id: str, key_id: str, *, until: datetime | None = None, retry_after_s: float | None = None
    ) -> Park | None:
        """Park the key's quota pool for a provider's model, as a 429 does; without a time it is a guess. None when the key is unknown."""
        pool_id = self._state.pool.pool_of(key_id)
        if pool_id is None:
            return None
        now = self._state.now()
        key = ParkKey(ParkScope.POOL_MODEL, pool_id, self._state.pool.bucket_for(provider, model_id), "")
        if until is None and retry_after_s is None:
            retry_after_s = self._state.parks.guess_s(key, GUESS_S, LONGEST_GUESS_S, now)
            order = ParkOrder(Reach.MODEL, ParkSource.GUESS)
        else:
            order = ParkOrder(Reach.MODEL, ParkSource.PROVIDER, ends_at=until)
        return await self._state.set_aside(key, order, retry_after_s, FailureClass.RATE_LIMITED, "rate limited", now)

    # -- looking in

    @property
    def registry(self) -> Registry:
        return self._state.selector.registry

    def parks(self) -> tuple[Park, ...]:
        """What is set aside now, as this process knows it."""
        return tuple(self._state.parks.in_force())

    def loads(self) -> tuple[PoolLoad, ...]:
        """What is in flight and counted, by quota pool and model."""
        return tuple(PoolLoad(pool, name, b.in_flight, b.day_requests) for (pool, name), b in self._state.pool.buckets.items())

    def waiting(self) -> int:
        """How many calls wait their turn."""
        return len(self._state.room)

    async def flush(self) -> None:
        """Write every settlement now. Raises StoreError."""
        await self._state.ledger.flush()

    # -- following the store

    def _note(self, topics: frozenset[str]) -> None:
        wanted = topics & {KEYRING, "parks"}
        if wanted:
            self._changed |= wanted
            self._woken.set()

    async def _keep_fresh(self) -> None:
        while True:
            await self._woken.wait()
            self._woken.clear()
            changed, self._changed = self._changed, set()
            try:
                if KEYRING in changed:
                    await self._state.load_keys()
                if "parks" in changed:
                    await self._state.load_parks()
            except StoreError as exc:
                log.error("keys and parks could not be read again: %s", exc.message)

    async def _keep_in_step(self) -> None:
        while True:
            await self._state.clock.sleep(RESYNC_S)
            try:
                nodes = await self._state.store.nodes.list()
                now = self._state.clock.now()
                others = [n for n in nodes if n.id != self._node_id and n.heartbeat_at and (now - n.heartbeat_at).total_seconds() < 60]
                if others:
                    await self._spend.resync()
            except StoreError as exc:
                log.error("spend could not be read again: %s", exc.message)
