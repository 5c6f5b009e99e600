"""Recovery: reports of outages, and the timeline around one."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from executor_tui.domain.event import Event
from executor_tui.domain.recovery import RecoveryReport
from executor_tui.ui.text import plural

if TYPE_CHECKING:
    from executor_tui.store.store import Store

TOPICS = frozenset({"recovery"})
AROUND = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class RecoveryView:
    reports: tuple[RecoveryReport, ...]

    def summary(self) -> str:
        return plural(len(self.reports), "report")


@dataclass(frozen=True, slots=True)
class ReportView:
    report: RecoveryReport
    timeline: tuple[Event, ...]


async def fetch(store: "Store", at: datetime | None = None) -> RecoveryView:
    reports = await store.reports.list()
    return RecoveryView(tuple(r for r in reports if at is None or (r.created_at is not None and r.created_at <= at)))


async def fetch_one(store: "Store", report_id: str) -> ReportView:
    """The report with what was recorded before the outage and after it. Raises NotFoundError."""
    report = await store.reports.get(report_id)
    start = (report.down_from or report.up_at) - AROUND
    return ReportView(report, await store.events.between(start, report.up_at + AROUND, limit=400))
