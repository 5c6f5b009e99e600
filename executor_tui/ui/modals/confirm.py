"""Yes or no, with the focus on no."""

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.widgets import Label

from executor_tui.ui.keys import bind
from executor_tui.ui.modals.base import Modal
from executor_tui.ui.text import clean
from executor_tui.ui.widgets.press import Press


class ConfirmModal(Modal[bool]):
    BINDINGS: ClassVar[list[BindingType]] = [
        bind("left,up", "app.focus_previous", "Previous", "confirm.previous", show=False),
        bind("right,down", "app.focus_next", "Next", "confirm.next", show=False),
    ]

    def __init__(self, question: str, consequence: str) -> None:
        super().__init__()
        self._question, self._consequence = question, consequence

    def compose(self) -> ComposeResult:
        with Vertical(id="box"):
            yield Label(clean(self._question), id="question", markup=False)
            yield Label(clean(self._consequence), id="consequence", markup=False)
            with Horizontal(id="answers"):
                yield Press("No", id="no")
                yield Press("Yes", id="yes", tone="warn")

    def on_mount(self) -> None:
        self.query_one("#no").focus()

    @on(Press.Pressed)
    def _pressed(self, message: Press.Pressed) -> None:
        self.dismiss(message.press.id == "yes")
