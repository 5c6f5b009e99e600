"""The calls' rows on their way to the store: begun before sending, settled after, in one transaction for whatever has gathered meanwhile.

A beginning is waited for; a settlement is written within 50 ms. Should the process die in between, the row says "in flight" and its
estimate stays counted: spend is never forgotten and never counted twice.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager

from executor_tui.domain.call import Call
from executor_tui.domain.clock import Clock
from executor_tui.domain.crash import crash_point
from executor_tui.domain.errors import StoreError
from executor_tui.domain.event import Event, Level
from executor_tui.store.limits import LimitRow
from executor_tui.store.store import Store

SETTLE_S = 0.05
RETRY_S = 1.0


class Ledger:
    """One per gateway process."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store, self._clock = store, clock
        self._begun: list[tuple[Call, asyncio.Future[None]]] = []
        self._settled: list[Call] = []
        self._counters: dict[tuple[str, str, str], LimitRow] = {}
        self._writer: asyncio.Task[None] | None = None
        self._hurry = asyncio.Event()
        self._lock = asyncio.Lock()
        self._closed = False

    async def begin(self, call: Call, counters: Iterable[LimitRow] = ()) -> None:
        """On disk when this returns. Raises StoreError, and then nothing may be sent."""
        self.count(counters)
        written: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._begun.append((call, written))
        self._start()
        self._hurry.set()
        await written

    def settle(self, call: Call) -> None:
        """On disk within 50 ms."""
        self._settled.append(call)
        self._start()

    def count(self, counters: Iterable[LimitRow]) -> None:
        """Counters and limits to be kept, the latest of each; written with the next batch."""
        for row in counters:
            self._counters[(row.pool_id, row.model_id, row.kind)] = row
            self._start()

    async def flush(self) -> None:
        """Write everything that is queued now. Raises StoreError."""
        async with self._lock:
            await self._write()

    @asynccontextmanager
    async def quiet(self) -> AsyncIterator[None]:
        """Everything queued is on disk and nothing more is written inside: a moment to compare with the store. Raises StoreError."""
        async with self._lock:
            await self._write()
            yield

    def unwritten(self) -> Iterator[tuple[Call, float, int]]:
        """What the store does not know yet: the call, the USD and the requests it adds to its scopes."""
        for call, _ in self._begun:
            yield call, call.estimate_usd, 1
        for call in self._settled:
            yield call, call.cost_usd - call.estimate_usd, 0

    async def close(self) -> None:
        """Write what is left and stop."""
        self._closed = True
        self._hurry.set()
        if self._writer is not None:
            await self._writer
        await self.flush()

    # -- inside

    def _start(self) -> None:
        if (self._writer is None or self._writer.done()) and not self._closed:
            self._writer = asyncio.get_running_loop().create_task(self._run(), name="ledger")

    async def _run(self) -> None:
        while self._begun or self._settled or self._counters:
            if not self._begun and not self._closed:
                await _within(self._hurry, SETTLE_S)
            self._hurry.clear()
            try:
                await self.flush()
            except StoreError as exc:
                if self._closed:
                    return
                self._store.events.emit(Event("ledger.delayed", f"calls cannot be recorded: {exc.message}", Level.ERROR))
                await _within(self._hurry, RETRY_S)

    async def _write(self) -> None:
        begun, settled, counters = self._begun, self._settled, self._counters
        if not (begun or settled or counters):
            return
        self._begun, self._settled, self._counters = [], [], {}
        try:
            await self._store.calls.write([call for call, _ in begun], settled, tuple(counters.values()))
        except StoreError as exc:
            self._put_back(begun, settled, counters, exc)
            raise
        if settled:
            crash_point("call.settled")
        for _, written in begun:
            if not written.done():
                written.set_result(None)

    def _put_back(
        self,
        begun: Sequence[tuple[Call, asyncio.Future[None]]],
        settled: list[Call],
        counters: dict[tuple[str, str, str], LimitRow],
        error: StoreError,
    ) -> None:
        # A call that cannot be recorded is not sent; one that has ended must be recorded yet.
        for _, written in begun:
            if not written.done():
                written.set_exception(StoreError(error.message, hint=error.hint))
        self._settled = settled + self._settled
        self._counters = {**counters, **self._counters}


async def _within(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return
