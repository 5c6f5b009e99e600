"""One request on its way: candidate by candidate until one answers, the request is refused, or time is up."""

from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from math import inf
from typing import Generic, TypeVar

from executor_tui.core.critical import Consent, CriticalGate
from executor_tui.core.routing.attempt import Attempts, Found
from executor_tui.core.routing.served import Closer, Served
from executor_tui.core.routing.spend import SpendKeeper
from executor_tui.core.routing.state import RouterState
from executor_tui.domain.errors import BudgetError, ExecutorError
from executor_tui.domain.key import FailureClass
from executor_tui.domain.model import Model, Tier
from executor_tui.hydra.blocked import Blocked
from executor_tui.hydra.failures import ACTIONS, Next, Reach, Verdict, pause_s
from executor_tui.hydra.request import Grant, HasHeaders, NothingServedError, RequestRefused, RouteRequest
from executor_tui.hydra.search import Pick

T = TypeVar("T", bound=HasHeaders)

MAX_ATTEMPTS = 24
JITTER_S = 0.1
"""Those who wait for the same moment look again at slightly different ones."""


@dataclass(slots=True)
class _Tried:
    """What this request has learned about one model's routes."""

    tries: dict[str, int] = field(default_factory=dict)
    dead: set[str] = field(default_factory=set)
    skip: set[str] = field(default_factory=set)


