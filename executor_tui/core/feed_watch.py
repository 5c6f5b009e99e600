"""One subscriber to the change feed for a whole process; whoever waits for a topic waits here."""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable

from executor_tui.domain.clock import Clock
from executor_tui.domain.errors import StoreError
from executor_tui.hydra.waiting import done_within
from executor_tui.store.store import Store

log = logging.getLogger(__name__)

RETRY_S = 1.0
Listener = Callable[[frozenset[str]], None]


class FeedWatch:
    """Follows the feed from `start` to `close`. Every topic counts as changed once when following begins."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store, self._clock = store, clock
        self._versions: defaultdict[str, int] = defaultdict(int)
        self._waiting: defaultdict[str, list[asyncio.Future[None]]] = defaultdict(list)
        self._listeners: list[Listener] = []
        self._task: asyncio.Task[None] | None = None

    def listen(self, listener: Listener) -> None:
        """Call this, without waiting for it, with every set of changed topics."""
        self._listeners.append(listener)

    def start(self) -> None:
        if self._task is None:
            self._task = asyncio.create_task(self._follow(), name="feed-watch")

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    def version(self, topic: str) -> int:
        """Read this before reading the store, and give it to `newer`: then no change is missed in between."""
        return self._versions[topic]

    async def newer(self, topic: str, than: int, seconds: float) -> None:
        """Until the topic has changed since version `than`, or for so long."""
        if self._versions[topic] != than:
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[topic].append(future)
        try:
            await done_within(future, self._clock, seconds)
        finally:
            self._waiting[topic].remove(future)

    async def _follow(self) -> None:
        while True:
            try:
                async for topics in self._store.feed():
                    self._tell(topics)
            except StoreError as exc:
                log.warning("the change feed broke off (%s); following it again", exc.message)
            await self._clock.sleep(RETRY_S)

    def _tell(self, topics: frozenset[str]) -> None:
        for topic in topics:
            self._versions[topic] += 1
            for future in self._waiting.get(topic, ()):
                if not future.done():
                    future.set_result(None)
        for listener in self._listeners:
            listener(topics)
