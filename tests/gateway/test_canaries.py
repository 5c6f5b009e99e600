"""Keys planted as canaries are found nowhere, whatever goes wrong: not in an answer, a header, a log, an event, a row or a metric."""

import asyncio
import logging
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from executor_tui.domain.key import KeyState
from executor_tui.lab.upstreams.faults import Fault, FaultKind
from executor_tui.logs import log_to_file

if TYPE_CHECKING:
    from conftest import Build

NEVER_ENDING = ("silent", "stalled", "oversized", "latency")
"""Faults that only time ends; the gateway of this test gives them a fraction of a second."""


def everything_written(state_dir: Path) -> bytes:
    """All files of the state directory, and every value of every table as text."""
    found = [path.read_bytes() for path in state_dir.rglob("*") if path.is_file() and path.suffix not in (".key", ".txt")]
    with sqlite3.connect(state_dir / "executor.db") as conn:
        for (table,) in conn.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            found += [repr(row).encode() for row in conn.execute(f"SELECT * FROM {table}").fetchall()]
    return b"\n".join(found)


async def test_every_class_of_failure_on_either_surface_gives_no_key_away(build: "Build") -> None:
    world = await build(settings={"gateway": {"first_token_s": 0.15, "stall_s": 0.15}})
    log_to_file(world.places.state_dir / "gateway.log", logging.DEBUG)
    logging.getLogger("aiosqlite").setLevel(logging.INFO)
    canaries = [key.encode() for keys in world.upstreams.keys.values() for key in keys] + [world.secret.encode()]
    seen: list[bytes] = []
    outcomes: set[int] = set()
    for kind in get_args(FaultKind):
        world.upstreams.faults.clear()
        world.upstreams.faults.add(Fault(kind, times=4 if kind in NEVER_ENDING else None, delay_s=0.2, retry_after_s=1.0))
        alone = {"x-executor-chain": "", "x-executor-deadline-s": "0.5"}
        calls = [world.chat(stream=True, max_tokens=1, headers=alone), world.messages(max_tokens=1, headers=alone)]
        if kind not in NEVER_ENDING:
            calls += [world.chat(max_tokens=1, headers=alone), world.messages(stream=True, max_tokens=1, headers=alone)]
        replies = await asyncio.gather(*calls)
        for reply in replies:
            outcomes.add(reply.status)
            seen.append(reply.text.encode() + repr(reply.headers).encode())
        for park in await world.store.parks.open():
            await world.store.parks.clear(park.id, "test")
        for key in await world.store.keys.list():
            if key.state is KeyState.INVALID:  # refused too often: good again for the next fault
                await world.store.keys.set_state(key.id, KeyState.VERIFIED, "")
        await world.gateway.door.router.refresh()
    assert {200, 400, 429} <= outcomes, "failures of every sort were met"
    async with world.http.get(world.url + "/metrics") as response:
        seen.append(await response.read())
    await world.gateway.flush()
    await world.store.events.flush()
    logging.shutdown()
    seen.append(everything_written(world.places.state_dir))
    for canary in canaries:
        assert all(canary not in part for part in seen), canary[:8]
    assert b"[key]" in b"".join(seen), "a provider that quotes the key was among them, and it was taken out"
