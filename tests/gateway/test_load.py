"""Many at once and many after one another: nothing waits for nothing, nothing is left behind."""

import asyncio
import gc
from collections import Counter
from typing import TYPE_CHECKING

from executor_tui.domain.clock import ManualClock
from executor_tui.gateway.__main__ import raise_open_files
from executor_tui.lab.upstreams.provider import Pace

if TYPE_CHECKING:
    from conftest import Reply, World

STREAMS = 500
SAID = "echo: hello there"


async def test_five_hundred_streams_at_once_are_all_answered_and_leave_no_task_behind(world: "World") -> None:
    raise_open_files()
    await world.chat(stream=True)
    tasks = Counter(task.get_name() for task in asyncio.all_tasks() if not task.get_name().startswith("Task-"))
    upstream = world.upstreams.providers["openai"]
    clock = upstream.clock = ManualClock()
    upstream.spec.pace = Pace(latency_s=1.0)
    world.http._connector._limit = 0  # type: ignore[union-attr]  # as many connections as there are streams
    streams = [asyncio.create_task(world.chat(stream=True, headers={"x-executor-chain": ""}), name="client") for _ in range(STREAMS)]
    async with asyncio.timeout(100):
        await world.upstreams.recording.until(lambda r: r.open == STREAMS)
        assert sum(load.in_flight for load in world.gateway.door.router.loads()) == STREAMS
        await clock.advance(1.0)
        replies: list[Reply] = await asyncio.gather(*streams)
    assert {reply.status for reply in replies} == {200}
    assert all(reply.said() == SAID and reply.events()[-1] == "[DONE]" for reply in replies)
    assert len({reply.headers["x-executor-call-id"] for reply in replies}) == STREAMS
    assert all(load.in_flight == 0 for load in world.gateway.door.router.loads())
    await world.gateway.flush()
    assert (await world.store.calls.spend()).calls == STREAMS + 1
    left = Counter(task.get_name() for task in asyncio.all_tasks() if not task.get_name().startswith("Task-"))
    assert left - tasks - Counter({"ledger": 1}) == Counter(), "route, client and keep-alive tasks are gone"


def ours() -> Counter[str]:
    """Live objects of the program's own classes, and tasks. What is counted for a minute, and the simulator's records, do not count."""
    gc.collect()
    found = Counter(
        type(thing).__name__
        for thing in gc.get_objects()
        if str(type(thing).__module__).startswith("executor_tui") and not type(thing).__module__.startswith("executor_tui.lab")
    )
    found["tasks"] = len(asyncio.all_tasks())
    del found["Reservation"], found["Need"]
    return found


async def test_calls_leave_nothing_in_memory(world: "World") -> None:
    async def some(count: int) -> None:
        for _ in range(count):
            await asyncio.gather(world.chat(), world.chat(stream=True), world.messages(), world.chat("nobody"))
        await world.gateway.flush()

    await some(15)
    before = ours()
    await some(60)
    grown = {name: count for name, count in (ours() - before).items() if count > 20}
    assert grown == {}, "sixty rounds of four calls, and something of every one was kept"
