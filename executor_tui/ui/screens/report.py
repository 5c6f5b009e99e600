"""One recovery report: the outage, the agents before and after, the work, what is left to do, and the timeline around it."""

from collections.abc import Sequence
from datetime import datetime, tzinfo
from typing import TYPE_CHECKING

from executor_tui.domain.recovery import RecoveryReport
from executor_tui.ui.data import recovery
from executor_tui.ui.data.recovery import ReportView
from executor_tui.ui.form import clock, money, span
from executor_tui.ui.screens.base import style_path
from executor_tui.ui.screens.text import TextScreen
from executor_tui.ui.states import Cell, Tone, look, look_word
from executor_tui.ui.widgets.logview import Form, log_line
from executor_tui.ui.widgets.spans import Line, fact, heading, line, table

if TYPE_CHECKING:
    from executor_tui.store.store import Store


class ReportScreen(TextScreen[ReportView]):
    SECTION = "recovery"
    TOPICS = recovery.TOPICS
    CSS_PATH = style_path("report")

    def __init__(self, report_id: str) -> None:
        super().__init__()
        self.report_id = report_id

    async def fetch(self, store: "Store", at: datetime | None) -> ReportView:
        return await recovery.fetch_one(store, self.report_id)

    def crumbs(self) -> Sequence[str]:
        return ("Recovery", self.report_id)

    def present(self, view: ReportView) -> None:
        r = view.report
        parts = (self._facts(r), _todo(r), _agents(r), _work(r), self._timeline(view))
        self.text.set_lines([row for part in parts if part for row in [*part, line("")]])

    def _facts(self, r: RecoveryReport) -> list[Line]:
        zone = self.console.zone
        return [
            (Cell(f"{'What':<12} ", "dim"), look(r.kind).cell, Cell(f"  {r.sure}", "dim")),
            fact("Down", f"{span(r.downtime_s)}, from {clock(r.down_from, zone)} to {clock(r.up_at, zone)}"),
            fact("Node", r.node_id), fact("Summary", r.summary),
            *([fact("In flight", f"{money(r.in_flight_usd)} of calls whose end is unknown stays counted")] if r.in_flight_usd else []),
        ]  # fmt: skip

    def _timeline(self, view: ReportView) -> list[Line]:
        form = Form(zone=self.console.zone, kinds=self.size.width >= 110)
        own = [fact(_time_of(m.get("at"), self.console.zone), str(m.get("what", "")), "plain", 8) for m in view.report.timeline]
        rows = [log_line(event, form, self.now()) for event in view.timeline]
        told = [line(""), heading("Events", "five minutes before to five minutes after"), *rows] if rows else []
        return [*([heading("Timeline"), *own] if own else []), *told]


def _time_of(text: object, zone: tzinfo | None) -> str:
    try:
        return clock(datetime.fromisoformat(str(text)), zone)
    except ValueError:
        return str(text)


def _todo(r: RecoveryReport) -> list[Line]:
    return [heading("Left for you"), *((Cell("  ▲ ", "warn"), *line(todo)) for todo in r.todo)] if r.todo else []


def _agents(r: RecoveryReport) -> list[Line]:
    rows = []
    for agent_id, told in r.agents.items():
        facts = told if isinstance(told, dict) else {}
        before, after = look_word(str(facts.get("before", ""))), look_word(str(facts.get("after", "")))
        rows.append(
            (Cell(agent_id, "strong"), Cell(f"{before.glyph} {before.word}", "dim"), after.cell, Cell(str(facts.get("reason", "")), "dim"))
        )
    return [heading("Agents"), *table(("Agent", "Before", "After", ""), rows, (18, 12, 12, 60))] if rows else []


def _work(r: RecoveryReport) -> list[Line]:
    columns: tuple[tuple[str, Tone], ...] = (("id", "strong"), ("kind", "dim"), ("outcome", "plain"), ("detail", "dim"))
    rows = [[Cell(str(w.get(name, "")), tone) for name, tone in columns] for w in r.work]
    return [heading("Work"), *table(("What", "Kind", "Outcome", ""), rows, (18, 12, 14, 60))] if rows else []
