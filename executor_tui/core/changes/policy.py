"""Who must consent to a change, and when it may be applied. Pure decisions on settings, risk and time."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from executor_tui.config.files import NotifyQuiet
from executor_tui.config.general import ApprovalPolicy
from executor_tui.domain.change import Risk
from executor_tui.notify.routes import quiet_until


class Ruling(StrEnum):
    GO = "go"
    ASK = "ask"
    WAIT = "wait"
    """Quiet hours: nothing is asked and nothing is applied until they end."""
    FROZEN = "frozen"


@dataclass(frozen=True, slots=True)
class Decided:
    """What the policy says. `by` names it in the receipt when nobody needs to be asked; `until` ends a wait."""

    ruling: Ruling
    by: str = ""
    until: datetime | None = None


FROZEN_TEXT = "writes to devices are frozen (executor.json: approvals.freeze)"


def ruling(policy: ApprovalPolicy, risk: Risk, now: datetime) -> Decided:
    """Freeze before quiet hours before consent. A destructive change is always asked about, whatever the settings say."""
    if risk is Risk.READ:
        return Decided(Ruling.GO, "policy: it only looks")
    if policy.freeze:
        return Decided(Ruling.FROZEN)
    quiet = policy.quiet_hours
    until = None if quiet is None else quiet_until(NotifyQuiet(start=quiet.start, end=quiet.end, timezone=quiet.timezone), now)
    if until is not None:
        return Decided(Ruling.WAIT, until=until)
    if risk is not Risk.DESTRUCTIVE and risk in policy.auto_approve:
        return Decided(Ruling.GO, f"policy: {risk} changes need no consent")
    return Decided(Ruling.ASK)


def still_fresh(policy: ApprovalPolicy, decided_at: datetime | None, now: datetime) -> bool:
    """Whether a consent may still be used for a change that was interrupted: as long as silence would have been waited for."""
    return decided_at is not None and now - decided_at <= timedelta(minutes=policy.expire_minutes)
