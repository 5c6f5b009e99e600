"""Logs: every event as it happens, followed or paused, narrowed by level, agent and words, searched through all there is."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.message import Message

from executor_tui.domain.errors import ExecutorError
from executor_tui.domain.event import Event, Level
from executor_tui.ui.data import logs
from executor_tui.ui.data.logs import LogPage, Narrow
from executor_tui.ui.keys import bind
from executor_tui.ui.messages import DataFailed
from executor_tui.ui.screens import bars
from executor_tui.ui.screens.base import ConsoleScreen, style_path
from executor_tui.ui.states import Cell
from executor_tui.ui.widgets.columns import parse_query
from executor_tui.ui.widgets.logview import STAMPS, LogView
from executor_tui.ui.workers import start

if TYPE_CHECKING:
    from executor_tui.store.store import Store

LEVELS = (Level.DEBUG, Level.INFO, Level.WARNING, Level.ERROR)


class Paged(Message):
    """Older lines came."""

    def __init__(self, events: tuple[Event, ...]) -> None:
        super().__init__()
        self.events = events


class Found(Message):
    """A search through the store ended at this event; `seq` 0 for nowhere."""

    def __init__(self, events: tuple[Event, ...], seq: int) -> None:
        super().__init__()
        self.events, self.seq = events, seq


class LogsScreen(ConsoleScreen[LogPage]):
    SECTION = "logs"
    TOPICS = logs.TOPICS
    GAP_S: ClassVar[float] = 0.5
    CSS_PATH = style_path("logs")
    BINDINGS: ClassVar[list[BindingType]] = [
        bind("p", "follow", "Follow/pause", "logs.follow"),
        bind("f", "find", "Find", "logs.find"),
        bind("n", "again(1)", "Next", "logs.next", show=False),
        bind("N", "again(-1)", "Previous", "logs.previous", show=False),
        bind("l", "level", "Level", "logs.level"),
        bind("o", "only", "Only agent", "logs.only"),
        bind("t", "stamps", "Times", "logs.stamps", show=False),
        bind("S", "save", "Save", "logs.save", show=False),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._narrow = Narrow()
        self._restart = True
        self._wanted = ""
        self._paging = False

    def compose_body(self) -> ComposeResult:
        yield LogView(id="log")

    @property
    def log_view(self) -> LogView:
        return self.query_one("#log", LogView)

    # -- reading ----------------------------------------------------------------------------------------------

    async def fetch(self, store: "Store", at: datetime | None) -> LogPage:
        if at is not None or self._restart:
            return await logs.newest(store, self._narrow, at)
        return await logs.after(store, self._narrow, self.log_view.last_seq)

    def topics_changed(self, topics: frozenset[str]) -> None:
        if self.log_view.following:
            super().topics_changed(topics)

    def nothing_in(self, view: LogPage) -> bool:
        return view.restarted and not view.events and not self.log_view.events and self._narrow == Narrow()

    def empty(self) -> Sequence[Cell]:
        return (
            Cell("Nothing has happened yet", "strong"), Cell(""),
            Cell("Every step of every agent is told here once a node runs."), Cell("n  ask for a project", "info"),
        )  # fmt: skip

    def present(self, view: LogPage) -> None:
        self._restart = self.console.at is not None
        log, now = self.log_view, self.now()
        log.form = replace(log.form, zone=self.console.zone, kinds=self.size.width >= 130)
        if view.restarted:
            log.newest_held = True
            log.reset(view.events, now)
        else:
            log.take_newer(view.events, now)
        if view.skipped:
            self.console.say(Cell(f"{view.skipped:,} lines came too fast to show; scroll up to read them", "dim"))

    def summary(self) -> str:
        narrow = self._narrow
        parts = ["following" if self.log_view.following else "paused", f"{narrow.level.value} and up" if narrow.level != "debug" else "all"]
        parts += [narrow.agent_id] if narrow.agent_id else []
        parts += [narrow.project_id] if narrow.project_id else []
        return " · ".join(parts) + (f"  find {self._wanted!r}" if self._wanted else "")

    def start_over(self) -> None:
        self._restart, self._paging = True, False
        self.log_view.following = True
        self.refresh_data()
        bars.show_crumbs(self)

    def narrow(self, agent_id: str, project_id: str) -> None:
        """Show one agent or one project only; both empty for everything."""
        self._narrow = replace(self._narrow, agent_id=agent_id, project_id=project_id)
        self.start_over()

    @on(LogView.OlderWanted)
    def _older(self) -> None:
        first = self.log_view.first_seq
        if first is not None and not self._paging:
            self._paging = True
            start(self, partial(self._page_back, first), "page")

    async def _page_back(self, first: int) -> None:
        try:
            self.post_message(Paged(await self.console.link.read(lambda store: logs.before(store, self._narrow, first))))
        except ExecutorError as error:
            self.post_message(DataFailed(error, 0.0))

    @on(Paged)
    def _paged(self, message: Paged) -> None:
        self._paging = not message.events  # nothing older is left: do not ask again
        if message.events:
            self.log_view.take_older(message.events)

    @on(Found)
    def _found(self, message: Found) -> None:
        if not message.seq:
            self.console.say(Cell(f"no more {self._wanted!r}", "dim"))
            return
        log = self.log_view
        log.following, log.newest_held = False, False
        self._paging = False
        log.reset(message.events, self.now())
        if not log.show_seq(message.seq):
            self.console.say(Cell("found, but the filter hides it", "dim"))
        bars.show_crumbs(self)

    @on(LogView.NewerWanted)
    def _newer(self) -> None:
        self.log_view.newest_held = True
        self.refresh_data()

    # -- keys -------------------------------------------------------------------------------------------------

    def action_follow(self) -> None:
        if self.log_view.following:
            self.log_view.following = False
            bars.show_crumbs(self)
        else:
            self.start_over()

    def action_level(self) -> None:
        at = LEVELS.index(self._narrow.level)
        self._narrow = replace(self._narrow, level=LEVELS[(at + 1) % len(LEVELS)])
        self.start_over()

    async def action_only(self) -> None:
        names = logs.names(self.log_view.events)
        prompt = await self.prompt()
        prompt.open("only", "only agent: ", self._narrow.agent_id, lambda text: [n for n in names if n.startswith(text)])

    async def action_find(self) -> None:
        (await self.prompt()).open("find", "find: ", self._wanted)

    async def answered(self, purpose: str, text: str) -> None:
        if purpose == "only":
            self.narrow(text.strip(), self._narrow.project_id)
        elif purpose == "find":
            self._wanted = text
            self.log_view.search(parse_query(text).pattern)
            bars.show_crumbs(self)
            if text:
                self.action_again(-1)

    def action_again(self, direction: int) -> None:
        """To the next or previous match: among the lines held, else through the whole store."""
        log = self.log_view
        if not self._wanted:
            self.console.say(Cell("f finds words first", "dim"))
        elif log.find(direction):
            log.following = False
        else:
            edge = log.last_seq if direction > 0 else (log.first_seq or 0)
            start(self, partial(self._search, self._wanted, edge, direction), "search", exclusive=True)

    async def _search(self, text: str, edge: int, direction: int) -> None:
        try:
            seq = await self.console.link.read(lambda store: store.events.find_text(text, edge, direction))
            if seq is None:
                self.post_message(Found((), 0))
            else:
                self.post_message(Found(await self.console.link.read(lambda store: logs.around(store, self._narrow, seq)), seq))
        except ExecutorError as error:
            self.post_message(DataFailed(error, 0.0))

    def filter_edited(self, text: str) -> None:
        self.log_view.rewrite(query=parse_query(text))
        bars.show_crumbs(self)

    def active_filter(self) -> str:
        return self.log_view.query_.text

    async def action_filter(self) -> None:
        (await self.prompt()).open("filter", "/", self.active_filter())

    def action_stamps(self) -> None:
        form = self.log_view.form
        self.log_view.rewrite(form=replace(form, stamps=STAMPS[(STAMPS.index(form.stamps) + 1) % len(STAMPS)]))

    def action_copy(self) -> None:
        self.console.copy(self.log_view.visible_text())

    def action_save(self) -> None:
        self.console.act(self.console.save_shown(""))

    def shown_text(self) -> str:
        return self.log_view.all_text()

    def action_back(self) -> None:
        if self.active_filter():
            self.filter_edited("")
        elif self._narrow.agent_id or self._narrow.project_id:
            self.narrow("", "")
        else:
            self.console.back()
