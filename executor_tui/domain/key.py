"""Keys, quota pools and parks.

Quotas belong to an account, project or organisation, so `provider → quota pool → key`: rotating keys inside one pool gains nothing.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from executor_tui.domain.model import Tier


class KeyState(StrEnum):
    UNVERIFIED = "unverified"
    VERIFIED = "verified"
    INVALID = "invalid"
    DISABLED = "disabled"


class ParkScope(StrEnum):
    """What a park stops: one model of a quota pool, the whole pool, or one key."""

    POOL_MODEL = "pool_model"
    POOL = "pool"
    KEY = "key"


class ParkSource(StrEnum):
    """How sure we are of the end: the provider said it, we computed it from a known window, it is a guess, or a person set it."""

    PROVIDER = "provider"
    COMPUTED = "computed"
    GUESS = "guess"
    OPERATOR = "operator"


class FailureClass(StrEnum):
    """Why a call failed, in our own words; config-free table in hydra/failures.py decides what follows."""

    RATE_LIMITED = "rate_limited"
    QUOTA_EXHAUSTED = "quota_exhausted"
    CREDIT = "credit"
    OVERLOADED = "overloaded"
    SERVER = "server"
    NETWORK = "network"
    TIMEOUT = "timeout"
    AUTH = "auth"
    FORBIDDEN_MODEL = "forbidden_model"
    CONTEXT_LENGTH = "context_length"
    CONTENT_FILTER = "content_filter"
    BAD_REQUEST = "bad_request"
    TRUNCATED = "truncated"


@dataclass(frozen=True, slots=True)
class QuotaPool:
    """What a provider counts against: `provider/account`."""

    id: str
    provider: str
    account: str

    @staticmethod
    def id_for(provider: str, account: str) -> str:
        return f"{provider}/{account}"


@dataclass(frozen=True, slots=True)
class Key:
    """A credential. `secret_ref` is where the vault keeps it; `tail` the last four characters for recognition; never the secret."""

    id: str
    provider: str
    pool_id: str
    tier: Tier
    secret_ref: str
    fingerprint: str
    tail: str = ""
    label: str = ""
    state: KeyState = KeyState.UNVERIFIED
    state_reason: str = ""
    created_at: datetime | None = None
    verified_at: datetime | None = None
    last_used_at: datetime | None = None
    calls: int = 0
    failures: int = 0
    cost_usd: float = 0.0


@dataclass(frozen=True, slots=True)
class Park:
    """A quota pool, a model in it, or a key, set aside until `ends_at` (None: until an operator clears it)."""

    id: str
    scope: ParkScope
    pool_id: str
    model_id: str
    key_id: str
    reason: FailureClass | str
    source: ParkSource
    started_at: datetime
    ends_at: datetime | None
    detail: str = ""
    cleared_at: datetime | None = None
    cleared_by: str = ""
