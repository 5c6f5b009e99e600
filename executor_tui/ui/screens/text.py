"""A page of text with finding, for the screens one drills down to."""

import re
from typing import ClassVar, TypeVar

from textual.app import ComposeResult
from textual.binding import BindingType

from executor_tui.ui.keys import bind
from executor_tui.ui.screens.base import ConsoleScreen
from executor_tui.ui.states import Cell
from executor_tui.ui.widgets.columns import parse_query
from executor_tui.ui.widgets.lines import Lines

V = TypeVar("V")


class TextScreen(ConsoleScreen[V]):
    """Subclasses give `fetch` and, in `present`, the lines. `/` finds here, n and N go on."""

    BINDINGS: ClassVar[list[BindingType]] = [bind("slash", "filter", "Find", "text.find")]

    def compose_body(self) -> ComposeResult:
        yield Lines(id="text")

    @property
    def text(self) -> Lines:
        return self.query_one("#text", Lines)

    @property
    def room(self) -> int:
        """Cells of a line: the screen's without the margin and the scroll bar."""
        return self.size.width - 2

    def on_resize(self) -> None:
        super().on_resize()
        if self.view is not None and self.has_class("-data"):
            self.present(self.view)

    async def action_filter(self) -> None:
        (await self.prompt()).open("filter", "find: ", self.active_filter())

    def filter_edited(self, text: str) -> None:
        self.text.search(parse_query(text).pattern)
        if text and not self.text.find(1) and not self.text.find(-1):
            self.console.say(Cell(f"no {text!r} here", "dim"))

    def active_filter(self) -> str:
        pattern: re.Pattern[str] | None = self.text.pattern
        return pattern.pattern if pattern is not None else ""

    def action_copy(self) -> None:
        self.console.copy(self.text.visible_text())

    def shown_text(self) -> str:
        return self.text.all_text()
