"""One key at a time: each goes where the focus is once the key before it has been dealt with.

Textual hands a burst of keys (a fast typist, a paste without brackets, one packet over a slow line) to whatever had the focus when the
burst arrived. `/` followed at once by `new` would then open a filter and, its letters still going to the table, a new project as well.
Here a fence follows every key along its way; the next key waits for it.
"""

from collections import deque
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from textual import events
from textual.message import Message
from textual.timer import Timer

if TYPE_CHECKING:
    from executor_tui.ui.shell import Shell

LOST_S = 2.0
"""A fence that has not come back by then was lost with its widget; the next key goes on without it."""
MOST_WAITING = 20_000


class KeyFence(Message):
    """Sent after a key to where it went; bubbles to the app behind it."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


class TypeAhead:
    """`deliver` is how the app hands on an event."""

    def __init__(self, app: "Shell", deliver: Callable[[events.Event], Awaitable[None]]) -> None:
        self._app, self._deliver = app, deliver
        self._waiting: deque[tuple[float, events.Event]] = deque()
        self._number = self._awaited = 0
        self._busy = False
        self._timer: Timer | None = None

    async def take(self, event: events.Event) -> None:
        """Deliver a key or paste, now or when those before it are done."""
        arrived_s = self._app.clock.monotonic_s()
        if self._busy:
            if len(self._waiting) < MOST_WAITING:
                self._waiting.append((arrived_s, event))
            return
        await self._send(arrived_s, event)

    async def _send(self, arrived_s: float, event: events.Event) -> None:
        if not self._app.hears(event, arrived_s):
            self._next()
            return
        self._busy = True
        self._number += 1
        self._awaited = number = self._number
        await self._deliver(event)
        target = self._app.focused or self._app.screen
        if not target.post_message(KeyFence(number)):
            self._awaited = 0
            self._next()
            return
        self._timer = self._app.set_timer(LOST_S, lambda: self.fenced(number))

    def fenced(self, number: int) -> None:
        """The fence of a key is back: what the key set in motion, a change of focus included, comes first, then the next key."""
        if number == self._awaited:
            self._awaited = 0
            if self._timer is not None:
                self._timer.stop()
            self._app.call_later(self._next)

    def _next(self) -> None:
        self._busy = False
        if self._waiting:
            arrived_s, event = self._waiting.popleft()
            self._busy = True
            self._app.call_next(self._send, arrived_s, event)
