"""The one-line bars around every screen: tabs, crumbs, what waits, keys. Each is sent only when its text changes."""

from collections.abc import Sequence

from rich.segment import Segment
from textual.strip import Strip

from executor_tui.ui.states import Cell
from executor_tui.ui.text import clean, fit, width, wrap
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
    """What waits for the operator, most urgent first: one line. Only a passing word that is longer takes more; none of it is cut."""

    MOST_ROWS = 4

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._words: tuple[Cell, ...] = ()

    def show(self, left: Sequence[Cell], right: Sequence[Cell] = ()) -> None:
        self._set_words(())
        super().show(left, right)

    def say(self, said: Cell) -> None:
        """Show a passing word, on as many rows as it takes."""
        rows = [Cell(f" {row}", said.tone) for row in wrap(clean(said.text), max(10, self.size.width - 2))]
        if len(rows) == 1:
            self.show(rows)
        else:
            self._set_words(tuple(rows[: self.MOST_ROWS]))

    def _set_words(self, rows: tuple[Cell, ...]) -> None:
        if rows != self._words:
            self._words = rows
            self.styles.height = max(1, len(rows))
            self.refresh(layout=True)

    @property
    def text(self) -> str:
        return " ".join(row.text.strip() for row in self._words) if self._words else super().text

    def render_line(self, y: int) -> Strip:
        if not self._words:
            return super().render_line(y)
        cell = self._words[y] if y < len(self._words) else Cell("")
        return Strip([Segment(cell.text, self.tone(cell.tone))]).adjust_cell_length(self.size.width, self.tone("plain"))


class KeyBar(Bar):
    """The keys that do something here."""
