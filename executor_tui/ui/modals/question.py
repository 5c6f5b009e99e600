"""A project's question: the offered answers, or words of one's own."""

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.widgets import Input, Label

from executor_tui.domain.project import Question
from executor_tui.ui.keys import bind
from executor_tui.ui.modals.base import Modal
from executor_tui.ui.text import clean
from executor_tui.ui.widgets.press import Press


class QuestionModal(Modal[None]):
    """The focus starts on the words, so that no stray Enter picks an answer."""

    BINDINGS: ClassVar[list[BindingType]] = [
        bind("up", "app.focus_previous", "Previous", "question.previous", show=False),
        bind("down", "app.focus_next", "Next", "question.next", show=False),
    ]

    def __init__(self, question: Question) -> None:
        super().__init__()
        self._question = question

    def looking_at(self) -> str:
        return self._question.id

    def compose(self) -> ComposeResult:
        with Vertical(id="box"):
            yield Label(f"? {self._question.project_id or 'Executor'} asks", id="question", markup=False)
            yield Label(clean(self._question.text), id="consequence", markup=False)
            if not self.console.view_only:
                for index, option in enumerate(self._question.options):
                    yield Press(clean(option), id=f"option-{index}")
                yield Input(placeholder="or your own words, then enter", id="words", compact=True)
            yield Label("↑↓ choose   enter answer   esc later", classes="hint", markup=False)

    def on_mount(self) -> None:
        if not self.console.view_only:
            self.query_one("#words").focus()

    @on(Press.Pressed)
    def _pressed(self, message: Press.Pressed) -> None:
        self._answer(self._question.options[int((message.press.id or "option-0").removeprefix("option-"))])

    @on(Input.Submitted)
    def _submitted(self, message: Input.Submitted) -> None:
        if message.value.strip():
            self._answer(message.value.strip())

    def _answer(self, text: str) -> None:
        self.console.act(self.console.operations.answer(self._question.id, text))
        self.dismiss(None)
