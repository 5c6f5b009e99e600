"""Recovery reports."""

from dataclasses import replace

from sqlalchemy import select

from executor_tui.domain.event import Event, Level
from executor_tui.domain.recovery import RecoveryReport
from executor_tui.store import tables
from executor_tui.store.repository import Repository


class RecoveryReports(Repository[RecoveryReport]):
    table, cls, topic, noun = tables.recovery_reports, RecoveryReport, "recovery", "recovery report"

    async def add(self, report: RecoveryReport) -> bool:
        """Write a report once: its id is the outage's own, so a second start after one outage does not report it twice."""
        if await self.find(report.id) is not None:
            return False
        report = replace(report, created_at=report.created_at or self.clock.now())
        await self._insert(report, Event("recovery.reported", report.summary, Level.WARNING, subject_id=report.id))
        return True

    async def list(self) -> tuple[RecoveryReport, ...]:
        """All, newest first."""
        return await self._many(select(self.table).order_by(self.table.c.created_at.desc()))

    async def last(self) -> RecoveryReport | None:
        found = await self._many(select(self.table).order_by(self.table.c.created_at.desc()).limit(1))
        return found[0] if found else None
