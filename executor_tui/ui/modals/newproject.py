"""A new project: a sentence, and what it may cost."""

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.widgets import Input, Label

from executor_tui.ui.keys import bind
from executor_tui.ui.modals.base import Modal


class NewProjectModal(Modal[None]):
    BINDINGS: ClassVar[list[BindingType]] = [
        bind("tab,down", "app.focus_next", "Next", "new.next", show=False),
        bind("shift+tab,up", "app.focus_previous", "Previous", "new.previous", show=False),
    ]

    def compose(self) -> ComposeResult:
        budget = self.console.default_budget_usd
        with Vertical(id="box"):
            yield Label("A new project", id="question", markup=False)
            yield Label("Say what you want built, in a sentence or several.", markup=False)
            yield Input(placeholder="a command-line tool that counts words by language", id="goal", compact=True)
            with Horizontal(classes="field"):
                yield Label("Budget in USD, empty for none ", markup=False)
                yield Input("" if budget is None else f"{budget:g}", id="budget", compact=True, restrict=r"[0-9.]*", max_length=9)
            with Horizontal(classes="field"):
                yield Label("Existing git repository, if any ", markup=False)
                yield Input(id="repo", compact=True)
            yield Label("enter start   tab next field   esc cancel", id="hint", classes="hint", markup=False)

    def on_mount(self) -> None:
        self.query_one("#goal").focus()

    @on(Input.Submitted)
    def _submitted(self) -> None:
        goal = self.query_one("#goal", Input).value.strip()
        budget = self.query_one("#budget", Input).value.strip()
        repo = self.query_one("#repo", Input).value.strip()
        try:
            amount = float(budget) if budget else None
        except ValueError:
            self._complain("the budget is no number")
            return
        if not goal:
            self._complain("say what you want built")
            self.query_one("#goal").focus()
            return
        self.console.act(self._create(goal, amount, repo))
        self.dismiss(None)

    async def _create(self, goal: str, budget: float | None, repo: str) -> str:
        return f"project {await self.console.operations.create_project(goal, budget, repo)} is queued"

    def _complain(self, text: str) -> None:
        self.query_one("#hint", Label).update(f"✗ {text}")
