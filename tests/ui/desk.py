"""An operator's desk for tests: a console over a real store in a temporary directory, on a clock that stands still."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC
from pathlib import Path

from textual import events
from textual.pilot import Pilot

from executor_tui.config.places import Places
from executor_tui.domain.clock import ManualClock
from executor_tui.store.store import Store, default_url
from executor_tui.ui.app import ExecutorApp
from executor_tui.ui.attendance import Identity
from executor_tui.ui.screens.base import ConsoleScreen
from executor_tui.ui.shell import NodeKeeper
from executor_tui.ui.widgets.lines import Lines
from executor_tui.ui.widgets.notice import Notice
from executor_tui.ui.widgets.rows import Rows

sys.path.insert(0, str(Path(__file__).parent))

WAIT_S = 20.0
"""How long a test waits for an event before it fails; it never measures."""


class DeskClock(ManualClock):
    """Stands still for everything that is shown; lets the change feed poll, which lives on another thread, and the rest wait."""

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0.02 if seconds < 1.0 else 1.0)

    def pass_s(self, seconds: float) -> None:
        """Time goes by, at once."""
        self._move_to(self._monotonic_s + seconds)


class Desk:
    """`app` and `pilot`, a `store` of the test's own beside the console's, and ways to wait for what is to happen."""

    def __init__(self, app: ExecutorApp, pilot: Pilot[int], store: Store, clock: DeskClock) -> None:
        self.app, self.pilot, self.store, self.clock = app, pilot, store, clock

    async def until(self, true: Callable[[], bool], what: str = "") -> None:
        """Wait until something holds. Raises TimeoutError with the screen as it then is."""
        try:
            async with asyncio.timeout(WAIT_S):
                while not true():
                    await self.pilot.pause(0.01)
        except TimeoutError:
            raise TimeoutError(f"{what or 'what was waited for'} did not come; on the screen:\n{self.front()}") from None
        await self.pilot.pause()

    async def settle(self) -> None:
        """Wait until the screen in front has read what it shows."""

        def settled() -> bool:
            app = self.app
            top = app.screen
            if app.store_problem is not None:
                return not isinstance(top, ConsoleScreen) or top.has_class("-failed")
            if not app.link.open or app.chrome is None:
                return False
            if not isinstance(top, ConsoleScreen):
                return True
            drawn = not top.has_class("-data") or all(text._rows or not text.lines for text in top.query(Lines))
            return not top._loading and not top._again and not top.has_class("-loading") and bool(top.query("Prompt")) and drawn

        await self.until(settled, "the screen has settled")
        await self.pilot.pause(0.02)

    async def press(self, *keys: str) -> None:
        """Press keys, let the store answer."""
        await self.pilot.press(*keys)
        await self.settle()

    async def type(self, text: str) -> None:
        """A burst of characters, as one packet from a terminal brings them."""
        for char in text:
            self.send(char)
        await self.until(lambda: not self.app._keys._busy)
        for _ in range(3):  # from the input to the prompt, to the screen, to what it filters
            await self.pilot.pause()

    def send(self, char: str) -> None:
        """One key, without waiting for anything."""
        driver = self.app._driver
        assert driver is not None
        driver.send_message(events.Key(NAMES.get(char, char), char if len(char) == 1 else None))

    async def paste(self, text: str) -> None:
        driver = self.app._driver
        assert driver is not None
        driver.send_message(events.Paste(text))
        await self.pilot.pause()

    async def see(self, text: str) -> None:
        """Wait until a text is on the screen."""
        await self.until(lambda: text in self.seen(), text)

    def seen(self) -> str:
        """The whole screen as plain text."""
        lines = self.app.screen._compositor.render_strips()
        below = [s._compositor.render_strips() for s in self.app.screen_stack[:-1]]
        return "\n".join(strip.text for strips in (*below, lines) for strip in strips)

    def front(self) -> str:
        """The screen in front as plain text, without what is under a modal."""
        return "\n".join(strip.text for strip in self.app.screen._compositor.render_strips())

    @property
    def rows(self) -> "Rows[object]":
        return self.app.screen.query(Rows).first()

    @property
    def text(self) -> str:
        return self.app.screen.query(Lines).first().all_text()

    @property
    def notice(self) -> str:
        return self.app.screen.query_one(Notice).text


NAMES = {
    "/": "slash", "!": "exclamation_mark", " ": "space", ":": "colon", "-": "minus", ".": "full_stop", "?": "question_mark", "\n": "enter",
    "[": "left_square_bracket", "]": "right_square_bracket", "_": "underscore",
}  # fmt: skip


@asynccontextmanager
async def open_desk(
    places: Places, *, seeded: bool = True, size: tuple[int, int] = (80, 24), view_only: bool = False, node: NodeKeeper | None = None,
    repo: bool = False, broken: bool = False, settle: bool = True,
) -> AsyncIterator[Desk]:  # fmt: skip
    """A console at work. `seeded` fills the store with tests/ui/seed.py; with `repo` one of its projects has a repository;
    `broken`: the console's store cannot be opened."""
    from repo import make_repo
    from seed import seed

    clock = DeskClock()
    url = default_url(places.state_dir)
    if broken:
        Path(url.partition("///")[2]).write_bytes(b"This is no database. " * 400)
        url = f"sqlite+aiosqlite:///{places.state_dir / 'elsewhere.db'}"
    store = await Store.open(url, clock)
    if seeded and not broken:
        path = places.state_dir / "projects" / "prj-invoices"
        await seed(store, str(path) if repo else "", await asyncio.to_thread(make_repo, path) if repo else ())
    app = ExecutorApp(places, clock, Identity("anna", "ssh 10.0.0.5"), view_only=view_only, node=node, zone=UTC)
    try:
        async with app.run_test(size=size) as pilot:
            desk = Desk(app, pilot, store, clock)
            if settle:
                await desk.settle()
            yield desk
            app.leaving = True
    finally:
        await asyncio.to_thread(app.link.stop)
        await store.close()
