"""Small things to choose and press, one line high."""

from collections.abc import Sequence
from typing import ClassVar

from rich.segment import Segment
from textual.binding import BindingType
from textual.message import Message
from textual.strip import Strip

from executor_tui.ui.keys import bind
from executor_tui.ui.states import Cell, Tone
from executor_tui.ui.text import width
from executor_tui.ui.widgets.toned import Toned


class Press(Toned, can_focus=True):
    """A word that does something on Enter while it has the focus."""

    BINDINGS: ClassVar[list[BindingType]] = [bind("enter", "press", "Choose", "press.enter", show=False)]

    class Pressed(Message):
        def __init__(self, press: "Press") -> None:
            super().__init__()
            self.press = press

        @property
        def control(self) -> "Press":
            return self.press

    def __init__(self, label: str, *, id: str | None = None, tone: Tone = "plain") -> None:
        super().__init__(id=id)
        self.label, self._tone = label, tone
        self.styles.width = width(label) + 4
        self.styles.height = 1

    def action_press(self) -> None:
        self.post_message(self.Pressed(self))

    def on_click(self) -> None:
        self.focus()
        self.action_press()

    def render_line(self, y: int) -> Strip:
        over = ("row--press",) if self.has_focus else ()
        text = f"▸ {self.label}  " if self.has_focus else f"  {self.label}  "
        return Strip([Segment(text, self.tone(self._tone, *over))]).adjust_cell_length(self.size.width, self.tone("plain"))


class Choice(Toned, can_focus=True):
    """One of a few words, chosen with left and right."""

    BINDINGS: ClassVar[list[BindingType]] = [
        bind("left", "move(-1)", "Previous", "choice.left", show=False),
        bind("right", "move(1)", "Next", "choice.right", show=False),
    ]

    class Changed(Message):
        def __init__(self, choice: "Choice") -> None:
            super().__init__()
            self.choice = choice

        @property
        def control(self) -> "Choice":
            return self.choice

    def __init__(self, options: Sequence[str], *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.options = list(options)
        self.at = 0
        self.styles.height = 1

    @property
    def value(self) -> str:
        return self.options[self.at]

    def action_move(self, by: int) -> None:
        self.at = (self.at + by) % len(self.options)
        self.refresh()
        self.post_message(self.Changed(self))

    def render_line(self, y: int) -> Strip:
        cells: list[Cell] = []
        for index, option in enumerate(self.options):
            cells.append(Cell(f" {option} ", "strong" if index == self.at else "dim"))
        segments = []
        for index, cell in enumerate(cells):
            over = ("row--press",) if index == self.at and self.has_focus else ()
            segments.append(Segment(cell.text, self.tone(cell.tone, *over)))
        return Strip(segments).adjust_cell_length(self.size.width, self.tone("plain"))
