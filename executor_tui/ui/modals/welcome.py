"""The first start: the two ways on."""

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.widgets import Label

from executor_tui.ui.keys import bind
from executor_tui.ui.modals.base import Modal
from executor_tui.ui.widgets.press import Press

TEXT = (
    "Executor runs a fleet of AI agents over the model accounts you have, and keeps it going while you are away. "
    "It needs at least one API key, or a model server on this machine."
)
LAB = "Or see everything work first, without keys: leave with q and start  executor lab"


class WelcomeModal(Modal[None]):
    BINDINGS: ClassVar[list[BindingType]] = [
        bind("up", "app.focus_previous", "Previous", "welcome.previous", show=False),
        bind("down", "app.focus_next", "Next", "welcome.next", show=False),
    ]

    def compose(self) -> ComposeResult:
        with Vertical(id="box"):
            yield Label("Welcome to Executor", id="question", markup=False)
            yield Label(TEXT, id="consequence", markup=False)
            yield Label("", markup=False)
            if not self.console.view_only:
                yield Press("Enter API keys", id="keys", tone="accent")
            yield Press("Look around first", id="look")
            yield Label("", markup=False)
            yield Label(LAB, classes="hint", markup=False)

    def on_mount(self) -> None:
        self.query(Press).first().focus()

    @on(Press.Pressed)
    def _pressed(self, message: Press.Pressed) -> None:
        self.dismiss(None)
        if message.press.id == "keys":
            self.console.action_enter_keys()
