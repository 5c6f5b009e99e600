"""What the work on changes stands on: the store, the devices, the right to act, and news of what changed."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from executor_tui.agents import credentials
from executor_tui.agents.device import Device
from executor_tui.config.load import Config
from executor_tui.config.places import Places
from executor_tui.domain.change import Change
from executor_tui.domain.clock import Clock
from executor_tui.domain.errors import ConflictError
from executor_tui.domain.event import Event, Level
from executor_tui.domain.node import Lease
from executor_tui.store.store import Store


class OfficeLostError(ConflictError):
    """The right to act was lost half-way: nothing more may be done before it is held again, here or elsewhere."""


OpenDevice = Callable[[str], Awaitable[Device]]
"""The device of an agent, by the agent's id. Raises ConfigError."""
ModelAccess = Callable[[str, str], Awaitable[tuple[str, str]]]
"""(agent id, project id) → (base URL with /v1, secret) of the gateway. The secret lives in memory only."""
PATIENCE_S = 5.0
"""The longest wait for news before looking again, in case some went missing."""


@dataclass
class Runtime:
    """Shared by every change of one process. `lease` is the right to change devices while we hold it; None while we do not."""

    store: Store
    places: Places
    clock: Clock
    config: Callable[[], Config]
    open_device: OpenDevice
    lease: Callable[[], Lease | None]
    model_access: ModelAccess | None = None
    _news: asyncio.Event = field(default_factory=asyncio.Event)
    _planning: dict[str, asyncio.Lock] = field(default_factory=dict)
    _secrets: asyncio.Lock = field(default_factory=asyncio.Lock)

    def tell(self) -> None:
        """Something changed: whoever waits looks again."""
        self._news.set()
        self._news = asyncio.Event()

    async def news(self, at_most_s: float = PATIENCE_S) -> None:
        """Wait until something changed, or for `at_most_s` of the clock."""
        waiting = asyncio.ensure_future(self._news.wait())
        sleeping = asyncio.ensure_future(self.clock.sleep(min(at_most_s, PATIENCE_S)))
        try:
            await asyncio.wait({waiting, sleeping}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()
            sleeping.cancel()

    async def office(self) -> Lease:
        """The right to act; waits until we have it."""
        while (lease := self.lease()) is None:
            await self.news(1.0)
        return lease

    def require_office(self) -> Lease:
        """The right to act, now. Raises OfficeLostError when it has run out, or another process has it."""
        lease = self.lease()
        if lease is None:
            raise OfficeLostError("the right to work on changes has run out; whoever has it next goes on")
        return lease

    @asynccontextmanager
    async def planning(self, device: str) -> AsyncIterator[None]:
        """One at a time decides what it takes of a device, so that two do not take the same id or address."""
        async with self._planning.setdefault(device, asyncio.Lock()):
            yield

    async def secret(self, ref: str) -> str:
        return await credentials.open_secret(self.store, self.config().executor.vault, self.places, ref)

    async def secret_or_new(self, ref: str, make: Callable[[], str]) -> str:
        """The secret under `ref`, made and sealed first when there is none."""
        async with self._secrets:
            known = await self.store.notes.get(f"secret.{ref}")
            if known is not None:
                return await self.secret(ref)
            secret = make()
            await credentials.keep_secret(self.store, self.config().executor.vault, self.places, ref, secret)
            await self.store.notes.put(f"secret.{ref}", {"kept": True})
            return secret


class ChangeHands:
    """What a device may use while it works on one change."""

    def __init__(self, runtime: Runtime, change: Change) -> None:
        self._runtime, self._change = runtime, change

    @property
    def change_id(self) -> str:
        return self._change.id

    @property
    def project_id(self) -> str:
        return self._change.project_id

    @property
    def agent_id(self) -> str:
        return self._change.agent_id or self._change.device

    def say(self, line: str) -> None:
        """Progress, as an event. The line may be the device's own words: kept to what can be shown."""
        clean = "".join(c if c.isprintable() else " " for c in line).strip()
        if clean:
            event = Event("change.progress", clean, Level.DEBUG, self._change.device, self._change.project_id, self._change.id)
            self._runtime.store.events.emit(event)

    async def secret(self, ref: str) -> str:
        return await self._runtime.secret(ref)

    async def secret_or_new(self, ref: str, make: Callable[[], str]) -> str:
        return await self._runtime.secret_or_new(ref, make)


def overlapping(first: Collection[str], second: Collection[str]) -> bool:
    """Whether two sets of targets share one."""
    return not set(first).isdisjoint(second)
