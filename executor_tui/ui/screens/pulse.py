"""Pulse: a glance at calls, errors, tokens, spend and parks over time."""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType

from executor_tui.ui.data import pulse
from executor_tui.ui.data.pulse import RANGES, PulseView
from executor_tui.ui.form import count, money, span
from executor_tui.ui.keys import bind
from executor_tui.ui.screens.base import ConsoleScreen, style_path
from executor_tui.ui.states import Cell
from executor_tui.ui.widgets.chart import AXIS, Chart

if TYPE_CHECKING:
    from executor_tui.store.store import Store


class PulseScreen(ConsoleScreen[PulseView]):
    SECTION = "pulse"
    TOPICS = pulse.TOPICS
    GAP_S: ClassVar[float] = 1.0
    CSS_PATH = style_path("pulse")
    BINDINGS: ClassVar[list[BindingType]] = [
        bind("t", "range(1)", "Longer", "pulse.longer"),
        bind("T", "range(-1)", "Shorter", "pulse.shorter"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._range = 2

    def compose_body(self) -> ComposeResult:
        yield Chart("Calls", "info", count, id="calls")
        yield Chart("Tokens", "accent", count, id="tokens")
        yield Chart("Spend", "good", money, id="spend")
        yield Chart("Parks", "warn", count, id="parks")

    async def fetch(self, store: "Store", at: datetime | None) -> PulseView:
        return await pulse.fetch(store, RANGES[self._range].seconds, max(10, self.size.width - AXIS - 1), at)

    def nothing_in(self, view: PulseView) -> bool:
        return view.quiet

    def empty(self) -> Sequence[Cell]:
        return (
            Cell(f"No call in the last {RANGES[self._range].name}", "strong"), Cell(""),
            Cell("Every call to a model, its tokens, its cost and its failures are drawn here as they happen."),
            Cell("n  ask for a project     t  look further back", "info"),
        )  # fmt: skip

    def summary(self) -> str:
        if self.view is None:
            return ""
        covered = span(self.view.step_s * len(self.view.calls))
        return f"last {covered} · a column is {span(self.view.step_s)}"

    def present(self, view: PulseView) -> None:
        errors = sum(view.errors)
        share = f" ({errors / sum(view.calls):.1%})" if errors and sum(view.calls) else ""
        self._chart("calls").show(view.calls, [
            Cell(f"{count(sum(view.calls))} in all", "plain"), Cell(f"  ✗ {count(errors)} failed{share}", "bad" if errors else "dim"),
        ], view.errors)  # fmt: skip
        self._chart("tokens").show(view.tokens, [Cell(f"{count(sum(view.tokens))} in all")])
        self._chart("spend").show(view.spend_usd, [Cell(f"{money(sum(view.spend_usd))} in all")])
        now = view.parks[-1] if view.parks else 0
        self._chart("parks").show(view.parks, [Cell(f"{now:.0f} now", "warn" if now else "dim")])

    def _chart(self, name: str) -> Chart:
        return self.query_one(f"#{name}", Chart)

    def on_resize(self) -> None:
        super().on_resize()
        self.refresh_data()

    def action_range(self, by: int) -> None:
        self._range = max(0, min(len(RANGES) - 1, self._range + by))
        self.refresh_data()
