"""The line at the bottom that takes words: `:` commands with completion, `/` filters, search, and free text where a screen asks for it."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, cast

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal
from textual.message import Message
from textual.widgets import Input, Label

from executor_tui.ui.keys import bind
from executor_tui.ui.states import Cell
from executor_tui.ui.text import clean

if TYPE_CHECKING:
    from executor_tui.ui.screens.base import ConsoleScreen

Completer = Callable[[str], Sequence[str]]
MOST_OFFERED = 40


class PromptInput(Input):
    BINDINGS: ClassVar[list[BindingType]] = [
        bind("escape", "close", "Close", "prompt.close"),
        bind("tab", "complete(1)", "Complete", "prompt.complete", show=False),
        bind("shift+tab", "complete(-1)", "Complete back", "prompt.complete_back", show=False),
        bind("up", "history(-1)", "Earlier", "prompt.earlier", show=False),
        bind("down", "history(1)", "Later", "prompt.later", show=False),
    ]

    async def action_submit(self) -> None:
        # At once and not by a message: the key that follows Enter in the same packet must not be typed into this line.
        prompt = self.parent
        assert isinstance(prompt, Prompt)
        prompt.submit(self.value)

    def action_close(self) -> None:
        prompt = self.parent
        assert isinstance(prompt, Prompt)
        prompt.close(cancelled=True)

    def action_complete(self, step: int) -> None:
        prompt = self.parent
        assert isinstance(prompt, Prompt)
        prompt.complete(step)

    def action_history(self, step: int) -> None:
        prompt = self.parent
        assert isinstance(prompt, Prompt)
        prompt.recall(step)


class Prompt(Horizontal):
    """Hidden until opened; one at a time. What it collected comes back as `Submitted` with the purpose it was opened for."""

    class Submitted(Message):
        def __init__(self, purpose: str, text: str) -> None:
            super().__init__()
            self.purpose, self.text = purpose, text

    class Edited(Message):
        """Typed into, for filters that act at once."""

        def __init__(self, purpose: str, text: str) -> None:
            super().__init__()
            self.purpose, self.text = purpose, text

    class Closed(Message):
        def __init__(self, purpose: str, cancelled: bool) -> None:
            super().__init__()
            self.purpose, self.cancelled = purpose, cancelled

    class Offered(Message):
        """Completions for what was typed."""

        def __init__(self, cells: tuple[Cell, ...]) -> None:
            super().__init__()
            self.cells = cells

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.purpose = ""
        self._completer: Completer | None = None
        self._offers: list[str] = []
        self._offer = -1
        self._history: dict[str, list[str]] = {}
        self._at = 0

    def compose(self) -> ComposeResult:
        yield Label("", markup=False)
        yield PromptInput(compact=True, select_on_focus=False)

    @property
    def is_open(self) -> bool:
        return self.has_class("-open")

    @property
    def input(self) -> PromptInput:
        return self.query_one(PromptInput)

    def open(self, purpose: str, sign: str, text: str = "", completer: Completer | None = None) -> None:
        """Take the focus. `sign` stands before the text (`:`, `/`, or a question)."""
        self.purpose, self._completer, self._offers, self._offer = purpose, completer, [], -1
        self._at = len(self._history.get(purpose, []))
        self.query_one(Label).update(clean(sign))
        with self.input.prevent(Input.Changed):
            self.input.value = text
        self.input.cursor_position = len(text)
        self.add_class("-open")
        self.input.focus()
        self._offer_completions(text)

    def close(self, cancelled: bool = False) -> None:
        if not self.is_open:
            return
        self.remove_class("-open")
        cast("ConsoleScreen[Any]", self.screen).focus_body()
        self.post_message(self.Offered(()))
        self.post_message(self.Closed(self.purpose, cancelled))

    def submit(self, value: str) -> None:
        """Enter was pressed on what was typed."""
        text = value.strip()
        if text:
            self._history.setdefault(self.purpose, []).append(text)
        purpose = self.purpose
        self.close()
        self.post_message(self.Submitted(purpose, text))

    @on(Input.Changed)
    def _change(self, event: Input.Changed) -> None:
        event.stop()
        self._offer_completions(event.value)
        self.post_message(self.Edited(self.purpose, event.value))

    def _offer_completions(self, text: str) -> None:
        if self._completer is not None:
            self._offers, self._offer = list(self._completer(text))[:MOST_OFFERED], -1
            self._show_offers()

    def _show_offers(self) -> None:
        cells = [Cell(f" {clean(o.split(' ')[-1])} ", "accent" if i == self._offer else "dim") for i, o in enumerate(self._offers)]
        self.post_message(self.Offered(tuple(cells[max(0, self._offer - 4) :])))

    def complete(self, step: int) -> None:
        """Take the next offered completion into the line."""
        if not self._offers:
            return
        self._offer = (self._offer + step) % len(self._offers)
        with self.input.prevent(Input.Changed):
            self.input.value = self._offers[self._offer] + ("" if len(self._offers) > 1 else " ")
        self.input.cursor_position = len(self.input.value)
        if len(self._offers) == 1:
            self._offer_completions(self.input.value)
        else:
            self._show_offers()

    def recall(self, step: int) -> None:
        """Earlier lines of the same kind."""
        lines = self._history.get(self.purpose, [])
        self._at = max(0, min(len(lines), self._at + step))
        self.input.value = lines[self._at] if self._at < len(lines) else ""
        self.input.cursor_position = len(self.input.value)
