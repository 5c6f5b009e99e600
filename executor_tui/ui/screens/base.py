"""What every screen is: bars around a body, one refresh at a time, three outcomes (data, empty, failed), and stillness while covered."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Generic, TypeVar, cast

from textual import events, on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.screen import Screen
from textual.timer import Timer
from textual.widget import AwaitMount, Widget

from executor_tui.config.places import shipped
from executor_tui.domain.errors import ExecutorError
from executor_tui.ui.keys import CHANGING, bind
from executor_tui.ui.messages import DataFailed, DataLoaded
from executor_tui.ui.screens import bars
from executor_tui.ui.states import Cell
from executor_tui.ui.text import fit
from executor_tui.ui.text import width as text_width
from executor_tui.ui.widgets.bars import AttentionBar, CrumbBar, KeyBar, TabBar
from executor_tui.ui.widgets.columns import parse_query
from executor_tui.ui.widgets.notice import Notice
from executor_tui.ui.widgets.rows import Rows
from executor_tui.ui.widgets.toned import Toned
from executor_tui.ui.workers import start

if TYPE_CHECKING:
    from executor_tui.store.store import Store
    from executor_tui.ui.app import ExecutorApp
    from executor_tui.ui.widgets.prompt import Prompt

V = TypeVar("V")
TICK_S = 1.0
MOST_REST_S = 5.0
"""However long a reading took, the next one is not put off for longer."""
OUTCOMES = ("-loading", "-data", "-empty", "-failed")
SMALLEST = (60, 20)


def style_path(name: str) -> Path:
    return shipped("styles") / f"{name}.tcss"


class ConsoleScreen(Screen[None], Generic[V], inherit_bindings=False):
    """Subclasses say what they read (`fetch`), on which topics, and how to show it (`present`)."""

    AUTO_FOCUS = ""
    ALLOW_SELECT = False
    SECTION: ClassVar[str] = ""
    """The numbered screen this one belongs to."""
    TOPICS: ClassVar[frozenset[str]] = frozenset()
    GAP_S: ClassVar[float] = 0.2
    """It reads the store at most this often, and never spends more than a quarter of its time reading."""
    TICKS: ClassVar[bool] = False
    """Whether anything shown counts time."""
    BINDINGS: ClassVar[list[BindingType]] = [
        bind("slash", "filter", "Filter", "screen.filter"),
        bind("escape", "back", "Back", "screen.back", show=False),
        bind("y", "copy", "Copy", "screen.copy", show=False),
        bind("ctrl+r", "reload", "Reload", "screen.reload", show=False),
        bind("tab", "app.focus_next", "Next part", "screen.next_part", show=False),
        bind("shift+tab", "app.focus_previous", "Previous part", "screen.previous_part", show=False),
    ]

    def __init__(self) -> None:
        super().__init__(classes="-loading")
        self.view: V | None = None
        self._loading = self._again = False
        self._due: Timer | None = None
        self._ticker: Timer | None = None
        self._took_s = 0.0
        self._covered = True
        self._styled_for = ""
        # The styles in force are those of the theme in force: without this Textual parses them all again for each new screen.
        self._css_update_count = self.app._css_update_count

    # -- for subclasses ---------------------------------------------------------------------------------------

    def compose_body(self) -> ComposeResult:
        """The widgets shown while there is data."""
        raise NotImplementedError

    async def fetch(self, store: "Store", at: datetime | None) -> V:
        """Read what is shown. Runs on the store's thread: touch no widget here."""
        raise NotImplementedError

    def present(self, view: V) -> None:
        """Put what was read into the widgets."""
        raise NotImplementedError

    def nothing_in(self, view: V) -> bool:
        return False

    def empty(self) -> Sequence[Cell]:
        """Lines of the empty screen: what would fill it and the key that starts it."""
        return (Cell("Nothing here yet", "strong"),)

    def summary(self) -> str:
        return ""

    def crumbs(self) -> Sequence[str]:
        """Where we are, outermost first."""
        return (self.SECTION.capitalize(),)

    def looking_at(self) -> str:
        """The id of what the operator has open, for others to see."""
        return ""

    def tick(self) -> None:
        """A second went by."""
        for rows in self.query(Rows):
            rows.redraw()

    # -- the frame --------------------------------------------------------------------------------------------

    @property
    def console(self) -> "ExecutorApp":
        return cast("ExecutorApp", self.app)

    def now(self) -> datetime:
        """The moment shown: now, or where time travel stands."""
        return self.console.at or self.console.clock.now()

    def compose(self) -> ComposeResult:
        yield TabBar(id="tabs")
        yield CrumbBar(id="crumbs")
        with Vertical(id="body"):
            yield from self.compose_body()
        yield Notice(id="notice")
        yield Notice(id="too-small")
        yield AttentionBar(id="attention")
        yield KeyBar(id="keys")

    def on_mount(self) -> None:
        self.bindings_updated_signal.subscribe(self, lambda _: bars.show_keys(self))
        self._outcome("-loading", [Cell("Reading the store …", "dim")])
        self.frame()

    def frame(self) -> None:
        """Bring the bars up to date."""
        bars.show_tabs(self)
        bars.show_crumbs(self)
        bars.show_attention(self)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return not (self.console.view_only and action in CHANGING)

    def _on_screen_resume(self, event: events.ScreenResume) -> None:
        # Textual, whose handler comes after this one, styles every widget of a screen anew each time it comes to the front: a third of
        # what a switch costs. Only another theme makes that necessary.
        theme = self.console.theme
        event.refresh_styles = event.refresh_styles and theme != self._styled_for
        self._styled_for = theme

    @on(events.ScreenResume)
    def _resumed(self) -> None:
        self._covered = False
        if self.TICKS:
            self._ticker = self._ticker or self.set_interval(TICK_S, self.tick)
            self._ticker.resume()
        self.frame()
        bars.show_keys(self)
        self.refresh_data()

    @on(events.ScreenSuspend)
    def _suspended(self) -> None:
        self._covered = True
        if self._ticker is not None:
            self._ticker.pause()
        if self._due is not None:
            self._due.stop()
            self._due = None

    def on_resize(self) -> None:
        small = self.size.width < SMALLEST[0] or self.size.height < SMALLEST[1]
        self.set_class(small, "-too-small")
        if small:
            text = f"Executor needs {SMALLEST[0]}×{SMALLEST[1]}; this terminal is {self.size.width}×{self.size.height}"
            self.query_one("#too-small", Notice).show([Cell(text, "warn")])
        self.call_after_refresh(self.frame)
        self.call_after_refresh(bars.show_keys, self)

    # -- reading ----------------------------------------------------------------------------------------------

    def topics_changed(self, topics: frozenset[str]) -> None:
        if topics & self.TOPICS and self.console.at is None:
            self.refresh_data()

    def refresh_data(self) -> None:
        """Read again. While one reading runs or is due, further wishes are swallowed into one more after it."""
        if not self._covered and self.console.store_problem is not None:
            self.failed(self.console.store_problem)
        if self._covered or not self.console.link.open:
            return
        if self._loading or self._due is not None:
            self._again = True
            return
        self._loading, self._again = True, False
        start(self, self._load, "load")

    async def _load(self) -> None:
        clock, at = self.console.clock, self.console.at
        begun = clock.monotonic_s()
        try:
            view = await self.console.link.read(lambda store: self.fetch(store, at))
        except ExecutorError as error:
            self.post_message(DataFailed(error, clock.monotonic_s() - begun))
        except Exception as error:
            text = f"unexpected {type(error).__name__} while reading"
            self.post_message(DataFailed(ExecutorError(text, hint="details are in console-crash.log"), clock.monotonic_s() - begun))
            raise
        else:
            self.post_message(DataLoaded(view, clock.monotonic_s() - begun))

    @on(DataLoaded)
    def _loaded(self, message: DataLoaded) -> None:
        message.stop()
        self.view = cast(V, message.view)
        if self.nothing_in(self.view):
            self._outcome("-empty", self.empty())
        else:
            self._outcome("-data")
            self.present(self.view)
        bars.show_crumbs(self)
        self._finish(message.took_s)
        if not self.query("Prompt"):
            start(self, self.prompt, "prompt")

    @on(DataFailed)
    def _failed(self, message: DataFailed) -> None:
        message.stop()
        self.failed(message.error)
        self._finish(message.took_s)

    def failed(self, error: ExecutorError) -> None:
        """Say what could not be read and what to do; it is tried again by itself when something changes."""
        lines = [Cell("✗ This cannot be shown", "bad"), Cell("", "plain"), *(Cell(line, "plain") for line in error.message.splitlines())]
        lines += [Cell("", "plain"), Cell(error.hint, "info")] if error.hint else []
        self._outcome("-failed", [*lines, Cell("", "plain"), Cell("ctrl+r  try again", "dim")])

    def _finish(self, took_s: float) -> None:
        self._loading = False
        self.call_after_refresh(self.console.come_alive)  # behind the focus, which moves after the refresh too
        self._due = self.set_timer(max(self.GAP_S, min(3 * took_s, MOST_REST_S)), self._rested)

    def _rested(self) -> None:
        self._due = None
        if self._again:
            self.refresh_data()

    def _outcome(self, outcome: str, lines: Sequence[Cell] = ()) -> None:
        if not self.has_class(outcome):
            had_focus = self.focused is not None
            self.update_classes({name: name == outcome for name in OUTCOMES})
            if outcome == "-data" or not had_focus:
                self.call_after_refresh(self.focus_body)
        self.query_one("#notice", Notice).show(lines)

    def focus_body(self) -> None:
        """Give the focus to the first thing that can have it, unless an input holds it."""
        if self.prompt_open:
            return
        target: Widget | None = self.query_one("#notice", Notice)
        if self.has_class("-data"):
            target = next((w for w in self.query("#body *") if w.can_focus and w.display), None)
        if target is not None and self.focused is not target:
            target.focus(scroll_visible=False)

    # -- the prompt -------------------------------------------------------------------------------------------

    @property
    def prompt_open(self) -> bool:
        found = self.query("Prompt")
        return bool(found) and found.first().has_class("-open")

    async def prompt(self) -> "Prompt":
        """The prompt of this screen, mounted on first use."""
        from executor_tui.ui.widgets.prompt import Prompt

        found = self.query(Prompt)
        if found:
            if not found.first().is_mounted:  # it is being made for somebody else
                await AwaitMount(self, [found.first()])
            return found.first()
        prompt = Prompt(id="prompt")
        await self.mount(prompt, before="#keys")
        return prompt

    def rows(self) -> "Rows[object] | None":
        """The table that filters and copies work on: the focused one, else the first."""
        if isinstance(self.focused, Rows):
            return self.focused
        found = self.query(Rows)
        return found.first() if found else None

    async def action_filter(self) -> None:
        rows = self.rows()
        if rows is not None:
            (await self.prompt()).open("filter", "/", rows.query_.text)

    def filter_edited(self, text: str) -> None:
        rows = self.rows()
        if rows is not None:
            rows.set_query(parse_query(text))
            bars.show_crumbs(self)

    def filter_closed(self, cancelled: bool) -> None:
        if cancelled:
            self.filter_edited("")

    def active_filter(self) -> str:
        rows = self.rows()
        return rows.query_.text if rows is not None else ""

    def on_prompt_edited(self, message: "Prompt.Edited") -> None:
        if message.purpose == "filter":
            self.filter_edited(message.text)

    def on_prompt_offered(self, message: "Prompt.Offered") -> None:
        bars.show_offers(self, message.cells)

    def on_prompt_closed(self, message: "Prompt.Closed") -> None:
        self.remove_class("-prompting")
        if message.purpose == "filter":
            self.filter_closed(message.cancelled)
        self.focus_body()

    async def on_prompt_submitted(self, message: "Prompt.Submitted") -> None:
        if message.purpose == "command":
            await self.console.run_line(message.text)
        else:
            await self.answered(message.purpose, message.text)

    async def answered(self, purpose: str, text: str) -> None:
        """Words the screen asked for came."""

    def picture(self) -> list[str]:
        """The screen as lines of plain text, from top to bottom."""
        width, height = self.size
        lines = [""] * height
        for widget in self.query(Toned):
            region = widget.region
            for y in range(region.height if widget.is_on_screen else 0):
                if 0 <= region.y + y < height:
                    lines[region.y + y] = fit(lines[region.y + y], region.x) + widget.text_at(y)
        return [line if text_width(line) <= width else fit(line, width) for line in lines]

    def shown_text(self) -> str:
        """What is shown, as plain text, for saving."""
        rows = self.rows()
        return rows.all_text() if rows is not None else ""

    def action_copy(self) -> None:
        rows = self.rows()
        if rows is not None and rows.current is not None:
            self.console.copy(rows.current_text())

    def action_reload(self) -> None:
        self.refresh_data()

    def action_back(self) -> None:
        if self.active_filter():
            self.filter_edited("")
        else:
            self.console.back()
