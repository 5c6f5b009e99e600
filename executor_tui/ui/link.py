"""The console's only connection: the store, opened and read on a thread of its own.

Nothing that touches a database runs on the thread that draws, so a busy store costs no keystroke, and the first frame does not wait
for the database libraries to be imported.
"""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from textual.message import Message

from executor_tui.config.places import Places
from executor_tui.domain.clock import Clock
from executor_tui.domain.errors import ExecutorError, StoreError
from executor_tui.ui.messages import SettingsChanged, StoreFailed, StoreOpened, TopicsChanged

if TYPE_CHECKING:
    from executor_tui.config.load import Config
    from executor_tui.store.store import Store

T = TypeVar("T")
RETRY_S = 5.0


class StoreLink:
    """`start` it once; `read` from the drawing thread; `stop` it before leaving. `post` must be callable from any thread."""

    def __init__(self, places: Places, clock: Clock, post: Callable[[Message], object]) -> None:
        self._places, self._clock, self._post = places, clock, post
        self._thread = threading.Thread(target=self._main, name="store-link", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self.config: Config | None = None
        self.store: Store | None = None

    @property
    def open(self) -> bool:
        return self.store is not None

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Close the store and end the thread; returns when both are done."""
        loop, task = self._loop, self._task
        if loop is not None and task is not None and not loop.is_closed():
            loop.call_soon_threadsafe(task.cancel)
        if self._thread.is_alive():
            self._thread.join(timeout=5.0)

    async def read(self, use: "Callable[[Store], Awaitable[T]]") -> T:
        """Run `use` with the store on the store's thread. Raises what it raises, StoreError while the store is not open."""
        if self.store is None or self._loop is None:
            raise StoreError("the store is not open yet")
        return await asyncio.wrap_future(self._submit(use))

    def _submit(self, use: "Callable[[Store], Awaitable[T]]") -> "Future[T]":
        store, loop = self.store, self._loop
        assert store is not None and loop is not None

        async def run() -> T:
            return await use(store)

        return asyncio.run_coroutine_threadsafe(run(), loop)

    def last_words(self, use: "Callable[[Store], Awaitable[object]]", wait_s: float = 2.0) -> None:
        """Run `use` once the drawing loop is gone. Not heard when the store does not answer in time."""
        if self.store is not None and self._thread.is_alive():
            with suppress(ExecutorError, FutureTimeout):
                self._submit(use).result(wait_s)

    async def work(self, job: Callable[[], T]) -> T:
        """Run a plain function on another thread: sorting and filtering of long lists."""
        return await asyncio.to_thread(job)

    def _main(self) -> None:
        try:
            asyncio.run(self._run())
        except asyncio.CancelledError:
            return

    async def _run(self) -> None:
        self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
        while True:
            try:
                await self._serve()
            except ExecutorError as error:
                await self._close()
                self._post(StoreFailed(error))
            except asyncio.CancelledError:
                await self._close()
                raise
            await self._clock.sleep(RETRY_S)

    async def _serve(self) -> None:
        """Open, then follow the feed until it fails."""
        from executor_tui.config.load import load
        from executor_tui.store.store import Store, default_url

        self.config = await asyncio.to_thread(load, self._places.config_dir)
        store = await Store.open(self.config.database_url(default_url(self._places.state_dir)), self._clock)
        self.store = store
        self._post(StoreOpened())
        watcher = asyncio.get_running_loop().create_task(self._watch(), name="config-watch")
        try:
            async for topics in store.feed():
                self._post(TopicsChanged(topics))
        finally:
            watcher.cancel()

    async def _watch(self) -> None:
        from executor_tui.config.watch import ConfigChanged, watch

        async for change in watch(self._places.config_dir):
            if isinstance(change, ConfigChanged):
                self.config = change.config
                self._post(SettingsChanged(change.files))
            else:
                self._post(SettingsChanged(change.files, change.message))

    async def _close(self) -> None:
        store, self.store = self.store, None
        if store is not None:
            await store.close()
