"""Recovery, checkpoints and approvals by phone: how long after a start the report of a large fleet is written, what a checkpoint costs the
event loop, how long an approval on Telegram takes to release the call that waits for it. `--agents` and `--projects` set the size."""

import argparse
import asyncio
import contextlib
import json
import logging
import os
import signal
import statistics
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
from sqlalchemy import insert

from executor_tui.config.files import NotificationSettings
from executor_tui.config.load import load
from executor_tui.config.places import Places
from executor_tui.core import virtual_keys
from executor_tui.core.pipeline.runtime import Pipeline
from executor_tui.core.power_recovery import PowerRecovery
from executor_tui.core.recovery.last_state import LastState, NodeState
from executor_tui.domain.agent import Agent, AgentState, AgentType, Role
from executor_tui.domain.clock import SystemClock
from executor_tui.domain.project import Project, ProjectStatus, Stage
from executor_tui.domain.recovery import Checkpoint
from executor_tui.lab.chat.telegram import TOKEN, FakeTelegram
from executor_tui.lab.world import GOALS, World
from executor_tui.node import running_node
from executor_tui.store import tables
from executor_tui.store.codec import to_row
from executor_tui.store.store import Store, default_url

CHECKPOINTS, APPROVALS, DELAY_S = 2_000, 10, 0.05
NODE = "node-benchmark"


def new_places(folder: str) -> Places:
    places = Places(Path(folder, "config"), Path(folder, "state"))
    places.config_dir.mkdir()
    places.state_dir.mkdir(mode=0o700)
    return places


async def a_fleet_in_a_power_cut(places: Places, agents: int, projects: int) -> None:
    """The state directory of a node that lost its power with every agent busy and every project running."""
    clock, then = SystemClock(), datetime.now(UTC) - timedelta(hours=1)
    names = [f"coder-{n:05d}" for n in range(agents)]
    fleet = [{"id": name, "name": name, "type": "project", "role": "coder"} for name in names]
    (places.config_dir / "fleet_registry.json").write_text(json.dumps({"agents": fleet}))
    settings = json.loads((places.config_dir / "executor.json").read_text()) | {"recovery": {"quarantine_after": 0}}
    (places.config_dir / "executor.json").write_text(json.dumps(settings))
    (places.state_dir / "node_id").write_text(NODE + "\n")
    store = await Store.open(default_url(places.state_dir), clock)
    rows = {
        tables.agents: [to_row(Agent(n, n, AgentType.PROJECT, Role.CODER, AgentState.BUSY, state_since=then)) for n in names],
        tables.checkpoints: [to_row(Checkpoint(n, "busy", "write the parser", step=7, saved_at=then)) for n in names],
        tables.projects: [
            to_row(Project(f"prj-{n:04d}", GOALS[n % 3], ProjectStatus.RUNNING, Stage.PM, node_id=NODE, created_at=then, updated_at=then))
            for n in range(projects)
        ],
    }  # fmt: skip
    for table, many in rows.items():
        async with store.db.write() as conn:
            await conn.execute(insert(table), many)
    await store.close()
    await LastState(places.last_state_file, clock).write(NodeState(NODE, "boot-1", 1, then, then, agents=dict.fromkeys(names, "busy")))


async def one_start(places: Places) -> tuple[float, float, str]:
    """Start a node as a process and wait for its report: seconds from the process, seconds from its first line of recovery, the summary."""
    store = await Store.open(default_url(places.state_dir), SystemClock())
    began = time.perf_counter()
    words = [sys.executable, "-m", "executor_tui.cli.main", "--no-ui", "--config", str(places.config_dir), "--state", str(places.state_dir)]
    process = await asyncio.create_subprocess_exec(*words, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL)
    try:
        async with asyncio.timeout(180), contextlib.aclosing(store.feed()) as feed:
            async for _ in feed:
                reports = await store.reports.list()
                if reports:
                    break
        whole = time.perf_counter() - began
        report = max(reports, key=lambda r: r.up_at)
        assert report.created_at is not None
        moments = [(datetime.fromisoformat(str(m["at"])) - report.up_at, m["what"]) for m in report.timeline[1:]]
        told = ", ".join(f"{what} at {after.total_seconds():.1f} s" for after, what in moments)
        return whole, (report.created_at - report.up_at).total_seconds(), f"{report.summary}\n    {told}"
    finally:
        os.kill(process.pid, signal.SIGKILL)
        await process.wait()
        await store.close()


