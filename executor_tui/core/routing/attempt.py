"""One attempt over one route: reserve, record, send, and say what came of it. Whatever happens, everything held is given back once."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from executor_tui.core.critical import Consent
from executor_tui.core.routing.served import Closer, Open, Served, attempt_row, classifier
from executor_tui.core.routing.spend import SpendKeeper
from executor_tui.core.routing.state import RouterState
from executor_tui.domain.call import Attempt, Call, CallStatus
from executor_tui.domain.crash import crash_point
from executor_tui.domain.errors import VaultError
from executor_tui.domain.event import Event, Level
from executor_tui.domain.ids import new_id
from executor_tui.domain.key import FailureClass, ParkSource
from executor_tui.domain.model import Model, Route
from executor_tui.hydra.budgets import Cap
from executor_tui.hydra.failures import ParkOrder, Reach, Verdict
from executor_tui.hydra.learn import from_headers
from executor_tui.hydra.pool import Hold
from executor_tui.hydra.providers.base import Facts, ProviderFailure, Usage
from executor_tui.hydra.request import Grant, HasHeaders, RouteRequest
from executor_tui.hydra.search import Pick

T = TypeVar("T", bound=HasHeaders)

REPLY_TOKENS_PER_S = 20.0
"""A whole reply is silent until it is finished: so slow a model is still given its time."""
GRACE_S = 1.0
"""The provider gives up by itself at the deadline; this much later it is not waited for any longer."""


@dataclass(frozen=True, slots=True)
class Found:
    """A route and a key that may be used now, and what the call is estimated to cost with them."""

    route: Route
    pick: Pick
    estimate_usd: float


class Attempts(Generic[T]):
    """The attempts of one request: its row, its trail, its money."""

    def __init__(
        self,
        state: RouterState,
        spend: SpendKeeper,
        closer: Closer,
        node_id: str,
        request: RouteRequest,
        send: Callable[[Grant], Awaitable[T]],
        deadline_s: float,
    ) -> None:
        self._state, self._spend, self._closer = state, spend, closer
        self._request, self._send, self._deadline_s = request, send, deadline_s
        self._started = state.now()
        self._call = Call(
            new_id("call", state.rng), CallStatus.IN_FLIGHT, request.model, token_id=request.token_id, agent_id=request.agent_id,
            project_id=request.project_id, started_at=self._started.wall, node_id=node_id,
        )  # fmt: skip
        self._begun = False
        self.caps: tuple[Cap, ...] = ()
        self.trail: list[Attempt] = []
        self.count = 0
        self.answered = False
        self.facts: Facts | None = None
        """Of the last failure."""

    async def attempt(self, model: Model, found: Found, consent: Consent | None) -> Served[T] | Verdict:
        """Send once. Returns the answer, or what the failure means. Raises what is no failure of the provider's."""
        opened = self._open(model, found, consent)
        grant: Grant | None = None
        sent_s = self._state.clock.monotonic_s()
        try:
            await self._record(opened, model, found)
            crash_point("call.begun")
            grant = self._grant(model, found, consent, await self._state.secret(found.pick.key))
            sent_s = self._state.clock.monotonic_s()
            async with asyncio.timeout(grant.total_s + GRACE_S):
                value = await self._send(grant)
            crash_point("call.answered")
            return await self._answered(opened, grant, found, value, sent_s)
        except ProviderFailure as exc:
            return self._failed(opened, model, found, exc.facts, sent_s)
        except VaultError as exc:
            return self._unopened(opened, model, found, exc)
        except TimeoutError:
            late = Facts(found.route.provider, "timeout", where="total", detail="the deadline of the request passed")
            return self._failed(opened, model, found, late, sent_s)
        except BaseException as exc:
            self._abandon(opened, grant, exc)
            raise

    def passed_over(self, model: Model, provider: str, outcome: str) -> None:
        """A candidate that belongs in the trail though nothing was sent to it."""
        self.trail.append(Attempt(model.id, provider, "", outcome))

    def end_unserved(self, failure: str, status: CallStatus = CallStatus.FAILED) -> None:
        """Close the row of a call that nobody answered."""
        if self._begun:
            self._begun = False
            now = self._state.now()
            rows, duration_ms = tuple(attempt_row(a) for a in self.trail), (now.mono_s - self._started.mono_s) * 1e3
            call = replace(self._call, status=status, failure=failure[:300], trail=rows, ended_at=now.wall, duration_ms=duration_ms)
            self._state.ledger.settle(call)

    # -- before sending

    def _open(self, model: Model, found: Found, consent: Consent | None) -> Open:
        pick = found.pick
        hold = self._state.pool.take(pick, self._state.selector.need(model, self._request), self._state.now(), self._request.sticky)
        scopes, key_scopes = tuple(cap.scope for cap in self.caps), self._spend.key_scope(pick.key.id, self._started.wall)
        self._spend.book.begin(scopes, found.estimate_usd, requests=0 if self.count else 1)
        self._spend.book.begin(key_scopes, found.estimate_usd, requests=1)
        self.count += 1
        return Open(self._call, hold, (*scopes, *key_scopes), found.estimate_usd, self._started.mono_s, consent)

    async def _record(self, opened: Open, model: Model, found: Found) -> None:
        """The call's row and the day's counters, on disk before anything is sent. Raises StoreError."""
        counters = self._state.counters(found.pick)
        if self._begun:
            if counters:
                self._state.ledger.count(counters)
                await self._state.ledger.flush()
            return
        self._begun = True
        self._call = opened.call = replace(
            self._call, model_id=model.id, provider=found.route.provider, pool_id=found.pick.pool_id, key_id=found.pick.key.id,
            estimate_usd=found.estimate_usd,
        )  # fmt: skip
        await self._state.ledger.begin(self._call, counters)

    def _grant(self, model: Model, found: Found, consent: Consent | None, secret: str) -> Grant:
        gateway = self._state.config.executor.gateway
        left_s = max(self._deadline_s - self._state.clock.monotonic_s(), 0.001)
        first_s, stall_s = model.silence_s or gateway.first_token_s, model.silence_s or gateway.stall_s
        if not self._request.is_stream:
            first_s += min(self._request.output_tokens, model.max_output_tokens) / REPLY_TOKENS_PER_S
        return Grant(
            self._call.id, model, found.route, found.pick.key, self._state.pool.providers[found.route.provider], secret, found.estimate_usd,
            min(first_s, left_s), min(stall_s, left_s), left_s, consent.approval_id if consent else "",
        )  # fmt: skip

    # -- after sending

    async def _answered(self, opened: Open, grant: Grant, found: Found, value: T, sent_s: float) -> Served[T]:
        now = self._state.now()
        self._state.pool.answered(opened.hold, now)
        self.answered = True
        self.trail.append(self._line(grant.model, found, "ok", sent_s))
        self._state.learn(found.pick, from_headers(value.headers, now.wall), now)
        await self._state.succeeded(found.pick, now)
        if len(self.trail) > 1:
            self._tell_fallback(grant)
        read = classifier(self._state, found.route.provider)
        return Served(value, grant, tuple(self.trail), opened, self._closer, self._park_later, read)

    async def _park_later(self, verdict: Verdict, hold: Hold) -> None:
        now = self._state.now()
        self._state.learn(hold.pick, verdict.learned, now)
        await self._state.park(verdict, hold.pick, now)

    def _failed(self, opened: Open, model: Model, found: Found, facts: Facts, sent_s: float) -> Verdict:
        self.facts = facts
        verdict = classifier(self._state, found.route.provider)(facts)
        self.trail.append(self._line(model, found, str(verdict.failure), sent_s))
        self._state.learn(found.pick, verdict.learned, self._state.now())
        self._closer.give_back(opened, sent=not (verdict.failure is FailureClass.NETWORK or facts.where == "connect"))
        return verdict

    def _unopened(self, opened: Open, model: Model, found: Found, error: VaultError) -> Verdict:
        """The key cannot be decrypted: as good as refused, and the operator must hear of it."""
        self._closer.give_back(opened, sent=False)
        self.trail.append(self._line(model, found, "key cannot be opened", self._state.clock.monotonic_s()))
        self._state.store.events.emit(Event("key.unopened", error.message, Level.ERROR, subject_id=found.pick.key.id))
        order = ParkOrder(Reach.KEY, ParkSource.GUESS, base_s=60.0, cap_s=3600.0)
        return Verdict(FailureClass.AUTH, "the key cannot be opened", error.message, order)

    def _abandon(self, opened: Open, grant: Grant | None, why: BaseException) -> None:
        """The caller is gone, or something of ours broke: let go of everything and write down how it ended."""
        cancelled = isinstance(why, asyncio.CancelledError)
        status, words = (CallStatus.CANCELLED, "client gone") if cancelled else (CallStatus.FAILED, type(why).__name__)
        if grant is None:
            self._closer.give_back(opened, sent=False)
            self.end_unserved(words, status)
            return
        usage = Usage(input_tokens=self._request.input_tokens, reported=False) if cancelled else None
        self._closer.end(opened, grant, status, usage, tuple(self.trail), failure=words)

    def _line(self, model: Model, found: Found, outcome: str, since_s: float) -> Attempt:
        duration_ms = (self._state.clock.monotonic_s() - since_s) * 1e3
        return Attempt(model.id, found.route.provider, found.pick.key.id, outcome, duration_ms, found.pick.pool_id)

    def _tell_fallback(self, grant: Grant) -> None:
        before = ", ".join(f"{a.model_id} at {a.provider}: {a.outcome.replace('_', ' ')}" for a in self.trail[:-1])
        request = self._request
        event = Event(
            "call.fell_back", f"{grant.model.id} answers a call for {request.model} ({before})", Level.WARNING, request.agent_id,
            request.project_id, self._call.id, {"trail": [attempt_row(a) for a in self.trail]},
        )  # fmt: skip
        self._state.store.events.emit(event)
