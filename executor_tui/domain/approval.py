"""Approvals: one explicit, recorded decision before money or a machine is touched. Silence means no."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class ApprovalKind(StrEnum):
    CRITICAL_MODEL = "critical_model"
    CHANGE = "change"


class ApprovalStatus(StrEnum):
    PENDING = "pending"
    APPROVED = "approved"
    DENIED = "denied"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


OFFERED_MINUTES = 30.0
"""How long a yes to every such call is offered for."""


class ApprovalScope(StrEnum):
    """How far a yes reaches: this call, this project up to an amount, or some minutes."""

    ONCE = "once"
    PROJECT = "project"
    MINUTES = "minutes"


@dataclass(frozen=True, slots=True)
class Approval:
    """A request for consent and, once decided, its decision.

    `subject` is what is asked for in one line; `why` who wants it and for what; `if_denied` what happens on no. `subject_id` ties it to the
    call or change that waits. `confirm_word` must be typed for destructive changes. `limit_usd` and `valid_until` bound an approved scope.
    """

    id: str
    kind: ApprovalKind
    subject: str
    why: str = ""
    if_denied: str = ""
    status: ApprovalStatus = ApprovalStatus.PENDING
    agent_id: str = ""
    project_id: str | None = None
    model_id: str = ""
    subject_id: str = ""
    estimate_usd: float = 0.0
    risk: str = ""
    confirm_word: str = ""
    details: dict[str, object] = field(default_factory=dict)
    created_at: datetime | None = None
    expires_at: datetime | None = None
    scope: ApprovalScope = ApprovalScope.ONCE
    limit_usd: float | None = None
    spent_usd: float = 0.0
    valid_until: datetime | None = None
    decided_at: datetime | None = None
    decided_by: str = ""
    decided_via: str = ""

    @property
    def word(self) -> str:
        """What a person must type to say yes, whatever the way they say it; empty when a press is enough."""
        return self.confirm_word or (self.id if self.risk == "destructive" else "")

    @property
    def offered_usd(self) -> float:
        """The amount offered for a yes to the whole project: room for ten such calls, a dollar at least. Budgets still bound it."""
        return max(1.0, round(10 * self.estimate_usd, 2))


@dataclass(frozen=True, slots=True)
class Decision:
    """What a person said."""

    approved: bool
    by: str
    via: str
    scope: ApprovalScope = ApprovalScope.ONCE
    limit_usd: float | None = None
    minutes: float | None = None
