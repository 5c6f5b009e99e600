"""Leaving the console that started the node: the fleet goes on unless told otherwise."""

from functools import partial
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.widgets import Label

from executor_tui.ui.keys import bind
from executor_tui.ui.modals.base import Modal
from executor_tui.ui.widgets.press import Press
from executor_tui.ui.workers import start


class QuitModal(Modal[None]):
    BINDINGS: ClassVar[list[BindingType]] = [
        bind("left,up", "app.focus_previous", "Previous", "quit.previous", show=False),
        bind("right,down", "app.focus_next", "Next", "quit.next", show=False),
    ]

    def compose(self) -> ComposeResult:
        with Vertical(id="box"):
            yield Label("This console started the node.", id="question", markup=False)
            yield Label("Kept running, projects go on and approvals still reach you; the console attaches to it again.", markup=False)
            with Horizontal(id="answers"):
                yield Press("Keep it running", id="keep", tone="good")
                if not self.console.view_only:
                    yield Press("Stop it cleanly", id="stop", tone="warn")
                yield Press("Stay", id="stay")

    def on_mount(self) -> None:
        self.query_one("#keep").focus()

    @on(Press.Pressed)
    async def _pressed(self, message: Press.Pressed) -> None:
        choice = message.press.id
        self.dismiss(None)
        if choice in ("keep", "stop"):
            start(self.console, partial(self.console.leave, stop_node=choice == "stop"), "leave")
