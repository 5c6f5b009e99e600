"""The one-line bars around every screen: tabs, crumbs, what waits, keys. Each is sent only when its text changes."""

from collections.abc import Sequence

from rich.segment import Segment
from textual.strip import Strip

from executor_tui.ui.states import Cell
from executor_tui.ui.text import clean, fit, width
from executor_tui.ui.widgets.toned import Toned


class Bar(Toned):
    """One line: cells from the left, cells from the right, and what is between is blank. Too long on the left is cut, never the right."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._left: tuple[Cell, ...] = ()
        self._right: tuple[Cell, ...] = ()

    def show(self, left: Sequence[Cell], right: Sequence[Cell] = ()) -> None:
        new = (tuple(left), tuple(right))
        if new != (self._left, self._right):
            self._left, self._right = new
            self.refresh()

    @property
    def text(self) -> str:
        """What is shown, as plain text."""
        return "".join(c.text for c in self._left) + " " + "".join(c.text for c in self._right)

    def render_line(self, y: int) -> Strip:
        total = self.size.width
        if y > 0 or total <= 0:
            return Strip.blank(total, self.tone("plain"))
        right = [Cell(clean(text), tone) for text, tone in self._right]
        room = total - sum(width(c.text) for c in right)
        if room < total // 3:
            right, room = [], total
        segments, used = [], 0
        for text, tone in self._left:
            shown = clean(text)
            if used + width(shown) > room:
                shown = fit(shown, room - used)
            segments.append(Segment(shown, self.tone(tone)))
            used += width(shown)
            if used >= room:
                break
        segments.append(Segment(" " * (room - used), self.tone("plain")))
        segments += [Segment(text, self.tone(tone)) for text, tone in right]
        return Strip(segments).adjust_cell_length(total, self.tone("plain"))


class TabBar(Bar):
    """The screens by their number keys, the current one marked, with how many approvals wait."""


class CrumbBar(Bar):
    """Where we are, a summary of it, and on the right the node and today's spend."""


class AttentionBar(Bar):
    """What waits for the operator, most urgent first. Always one line."""


class KeyBar(Bar):
    """The keys that do something here."""
