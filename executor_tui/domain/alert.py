"""Alerts: a row before it is a message."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class Severity(StrEnum):
    INFO = "info"
    NOTICE = "notice"
    WARNING = "warning"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        return _RANK[self]


_RANK = {Severity.INFO: 0, Severity.NOTICE: 1, Severity.WARNING: 2, Severity.CRITICAL: 3}


class DeliveryStatus(StrEnum):
    PENDING = "pending"
    SENT = "sent"
    DEAD = "dead"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Alert:
    """`dedupe_key` makes a repeated alert one row; `group` lets many of a kind be told as one ("37 keys parked")."""

    id: str
    dedupe_key: str
    severity: Severity
    title: str
    body: str = ""
    group: str = ""
    subject_id: str = ""
    data: dict[str, object] = field(default_factory=dict)
    created_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Delivery:
    """One alert on its way to one channel.

    `seq` keeps alerts raised at the same moment in order. `remote_id` is what the channel calls the message; `settled_at` when the
    message was last edited because what it asked for had been decided.
    """

    id: str
    alert_id: str
    channel: str
    status: DeliveryStatus = DeliveryStatus.PENDING
    attempts: int = 0
    next_at: datetime | None = None
    sent_at: datetime | None = None
    remote_id: str = ""
    error: str = ""
    seq: int = 0
    settled_at: datetime | None = None
