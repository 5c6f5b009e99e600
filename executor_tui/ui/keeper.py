"""Keeps what every screen shows around its own data up to date: one reading at a time, at most a few a second, and a slow beat for what
has no topic (heartbeats growing old)."""

from typing import TYPE_CHECKING

from executor_tui.domain.errors import ExecutorError
from executor_tui.ui.messages import ChromeLoaded
from executor_tui.ui.workers import start

if TYPE_CHECKING:
    from executor_tui.ui.shell import Shell

GAP_S = 0.4
BEAT_S = 3.0


class ChromeKeeper:
    def __init__(self, app: "Shell") -> None:
        self._app = app
        self._loading = self._again = False

    def topics_changed(self, topics: frozenset[str]) -> None:
        from executor_tui.ui.data import chrome

        if topics & chrome.TOPICS:
            self.refresh()

    def refresh(self) -> None:
        if not self._app.link.open:
            return
        if self._loading:
            self._again = True
            return
        self._loading, self._again = True, False
        start(self._app, self._load, "chrome")

    async def _load(self) -> None:
        from executor_tui.ui.data import chrome

        clock = self._app.clock
        begun = clock.monotonic_s()
        try:
            self._app.post_message(ChromeLoaded(await self._app.link.read(chrome.fetch)))
        except ExecutorError as error:
            self._app.log.warning(error.message)
        self._app.set_timer(max(GAP_S, 3 * (clock.monotonic_s() - begun)), self._rested)

    def _rested(self) -> None:
        self._loading = False
        if self._again:
            self.refresh()
