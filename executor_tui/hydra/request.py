"""What a caller asks of the model router, and what it is given: the seam between the gateway and Hydra."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from executor_tui.config.models import ProviderSettings
from executor_tui.domain.call import Attempt, VirtualKey
from executor_tui.domain.errors import ExecutorError, NothingAvailableError
from executor_tui.domain.key import FailureClass, Key
from executor_tui.domain.model import Capability, Complexity, Model, Route
from executor_tui.hydra.providers.base import Facts, Wire

DEFAULT_OUTPUT_TOKENS = 1_024
"""What a reply is taken to be long when the client gives no limit."""


class HasHeaders(Protocol):
    """What `send` must return: anything that carries the provider's reply headers, from which limits are learned."""

    @property
    def headers(self) -> Mapping[str, str]: ...


@dataclass(frozen=True, slots=True)
class RouteRequest:
    """One request for a model.

    `model`: a registry id or `executor/auto|free|standard|premium|critical`; `complexity` is for `executor/auto` only (None: moderate).
    `input_tokens` is an estimate; `max_output_tokens` what the client allows, None when it says nothing. `budget_usd` bounds the estimate
    of this one call. `chain` replaces the fallback chain; an empty tuple means no fallback at all. `deadline_s` is the wall-clock budget of
    the whole request (None: gateway.request_deadline_s). With `may_wait` a call that would be refused waits its turn for the model asked
    for, up to `max_wait_s`, before it falls back. `approval_wait_s`: how long to wait for consent (None: gateway.approval_wait_s).
    `sticky`: calls with the same value prefer the same quota pool and key (prompt caches). `providers`: only routes of these providers.
    `request_id`: the client's own id of this request; asking again with it finds the same approval. `why`: what it is for, in one line.
    """

    model: str
    wire: Wire = "chat"
    needs: frozenset[Capability] = frozenset()
    input_tokens: int = 0
    max_output_tokens: int | None = None
    complexity: Complexity | None = None
    budget_usd: float | None = None
    chain: tuple[str, ...] | None = None
    deadline_s: float | None = None
    may_wait: bool = False
    max_wait_s: float | None = None
    approval_wait_s: float | None = None
    agent_id: str = ""
    project_id: str = ""
    token: VirtualKey | None = None
    sticky: str = ""
    is_stream: bool = False
    providers: frozenset[str] | None = None
    request_id: str = ""
    why: str = ""

    @property
    def token_id(self) -> str:
        return self.token.id if self.token else ""

    @property
    def output_tokens(self) -> int:
        """How long a reply to reckon with."""
        return DEFAULT_OUTPUT_TOKENS if self.max_output_tokens is None else self.max_output_tokens


@dataclass(frozen=True, slots=True)
class Grant:
    """Leave to send one attempt: which model over which route with which key, and within which times.

    `provider` are the settings under `providers` in models.json (its `kind` says which Provider sends). `total_s` is what is left of the
    request's deadline. `estimate_usd` is reserved against the budgets until the call is settled.
    """

    call_id: str
    model: Model
    route: Route
    key: Key
    provider: ProviderSettings
    secret: str = field(repr=False)
    estimate_usd: float
    first_token_s: float
    stall_s: float
    total_s: float
    approval_id: str = ""

    @property
    def base_url(self) -> str:
        return self.provider.base_url


class RequestRefused(ExecutorError):
    """The request itself cannot be served: malformed, too long for every model allowed, or refused by a content filter.

    `status` and `body` are the provider's own (`body` is empty when we refused before sending); they are passed on to the client.
    """

    def __init__(
        self,
        message: str,
        *,
        failure: FailureClass,
        status: int,
        body: str = "",
        facts: Facts | None = None,
        trail: tuple[Attempt, ...] = (),
    ) -> None:
        super().__init__(message)
        self.failure, self.status, self.body, self.facts, self.trail = failure, status, body, facts, trail


class NothingServedError(NothingAvailableError):
    """Every candidate was passed over or failed. `trail` says what was tried; `reasons` one line per candidate."""

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        available_at: datetime | None = None,
        trail: tuple[Attempt, ...] = (),
        reasons: tuple[str, ...] = (),
    ) -> None:
        super().__init__(message, hint=hint, available_at=available_at)
        self.trail, self.reasons = trail, reasons
