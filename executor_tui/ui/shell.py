"""The console's machinery: the store's link, what comes from it, what is said and done, and how it all ends. Moving about is `app`'s."""

import gc
import os
from collections.abc import Callable, Coroutine
from datetime import datetime, timedelta, tzinfo
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, runtime_checkable

from rich.console import RenderableType
from textual import events, on
from textual.app import App
from textual.filter import LineFilter, NoColor
from textual.message import Message
from textual.screen import Screen
from textual.theme import BUILTIN_THEMES

from executor_tui.config.places import Places, shipped
from executor_tui.domain.clock import Clock
from executor_tui.domain.errors import ExecutorError
from executor_tui.ui import clipboard, crash, lastscreen, themes
from executor_tui.ui.attendance import SEEN_EVERY_S, Attendance, Identity
from executor_tui.ui.copier import Copier, Handed
from executor_tui.ui.keeper import BEAT_S, ChromeKeeper
from executor_tui.ui.keys import CHANGING, ONLY_OPENS, load_keymap
from executor_tui.ui.lastscreen import LastScreen
from executor_tui.ui.link import StoreLink
from executor_tui.ui.memory import Memory
from executor_tui.ui.messages import ChromeLoaded, SettingsChanged, StoreFailed, StoreOpened, TopicsChanged
from executor_tui.ui.operations import Operations
from executor_tui.ui.registry import load_all
from executor_tui.ui.screens.base import ConsoleScreen, style_path
from executor_tui.ui.states import NO_NODE, Cell, Look
from executor_tui.ui.typeahead import KeyFence, TypeAhead
from executor_tui.ui.wire import only_spans
from executor_tui.ui.workers import WorkFailed, start

if TYPE_CHECKING:
    from executor_tui.ui.data.chrome import Chrome


SAID_FOR_S = 6.0
KEEP_EVERY_S = 60.0
SETTLED_S = 1.0
LINK_AFTER_S = 0.02
"""The first frame is on its way to the terminal before another thread begins to load the store."""
NO_MOUSE = "\x1b[?1000l\x1b[?1003l\x1b[?1015l\x1b[?1006l"
QUIET_S = 2.0
"""An approval opens by itself only when no key was pressed for this long."""


def sheets() -> list[Path]:
    """The style sheets of the screens; those of the modals come with the first of them."""
    return [path for path in sorted(shipped("styles").glob("*.tcss")) if path.stem not in ("console", "modals")]


def settle_memory() -> None:
    """What was loaded without collecting stays: leave it out of every later collection, so that none of them holds up a key."""
    if not gc.isenabled():
        gc.freeze()
        gc.enable()


class NodeKeeper(Protocol):
    """What looks after the node: a supervisor of a child process, or the node inside this process."""

    problem: str

    @property
    def ours(self) -> bool: ...

    def look_after(self, somebody_leads: bool) -> None: ...

    def look(self) -> Look | None: ...

    def stop(self) -> None: ...


@runtime_checkable
class Listener(Protocol):
    """A screen that does not take every input."""

    def hears(self, event: events.Event, arrived_s: float) -> bool: ...


class Done(Message):
    """An operation ended: `text` says how, `error` that it did not work."""

    def __init__(self, text: str, error: ExecutorError | None = None) -> None:
        super().__init__()
        self.text, self.error = text, error


