"""The keys of the screen it was opened from."""

from typing import TYPE_CHECKING, Any, ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical

from executor_tui.ui.keys import bind
from executor_tui.ui.modals.base import Modal
from executor_tui.ui.registry import BY_NAME, SECTIONS
from executor_tui.ui.screens.bars import key_name
from executor_tui.ui.states import Cell
from executor_tui.ui.text import fit
from executor_tui.ui.widgets.lines import Lines
from executor_tui.ui.widgets.spans import Line, heading, line

if TYPE_CHECKING:
    from executor_tui.ui.screens.base import ConsoleScreen

TWO_FROM = 78
"""Width of a terminal from which two columns fit into the box."""
PLACES = (("here", "Here"), ("rows", "In the table"), ("lines", "In the text"), ("screen", "On every screen"), ("app", "Everywhere"))


class HelpModal(Modal[None]):
    BINDINGS: ClassVar[list[BindingType]] = [bind("question_mark,q,f1", "dismiss", "Close", "help.close", show=False)]

    def __init__(self, screen: "ConsoleScreen[Any]") -> None:
        super().__init__()
        self._lines = help_lines(screen)

    def compose(self) -> ComposeResult:
        with Vertical(id="box"):
            yield Lines(id="help")

    def on_mount(self) -> None:
        text = self.query_one("#help", Lines)
        text.set_lines(self._lines)
        text.focus()


def help_lines(screen: "ConsoleScreen[Any]") -> list[Line]:
    """Every key that works here now, grouped by where it belongs: the keys of this screen first."""
    columns = 2 if screen.size.width >= TWO_FROM else 1
    section = BY_NAME.get(screen.SECTION)
    groups: dict[str, dict[str, tuple[list[str], str]]] = {}
    for key, active in screen.active_bindings.items():
        binding = active.binding
        if not active.enabled or not binding.description or binding.id is None:
            continue
        prefix = (binding.id or "").split(".")[0]
        place = prefix if prefix in ("rows", "lines", "app", "screen") else "here"
        keys, _ = groups.setdefault(place, {}).setdefault(binding.action, ([], binding.description))
        keys.append(key_name(key))
    rows: list[Line] = [heading(section.title if section else "Keys", section.about if section else ""), line("")]
    for place, title in PLACES:
        found = groups.get(place, {})
        sections = {f"section('{s.name}')" for s in SECTIONS}
        pairs = [(keys, text) for action, (keys, text) in found.items() if action not in sections]
        if not pairs:
            continue
        rows.append(line(title, "accent"))
        rows += _in_columns([(" ".join(keys), text) for keys, text in pairs], columns)
        if place == "app":
            rows += _in_columns([("1–9", "the screens by number"), ("^p", "command palette")], columns)
        rows.append(line(""))
    return [*rows, line("Every key can be rebound in keymap.json; Settings lists the ids.   esc closes", "dim")]


def _in_columns(pairs: list[tuple[str, str]], columns: int) -> list[Line]:
    length = -(-len(pairs) // columns)
    rows = []
    for index in range(length):
        cells: list[Cell] = []
        for keys, text in pairs[index::length]:
            cells += [Cell(fit(f"  {keys}", 15), "strong"), Cell(fit(text, 21), "plain")]
        rows.append(tuple(cells))
    return rows
