"""Hydra's front: from a request to an answer, over whichever model, route and key can give it.

`select_model` is pure and says why. `select_with_fallback` owns a request from selection to settlement: limits and budgets reserved, the
call's row begun before sending, attempts, parks, retries, fallback, consent for CRITICAL, and the deadline over all of it.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Generic, TypeVar

from executor_tui.config.load import Config
from executor_tui.domain.call import Attempt
from executor_tui.domain.clock import Clock
from executor_tui.domain.key import FailureClass
from executor_tui.hydra.providers.base import Facts, Usage
from executor_tui.hydra.request import Grant, HasHeaders, RouteRequest
from executor_tui.store.store import Store
from executor_tui.vault.base import Opener

T = TypeVar("T", bound=HasHeaders)


class Served(Generic[T]):
    """An answer that is being given. End it exactly once with `settle`, `fail` or `cancel`; later calls do nothing.

    None of the three waits for the disk: the row was begun before sending, and its settlement is written within 50 ms.
    """

    value: T
    grant: Grant
    trail: tuple[Attempt, ...]
    """Every attempt, the one that served last."""

    async def settle(self, usage: Usage, *, ttft_ms: float | None = None) -> float:
        """The answer is complete. Returns its cost in USD."""
        raise NotImplementedError

    async def fail(self, facts: Facts, usage: Usage | None = None) -> FailureClass:
        """The stream broke after it had begun; what it used so far is charged. Parks what deserves it. Returns the class of the failure."""
        raise NotImplementedError

    async def cancel(self, usage: Usage | None = None) -> float:
        """The client is gone; what was used so far is charged. Returns the cost in USD."""
        raise NotImplementedError

    def cost_usd(self, usage: Usage) -> float:
        """What this usage costs on the model that served, for headers and trailers before settling."""
        raise NotImplementedError


class ModelRouter:
    """One per gateway process. `start` before use, `close` after."""

    def __init__(self, store: Store, vault: Opener, config: Config, clock: Clock, *, gateway_id: str = "") -> None:
        raise NotImplementedError

    async def start(self) -> None:
        """Load keys, parks, counters and spend; mark calls a dead gateway left in flight as lost; follow the change feed."""
        raise NotImplementedError

    async def close(self) -> None:
        """Write what is queued and stop following the feed."""
        raise NotImplementedError

    def reload(self, config: Config) -> None:
        """New settings; what is in flight, counted and parked stays."""
        raise NotImplementedError

    async def select_with_fallback(self, request: RouteRequest, send: Callable[[Grant], Awaitable[T]]) -> Served[T]:
        """Serve a request. `send` makes one attempt over one grant and raises ProviderFailure; for a stream it returns once the first
        event has arrived.

        Raises NothingServedError (with `available_at`), BudgetError, RequestRefused, UsageError for an unknown model name.
        Cancelling the caller's task releases everything held.
        """
        raise NotImplementedError

    async def mark_rate_limited(
        self, provider: str, model_id: str, key_id: str, *, until: datetime | None = None, retry_after_s: float | None = None
    ) -> None:
        """Park the key's quota pool for a model, as a 429 does."""
        raise NotImplementedError
