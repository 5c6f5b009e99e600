"""Consent to CRITICAL models: asked for once, waited for within bounds, used as far as it reaches. Silence means no.

A yes holds for one call, for a project up to an amount, or for some minutes. Calls of one project, agent and model share one question; a
client that names its request has a question of its own, found again when it asks again.
"""

import hashlib
import itertools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from executor_tui.core.feed_watch import FeedWatch
from executor_tui.domain.approval import Approval, ApprovalKind, ApprovalScope, ApprovalStatus
from executor_tui.domain.clock import Clock
from executor_tui.domain.crash import crash_point
from executor_tui.domain.model import Model
from executor_tui.hydra.request import RouteRequest
from executor_tui.store.store import Store

NO_HOLDS = timedelta(minutes=15)
"""A no, or silence, answers the same question for this long; then it may be asked again."""
YES_WAITS = timedelta(minutes=60)
"""A yes for one call, given when nobody waited any more, serves the next such call for this long."""


@dataclass(frozen=True, slots=True)
class Consent:
    """`outcome`: approved, approval denied, approval expired, approval pending. `approval_id` is what the call is charged to."""

    given: bool
    outcome: str
    approval_id: str = ""
    ticket: int = 0


class CriticalGate:
    """Asks, waits and remembers what is on its way under each consent. One per process."""

    def __init__(self, store: Store, clock: Clock, feed: FeedWatch, flush: Callable[[], Awaitable[None]]) -> None:
        """`flush` writes what calls have cost so far, so that what is left of a consent is read right."""
        self._store, self._clock, self._feed, self._flush = store, clock, feed, flush
        self._on_its_way: dict[int, tuple[str, float]] = {}
        self._tickets = itertools.count(1)

    async def consent(
        self, model: Model, request: RouteRequest, estimate_usd: float, *, wait_s: float, expire_minutes: float, if_denied: str
    ) -> Consent:
        """Whether this call may use this model. Waits for a person for at most `wait_s` after the question was first asked."""
        while True:
            if (standing := await self._standing(model, request, estimate_usd)) is not None:
                return self._given(standing, estimate_usd)
            approval = await self._question(model, request, estimate_usd, expire_minutes, if_denied)
            approval = await self._decided(approval, wait_s)
            if approval.status is ApprovalStatus.PENDING:
                return Consent(False, "approval pending", approval.id)
            if approval.status is not ApprovalStatus.APPROVED:
                denied = approval.status is ApprovalStatus.DENIED
                return Consent(False, "approval denied" if denied else "approval expired", approval.id)
            if approval.scope is ApprovalScope.ONCE and await self._store.approvals.use_once(approval.id):
                crash_point("call.consent_used")
                return self._given(approval, estimate_usd)
            if approval.scope is not ApprovalScope.ONCE and not self._has_room(approval, estimate_usd):
                return Consent(False, "approval spent", approval.id)

    def settled(self, consent: Consent) -> None:
        """The call under this consent has ended, however. Saying so twice does nothing."""
        self._on_its_way.pop(consent.ticket, None)

    def _given(self, approval: Approval, estimate_usd: float) -> Consent:
        ticket = next(self._tickets)
        self._on_its_way[ticket] = (approval.id, estimate_usd)
        return Consent(True, "approved", approval.id, ticket)

    def _has_room(self, approval: Approval, estimate_usd: float) -> bool:
        on_its_way = sum(usd for approval_id, usd in self._on_its_way.values() if approval_id == approval.id)
        return approval.limit_usd is None or approval.spent_usd + on_its_way + estimate_usd <= approval.limit_usd

    async def _standing(self, model: Model, request: RouteRequest, estimate_usd: float) -> Approval | None:
        await self._flush()
        standing = await self._store.approvals.standing(request.project_id or None, model.id)
        return next((a for a in standing if self._has_room(a, estimate_usd)), None)

    async def _question(self, model: Model, request: RouteRequest, estimate_usd: float, expire_minutes: float, if_denied: str) -> Approval:
        """The open question, the answer that still holds, or a new question."""
        now = self._clock.now()
        subject = _subject(model, request)
        before = await self._store.approvals.about(subject)
        for approval in before:
            if _still_answers(approval, now, bool(request.request_id)):
                return approval
        return await self._store.approvals.request(
            Approval(
                _id(subject, len(before)), ApprovalKind.CRITICAL_MODEL, f"use {model.id}, a critical model",
                why=_why(request), if_denied=if_denied, agent_id=request.agent_id, project_id=request.project_id or None, model_id=model.id,
                subject_id=subject, estimate_usd=estimate_usd, created_at=now, expires_at=now + timedelta(minutes=expire_minutes),
                details={"input_tokens": request.input_tokens, "output_tokens": request.output_tokens,
                         "virtual_key": request.token.name if request.token else "", "requested_model": request.model},
            )
        )  # fmt: skip

    async def _decided(self, approval: Approval, wait_s: float) -> Approval:
        """The question once it is decided, or as it stands when the time to wait is over."""
        asked_at = approval.created_at or self._clock.now()
        give_up_s = self._clock.monotonic_s() + wait_s - (self._clock.now() - asked_at).total_seconds()
        while approval.status is ApprovalStatus.PENDING:
            now, seen = self._clock.now(), self._feed.version("approvals")
            if approval.expires_at is not None and approval.expires_at <= now:
                await self._store.approvals.expire(now)
                return await self._store.approvals.get(approval.id)
            approval = await self._store.approvals.get(approval.id)
            left_s = give_up_s - self._clock.monotonic_s()
            if approval.status is not ApprovalStatus.PENDING or left_s <= 0:
                break
            if approval.expires_at is not None:
                left_s = min(left_s, (approval.expires_at - now).total_seconds())
            await self._feed.newer("approvals", seen, left_s)
        return approval


def _subject(model: Model, request: RouteRequest) -> str:
    """What the question is about: the same for every call that may share its answer. A digest: ids of requests come from outside."""
    who = (request.project_id, request.agent_id, request.token_id, request.request_id, model.id)
    return "critical-" + hashlib.sha256("\0".join(who).encode()).hexdigest()[:24]


def _id(subject: str, number: int) -> str:
    return "apr-" + hashlib.sha256(f"{subject}\0{number}".encode()).hexdigest()[:10]


def _why(request: RouteRequest) -> str:
    who = request.agent_id or (f"virtual key {request.token.name}" if request.token else "a client")
    where = f" for project {request.project_id}" if request.project_id else ""
    return request.why or f"{who} asks for {request.model}{where}"


def _still_answers(approval: Approval, now: datetime, own_question: bool) -> bool:
    """Whether this approval is the answer to the question asked now."""
    if approval.status is ApprovalStatus.PENDING:
        return True
    if approval.decided_at is None or approval.status is ApprovalStatus.CANCELLED:
        return False
    if approval.status is ApprovalStatus.APPROVED:
        return approval.scope is ApprovalScope.ONCE and approval.valid_until is None and now - approval.decided_at < YES_WAITS
    return own_question or now - approval.decided_at < NO_HOLDS
