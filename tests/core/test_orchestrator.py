"""The orchestrator: who leads, what is assigned, what is asked, who is offline."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta

import pytest

from executor_tui.config.load import load
from executor_tui.config.places import Places
from executor_tui.core.election import Election
from executor_tui.core.fleet import role_of, sync_registry
from executor_tui.core.orchestrator import Orchestrator, Parts
from executor_tui.domain.agent import Agent, AgentState, AgentType, Ping, Role
from executor_tui.domain.clock import ManualClock
from executor_tui.domain.errors import ConfigError
from executor_tui.domain.key import Key, QuotaPool
from executor_tui.domain.model import Tier
from executor_tui.domain.node import Node
from executor_tui.domain.project import Project, ProjectStatus
from executor_tui.domain.recovery import RecoveryReport
from executor_tui.store.store import Store

POOL = QuotaPool("google/default", "google", "default")
KEY = Key("key-1", "google", POOL.id, Tier.PREMIUM, "key-1", "f1")


class Work:
    """Stands for the pipeline: remembers what it was given."""

    def __init__(self) -> None:
        self.started: list[str] = []
        self.adopted: list[str] = []

    async def start(self, project: Project) -> None:
        self.started.append(project.id)

    async def resume(self, projects: Sequence[Project]) -> dict[str, str]:
        for project in projects:
            await self.start(project)
        return {}

    async def adopt(self, dead_executor_id: str) -> int:
        self.adopted.append(dead_executor_id)
        return 1


class Recovery:
    """Stands for power recovery: runs what it is given."""

    def __init__(self) -> None:
        self.runs = 0

    async def recover(
        self, ping_all: Callable[[], Awaitable[object]], resume_work: Callable[[], Awaitable[object]]
    ) -> RecoveryReport | None:
        self.runs += 1
        await ping_all()
        await resume_work()
        return None


async def answers(agent: Agent) -> Ping:
    return Ping(agent.id, AgentState.ONLINE, latency_ms=1.0)


@asynccontextmanager
async def orchestrator(store: Store, places: Places, clock: ManualClock, node: str = "node-a") -> AsyncIterator[tuple[Orchestrator, Work]]:
    """One that runs, until the block ends."""
    work = Work()
    config = load(places.config_dir)
    await store.nodes.put(Node(node, "here", 1, "boot", "0", started_at=clock.now(), heartbeat_at=clock.now()))
    election = Election(store.leases, clock, node, config.executor.node.lease_s)
    up = asyncio.Event()
    up.set()
    made = Orchestrator(Parts(store, places, clock, node, election, work, Recovery(), answers, up), config)
    running = asyncio.create_task(made.run())
    try:
        async with asyncio.timeout(20):
            await made.ready.wait()
        yield made, work
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def until(store: Store, clock: ManualClock, true: Callable[[], Awaitable[bool]]) -> None:
    """Let time pass in small steps until something holds."""
    async with asyncio.timeout(20):
        while not await true():
            await clock.advance(0.05)
            await asyncio.sleep(0.005)  # the store answers from a thread; give it the real loop


async def test_a_queued_project_is_started_once_a_key_can_serve_it(store: Store, places: Places, clock: ManualClock) -> None:
    await store.keys.add(KEY, POOL, None)
    await store.projects.create(Project("prj-1", "goal"))
    async with orchestrator(store, places, clock) as (_, work):

        async def started() -> bool:
            return work.started == ["prj-1"]

        await until(store, clock, started)
    project = await store.projects.get("prj-1")
    assert (project.status, project.node_id) == (ProjectStatus.RUNNING, "node-a")


async def test_without_keys_the_user_is_asked_once_however_many_projects_wait(store: Store, places: Places, clock: ManualClock) -> None:
    for number in range(3):
        await store.projects.create(Project(f"prj-{number}", "goal"))
    async with orchestrator(store, places, clock) as (_, work):

        async def all_wait() -> bool:
            return len(await store.projects.in_status(ProjectStatus.WAITING_KEYS)) == 3

        await until(store, clock, all_wait)
        (question,) = await store.questions.open()
        assert question.kind == "keys"
        assert "google" in question.text
        await store.keys.add(KEY, POOL, None)

        async def two_run() -> bool:
            return len(work.started) == 2

        await until(store, clock, two_run)
        assert await store.questions.open() == ()
    assert len(await store.projects.in_status(ProjectStatus.QUEUED)) == 1  # two at a time


async def test_interrupted_projects_are_resumed_when_the_node_takes_office(store: Store, places: Places, clock: ManualClock) -> None:
    await store.keys.add(KEY, POOL, None)
    await store.projects.create(Project("prj-1", "goal", status=ProjectStatus.RUNNING))
    await store.projects.create(Project("prj-2", "goal", status=ProjectStatus.ASKING))
    async with orchestrator(store, places, clock) as (_, work):
        assert sorted(work.started) == ["prj-1", "prj-2"]


async def test_the_work_of_a_silent_node_is_adopted_once(store: Store, places: Places, clock: ManualClock) -> None:
    long_ago = clock.now() - timedelta(minutes=5)
    await store.nodes.put(Node("node-dead", "there", 2, "boot", "0", heartbeat_at=long_ago))
    await store.nodes.put(Node("node-stopped", "there", 3, "boot", "0", heartbeat_at=long_ago, stopped_at=long_ago))
    async with orchestrator(store, places, clock) as (_, work):

        async def adopted() -> bool:
            return bool(work.adopted)

        await until(store, clock, adopted)
        await clock.advance(20)
    assert work.adopted == ["node-dead"]


async def test_a_second_node_stands_by_and_assigns_nothing(store: Store, places: Places, clock: ManualClock) -> None:
    await store.keys.add(KEY, POOL, None)
    async with orchestrator(store, places, clock) as (_, first), orchestrator(store, places, clock, "node-b") as (_, second):
        await store.projects.create(Project("prj-1", "goal"))

        async def started() -> bool:
            return bool(first.started)

        await until(store, clock, started)
    assert second.started == []


async def test_an_agent_that_does_not_answer_within_the_deadline_is_offline_with_the_reason(
    store: Store, places: Places, clock: ManualClock
) -> None:
    (places.config_dir / "executor.json").write_text(json.dumps({"node": {"ping_deadline_s": 0.05}}))
    config = load(places.config_dir)
    await sync_registry(store, config)

    async def silent(agent: Agent) -> Ping:
        await asyncio.Event().wait()
        raise AssertionError

    election = Election(store.leases, clock, "node-a", 10)
    made = Orchestrator(Parts(store, places, clock, "node-a", election, Work(), Recovery(), silent), config)
    agents = await made.ping_all()
    assert len(agents) == 5
    assert {a.state for a in agents} == {AgentState.OFFLINE}
    assert {a.reason for a in agents} == {"no answer within 0.05 s"}


async def test_a_ping_does_not_end_the_work_of_a_busy_agent(store: Store, places: Places, clock: ManualClock) -> None:
    busy = Agent("coder-001", "Coder", AgentType.PROJECT, Role.CODER, AgentState.BUSY, task="turn 3", project_id="prj-1")
    await store.agents.put(busy)
    election = Election(store.leases, clock, "node-a", 10)
    made = Orchestrator(Parts(store, places, clock, "node-a", election, Work(), Recovery(), answers), load(places.config_dir))
    (after,) = await made.ping_all()
    assert after.state is AgentState.BUSY


async def test_nothing_is_assigned_while_the_coder_is_paused(store: Store, places: Places, clock: ManualClock) -> None:
    await store.keys.add(KEY, POOL, None)
    config = load(places.config_dir)
    await sync_registry(store, config)
    await store.agents.update("coder-001", paused=True)
    await store.projects.create(Project("prj-1", "goal"))
    async with orchestrator(store, places, clock) as (made, work):
        await made.assign()
        assert work.started == []
        await store.agents.update("coder-001", paused=False)
        await made.assign()
        for _ in range(500):  # its own loop may have been the one to take the project
            if work.started:
                break
            await asyncio.sleep(0.01)
        assert work.started == ["prj-1"]


@pytest.mark.parametrize(
    ("agent_id", "name", "role"),
    [
        ("network-001", "Network Agent", Role.NETWORK),
        ("x", "MikroTik Expert", Role.NETWORK),
        ("pve", "Proxmox Agent", Role.PROXMOX),
        ("spy-1", "Deep Search", Role.DEEP_SEARCH),
        ("qa-7", "Tester", Role.QA),
        ("a", "PM Agent", Role.PM),
    ],
)
def test_an_agents_role_is_read_from_its_id_or_name(places: Places, agent_id: str, name: str, role: Role) -> None:
    entry = load(places.config_dir).fleet_registry.agents[0].model_copy(update={"id": agent_id, "name": name, "role": None})
    assert role_of(entry) is role


def test_an_agent_of_no_known_kind_is_a_configuration_mistake(places: Places) -> None:
    entry = load(places.config_dir).fleet_registry.agents[0].model_copy(update={"id": "x-1", "name": "Thing", "role": None})
    with pytest.raises(ConfigError, match="has no role"):
        role_of(entry)


async def test_the_registry_follows_its_file_but_forgets_nobody_at_work(store: Store, places: Places, clock: ManualClock) -> None:
    config = load(places.config_dir)
    await sync_registry(store, config)
    await store.agents.update("coder-001", state=AgentState.BUSY)
    left = tuple(e for e in config.fleet_registry.agents if e.id not in ("coder-001", "qa-001"))
    smaller = config.fleet_registry.model_copy(update={"agents": left})
    await sync_registry(store, replace(config, fleet_registry=smaller))
    assert {a.id for a in await store.agents.list()} == {"pm-001", "architect-001", "deep-search-001", "coder-001"}
