"""Where calls wait their turn: in order of arrival for each model, the first of them woken when something may have become free."""

import asyncio
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from executor_tui.domain.clock import Clock


async def done_within(future: "asyncio.Future[None]", clock: Clock, seconds: float) -> bool:
    """Wait for a future for at most so long by the given clock; says whether it is done."""
    if future.done() or seconds <= 0:
        return future.done()
    sleeper = asyncio.ensure_future(clock.sleep(seconds))
    try:
        await asyncio.wait({future, sleeper}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        sleeper.cancel()
    return future.done()


class Place:
    """One caller's place in the queue for a model."""

    def __init__(self, queue: "deque[Place]") -> None:
        self._queue = queue
        self._call: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @property
    def first(self) -> bool:
        return self._queue[0] is self

    def call(self) -> None:
        """Something changed: look again."""
        if not self._call.done():
            self._call.set_result(None)

    async def wait(self, clock: Clock, seconds: float) -> None:
        """Until called, or for so long."""
        await done_within(self._call, clock, seconds)
        if self._call.done():
            self._call = asyncio.get_running_loop().create_future()


class WaitingRoom:
    """A queue per model."""

    def __init__(self) -> None:
        self._queues: dict[str, deque[Place]] = {}

    def __len__(self) -> int:
        return sum(len(queue) for queue in self._queues.values())

    def waiting_for(self, model_id: str) -> int:
        """How many wait for this model: a newcomer does not go before them."""
        return len(self._queues.get(model_id, ()))

    @contextmanager
    def place(self, model_id: str) -> Iterator[Place]:
        """A place at the end of the queue, given up when the block is left; the next in the queue is then called."""
        queue = self._queues.setdefault(model_id, deque())
        place = Place(queue)
        queue.append(place)
        try:
            yield place
        finally:
            queue.remove(place)
            if queue:
                queue[0].call()
            else:
                self._queues.pop(model_id, None)

    def call_all(self) -> None:
        """Something became free somewhere: the first of each queue looks again."""
        for queue in self._queues.values():
            queue[0].call()
