"""What went wrong, in the words of the surface the client speaks: OpenAI's error object or Anthropic's."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from executor_tui.domain.call import Attempt
from executor_tui.domain.errors import (
    BudgetError,
    ConsentError,
    ExecutorError,
    NothingAvailableError,
    StoreError,
    UsageError,
)
from executor_tui.domain.key import FailureClass
from executor_tui.hydra.providers.base import Facts
from executor_tui.hydra.providers.sse import encode
from executor_tui.hydra.request import NothingServedError, RequestRefused

Surface = Literal["chat", "responses", "messages"]
PATIENCE_S = 60.0
"""The SDKs of OpenAI and Anthropic wait for a Retry-After up to this long; told to come back later, they should not try at all."""

_ANTHROPIC_TYPES = {
    400: "invalid_request_error", 401: "authentication_error", 402: "billing_error", 403: "permission_error", 404: "not_found_error",
    413: "request_too_large", 429: "rate_limit_error", 503: "overloaded_error", 504: "timeout_error",
}  # fmt: skip
_OPENAI_TYPES = {
    400: "invalid_request_error", 401: "authentication_error", 402: "budget_exceeded", 403: "permission_error",
    404: "invalid_request_error", 413: "invalid_request_error", 429: "rate_limit_exceeded", 503: "server_error",
}  # fmt: skip
_STATUS_OF_CLASS = {FailureClass.CONTEXT_LENGTH: 400, FailureClass.CONTENT_FILTER: 400, FailureClass.BAD_REQUEST: 400}
_CODE_OF_CLASS = {FailureClass.CONTEXT_LENGTH: "context_length_exceeded", FailureClass.CONTENT_FILTER: "content_filter"}


@dataclass(frozen=True, slots=True)
class Problem:
    """An error on its way to a client. `available_at` is when asking again may help."""

    status: int
    code: str
    message: str
    available_at: datetime | None = None
    retry_after_s: int | None = None
    trail: tuple[Attempt, ...] = ()
    details: dict[str, Any] = field(default_factory=dict)


class GatewayRefusal(ExecutorError):
    """A request refused at the door."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code = status, code


def problem_of(exc: ExecutorError, now: datetime) -> Problem:
    """What to answer for an error of ours."""
    if isinstance(exc, GatewayRefusal):
        return Problem(exc.status, exc.code, exc.message)
    if isinstance(exc, RequestRefused):
        status = exc.status if 400 <= exc.status < 500 else _STATUS_OF_CLASS.get(exc.failure, 400)
        return Problem(status, _CODE_OF_CLASS.get(exc.failure, "invalid_request"), exc.message, trail=exc.trail)
    if isinstance(exc, NothingAvailableError):
        return _nothing(exc, now)
    if isinstance(exc, BudgetError):
        return Problem(402, "budget_exceeded", _said(exc))
    if isinstance(exc, ConsentError):
        return Problem(403, "approval_denied", exc.message)
    if isinstance(exc, UsageError):
        return Problem(404, "model_not_found", _said(exc))
    if isinstance(exc, StoreError):
        return Problem(503, "store_unavailable", f"{exc.message}; nothing was sent")
    return Problem(500, "internal_error", exc.message)


def _said(exc: ExecutorError) -> str:
    """What is wrong, and what can be done about it."""
    return f"{exc.message} ({exc.hint})" if exc.hint else exc.message


def _nothing(exc: NothingAvailableError, now: datetime) -> Problem:
    trail = exc.trail if isinstance(exc, NothingServedError) else ()
    details: dict[str, Any] = {"reasons": list(exc.reasons)} if isinstance(exc, NothingServedError) else {}
    message = _said(exc)
    if exc.available_at is None:
        return Problem(503, "nothing_available", message, trail=trail, details=details)
    wait_s = max(1, math.ceil((exc.available_at - now).total_seconds()))
    return Problem(429, "nothing_available", message, exc.available_at, wait_s, trail, details)


def headers_of(problem: Problem) -> dict[str, str]:
    """Reply headers of an error."""
    headers: dict[str, str] = {}
    if problem.retry_after_s is not None:
        headers["retry-after"] = str(problem.retry_after_s)
        headers["x-should-retry"] = "true" if problem.retry_after_s <= PATIENCE_S else "false"
    elif problem.status in (402, 503):
        headers["x-should-retry"] = "false"
    if problem.trail:
        headers["x-executor-trail"] = trail_text(problem.trail)
    return headers


def body_of(problem: Problem, surface: Surface) -> dict[str, Any]:
    """The JSON of an error."""
    details = dict(problem.details)
    if problem.available_at is not None:
        details["available_at"] = problem.available_at.isoformat().replace("+00:00", "Z")
    if surface == "messages":
        kind = _ANTHROPIC_TYPES.get(problem.status, "api_error")
        return {"type": "error", "error": {"type": kind, "message": problem.message, "code": problem.code, **details}}
    kind = _OPENAI_TYPES.get(problem.status, "server_error")
    return {"error": {"message": problem.message, "type": kind, "param": None, "code": problem.code, **details}}


def event_of(problem: Problem, surface: Surface) -> bytes:
    """An error inside a stream that has begun. A chat stream ends with it, without [DONE]: the answer is not whole."""
    body = body_of(problem, surface)
    if surface == "chat":
        return encode("", json.dumps(body).encode())
    if surface == "messages":
        return encode("error", json.dumps(body).encode())
    event = {"type": "error", "code": problem.code, "message": problem.message, "param": None, "sequence_number": 1_000_000}
    return encode("error", json.dumps(event).encode())


def broken_stream(facts: Facts, failure: FailureClass | str) -> Problem:
    """A stream that broke after its first byte."""
    said = facts.detail or facts.where or f"status {facts.status}"
    return Problem(502, str(failure), f"the answer broke off at {facts.provider}: {said}")


def trail_text(trail: Sequence[Attempt]) -> str:
    """`model@provider/key=outcome` per attempt, in order; fit for a header."""
    parts = (f"{a.model_id}@{a.provider}/{a.key_id}={a.outcome}" for a in trail)
    return header_text(", ".join(parts))


def header_text(text: str, limit: int = 4_000) -> str:
    """Printable ASCII on one line."""
    if text.isascii() and text.isprintable():
        return text[:limit]
    return "".join(c if " " <= c <= "~" else "?" for c in text)[:limit]
