"""Calls: one row per request to a model, written before it is sent and settled after. Usage and spend are sums over these."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class CallStatus(StrEnum):
    IN_FLIGHT = "in_flight"
    OK = "ok"
    FAILED = "failed"
    CANCELLED = "cancelled"
    LOST = "lost"
    """In flight when its gateway died: the outcome is unknown, the estimate stays counted."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try at one route, for the trail in reply headers and the console."""

    model_id: str
    provider: str
    key_id: str
    outcome: str
    duration_ms: float = 0.0
    pool_id: str = ""


@dataclass(frozen=True, slots=True)
class Call:
    """`requested_model` is what the client asked for; `model_id`, `key_id`, `pool_id` what served it (empty until known).
    `node_id` is the node whose gateway carries it; `approval_id` the consent to a CRITICAL model it is spent under."""

    id: str
    status: CallStatus
    requested_model: str
    model_id: str = ""
    provider: str = ""
    pool_id: str = ""
    key_id: str = ""
    token_id: str = ""
    agent_id: str = ""
    project_id: str = ""
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    estimate_usd: float = 0.0
    cost_usd: float = 0.0
    failure: str = ""
    trail: tuple[dict[str, object], ...] = ()
    started_at: datetime | None = None
    ended_at: datetime | None = None
    ttft_ms: float | None = None
    duration_ms: float | None = None
    node_id: str = ""
    approval_id: str = ""


@dataclass(frozen=True, slots=True)
class VirtualKey:
    """A key of the gateway's own, hashed at rest, scoped to an agent or project and a budget. The secret is shown once, at creation."""

    id: str
    name: str
    digest: str
    agent_id: str = ""
    project_id: str = ""
    budget_usd: float | None = None
    max_requests: int | None = None
    spent_usd: float = 0.0
    requests: int = 0
    created_at: datetime | None = None
    revoked_at: datetime | None = None
    last_used_at: datetime | None = None
