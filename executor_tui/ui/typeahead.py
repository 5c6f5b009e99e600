"""One key at a time: each goes where the focus is once the key before it has been dealt with.

Textual hands a burst of keys (a fast typist, a paste without brackets, one packet over a slow line) to whatever had the focus when the
burst arrived. `/` followed at once by `new` would then open a filter and, its letters still going to the table, a new project as well.
Here a fence follows every key along its way; the next key waits for it.

Keys typed before the console shows the present wait until it does. They then do what they always do, with one exception: a key that
changes something was pressed over a picture of the past, so it changes nothing and is asked for again.
"""

from collections import deque
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, NamedTuple

from textual import events
from textual.message import Message
from textual.timer import Timer

from executor_tui.ui.states import Cell

if TYPE_CHECKING:
    from executor_tui.ui.shell import Shell

LOST_S = 2.0
"""A fence that has not come back by then was lost with its widget; the next key goes on without it."""
MOST_WAITING = 20_000
MOST_HELD_S = 10.0
"""How long keys wait for a present that does not come; a console without its store can still be left."""


class KeyFence(Message):
    """Sent after a key to where it went; bubbles to the app behind it."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


class Typed(NamedTuple):
    """A key or paste, when it arrived, and whether that was before the present was shown."""

    arrived_s: float
    event: events.Event
    early: bool = False


class TypeAhead:
    """`deliver` is how the app hands on an event."""

    def __init__(self, app: "Shell", deliver: Callable[[events.Event], Awaitable[None]]) -> None:
        self._app, self._deliver = app, deliver
        self._waiting: deque[Typed] = deque()
        self._number = self._awaited = 0
        self._busy = self._holding = False
        self._patient = True
        self._timer: Timer | None = None

    async def take(self, event: events.Event) -> None:
        """Deliver a key or paste, now or when those before it are done."""
        typed = Typed(self._app.clock.monotonic_s(), event, early=not self._app.live)
        if typed.early:
            self._hold()
        if not self._busy and not self._holding:
            await self._send(typed)
        elif len(self._waiting) < MOST_WAITING:
            self._waiting.append(typed)

    def _hold(self) -> None:
        if not self._holding:
            self._holding = True
            self._app.set_timer(MOST_HELD_S, self._give_up)

    def _give_up(self) -> None:
        """The present does not come: what was typed goes to what there is."""
        self._patient = False
        self.release()

    def release(self) -> None:
        """Take up what was typed before the present was shown; called again whenever a screen has been read."""
        if self._holding:
            self._holding = False
            if not self._busy:
                self._next()

    async def _send(self, typed: Typed) -> None:
        if self._app.leaving or self._app.in_front is None:
            self._waiting.clear()  # the console is ending: nothing is left that a key could be meant for
            self._busy = False
            return
        if typed.early and self._patient and self._app.reading:
            # An earlier key opened another screen: this one was meant for what stands on it.
            self._waiting.appendleft(typed)
            self._busy = False
            self._hold()
            return
        event = as_meant(typed.event) if typed.early else typed.event
        if typed.early and self._app.changes_something(event):
            self._app.say(Cell("▲ that key was pressed before this was shown; press it again if you still mean it", "warn"))
            self._next()
            return
        if not self._app.hears(event, typed.arrived_s):
            self._next()
            return
        self._busy = True
        self._number += 1
        self._awaited = number = self._number
        await self._deliver(event)
        front = self._app.in_front
        target = front and (self._app.focused or front)
        if target is None or not target.post_message(KeyFence(number)):
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
        if self._waiting and not self._holding:
            self._busy = True
            self._app.call_next(self._send, self._waiting.popleft())


def as_meant(event: events.Event) -> events.Event:
    """Before the terminal was ours it made a line feed of Enter."""
    return events.Key("enter", "\r") if isinstance(event, events.Key) and event.key == "ctrl+j" else event