class Run(Generic[T]):
    """Serves one request; made for it and thrown away after."""

    def __init__(
        self,
        state: RouterState,
        spend: SpendKeeper,
        gate: CriticalGate,
        closer: Closer,
        node_id: str,
        request: RouteRequest,
        send: Callable[[Grant], Awaitable[T]],
    ) -> None:
        self._state, self._spend, self._gate, self._request = state, spend, gate, request
        self._allowed_s = request.deadline_s or state.config.executor.gateway.request_deadline_s
        self._deadline_s = state.clock.monotonic_s() + self._allowed_s
        self._attempts = Attempts(state, spend, closer, node_id, request, send, self._deadline_s)
        self._reasons: list[str] = []
        self._ready_s = inf
        self._over = ""
        self._too_long_for = 0
        self._overflow: RequestRefused | None = None

    async def serve(self) -> Served[T]:
        """The whole request. Raises NothingServedError, BudgetError, RequestRefused, UsageError, StoreError."""
        self._attempts.caps = await self._spend.prepare(self._request)
        selector = self._state.selector
        models = deque(selector.candidates(self._request))
        tier, known = (models[0].tier if models else Tier.FREE), {model.id for model in models}
        first: Model | None = None
        try:
            while models and self._may_go_on():
                model = models.popleft()
                if (reason := self._unfit(model)) is None:
                    first = first or model
                    served = await self._try_model(model, in_line=model is first, following=models[0].id if models else "")
                    if served is not None:
                        return served
                else:
                    self._reasons.append(f"{model.id}: {reason}")
                if self._request.chain is None and self._unfit(model) is not None and self._is_too_small(model):
                    larger = selector.registry.larger(model.context_tokens, tier, frozenset(known))
                    models.extend(larger)
                    known.update(m.id for m in larger)
        except ExecutorError as exc:
            self._attempts.end_unserved(exc.message)
            raise
        failure = self._failure()
        self._attempts.end_unserved("; ".join(self._reasons) or failure.message)
        raise failure

    def _unfit(self, model: Model) -> str | None:
        if (reason := self._state.selector.unfit(model, self._request)) is not None:
            return reason
        return "a model with as much room refused it as too long" if model.context_tokens <= self._too_long_for else None

    def _is_too_small(self, model: Model) -> bool:
        return self._state.selector.too_long(model, self._request) or model.context_tokens <= self._too_long_for

    def _may_go_on(self) -> bool:
        return self._left_s() > 0 and self._attempts.count < MAX_ATTEMPTS

    def _left_s(self) -> float:
        return self._deadline_s - self._state.clock.monotonic_s()

    # -- one model

    async def _try_model(self, model: Model, *, in_line: bool, following: str) -> Served[T] | None:
        """Every route and key of a model, as far as its failures allow. None: go on with the next model."""
        tried, consent = _Tried(), None
        try:
            while self._may_go_on():
                found = self._find(model, tried)
                if isinstance(found, Blocked) and in_line and self._request.may_wait:
                    found = await self._wait_turn(model, tried, found)
                if isinstance(found, Blocked):
                    self._reasons.append(f"{model.id}: {found.reason}")
                    self._ready_s = min(self._ready_s, found.ready_s, self._parked_until_s(model))
                    return None
                if self._breaks_budget(model, found):
                    return None
                if model.tier is Tier.CRITICAL and consent is None:
                    consent = await self._consent(model, found, following)
                    if not consent.given:
                        return None
                    continue  # the wait may have been long: look again
                outcome = await self._attempts.attempt(model, found, consent)
                if isinstance(outcome, Served):
                    return outcome
                if not await self._go_on(model, found, outcome, tried):
                    return None
            return None
        finally:
            if consent is not None and not self._attempts.answered:
                self._gate.settled(consent)

    def _parked_until_s(self, model: Model) -> float:
        """When a later request may find the model again, whatever this one has given up on."""
        again = self._find(model, _Tried(), in_turn=True)
        return again.ready_s if isinstance(again, Blocked) else inf

    def _find(self, model: Model, tried: _Tried, *, in_turn: bool = False) -> Found | Blocked:
        """A key over one of the model's routes. Nobody goes before those who wait for the same model."""
        if not in_turn and (ahead := self._state.room.waiting_for(model.id)):
            return Blocked(f"{ahead} calls wait for it already", on_release=True)
        now, selector = self._state.now(), self._state.selector
        estimate = selector.estimate_usd(model, self._request)
        best: Blocked | None = None
        for route in selector.routes(model, self._request):
            if route.provider in tried.dead:
                continue
            key_check = lambda key_id: self._spend.key_blocked(key_id, estimate, now)  # noqa: E731 - closes over this look's numbers
            found = selector.find(model, route, self._request, now, tried.skip, key_check)
            if isinstance(found, Pick):
                return Found(route, found, 0.0 if found.key.tier is Tier.FREE else estimate)
            best = found if best is None else best.or_else(found)
        return best or Blocked("every route to it was tried", never=True)

    async def _wait_turn(self, model: Model, tried: _Tried, blocked: Blocked) -> Found | Blocked:
        """Queue for the model until there is a key, the time to wait is over, or waiting cannot help."""
        now_s, most_s = self._state.clock.monotonic_s(), self._request.max_wait_s
        until_s = min(self._deadline_s, now_s + (inf if most_s is None else most_s))
        if not _worth_waiting(blocked, until_s):
            return blocked
        tried.skip.clear()  # what was refused is parked; once that is over it may be used again
        with self._state.room.place(model.id) as place:
            while True:
                now_s = self._state.clock.monotonic_s()
                pause = until_s - now_s
                if place.first:
                    found = self._find(model, tried, in_turn=True)
                    if isinstance(found, Found) or not _worth_waiting(found, until_s):
                        return found
                    blocked = found
                    pause = min(pause, found.ready_s - now_s + self._jitter() * JITTER_S)
                if now_s >= until_s:
                    return blocked
                await place.wait(self._state.clock, max(pause, 0.001))

    def _breaks_budget(self, model: Model, found: Found) -> bool:
        over = self._spend.over(self._attempts.caps, found.estimate_usd)
        if over is None:
            return False
        self._over = self._over or over.message
        self._reasons.append(f"{model.id}: {over.message}")
        return True

    async def _consent(self, model: Model, found: Found, following: str) -> Consent:
        settings = self._state.config.executor
        wait_s = settings.gateway.approval_wait_s if self._request.approval_wait_s is None else self._request.approval_wait_s
        consent = await self._gate.consent(
            model,
            self._request,
            found.estimate_usd,
            wait_s=min(wait_s, self._left_s() / 2 if following else self._left_s()),
            expire_minutes=settings.approvals.expire_minutes,
            if_denied=f"the call goes on with {following}" if following else "the call fails",
        )
        if not consent.given:
            self._attempts.passed_over(model, found.route.provider, consent.outcome)
            self._reasons.append(f"{model.id}: {consent.outcome}")
        return consent

    # -- after a failed attempt

    async def _go_on(self, model: Model, found: Found, verdict: Verdict, tried: _Tried) -> bool:
        """Pause, park, and mark what must not be tried again. False: this model is done with. Raises RequestRefused."""
        action, provider = ACTIONS[verdict.failure], found.route.provider
        tried.tries[provider] = tries = tried.tries.get(provider, 0) + 1
        if action.next is Next.SAME and tries < action.tries:
            pause = pause_s(tries, self._jitter())
            if pause < self._left_s():
                await self._state.clock.sleep(pause)
                return True
        await self._state.park(verdict, found.pick, self._state.now())
        self._reasons.append(f"{model.id}: {str(verdict.failure).replace('_', ' ')} at {provider}: {verdict.message}"[:300])
        match action.next:
            case Next.GIVE_UP:
                if verdict.failure is FailureClass.BAD_REQUEST and self._fell_back(model):
                    return False
                raise self._refused(verdict)
            case Next.LARGER:
                self._too_long_for = max(self._too_long_for, model.context_tokens)
                self._overflow = self._refused(verdict)
                return False
            case Next.KEY if verdict.park is not None and verdict.park.reach is not Reach.ROUTE:
                tried.skip.add(found.pick.key.id if verdict.park.reach is Reach.KEY else found.pick.pool_id)
            case _:
                tried.dead.add(provider)
        return True

    def _fell_back(self, model: Model) -> bool:
        """Whether another model was tried before: then a request it cannot read says more of the model than of the request."""
        return any(attempt.model_id != model.id for attempt in self._attempts.trail)

    def _refused(self, verdict: Verdict) -> RequestRefused:
        facts = self._attempts.facts
        assert facts is not None
        return RequestRefused(
            f"{facts.provider} refused the request ({verdict.rule}): {verdict.message}", failure=verdict.failure,
            status=facts.status if 400 <= facts.status < 500 else 400, body=facts.body, facts=facts, trail=tuple(self._attempts.trail),
        )  # fmt: skip

    # -- the end without an answer

    def _failure(self) -> ExecutorError:
        trail, reasons = tuple(self._attempts.trail), "; ".join(self._reasons[:6])
        if self._overflow is not None and all(a.outcome == FailureClass.CONTEXT_LENGTH for a in trail):
            self._overflow.trail = trail
            return self._overflow
        if not self._attempts.count and self._all_too_small():
            message = f"about {self._request.input_tokens:,} tokens are too long for every model allowed ({reasons})"
            return RequestRefused(message, failure=FailureClass.CONTEXT_LENGTH, status=400, trail=trail)
        if self._over and not self._attempts.count:
            return BudgetError(self._over, hint="raise the budget; a daily one begins anew at midnight UTC")
        now = self._state.now()
        at = None if self._ready_s == inf else now.wall_at(self._ready_s)
        message = f"nothing can serve {self._request.model} now: {reasons or 'no model of that kind'}"
        if self._left_s() <= 0:
            message = f"the deadline of {self._allowed_s:g} s passed before {self._request.model} answered: {reasons}"
        hint = "" if at else "see why with: executor route; add a key with: executor keys add PROVIDER"
        return NothingServedError(message, hint=hint, available_at=at, trail=trail, reasons=tuple(self._reasons))

    def _all_too_small(self) -> bool:
        models = self._state.selector.candidates(self._request)
        return bool(models) and all(self._state.selector.too_long(m, self._request) for m in models)

    def _jitter(self) -> float:
        return self._state.rng(10_000) / 10_000


def _worth_waiting(blocked: Blocked, until_s: float) -> bool:
    return not blocked.never and (blocked.on_release or blocked.ready_s <= until_s)
