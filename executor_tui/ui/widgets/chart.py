"""A bar chart of eighth blocks, drawn line by line; only columns that changed are sent."""

from collections.abc import Callable, Sequence

from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region
from textual.strip import Strip

from executor_tui.ui.states import Cell, Tone
from executor_tui.ui.text import fit, width
from executor_tui.ui.widgets.toned import Toned

EIGHTHS = " ▁▂▃▄▅▆▇█"
AXIS = 8
"""Cells left of the bars: the highest value and the zero line."""


class Chart(Toned):
    """A title line, then bars as high as there is room. A second series (`over`) is drawn in its own tone at the foot of the bars."""

    def __init__(self, title: str, tone: Tone, form: Callable[[float], str], *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._title, self._tone, self._form = title, tone, form
        self._values: tuple[float, ...] = ()
        self._over: tuple[float, ...] = ()
        self._note: tuple[Cell, ...] = ()

    def show(self, values: Sequence[float], note: Sequence[Cell], over: Sequence[float] = ()) -> None:
        new, over = tuple(values), tuple(over)
        same_scale = len(new) == len(self._values) and max(new, default=0) == max(self._values, default=0)
        if tuple(note) != self._note:
            self.refresh(Region(0, 0, self.size.width, 1))
        if not same_scale:
            self.refresh()
        else:
            before = list(zip(self._values, self._over or self._values, strict=True))
            for index, pair in enumerate(zip(new, over or new, strict=True)):
                if before[index] != pair:
                    self.refresh(Region(AXIS + index, 1, 1, max(1, self.size.height - 1)))
        self._values, self._over, self._note = new, over, tuple(note)

    def slices(self) -> int:
        """How many values there is room for."""
        return max(10, self.size.width - AXIS - 1)

    def render_line(self, y: int) -> Strip:
        total = self.size.width
        if y == 0:
            cells = [Cell(f" {self._title}", "strong"), Cell("  "), *self._note]
            used = sum(width(c.text) for c in cells)
            segments = [Segment(c.text, self.tone(c.tone)) for c in cells] if used <= total else []
            return Strip(segments).adjust_cell_length(total, self.tone("plain"))
        rows = self.size.height - 1
        peak = max(self._values, default=0.0)
        label = self._form(peak) if y == 1 and peak else "0" if y == rows else ""
        segments = [Segment(fit(label, AXIS - 1, right=True) + " ", self.tone("dim"))]
        for index, value in enumerate(self._values):
            over = self._over[index] if index < len(self._over) else 0.0
            segments.append(self._block(value, over, peak, rows - y, rows))
        return Strip(segments).simplify().adjust_cell_length(total, self.tone("plain"))

    def _block(self, value: float, over: float, peak: float, row: int, rows: int) -> Segment:
        """One cell: `row` counts up from the foot."""
        if peak <= 0:
            return Segment("·" if row == 0 else " ", self.tone("dim"))
        filled = _eighths(value, peak, row, rows)
        failed = _eighths(over, peak, row, rows)
        if failed:
            behind = self.tone(self._tone).color if filled > failed else None
            return Segment(EIGHTHS[failed], self.tone("bad") + Style(bgcolor=behind))
        if row == 0 and not filled:
            return Segment("▁" if value > 0 else "·", self.tone(self._tone if value > 0 else "dim"))
        return Segment(EIGHTHS[filled], self.tone(self._tone))


def _eighths(value: float, peak: float, row: int, rows: int) -> int:
    return max(0, min(8, round(value / peak * rows * 8) - row * 8))
