"""A world on loopback and nodes that live in it, as processes of their own."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from pathlib import Path

import pytest

from executor_tui.config.places import Places
from executor_tui.domain.clock import SystemClock
from executor_tui.domain.project import Project
from executor_tui.lab.world import World
from executor_tui.store.store import Store, default_url


class NodeProcess:
    """`executor --no-ui` as a child; `kill` is a power cut for it, `stop` asks it to go."""

    def __init__(self, places: Places, environment: dict[str, str] | None = None) -> None:
        self.places, self._environment = places, environment or {}
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    async def start(self, **environment: str) -> "NodeProcess":
        command = [sys.executable, "-m", "executor_tui.cli.main", "--no-ui", "--json"]
        command += ["--config", str(self.places.config_dir), "--state", str(self.places.state_dir)]
        with (self.places.state_dir / "node.out").open("ab") as out:
            self._process = await asyncio.create_subprocess_exec(
                *command, stdin=asyncio.subprocess.DEVNULL, stdout=out, stderr=out, env={**os.environ, **self._environment, **environment}
            )
        return self

    async def kill(self) -> None:
        """SIGKILL; returns when it is gone."""
        assert self._process is not None
        self._process.kill()
        await self._process.wait()

    async def wait(self) -> int:
        assert self._process is not None
        return await self._process.wait()

    async def stop(self) -> int:
        """SIGTERM; returns its exit code."""
        assert self._process is not None
        if self._process.returncode is None:
            self._process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(40):
            return await self._process.wait()


@pytest.fixture
async def world(places: Places) -> AsyncIterator[World]:
    async with World(places, live=False) as world:
        yield world


@pytest.fixture
async def shared(places: Places) -> AsyncIterator[Store]:
    """The store, seen from outside the node."""
    store = await Store.open(default_url(places.state_dir), SystemClock())
    yield store
    await store.close()


@pytest.fixture
async def node(places: Places, world: World) -> AsyncIterator[NodeProcess]:
    """A node process, stopped (or killed) at the end of the test."""
    process = NodeProcess(places)
    yield process
    if process._process is not None and process._process.returncode is None:
        try:
            await process.stop()
        except TimeoutError:
            await process.kill()


async def until(store: Store, true: Callable[[], Awaitable[bool]], seconds: float = 120.0) -> None:
    """Wait for something to become true in the store, asked again after each change."""
    async with asyncio.timeout(seconds), aclosing(store.feed()) as feed:
        async for _ in feed:
            if await true():
                return


async def approve_everything(store: Store) -> None:
    """An operator who says yes. Cancel it when enough."""
    from executor_tui.domain.approval import Decision

    async with aclosing(store.feed()) as feed:
        async for _ in feed:
            for approval in await store.approvals.pending():
                await store.approvals.decide(approval.id, Decision(True, "test operator", "test"))


async def final(store: Store, project_id: str, seconds: float = 120.0) -> Project:
    """The project once it has ended, or asks."""

    async def ended() -> bool:
        project = await store.projects.get(project_id)
        return project.status.final or project.status == "asking"

    await until(store, ended, seconds)
    return await store.projects.get(project_id)


def state_of(places: Places) -> list[Path]:
    """Every file of the state directory and the configuration."""
    return [p for folder in (places.state_dir, places.config_dir) for p in folder.rglob("*") if p.is_file()]