async def begin_workflows(places: Places) -> None:
    """As a node that has run for a while left them: every project's workflow begun, none of them finished."""

    async def nobody(agent_id: str, project_id: str) -> tuple[str, str]:
        await asyncio.Event().wait()
        raise AssertionError("never")

    store = await Store.open(default_url(places.state_dir), SystemClock())
    pipeline = Pipeline(store, places, load(places.config_dir), SystemClock(), NODE, nobody)
    await pipeline.launch()
    await pipeline.resume(await store.projects.in_status(ProjectStatus.RUNNING))
    await pipeline.shutdown()
    await store.close()


async def recovery(agents: int, projects: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        places = new_places(folder)
        async with World(places, live=True):
            await a_fleet_in_a_power_cut(places, agents, projects)
            await begin_workflows(places)
            whole, since_begin, summary = await one_start(places)
        print(f"  report {since_begin:.2f} s after recovery began, {whole:.2f} s after the process began (imports too)")
        print(f"    {summary}")


async def checkpoints() -> None:
    with tempfile.TemporaryDirectory() as folder:
        places = new_places(folder)
        store = await Store.open(default_url(places.state_dir), SystemClock())
        node = PowerRecovery(store, places, SystemClock(), NODE, notification=NotificationSettings)
        cpu, wall, gaps = [], [], []
        for n in range(CHECKPOINTS):
            loop_began, began = time.thread_time(), time.perf_counter()
            await node.save_checkpoint(Checkpoint("coder-001", "busy", "write the parser", "prj-1", "prj-1", n, ("workspace:/x",)))
            cpu.append(time.thread_time() - loop_began)
            wall.append(time.perf_counter() - began)
        print(f"  one agent, one after the other: loop time {quantiles(cpu)}; until it is on disk {quantiles(wall)}")
        many = asyncio.gather(*(node.save_checkpoint(Checkpoint(f"coder-{n:03d}", "busy", step=n)) for n in range(CHECKPOINTS)))
        while not many.done():
            loop_began = time.thread_time()
            await asyncio.sleep(0)
            gaps.append(time.thread_time() - loop_began)
        await many
        print(f"  {CHECKPOINTS} agents at once: the loop's longest turn {max(gaps) * 1e3:.1f} ms")
        await store.close()


def quantiles(seconds: list[float]) -> str:
    cuts = statistics.quantiles(seconds, n=100)
    return f"median {cuts[49] * 1e3:.2f} ms, p99 {cuts[98] * 1e3:.2f} ms"


async def approvals() -> None:
    """A critical call waits in the gateway's process; a press on Telegram lets it go."""
    with tempfile.TemporaryDirectory() as folder:
        places = new_places(folder)
        async with World(places, live=False) as world, FakeTelegram(delay_s=DELAY_S) as telegram:
            del world
            settings = {"telegram": {"enabled": True, "bot_token": TOKEN, "chat_id": "4242", "base_url": telegram.base_url}}
            (places.config_dir / "notification.json").write_text(json.dumps(settings))
            async with running_node(places) as node, httpx.AsyncClient(timeout=60, trust_env=False) as client:
                await node.gateway.up.wait()
                _, secret = await virtual_keys.issue(node.store, SystemClock(), "benchmark")
                taken = [await _one_approval(client, node.gateway.url, secret, telegram, n) for n in range(APPROVALS)]
    print(f"  press → answer of the model: {quantiles(taken)}; the fake Telegram takes {DELAY_S * 1e3:.0f} ms for each request")


async def _one_approval(client: httpx.AsyncClient, url: str, secret: str, telegram: FakeTelegram, number: int) -> float:
    body = {"model": "claude-opus", "messages": [{"role": "user", "content": "hello"}], "max_tokens": 20}
    headers = {"authorization": f"Bearer {secret}", "x-executor-request-id": f"benchmark-{number}"}
    call = asyncio.create_task(client.post(f"{url}/v1/chat/completions", json=body, headers=headers))
    await telegram.wait_for(lambda s: sum(bool(m.buttons) for m in s.messages) > 0)
    message = next(m for m in reversed(telegram.messages) if m.buttons)
    began = time.perf_counter()
    await telegram.press(message, message.button("Approve"))
    answer = await call
    assert answer.status_code == 200, answer.text
    taken = time.perf_counter() - began
    await telegram.wait_for(lambda s: not any(m.buttons for m in s.messages))
    return taken


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--agents", type=int, default=10_000)
    parser.add_argument("--projects", type=int, default=1_000)
    given = parser.parse_args()
    logging.disable(logging.CRITICAL)
    print(f"recovery of {given.agents:,} agents and {given.projects:,} projects")
    asyncio.run(recovery(given.agents, given.projects))
    print("checkpoints")
    asyncio.run(checkpoints())
    print("approval on Telegram")
    asyncio.run(approvals())


if __name__ == "__main__":
    main()
