"""A pane of text lines that draws only what is in view: details, diffs, and the base of the log."""

import re
from collections.abc import Sequence
from typing import ClassVar

from rich.segment import Segment
from textual import events
from textual.binding import BindingType
from textual.geometry import Size
from textual.strip import Strip

from executor_tui.ui.keys import bind
from executor_tui.ui.widgets.spans import Line, as_text, marked, plain, wrap_line
from executor_tui.ui.widgets.toned import Toned


class Lines(Toned, can_focus=True):
    """Scrolls by itself; `wrapped` breaks long lines. A search marks what it finds."""

    BINDINGS: ClassVar[list[BindingType]] = [
        bind("up,k", "scroll_by(-1)", "Up", "lines.up", show=False),
        bind("down,j", "scroll_by(1)", "Down", "lines.down", show=False),
        bind("pageup", "scroll_pages(-1)", "Page up", "lines.page_up", show=False),
        bind("pagedown,space", "scroll_pages(1)", "Page down", "lines.page_down", show=False),
        bind("home", "to_top", "Top", "lines.top", show=False),
        bind("end,G", "to_end", "End", "lines.end", show=False),
        bind("w", "wrap", "Wrap", "lines.wrap", show=False),
        bind("n", "find(1)", "Next match", "lines.next", show=False),
        bind("N", "find(-1)", "Previous match", "lines.previous", show=False),
    ]

    def __init__(self, *, wrapped: bool = True, id: str | None = None) -> None:
        super().__init__(id=id)
        self.lines: list[Line] = []
        self.wrapped = wrapped
        self.pattern: re.Pattern[str] | None = None
        self._rows: list[tuple[int, Line]] = []
        self._top = 0

    # -- content ----------------------------------------------------------------------------------------------

    def set_lines(self, lines: Sequence[Line]) -> None:
        """Replace the content, staying where one was."""
        if list(lines) != self.lines:
            self.lines = list(lines)
            self._arrange()
            if self.styles.height is not None and self.styles.height.is_auto:
                self.refresh(layout=True)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return len(self._broken(width - 1))

    def _arrange(self) -> None:
        width = self.size.width - 1
        if width <= 0:
            return
        self._rows = self._broken(width)
        self._show_from(self._top)
        self.refresh()

    def _broken(self, width: int) -> list[tuple[int, Line]]:
        if not self.wrapped:
            return list(enumerate(self.lines))
        return [(i, row) for i, line in enumerate(self.lines) for row in wrap_line(line, width, self.hang(line))]

    def hang(self, line: Line) -> int:
        """How many leading characters of a line its continuation is indented by: a label in front, else the line's own indent."""
        if len(line) > 1 and line[0].text.endswith(" "):
            return len(line[0].text)
        text = plain(line)
        return len(text) - len(text.lstrip())

    def search(self, pattern: re.Pattern[str] | None) -> None:
        self.pattern = pattern
        self.refresh()

    def visible_text(self) -> str:
        """The lines in view, each once."""
        seen = dict.fromkeys(i for i, _ in self._rows[self._top : self._top + self.size.height])
        return as_text(self.lines[i] for i in seen)

    def all_text(self) -> str:
        return as_text(self.lines)

    # -- moving -----------------------------------------------------------------------------------------------

    @property
    def at_end(self) -> bool:
        return self._top >= len(self._rows) - self.size.height

    def _show_from(self, top: int) -> None:
        top = max(0, min(top, len(self._rows) - self.size.height))
        if top != self._top:
            self._top = top
            self.refresh()
            self.moved()

    def moved(self) -> None:
        """The view moved."""

    def action_scroll_by(self, by: int) -> None:
        self._show_from(self._top + by)

    def action_scroll_pages(self, by: int) -> None:
        self._show_from(self._top + by * max(1, self.size.height - 1))

    def action_to_top(self) -> None:
        self._show_from(0)

    def action_to_end(self) -> None:
        self._show_from(len(self._rows))

    def action_wrap(self) -> None:
        at = self._rows[self._top][0] if self._rows else 0
        self.wrapped = not self.wrapped
        self._arrange()
        self._show_from(next((y for y, (i, _) in enumerate(self._rows) if i >= at), 0))

    def action_find(self, direction: int) -> None:
        self.find(direction)

    def find(self, direction: int) -> bool:
        """Go to the next (1) or previous (-1) line that matches; says whether there is one."""
        if self.pattern is None:
            return False
        spots = range(self._top + 1, len(self._rows)) if direction > 0 else range(self._top - 1, -1, -1)
        for y in spots:
            if self.pattern.search(plain(self._rows[y][1])):
                self._show_from(y)
                return True
        return False

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        event.stop()
        self.action_scroll_by(3)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        event.stop()
        self.action_scroll_by(-3)

    # -- drawing ----------------------------------------------------------------------------------------------

    def on_resize(self) -> None:
        self._arrange()

    def render_line(self, y: int) -> Strip:
        total, base = self.size.width, self.tone("plain")
        index = self._top + y
        segments: list[Segment] = []
        if index < len(self._rows):
            row = self._rows[index][1]
            pieces = marked(row, self.pattern) if self.pattern is not None else [(cell, False) for cell in row]
            segments = [Segment(c.text, self.tone(c.tone, "row--match") if hit else self.tone(c.tone)) for c, hit in pieces]
        strip = Strip(segments)
        if strip.cell_length > total - 1:
            strip = Strip([*strip.crop(0, total - 2), Segment("…", self.tone("dim"))])
        strip = strip.adjust_cell_length(total - 1, base)
        return Strip([*strip, Segment(self._bar(y), self.tone("dim"))])

    def _bar(self, y: int) -> str:
        rows, page = len(self._rows), self.size.height
        if rows <= page:
            return " "
        size = max(1, page * page // rows)
        start = round(self._top * (page - size) / max(1, rows - page))
        return "█" if start <= y < start + size else "│"
