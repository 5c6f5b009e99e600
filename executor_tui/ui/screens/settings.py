"""Settings: what is wrong with the configuration, the themes, every binding with its id, and where things are."""

from datetime import datetime
from typing import TYPE_CHECKING

from textual import on
from textual.app import ComposeResult

from executor_tui.ui.data import settings
from executor_tui.ui.data.settings import Entry, Told
from executor_tui.ui.screens.base import ConsoleScreen, style_path
from executor_tui.ui.states import Cell
from executor_tui.ui.text import plural
from executor_tui.ui.widgets.columns import Column
from executor_tui.ui.widgets.rows import Rows

if TYPE_CHECKING:
    from executor_tui.store.store import Store


COLUMNS: tuple[Column[Entry], ...] = (
    Column("group", "About", 9, lambda e, _: Cell(e.group, "bad" if e.group in ("problem", "unsent") else "dim"), lambda e: e.group),
    Column("name", "Name", 25, lambda e, _: Cell(e.name, "strong"), lambda e: e.name),
    Column("value", "Value", 0, lambda e, _: Cell(e.value, e.tone), lambda e: e.value),
    Column("note", "", 26, lambda e, _: Cell(e.note, "dim"), from_width=110),
)


class SettingsScreen(ConsoleScreen[Told]):
    """The view is what the node last said against the configuration, and how alerts get out."""

    SECTION = "settings"
    TOPICS = frozenset({"notes", "operators", "alerts"})
    CSS_PATH = style_path("settings")

    def compose_body(self) -> ComposeResult:
        yield Rows(COLUMNS, lambda e: f"{e.group} {e.name} {e.value}", self.now, id="settings")

    def on_mount(self) -> None:
        self.app.theme_changed_signal.subscribe(self, lambda _: self._show_theme())

    def _show_theme(self) -> None:
        if self.view is not None:
            self.present(self.view)

    async def fetch(self, store: "Store", at: datetime | None) -> Told:
        return await settings.fetch(store)

    def summary(self) -> str:
        bad = len(self.console.problems) + (len(self.view.problems) + sum(e.tone == "bad" for e in self.view.channels) if self.view else 0)
        return f"{plural(bad, 'problem')}" if bad else "no problems"

    def present(self, view: Told) -> None:
        self.query_one("#settings", Rows).set_items(self._entries(view))

    def _entries(self, view: Told) -> list[Entry]:
        console, config = self.console, self.console.link.config
        entries = settings.problems((*console.problems.values(), *view.problems)) + settings.keymap_entries(console.places, console.keymap)
        entries += view.channels
        for name in sorted(console.available_themes):
            here = name == console.theme
            entries.append(Entry("theme", name, "● in use" if here else "enter to use", tone="good" if here else "dim"))
        colours = "none (NO_COLOR)" if console.no_color else str(console.console.color_system)
        entries += settings.about(console.places, config.sources if config is not None else (), colours)
        for operator in console.chrome.operators if console.chrome is not None else ():
            entries.append(Entry("operator", operator.name, operator.origin, "view-only" if operator.view_only else operator.screen))
        return entries + settings.bindings(console.keymap)

    @on(Rows.Opened)
    def _open(self, message: Rows.Opened) -> None:
        entry: Entry = message.item
        if entry.group == "theme":
            self.console.choose_theme(entry.name)
            self.present(self.view or Told())
        elif entry.group == "key":
            self.console.say(Cell(f'rebind in {self.console.places.config_dir / "keymap.json"}: {{"{entry.name}": "f5"}}', "info"))
        else:
            self.console.say(Cell(entry.value, entry.tone))
