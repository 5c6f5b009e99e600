"""What a screen shows instead of data: why it is empty and the key that fills it, or what failed and what to do."""

from collections.abc import Sequence

from rich.segment import Segment
from textual.strip import Strip

from executor_tui.ui.states import Cell
from executor_tui.ui.text import clean, width, wrap
from executor_tui.ui.widgets.toned import Toned


class Notice(Toned, can_focus=True):
    """A few centred lines. The first is the headline; long ones are wrapped."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._lines: tuple[Cell, ...] = ()

    def show(self, lines: Sequence[Cell]) -> None:
        if tuple(lines) != self._lines:
            self._lines = tuple(lines)
            self.refresh()

    @property
    def text(self) -> str:
        return "\n".join(line.text for line in self._lines)

    def render_line(self, y: int) -> Strip:
        total, blank = self.size.width, self.tone("plain")
        room = min(total - 4, 72)
        rows = [Cell(row, tone) for text, tone in self._lines for row in wrap(clean(text), room)]
        block = max((width(row.text) for row in rows), default=0)
        index = y - max(0, (self.size.height - len(rows)) // 3)
        if not 0 <= index < len(rows) or room < 4:
            return Strip.blank(total, blank)
        text, tone = rows[index]
        indent = (total - block) // 2
        return Strip([Segment(" " * indent, blank), Segment(text, self.tone(tone))]).adjust_cell_length(total, blank)
