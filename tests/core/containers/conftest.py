"""A project that runs in a container: fakepve makes it, a real sshd on a loopback address stands for it and for its copies."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from executor_tui.agents.containers.making import OWN_KEY, new_proof, new_ssh_key, proof_line, public_ssh_key
from executor_tui.agents.containers.resolving import proof_ref
from executor_tui.agents.devices import open_device
from executor_tui.agents.proxmox import ProxmoxDevice
from executor_tui.config.general import ApprovalPolicy
from executor_tui.config.load import Config, load
from executor_tui.config.places import Places
from executor_tui.core.changes import workflow as change_workflow
from executor_tui.core.changes.host import ChangeHost
from executor_tui.core.containers.keeper import Keeper
from executor_tui.core.containers.room import Room
from executor_tui.core.pipeline.runtime import Pipeline
from executor_tui.domain.clock import SystemClock
from executor_tui.domain.project import Project, ProjectStatus, Where
from executor_tui.lab.script.model import ScriptedModel
from executor_tui.store.store import Store, default_url
from tests.core.changes.conftest import DEVICE, write_registry
from tests.core.conftest import SECRET, ModelServer, serving, without_pytest
from tests.infra.proxmox.conftest import pve  # noqa: F401 - a fixture
from tests.workspaces.conftest import SSHD, Sshd

PROJECT = "prj-box"


class Machines:
    """The addresses a project's container and its copies get, each with an sshd of its own whose root has a home of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._hosts: dict[str, Sshd] = {}
        first = self._machine("127.0.0.1", 0)
        self.port = first.port
        self._machine("127.0.0.2", self.port)

    def _machine(self, host: str, port: int) -> Sshd:
        home = self._folder / host
        (home / ".ssh").mkdir(parents=True)
        self._hosts[host] = Sshd(home / ".ssh", (host, port), SetEnv=f"HOME={home}")
        return self._hosts[host]

    def authorize(self, line: str) -> None:
        """What Proxmox does at creation, and what a copy carries with it."""
        for machine in self._hosts.values():
            machine.authorize(line)

    def replace(self, host: str) -> None:
        """Another machine with another key and without the secret takes an address over."""
        self._hosts.pop(host).stop()
        stranger = self._folder / f"{host}-stranger"
        (stranger / ".ssh").mkdir(parents=True)
        line = (self._folder / host / ".ssh" / "authorized_keys").read_text().split("executor-proof")[0]
        self._hosts[host] = Sshd(stranger / ".ssh", (host, self.port), SetEnv=f"HOME={stranger}")
        self._hosts[host].authorize(line + "executor")

    def stop(self) -> None:
        for machine in self._hosts.values():
            machine.stop()


@dataclass
class Boxed:
    """A node's pipeline, its changes and its keeper, on one state directory. `policy` counts from the next decision on."""

    store: Store
    places: Places
    pipeline: Pipeline
    host: ChangeHost
    keeper: Keeper
    server: ModelServer
    machines: Machines
    config: Callable[[], Config]
    policy: ApprovalPolicy

    async def begin(self, goal: str, **fields: Any) -> Project:
        project = await self.store.projects.create(Project(PROJECT, goal, where=Where.LXC, budget_usd=None, **fields))
        await self.store.projects.move(project.id, (ProjectStatus.QUEUED,), ProjectStatus.RUNNING)
        await self.pipeline.start(await self.store.projects.get(project.id))
        return project

    async def until(self, wanted: Callable[[], Any], seconds: float = 90.0) -> Any:
        async with asyncio.timeout(seconds):
            async for _ in self.store.feed():
                found = await wanted()
                if found:
                    return found
        raise AssertionError("the feed ended")

    async def final(self, project_id: str = PROJECT) -> Project:
        async def done() -> Project | None:
            project = await self.store.projects.get(project_id)
            return project if project.status.final else None

        found: Project = await self.until(done)
        return found

    def room(self, project: Project) -> Room:
        """As a process that has just started would open it."""
        return Room(project, self.store, self.places, self.config)

    async def prepare_secrets(self, attempt: int = 1, project_id: str = PROJECT) -> str:
        """The key and the proof that a creation will use, so that the machines can be given them beforehand."""
        key = await self.host.runtime.secret_or_new(OWN_KEY, new_ssh_key)
        proof = await self.host.runtime.secret_or_new(proof_ref(f"chg-{project_id}-make-{attempt}"), new_proof)
        self.machines.authorize(proof_line(public_ssh_key(key), proof))
        return proof


@asynccontextmanager
async def boxed(places: Places, machines: Machines, tree: Path) -> AsyncIterator[Boxed]:
    containers = {"address_range": "127.0.0.1-127.0.0.2/8", "ssh_port": machines.port, "directory": str(tree)}
    settings = {"containers": containers, "approvals": {"auto_approve": ["read"]}}
    (places.config_dir / "executor.json").write_text(json.dumps(settings))
    base = load(places.config_dir)
    holder: list[Boxed] = []

    def config() -> Config:
        return replace(base, executor=base.executor.model_copy(update={"approvals": holder[0].policy}))

    async with serving(ScriptedModel()) as server:

        async def access(agent_id: str, project_id: str) -> tuple[str, str]:
            return server.url, SECRET

        store = await Store.open(default_url(places.state_dir), SystemClock())
        pipeline = Pipeline(store, places, base, store.clock, "node-test", access)
        pipeline._parts.open_workspace = without_pytest(pipeline._parts.open_workspace)
        host = ChangeHost(store, places, config, "node-test")
        keeper = Keeper(store, places, config, lambda: True)
        holder.append(Boxed(store, places, pipeline, host, keeper, server, machines, config, base.executor.approvals))
        device = await open_device(DEVICE, store, base, places)
        assert isinstance(device, ProxmoxDevice)
        device.driver._poll_s = 0.02  # the fake's tasks take no time
        change_workflow.use(host.engine)
        await pipeline.launch()
        await host.start()
        running = [asyncio.create_task(host.run()), asyncio.create_task(keeper.run())]
        try:
            yield holder[0]
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
            await host.stop()
            await pipeline.shutdown()
            await store.close()


@pytest.fixture
def machines(tmp_path: Path) -> Any:
    if SSHD is None or os.geteuid() != 0:
        pytest.skip("needs openssh-server, and root to log in as root")
    found = Machines(tmp_path / "machines")
    yield found
    found.stop()


@pytest.fixture
async def box(places: Places, machines: Machines, pve: Any, fakepve_cafile: str, tmp_path: Path) -> AsyncIterator[Boxed]:  # noqa: F811
    write_registry(places, pve.host, pve.port, fakepve_cafile)
    async with boxed(places, machines, tmp_path / "srv" / "project") as found:
        yield found
