"""Bytes a second on the wire at 80×24 in 256 colours: idle, Fleet with ten cells changing a second, Logs at any rate."""

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from support.desk import Place, place
from support.terminal import Terminal

from executor_tui.domain.event import Event
from executor_tui.store.store import Store

SECONDS = 8.0
AGENTS = ("architect-001", "coder-001", "coder-002", "deep-search-001", "network-001", "pm-001", "proxmox-001", "qa-001")
Beat = Callable[[Store, int], Awaitable[None]]


async def ten_cells(store: Store, beat: int) -> None:
    """One cell of the Fleet table, ten times a second: what an agent has cost."""
    await store.agents.update(AGENTS[beat % len(AGENTS)], cost_usd=round(1.0 + beat / 100, 2))


def log_lines(per_beat: int) -> Beat:
    async def lines(store: Store, beat: int) -> None:
        told = f"turn {beat}: read src/invoices/parse.py, ran pytest -q, 18 passed in 0.41s"
        await store.events.add(*(Event("log.line", told, agent_id="coder-001", at=store.clock.now()) for _ in range(per_beat)))

    return lines


async def writing(where: Place, beat: Beat, per_s: float, seconds: float) -> int:
    """Write in a rhythm for a time; how many beats there were."""
    store = await where.open()
    begun, beats = time.perf_counter(), 0
    while (now := time.perf_counter() - begun) < seconds:
        if now >= beats / per_s:
            await beat(store, beats)
            beats += 1
        else:
            await asyncio.sleep(beats / per_s - now)
    await store.close()
    return beats


async def measured(terminal: Terminal, where: Place, beat: Beat | None, per_s: float = 0.0) -> tuple[float, float]:
    """(bytes a second, beats a second) over some seconds."""
    writer = asyncio.create_task(asyncio.to_thread(asyncio.run, writing(where, beat, per_s, SECONDS + 1.0))) if beat else None
    await asyncio.sleep(1.0)
    begun = time.perf_counter()
    came = await asyncio.to_thread(terminal.listen, SECONDS)
    took = time.perf_counter() - begun
    beats = await writer if writer else 0
    return came / took, beats / (SECONDS + 1.0)


async def figures() -> None:
    print(f"{'on the wire':<38} {'bytes/s':>10} {'budget':>8} {'reached':>10}")
    with place() as where:
        await where.fill()
        await nothing_ends(where)
        terminal = where.console()
        terminal.until("architect-001")
        terminal.until("is silent")  # the heartbeat of a node that does not run has grown old by now: nothing more changes by itself
        terminal.send("4")
        terminal.until("following")
        terminal.quiet(2.0)
        show("idle", *await measured(terminal, where, None), 0)
        for lines in (10, 100, 1000):
            per_beat = max(1, lines // 50)
            rate, beats = await measured(terminal, where, log_lines(per_beat), min(50, lines))
            show(f"Logs, {lines} lines a second", rate, beats * per_beat, 25_000)
        terminal.send("1")
        terminal.until("Doing")
        terminal.quiet(2.0)
        show("Fleet, ten cells a second", *await measured(terminal, where, ten_cells, 10), 2_000)
        terminal.close()


async def nothing_ends(where: Place) -> None:
    """Take away what counts down by itself: requests with a deadline, parks."""
    store = await where.open()
    for approval in await store.approvals.pending():
        await store.approvals.cancel(approval.id, "not for measuring")
    for park in await store.parks.list():
        await store.parks.clear(park.id, "nobody", Event("park.cleared", "not for measuring"))
    await store.close()


def show(name: str, rate: float, beats: float, budget: int) -> None:
    print(f"{name:<38} {rate:>10,.0f} {budget:>8,} {f'{beats:,.0f}/s' if beats else '':>10}", flush=True)


if __name__ == "__main__":
    asyncio.run(figures())
