"""Connections to routers: one for pings and one for reads per device, kept while its settings stay the same.

Every login writes a line into the router's log, so a connection is not made anew for each question. A change makes its own.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from executor_tui.agents.drivers import routeros_target
from executor_tui.config.files import AgentEntry
from executor_tui.config.load import Config
from executor_tui.config.places import Places
from executor_tui.domain.clock import Clock
from executor_tui.infra.routeros.errors import RouterOsConnectionLostError, RouterOsTimeoutError
from executor_tui.infra.routeros.router import RouterOs
from executor_tui.infra.routeros.target import RouterOsTarget
from executor_tui.store.store import Store

T = TypeVar("T")
MAX_KEPT = 1_024

_links: dict[tuple[str, str], "Link"] = {}


class Link:
    """One kept connection. What it raises is the driver's."""

    def __init__(self, target: RouterOsTarget, clock: Clock) -> None:
        self.target, self.clock = target, clock
        self.loop = asyncio.get_running_loop()
        self._opening = asyncio.Lock()
        self._kept: RouterOs | None = None

    async def read(self, work: Callable[[RouterOs], Awaitable[T]]) -> T:
        """Do something that only reads. A kept connection that turns out to be dead is made anew, once."""
        connection, fresh = await self._connection()
        try:
            return await work(connection)
        except RouterOsTimeoutError:
            raise
        except RouterOsConnectionLostError:
            if fresh:
                raise
        connection, _ = await self._connection()
        return await work(connection)

    async def dial(self) -> RouterOs:
        """A connection of one's own, to be closed by whoever asked for it."""
        return await RouterOs.open(self.target, self.clock)

    async def _connection(self) -> tuple[RouterOs, bool]:
        async with self._opening:
            if self._kept is not None and self._kept.is_open:
                return self._kept, False
            self._kept = await self.dial()
            return self._kept, True

    def drop(self) -> None:
        """Let go of the connection."""
        if self._kept is not None and not self.loop.is_closed():
            self._kept.abort()
        self._kept = None


async def router_link(
    entry: AgentEntry, store: Store, config: Config, places: Places, purpose: str = "reads", timeout_s: float = 10.0
) -> Link:  # fmt: skip
    """The link to an agent's router; the same one as long as its settings are. Raises ConfigError and VaultError."""
    target = await routeros_target(entry, store, config, places, timeout_s)
    name = (f"{places.state_dir}:{entry.id}", purpose)
    known = _links.get(name)
    if known is not None:
        if known.target == target and known.clock is store.clock and known.loop is asyncio.get_running_loop():
            return known
        known.drop()
    while len(_links) >= MAX_KEPT:
        _links.pop(next(iter(_links))).drop()
    _links[name] = Link(target, store.clock)
    return _links[name]


def drop_links() -> None:
    """Let go of every connection, before a process or its loop ends."""
    while _links:
        _links.popitem()[1].drop()
