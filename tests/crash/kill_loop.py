"""The loop itself: seeded kills of node, gateway and console while projects, calls and changes run. As a program:

    python tests/crash/kill_loop.py [--kills 200] [--seed 1]

It prints what it did and what it found, and ends with 1 when something is not as it should be.
"""

import argparse
import asyncio
import collections
import contextlib
import os
import random
import signal
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from killing.checks import settled, wrong
from killing.life import Life
from killing.town import Processes, Town, town

VICTIMS = (("node", 6), ("gateway", 3), ("console", 2))
SETTLE_S = 400.0
START_S = 60.0


@dataclass
class Figures:
    """What a run did and found."""

    seed: int
    killed: collections.Counter[str] = field(default_factory=collections.Counter)
    while_starting: int = 0
    seconds: float = 0.0
    settling_s: float = 0.0
    faults: list[str] = field(default_factory=list)
    did: dict[str, object] = field(default_factory=dict)

    def text(self) -> str:
        kills = ", ".join(f"{n} of the {name}" for name, n in self.killed.most_common())
        lines = [
            f"{self.killed.total()} kills in {self.seconds:.0f} s with seed {self.seed}: {kills}; {self.while_starting} while starting; "
            f"{self.settling_s:.0f} s to come to an end"
        ]
        lines += [f"  {name:<34}{value}" for name, value in self.did.items()]
        return "\n".join([*lines, *(f"  ✗ {fault}" for fault in self.faults), "  nothing lost, nothing doubled" * (not self.faults)])


async def run(folder: Path, kills: int, seed: int, projects: int) -> Figures:
    """Kill that often, let everything come to its end, look."""
    figures, began = Figures(seed), time.monotonic()
    rng = random.Random(seed)
    async with town(folder) as here:
        processes = Processes(here.places)
        life = Life(here, random.Random(seed + 1), projects)
        try:
            await processes.start_node()
            await life.begin()
            for _ in range(kills):
                await _one_kill(here, processes, rng, figures)
            life.end()
            killing_s = time.monotonic() - began
            await _come_to_an_end(here, processes, life)
            figures.settling_s = time.monotonic() - began - killing_s
        finally:
            left = await processes.stop()
            await life.close()
        figures.faults = await wrong(here, life.ledger, figures.killed["node"])
        figures.faults += left
        figures.did = await _did(here, life)
    figures.seconds = time.monotonic() - began
    return figures


async def _one_kill(here: Town, processes: Processes, rng: random.Random, figures: Figures) -> None:
    victim = rng.choices([name for name, _ in VICTIMS], [weight for _, weight in VICTIMS])[0]
    starting = victim == "node" and rng.random() < 0.4
    await _ready(here, processes, at_once=starting)
    await asyncio.sleep(rng.random() * (2.0 if starting else 4.0))
    if victim == "console":
        if not await processes.kill_console():
            await processes.start_console()
            await asyncio.sleep(0.5 + rng.random() * 3.0)
            await processes.kill_console()
        figures.killed[victim] += 1
        return
    find = processes.node if victim == "node" else processes.gateway
    while (pid := find()) is None:
        await _ready(here, processes)
    figures.while_starting += starting
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    await processes.gone(pid)
    figures.killed[victim] += 1
    if rng.random() < 0.15:
        await processes.start_console()  # it will find nobody and start a node of its own, beside ours


async def _ready(here: Town, processes: Processes, *, at_once: bool = False) -> None:
    """A node runs; unless `at_once`, it leads too and its gateway answers."""
    async with asyncio.timeout(START_S):
        while processes.node() is None:
            if not processes.starting():
                await processes.start_node()
            await asyncio.sleep(0.1)
        while not at_once:
            node = processes.node()
            if node is None:
                return
            up = any(n.gateway_url and n.pid == node for n in await here.store.nodes.list())
            if up and processes.gateway() is not None:
                return
            await asyncio.sleep(0.1)


async def _come_to_an_end(here: Town, processes: Processes, life: Life) -> None:
    """Until nothing is open any more; what still is after all this time, the checks will name."""
    await processes.kill_console()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(SETTLE_S):
            await _ready(here, processes)
            quiet = 0
            while quiet < 4:
                asked = here.store.projects.list()
                expected = len(life.ledger.projects) + life.ledger.asked_by_phone
                done = len(await asked) >= life.total_projects == expected and not await settled(here)
                quiet = quiet + 1 if done else 0
                await asyncio.sleep(0.5)


async def _did(here: Town, life: Life) -> dict[str, object]:
    store, ledger = here.store, life.ledger
    calls = [c for c in await store.calls.list() if c.token_id == ledger.token_id]
    statuses = collections.Counter(str(c.status) for c in calls)
    approvals = collections.Counter(str(a.status) for a in await store.approvals.list())
    changes = collections.Counter(str(c.status) for c in await store.changes.list())
    projects = collections.Counter(str(p.status) for p in await store.projects.list())
    twice = sum("second time" in m.text for m in (*here.telegram.messages, *here.discord.messages))
    return {
        "calls asked, answered, on record": f"{len(ledger.asked)}, {len(ledger.calls)}, {dict(statuses)}",
        "approvals": dict(approvals), "changes": dict(changes), "projects": dict(projects),
        "tasks at the fake Proxmox": dict(collections.Counter(str(t["type"]) for t in here.pve.tasklog)),
        "recovery reports": len(await store.reports.list()),
        "messages on Telegram, Discord": f"{len(here.telegram.messages)}, {len(here.discord.messages)}; {twice} say they may be second",
    }  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", action="store_true", help="leave the directories for looking at")
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="executor-kills-"))
    figures = asyncio.run(run(folder, given.kills, given.seed, max(1, given.kills // 25)))
    print(figures.text())
    if given.keep or figures.faults:
        print(f"  the directories are in {folder}")
    else:
        import shutil

        shutil.rmtree(folder, ignore_errors=True)
    return 1 if figures.faults else 0


if __name__ == "__main__":
    sys.exit(main())
