"""The node inside the console's process, on a thread of its own: for containers with one process, and for trying things out."""

import asyncio
import threading

from executor_tui.config.places import Places
from executor_tui.domain.clock import Clock
from executor_tui.domain.errors import ExecutorError
from executor_tui.ui.states import Look


class InlineNode:
    """Looks like a supervisor to the console."""

    def __init__(self, places: Places, clock: Clock) -> None:
        self._places, self._clock = places, clock
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self.problem = ""

    @property
    def ours(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def look_after(self, somebody_leads: bool) -> None:
        """Start the node once, unless somebody leads already."""
        if self._thread is None and not somebody_leads:
            self._thread = threading.Thread(target=self._main, name="inline-node", daemon=True)
            self._thread.start()

    def _main(self) -> None:
        try:
            asyncio.run(self._run())
        except ExecutorError as error:
            self.problem = f"the node cannot run: {error.message}"

    async def _run(self) -> None:
        from executor_tui.node import running_node

        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        async with running_node(self._places, self._clock):
            await self._stop.wait()

    def look(self) -> Look | None:
        if self.problem:
            return Look("✗", self.problem, "bad")
        return Look("◆", "node starting", "info") if self.ours else None

    def stop(self) -> None:
        """Ask the node to stop cleanly and wait for it."""
        if self._loop is not None and self._stop is not None and self.ours:
            self._loop.call_soon_threadsafe(self._stop.set)
        if self._thread is not None:
            self._thread.join(timeout=20.0)
