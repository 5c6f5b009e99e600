"""Copying to the clipboard of the terminal one sits at: straight to it, or by tmux, and a visible word when neither can be."""

import os
from functools import partial
from typing import TYPE_CHECKING

from textual.message import Message

from executor_tui.ui import clipboard
from executor_tui.ui.states import Cell
from executor_tui.ui.text import plural
from executor_tui.ui.workers import start

if TYPE_CHECKING:
    from executor_tui.ui.shell import Shell


class Handed(Message):
    """What became of a text that tmux was asked about: it took it, it lets us send it, or it lets nothing through (`problem`)."""

    def __init__(self, text: str, taken: bool, problem: str = "") -> None:
        super().__init__()
        self.text, self.taken, self.problem = text, taken, problem


class Copier:
    """`copy` it; what tmux answered comes back as `Handed`, for `handed`."""

    def __init__(self, app: "Shell") -> None:
        self._app = app

    def copy(self, text: str) -> None:
        if os.environ.get("TMUX") and not self._app.is_headless:
            start(self._app, partial(self._ask_tmux, text), "copy", exclusive=True)
        else:
            self._send(text)

    async def _ask_tmux(self, text: str) -> None:
        try:
            taken = await self._app.link.work(lambda: clipboard.hand_to_tmux(text))
        except clipboard.RefusedError as exc:
            self._app.post_message(Handed(text, False, str(exc)))
        else:
            self._app.post_message(Handed(text, taken))

    def handed(self, message: Handed) -> None:
        if message.problem:
            self._not_copied(message.problem)
        elif message.taken:
            self._app.say(Cell(f"✓ {_lines(message.text)} given to tmux for the terminal's clipboard", "good"))
        else:
            self._send(message.text)

    def _send(self, text: str) -> None:
        try:
            sequence = clipboard.osc52(text, os.environ)
        except clipboard.TooLongError as exc:
            self._not_copied(str(exc))
            return
        if self._app.write_terminal(sequence):
            self._app.say(Cell(f"✓ {_lines(text)} sent to the terminal's clipboard", "good"))
        else:
            self._not_copied("there is no terminal")

    def _not_copied(self, why: str) -> None:
        self._app.say(Cell(f"✗ not copied: {why}", "bad"))


def _lines(text: str) -> str:
    return plural(text.count("\n") + 1, "line")
