"""Outages and what was done about them."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class OutageKind(StrEnum):
    """`first_start` and `clean_stop` need no report; the others each get exactly one. `scan`: nothing had stopped, somebody asked."""

    FIRST_START = "first_start"
    CLEAN_STOP = "clean_stop"
    CRASH = "crash"
    REBOOT = "reboot"
    POWER_LOSS = "power_loss"
    SCAN = "scan"


@dataclass(frozen=True, slots=True)
class Outage:
    """`sure` is how certain the kind is, in words: "certain", "likely" or "unknown"."""

    kind: OutageKind
    down_from: datetime | None
    up_at: datetime
    sure: str = "certain"
    boot_id_before: str = ""
    boot_id_now: str = ""

    @property
    def downtime_s(self) -> float:
        return (self.up_at - self.down_from).total_seconds() if self.down_from else 0.0


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What an agent was doing, with what, up to which step, and what it holds outside (containers, rules, branches)."""

    agent_id: str
    state: str
    task: str = ""
    project_id: str = ""
    workflow_id: str = ""
    step: int = 0
    holds: tuple[str, ...] = ()
    data: dict[str, object] = field(default_factory=dict)
    saved_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class RecoveryReport:
    """One per outage. `agents`: {id: {before, after, reason}}; `work`: [{id, kind, outcome, detail}]; `todo`: lines for the operator;
    `timeline`: [{at (RFC 3339), what}] from the last sign of life to the report."""

    id: str
    node_id: str
    kind: OutageKind
    sure: str
    down_from: datetime | None
    up_at: datetime
    downtime_s: float
    summary: str
    agents: dict[str, object] = field(default_factory=dict)
    work: tuple[dict[str, object], ...] = ()
    in_flight_usd: float = 0.0
    todo: tuple[str, ...] = ()
    timeline: tuple[dict[str, object], ...] = ()
    created_at: datetime | None = None
