"""Recovery: every outage, what it interrupted, and what was done about it."""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from textual import on
from textual.app import ComposeResult

from executor_tui.domain.recovery import RecoveryReport
from executor_tui.ui.data import recovery
from executor_tui.ui.data.recovery import RecoveryView
from executor_tui.ui.form import span, stamp
from executor_tui.ui.screens.base import ConsoleScreen, style_path
from executor_tui.ui.states import Cell, look
from executor_tui.ui.widgets.columns import Column
from executor_tui.ui.widgets.rows import Rows

if TYPE_CHECKING:
    from executor_tui.store.store import Store

COLUMNS: tuple[Column[RecoveryReport], ...] = (
    Column("at", "Back up", 13, lambda r, now: Cell(stamp(r.up_at, now)), lambda r: r.up_at),
    Column("kind", "What", 12, lambda r, _: look(r.kind).cell, lambda r: r.kind.value),
    Column("sure", "Sure", 8, lambda r, _: Cell(r.sure, "dim"), from_width=90),
    Column("down", "Down", 7, lambda r, _: Cell(span(r.downtime_s)), lambda r: r.downtime_s, right=True),
    Column("agents", "Agents", 6, lambda r, _: Cell(str(len(r.agents)), "dim"), lambda r: len(r.agents), right=True),
    Column("work", "Work", 4, lambda r, _: Cell(str(len(r.work)), "dim"), lambda r: len(r.work), right=True),
    Column("todo", "To do", 5, lambda r, _: Cell(str(len(r.todo)), "warn" if r.todo else "dim"), lambda r: len(r.todo), right=True),
    Column("summary", "Summary", 0, lambda r, _: Cell(r.summary)),
)


class RecoveryScreen(ConsoleScreen[RecoveryView]):
    SECTION = "recovery"
    TOPICS = recovery.TOPICS
    CSS_PATH = style_path("recovery")

    def compose_body(self) -> ComposeResult:
        yield Rows(COLUMNS, lambda r: r.id, self.now, fresh=lambda r: self.console.is_fresh("recovery", r.created_at), id="reports")

    async def fetch(self, store: "Store", at: datetime | None) -> RecoveryView:
        return await recovery.fetch(store, at)

    def nothing_in(self, view: RecoveryView) -> bool:
        return not view.reports

    def empty(self) -> Sequence[Cell]:
        return (
            Cell("No outage so far", "strong"), Cell(""),
            Cell("After a crash, a reboot or a power cut, one report stands here: what was interrupted, what went on by itself, "
                 "and what is left for you."),
            Cell("executor recovery run  checks every agent now", "info"),
        )  # fmt: skip

    def summary(self) -> str:
        return self.view.summary() if self.view else ""

    def present(self, view: RecoveryView) -> None:
        self.query_one("#reports", Rows).set_items(view.reports)

    @on(Rows.Opened)
    def _open(self, message: Rows.Opened) -> None:
        from executor_tui.ui.screens.report import ReportScreen

        self.console.drill(ReportScreen(message.item.id))
