"""What every modal is: a box over the screen it was opened from, which stays visible."""

from typing import TYPE_CHECKING, ClassVar, TypeVar, cast

from textual.binding import BindingType
from textual.screen import ModalScreen

from executor_tui.ui.keys import CHANGING, bind
from executor_tui.ui.screens.base import style_path

if TYPE_CHECKING:
    from executor_tui.ui.app import ExecutorApp

R = TypeVar("R")


class Modal(ModalScreen[R], inherit_bindings=False):
    ALLOW_SELECT = False
    CSS_PATH = style_path("modals")
    BINDINGS: ClassVar[list[BindingType]] = [bind("escape", "dismiss", "Close", "modal.close")]

    @property
    def console(self) -> "ExecutorApp":
        return cast("ExecutorApp", self.app)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return not (self.console.view_only and action in CHANGING)

    def looking_at(self) -> str:
        return ""
