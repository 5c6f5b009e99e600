"""An answer that is being given, and the one place where a call ends: limits, budgets, consent and the call's row, each exactly once."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from executor_tui.core.critical import Consent, CriticalGate
from executor_tui.core.routing.state import RouterState
from executor_tui.domain.call import Attempt, Call, CallStatus
from executor_tui.domain.key import FailureClass
from executor_tui.domain.model import Tier
from executor_tui.hydra.budgets import BudgetBook, Scope
from executor_tui.hydra.failures import Verdict, classify
from executor_tui.hydra.pool import Hold
from executor_tui.hydra.providers.base import Facts, Usage
from executor_tui.hydra.request import Grant, HasHeaders

T = TypeVar("T", bound=HasHeaders)
MAX_FAILURE_CHARS = 300


@dataclass(slots=True)
class Open:
    """A call under way: what it holds of limits and budgets, and its row as begun. `done` once it has ended."""

    call: Call
    hold: Hold
    scopes: tuple[Scope, ...]
    reserved_usd: float
    started_s: float
    consent: Consent | None = None
    done: bool = False


class Closer:
    """Ends calls."""

    def __init__(self, state: RouterState, book: BudgetBook, gate: CriticalGate) -> None:
        self._state, self._book, self._gate = state, book, gate

    def give_back(self, opened: Open, *, sent: bool) -> None:
        """An attempt is over without an answer; the call may go on over another route. `sent`: it reached the provider."""
        if opened.done:
            return
        opened.done = True
        self._state.pool.release(opened.hold, self._state.now(), sent=sent)
        self._book.change(opened.scopes, -opened.reserved_usd)
        self._state.room.call_all()

    def end(
        self, opened: Open, grant: Grant, status: CallStatus, usage: Usage | None, trail: tuple[Attempt, ...], *, failure: str = "",
        ttft_ms: float | None = None,
    ) -> float:  # fmt: skip
        """Give back what the call held, count what it used, and queue its row. Returns the cost in USD; 0 when it had ended before."""
        if opened.done:
            return 0.0
        opened.done = True
        now = self._state.now()
        cost = cost_usd(grant, usage) if usage is not None else 0.0
        tokens = None if usage is None else usage.input_tokens + usage.cache_write_tokens + usage.output_tokens
        self._state.pool.release(opened.hold, now, tokens=tokens)
        self._book.change(opened.scopes, cost - opened.reserved_usd)
        if opened.consent is not None:
            self._gate.settled(opened.consent)
        used = usage or Usage()
        self._state.ledger.count(self._state.counters(opened.hold.pick))
        row = replace(
            opened.call, status=status, model_id=grant.model.id, provider=grant.route.provider, pool_id=opened.hold.pick.pool_id,
            key_id=grant.key.id, input_tokens=used.input_tokens + used.cache_write_tokens, output_tokens=used.output_tokens,
            cached_tokens=used.cache_read_tokens, cost_usd=cost, failure=failure[:MAX_FAILURE_CHARS],
            trail=tuple(attempt_row(a) for a in trail), ended_at=now.wall, ttft_ms=ttft_ms,
            duration_ms=(now.mono_s - opened.started_s) * 1e3, approval_id=grant.approval_id,
        )  # fmt: skip
        self._state.ledger.settle(row)
        self._state.room.call_all()
        return cost


class Served(Generic[T]):
    """An answer that is being given. End it exactly once with `settle`, `fail` or `cancel`; later calls do nothing and return 0.

    None of the three waits for the call's row to be on disk: it was begun before sending, and its end is written within 50 ms.
    """

    def __init__(
        self,
        value: T,
        grant: Grant,
        trail: tuple[Attempt, ...],
        opened: Open,
        closer: Closer,
        on_failure: Callable[[Verdict, Hold], Awaitable[None]],
        read: Callable[[Facts], Verdict],
    ) -> None:
        self.value, self.grant, self.trail = value, grant, trail
        self._opened, self._closer, self._on_failure, self._classify = opened, closer, on_failure, read

    async def settle(self, usage: Usage, *, ttft_ms: float | None = None) -> float:
        """The answer is complete. Returns its cost in USD."""
        return self._closer.end(self._opened, self.grant, CallStatus.OK, usage, self.trail, ttft_ms=ttft_ms)

    async def fail(self, facts: Facts, usage: Usage | None = None) -> FailureClass:
        """The answer broke after it had begun; what it used so far is charged. Parks what deserves it. Returns the class of the failure."""
        verdict = self._classify(facts)
        if not self._opened.done:
            last = replace(self.trail[-1], outcome=str(verdict.failure))
            words = f"{verdict.failure}: {verdict.rule}: {verdict.message}"
            self._closer.end(self._opened, self.grant, CallStatus.FAILED, usage, (*self.trail[:-1], last), failure=words)
            await self._on_failure(verdict, self._opened.hold)
        return verdict.failure

    async def cancel(self, usage: Usage | None = None) -> float:
        """The client is gone; what was used so far is charged. Returns the cost in USD."""
        return self._closer.end(self._opened, self.grant, CallStatus.CANCELLED, usage, self.trail, failure="client gone")

    def cost_usd(self, usage: Usage) -> float:
        """What this usage costs on the model that served, for headers before settling."""
        return cost_usd(self.grant, usage)


def cost_usd(grant: Grant, usage: Usage) -> float:
    """The provider's own figure where it states one, else by the model's price; a key of tier FREE is billed nothing."""
    if grant.key.tier is Tier.FREE:
        return 0.0
    if usage.cost_usd is not None:
        return usage.cost_usd
    return grant.model.price.cost_usd(usage.input_tokens, usage.output_tokens, usage.cache_read_tokens, usage.cache_write_tokens)


def attempt_row(attempt: Attempt) -> dict[str, object]:
    return {
        "model_id": attempt.model_id, "provider": attempt.provider, "key_id": attempt.key_id, "outcome": attempt.outcome,
        "duration_ms": round(attempt.duration_ms, 1),
    }  # fmt: skip


def classifier(state: RouterState, provider: str) -> Callable[[Facts], Verdict]:
    """Reads failures of one provider, which says when its day begins."""
    reset = state.config.models.providers[provider].daily_reset
    return lambda facts: classify(facts, state.clock.now(), reset)