class Shell(App[int], inherit_bindings=False):
    """`node` None: nothing is started or watched (tests, a second machine)."""

    TITLE = "Executor"
    CSS_PATH: ClassVar[Any] = [style_path("console"), *sheets()]
    # All screens' at once: Textual parses every style anew for each file it meets later.

    def __init__(
        self, places: Places, clock: Clock, who: Identity, *, view_only: bool = False, node: NodeKeeper | None = None,
        stop_node_on_quit: bool = False, zone: tzinfo | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.places, self.clock, self.who, self.zone = places, clock, who, zone
        self.node, self.stop_node_on_quit = node, stop_node_on_quit
        self.view_only = self._only_look = view_only
        self.at: datetime | None = None
        self.link = StoreLink(places, clock, self.post_message)
        self.operations = Operations(self.link, who.name, self._why_nothing_changes)
        self.attendance = Attendance(self.link, who)
        self.memory = Memory.load(places.state_dir / "console.json")
        self.chrome: Chrome | None = None
        self.keeper = ChromeKeeper(self)
        self.said: Cell | None = None
        self.store_problem: ExecutorError | None = None
        self.problems: dict[str, str] = {}
        self.keymap: dict[str, str] = {}
        self._kept_lines: list[str] = []
        self.leaving = False
        self.live = False
        """Whether the present is on the screen: the first screen's data and what surrounds it have been read, or could not be."""
        self.drawing: Callable[[], object] = lambda: None
        """Called once the terminal is the console's."""
        self.last_key_s = clock.monotonic_s()
        self._error: BaseException | None = None
        self._copier = Copier(self)
        self._keys = TypeAhead(self, super().on_event)
        self._load_themes()

    def _load_themes(self) -> None:
        found, problems = themes.load_themes(self.places.config_dir)
        for theme in found:
            self.register_theme(theme)
        for problem in problems:
            self.problems[problem.split(":")[0]] = problem
        wanted = "monochrome" if self.no_color else self.memory.theme
        # Not by assignment: that would have every style parsed once more before there is one to show.
        self.set_reactive(Shell.theme, wanted if wanted in self.available_themes else themes.DEFAULT)
        dark = self.current_theme.dark
        self.update_classes({f"-theme-{self.theme}": True, "-dark-mode": dark, "-light-mode": not dark}, update=False)
        self.stylesheet.set_variables(self.get_css_variables())
        for name in set(BUILTIN_THEMES) & set(self.available_themes):
            self.unregister_theme(name)
        if self.no_color:
            self._filters: list[LineFilter] = [NoColor()]

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return themes.FALLBACK_VARIABLES

    # -- coming and going -------------------------------------------------------------------------------------

    def on_mount(self) -> None:
        self.drawing()
        self.set_class(self.no_color, "-no-color")
        keymap = load_keymap(self.places.config_dir / "keymap.json")
        self.problems |= {f"keymap.json {i}": problem for i, problem in enumerate(keymap.problems)}
        self.keymap = keymap.keys
        self.set_keymap(keymap.keys)
        self.call_after_refresh(self.set_timer, LINK_AFTER_S, self.link.start)
        self.set_interval(BEAT_S, self._beat)
        self.set_interval(SEEN_EVERY_S, self.be_seen)
        self.set_interval(KEEP_EVERY_S, self._keep_now_and_then)

    def _beat(self) -> None:
        if self.link.open:
            self.keeper.refresh()

    @on(StoreOpened)
    def _opened(self) -> None:
        self.store_problem = None
        self._apply_settings()
        self.keeper.refresh()
        self.be_seen()
        self._each_screen(lambda screen: screen.refresh_data())

    def _apply_settings(self) -> None:
        """What executor.json says of consoles, and of this operator's; now and whenever the file changes."""
        if self.link.config is None:
            return
        ui = self.link.config.executor.ui
        self.view_only = self._may_only_look()
        if not self.memory.theme and not self.no_color and ui.theme in self.available_themes:
            self.theme = ui.theme
        self.set_class(ui.spacing == "compact", "-compact")
        if not ui.mouse:
            self.write_terminal(NO_MOUSE)
        self.refresh_bindings()

    def _may_only_look(self) -> bool:
        """By `--view-only`, or by what the configuration says of this operator."""
        rule = self.link.config.executor.ui.operators.get(self.who.name) if self.link.config is not None else None
        return self._only_look or (rule is not None and rule.view_only)

    def _why_nothing_changes(self) -> str:
        if self.view_only or self._may_only_look():
            return "this console is view-only"
        return "this is the past (:now returns to the present)" if self.at is not None else ""

    @on(StoreFailed)
    def _store_failed(self, message: StoreFailed) -> None:
        self.store_problem, self.chrome = message.error, None
        self._each_screen(lambda screen: screen.failed(message.error))
        self._each_screen(lambda screen: screen.frame())
        self.come_alive()

    @on(TopicsChanged)
    def _topics_changed(self, message: TopicsChanged) -> None:
        self.keeper.topics_changed(message.topics)
        self._each_screen(lambda screen: screen.topics_changed(message.topics))
        for screen in self.screen_stack:
            if not isinstance(screen, ConsoleScreen) and hasattr(screen, "topics_changed"):
                screen.topics_changed(message.topics)

    @on(SettingsChanged)
    def _settings_changed(self, message: SettingsChanged) -> None:
        for name in message.files:
            self.problems.pop(name, None)
        if message.problem:
            self.problems[message.files[0]] = message.problem
            self.say(Cell(f"✗ {message.problem.splitlines()[0]}", "bad"))
        else:
            self._apply_settings()
            self.say(Cell(f"✓ {', '.join(message.files)} applied", "good"))

    @on(ChromeLoaded)
    def _chrome_loaded(self, message: ChromeLoaded) -> None:
        before, self.chrome = self.chrome, message.chrome
        assert self.chrome is not None
        if self.node is not None:
            self.node.look_after(self.chrome.lease is not None)
        self._each_screen(lambda screen: screen.frame())
        self.ring(before)
        self.come_alive()
        self.chrome_changed()

    def chrome_changed(self) -> None:
        """What waits is known anew."""

    def node_look(self) -> Look:
        """How the node is, as far as the store and our own child process tell."""
        chrome = self.chrome
        if chrome is not None and chrome.lease is not None:
            return chrome.node_look()
        ours = self.node.look() if self.node is not None else None
        return ours or (chrome.node_look() if chrome is not None else NO_NODE)

    def _each_screen(self, use: Any) -> None:
        screen = next((s for s in reversed(self.screen_stack) if isinstance(s, ConsoleScreen)), None)
        if screen is not None and screen.is_mounted:
            use(screen)

    def be_seen(self) -> None:
        """Tell other operators where we are."""
        screen = self.in_front
        if self.link.open and screen is not None:
            where = self.current_mode
            looking = screen.looking_at() if hasattr(screen, "looking_at") else ""
            start(self, partial(self.attendance.seen, where, looking, self.view_only), "seen", exclusive=True)

    async def leave(self, stop_node: bool = False) -> None:
        """Detach, stop the node if asked to, and end."""
        if self.leaving:
            return
        self.leaving = True
        self.remember()
        await self.attendance.leave()
        if stop_node and self.node is not None:
            self.say(Cell("◆ stopping the node …", "info"))
            await self.link.work(self.node.stop)
        self.link.stop()
        self.exit(0)

    def remember(self) -> None:
        """Keep what the next console begins with: when each screen was looked at, and what this one shows."""
        if self.live:
            self.memory.looked[self.current_mode] = self.clock.now()
            self.memory.save()
            self._keep(self._last_screen())

    def _last_screen(self) -> LastScreen | None:
        """What stands here now, when that is a whole screen of the present."""
        screens = [s for s in self.screen_stack if isinstance(s, ConsoleScreen)]
        root = screens[0] if len(screens) == 1 else None
        if root is None or not self.live or self.at is not None or root.has_class("-too-small"):
            return None
        return LastScreen(self.current_mode, self.clock.now().isoformat(timespec="seconds"), root.size.width, root.picture())

    def _keep(self, screen: LastScreen | None) -> None:
        if screen is not None and screen.lines != self._kept_lines:
            self._kept_lines = screen.lines
            lastscreen.write(str(self.places.state_dir), screen)

    def _keep_now_and_then(self) -> None:
        """For the console that is killed: on another thread, as the disk may be slow."""
        screen = self._last_screen()
        start(self, lambda: self.link.work(partial(self._keep, screen)), "keep", exclusive=True)

    def part(self) -> None:
        """The end, whichever way it came: nobody is left standing as attached, and what was looked at is remembered."""
        if self.live and not self.leaving:
            self.memory.looked[self.current_mode] = self.clock.now()
            self.memory.save()
        self.attendance.part()
        self.link.stop()

    def come_alive(self) -> None:
        """The present is on the screen, or will not come: what was typed before is taken up now."""
        if self.reading or (self.chrome is None and self.store_problem is None):
            return
        if not self.live:
            self.live = True
            self.set_timer(SETTLED_S, self._settle)
        self.call_after_refresh(self._keys.release)

    def _settle(self) -> None:
        """The first screen stands: load the others beside it, so that none is waited for when it is first opened."""
        settle_memory()
        start(self, self._load_the_others, "preload")

    async def _load_the_others(self) -> None:
        await self.link.work(load_all)
        self.others_loaded()

    def others_loaded(self) -> None:
        """What the other screens are made of has been read."""

    @property
    def in_front(self) -> "Screen[Any] | None":
        """The screen in front; None once the console is ending, when messages may still come in."""
        return self.screen if self.screen_stack else None

    @property
    def reading(self) -> bool:
        """Whether the screen in front has not been read yet, and still can be."""
        return self.store_problem is None and self.in_front is not None and self.in_front.has_class("-loading")

    def choose_theme(self, name: str) -> None:
        """Change the colours, and remember it: what an operator chose goes before what is configured."""
        self.theme = self.memory.theme = name

    # -- saying and doing -------------------------------------------------------------------------------------

    def say(self, cell: Cell) -> None:
        """A passing word in the attention line."""
        self.said = cell
        self._each_screen(lambda screen: screen.frame())
        self.set_timer(SAID_FOR_S, lambda: self._unsay(cell))

    def _unsay(self, cell: Cell) -> None:
        if self.said is cell:
            self.said = None
            self._each_screen(lambda screen: screen.frame())

    def act(self, *operations: Coroutine[Any, Any, str]) -> None:
        """Carry out operations and say how they ended."""
        start(self, partial(self._act, operations), "act")

    async def _act(self, operations: tuple[Coroutine[Any, Any, str], ...]) -> None:
        texts: list[str] = []
        for operation in operations:
            try:
                texts.append(await operation)
            except ExecutorError as error:
                self.post_message(Done("", error))
                return
        self.post_message(Done(texts[0] if len(texts) == 1 else f"{len(texts)} done"))

    @on(Done)
    def _done(self, message: Done) -> None:
        if message.error is not None:
            hint = f" – {message.error.hint}" if message.error.hint else ""
            self.say(Cell(f"✗ {message.error.message}{hint}", "bad"))
        else:
            self.say(Cell(f"✓ {message.text}", "good"))

    @on(WorkFailed)
    def _work_failed(self, message: WorkFailed) -> None:
        path = self.places.state_dir / "console-crash.log"
        crash.write_crash(path, message.error, self.clock.now())
        self.say(Cell(f"✗ unexpected {type(message.error).__name__}; details in {path.name}", "bad"))

    def _display(self, screen: Screen[Any], renderable: RenderableType | None) -> None:
        super()._display(screen, only_spans(renderable))

    def write_terminal(self, sequence: str) -> bool:
        """Write a control sequence past the widgets; says whether there is a terminal."""
        if self._driver is None or self.is_headless:
            return False
        self._driver.write(sequence)
        return True

    def copy(self, text: str) -> None:
        """To the clipboard of the terminal, or a visible reason why not."""
        self._clipboard = text
        self._copier.copy(text)

    @on(Handed)
    def _handed(self, message: Handed) -> None:
        self._copier.handed(message)

    def ring(self, before: "Chrome | None") -> None:
        """Bell and desktop notification, once, when something new waits and the terminal is not in front."""
        if before is None or self.chrome is None or self.app_focus:
            return
        known = {m.id for m in before.attention.matters}
        new = [m for m in self.chrome.attention.matters if m.id not in known and m.kind != "park"]
        config = self.link.config
        if new and (config is None or config.executor.ui.bell):
            self.write_terminal(clipboard.notification(new[0].text, os.environ))

    def zone_of_now(self) -> timedelta:
        """How far the operator's clock is from UTC."""
        return self.clock.now().astimezone(self.zone).utcoffset() or timedelta(0)

    # -- keys and failures ------------------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return not (self.view_only and action in CHANGING)

    async def on_event(self, event: events.Event) -> None:
        if isinstance(event, events.Key | events.Paste):
            self.last_key_s = self.clock.monotonic_s()
        if isinstance(event, events.Key | events.Paste) and not event.is_forwarded:
            await self._keys.take(event)
        elif isinstance(event, events.MouseEvent) and not self.hears(event, self.clock.monotonic_s()):
            return
        else:
            await super().on_event(event)

    @on(KeyFence)
    def _key_done(self, message: KeyFence) -> None:
        self._keys.fenced(message.number)

    def hears(self, event: events.Event, arrived_s: float) -> bool:
        """Whether the screen in front takes input that arrived at a moment; an approval does not before it has been seen."""
        screen = self.in_front
        return screen.hears(event, arrived_s) if isinstance(screen, Listener) else True

    def changes_something(self, event: events.Event) -> bool:
        """Whether a key, pressed here and now, would change more than what is shown."""
        screen = self.in_front
        if (
            screen is None
            or not isinstance(event, events.Key)
            or (self.focused and self.focused.check_consume_key(event.key, event.character))
        ):
            return False
        active = screen.active_bindings.get(event.key)
        action = active.binding.action.split("(")[0].split(".")[-1] if active is not None else ""
        return action in CHANGING - ONLY_OPENS

    def _handle_exception(self, error: Exception) -> None:
        self._error = error
        super()._handle_exception(error)

    def _fatal_error(self) -> None:
        # Textual prints the local variables of every frame here; they could hold a key being entered.
        path = self.places.state_dir / "console-crash.log"
        if self._error is not None:
            crash.write_crash(path, self._error, self.clock.now())
        self._exit_renderables.append(crash.crash_line(path, self._error))
        self._close_messages_no_wait()
