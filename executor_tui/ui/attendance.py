"""Who sits at this console: the row by which other operators see us, and what we have open."""

import asyncio
import getpass
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from executor_tui.domain.errors import ExecutorError
from executor_tui.domain.ids import new_id

if TYPE_CHECKING:
    from executor_tui.domain.node import Operator
    from executor_tui.store.store import Store
    from executor_tui.ui.link import StoreLink

SEEN_EVERY_S = 20.0


@dataclass(frozen=True, slots=True)
class Identity:
    """`name` is the login name, `origin` where the terminal is: the SSH client's address, or the terminal device."""

    name: str
    origin: str


def identity(origin: str = "") -> Identity:
    """Of this process; `origin` when its terminal is not the one it was started from."""
    if origin:
        return Identity(getpass.getuser(), origin)
    ssh = os.environ.get("SSH_CONNECTION", "").split()
    try:
        terminal = os.ttyname(0).removeprefix("/dev/")
    except OSError:
        terminal = "no terminal"
    return Identity(getpass.getuser(), f"ssh {ssh[0]}" if ssh else terminal)


class Attendance:
    """Attach once the store is open, say where we are as we move, detach when leaving. Failing at it never disturbs the work."""

    def __init__(self, link: "StoreLink", who: Identity) -> None:
        self.link, self.who = link, who
        self.id = new_id("opr")
        self._asked = False
        self._attached = False
        self._left = False
        self._turn = asyncio.Lock()  # taken on the store's loop only: a leaver waits for its own arrival to be written, or not
        self.problem = ""

    async def seen(self, screen: str, looking_at: str, view_only: bool) -> None:
        """Record where this operator is now."""
        from executor_tui.domain.node import Operator

        row = Operator(self.id, self.who.name, self.who.origin, screen, view_only, looking_at)
        try:
            if self._attached:
                await self.link.read(lambda store: store.operators.seen(self.id, screen, looking_at))
            else:
                self._asked = True
                await self.link.read(lambda store: self._arrive(store, row))
                self._attached = True
            self.problem = ""
        except ExecutorError as error:
            self._attached = False
            self.problem = error.message

    async def leave(self) -> None:
        self._left = True
        if not self._asked:
            return
        try:
            await self.link.read(self._depart)
            self._asked = self._attached = False
        except ExecutorError as error:
            self.problem = error.message

    def part(self) -> None:
        """Leave from outside the console's loop, when it ended without leaving."""
        self._left = True
        if self._asked:
            self.link.last_words(self._depart)

    async def _arrive(self, store: "Store", row: "Operator") -> None:
        async with self._turn:
            if not self._left:
                await store.operators.attach(row)

    async def _depart(self, store: "Store") -> None:
        async with self._turn:
            await store.operators.detach(self.id)
