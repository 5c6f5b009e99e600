"""Two machines with one database are one Executor: one leads, and what a dead one was doing is finished by the other."""

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pyrage
import pytest

from executor_tui.config.places import Places
from executor_tui.domain.clock import SystemClock
from executor_tui.domain.errors import FencedError
from executor_tui.domain.project import Project, ProjectStatus
from executor_tui.lab.world import GOALS, World
from executor_tui.store.store import Store
from tests.e2e.conftest import NodeProcess, approve_everything, final, until
from tests.e2e.test_delivery import git

LEASE_S = 4.0
TRAVEL = ("travel.kept", "travel.unpacked")
"""Where the machines of this test die."""


class Cluster:
    """Two nodes on state directories of their own, with one configuration, one database and one identity."""

    def __init__(self, places: Places, url: str) -> None:
        environment = {"EXECUTOR_DATABASE_URL": url, "EXECUTOR_AGE_IDENTITY": str(pyrage.x25519.Identity.generate())}
        self.nodes = []
        for name in ("first", "second"):
            state = places.state_dir / name
            state.mkdir(mode=0o700)
            self.nodes.append(NodeProcess(Places(places.config_dir, state), environment))


@pytest.fixture
async def cluster(places: Places, world: World, postgres_database: str) -> AsyncIterator[Cluster]:
    settings = places.config_dir / "executor.json"
    given = json.loads(settings.read_text())
    given["node"] = {"heartbeat_s": 0.5, "lease_s": LEASE_S, "ping_every_s": 30}
    settings.write_text(json.dumps(given))
    found = Cluster(places, postgres_database)
    yield found
    for node in found.nodes:
        if node._process is not None and node._process.returncode is None:
            await node.kill()


@pytest.fixture
async def seen(cluster: Cluster, postgres_database: str) -> AsyncIterator[Store]:
    store = await Store.open(postgres_database, SystemClock())
    yield store
    await store.close()


@pytest.mark.timeout(300)
async def test_the_work_of_a_dead_machine_is_finished_by_another(cluster: Cluster, seen: Store) -> None:
    """The first dies having kept a commit it has no step for yet, the second having unpacked them; the second's next life finishes."""
    first, second = cluster.nodes
    await seen.projects.create(Project("prj-1", GOALS[0]))
    operator = asyncio.create_task(approve_everything(seen))
    assert await (await first.start(EXECUTOR_CRASH_AT=f"{TRAVEL[0]}:5")).wait() == -signal.SIGKILL
    leader = await seen.leases.leader()
    before = {s.id for s in await seen.steps.of("prj-1") if s.status == "done"}
    assert leader is not None and len(before) > 4
    assert await (await second.start(EXECUTOR_CRASH_AT=TRAVEL[1])).wait() == -signal.SIGKILL
    await second.start()
    project = await final(seen, "prj-1", 200)
    operator.cancel()
    assert project.status is ProjectStatus.DELIVERED, project.detail
    successor = await seen.leases.leader()
    assert successor is not None and successor.fencing > leader.fencing and successor.holder != leader.holder
    assert Path(project.repo_path).is_relative_to(second.places.state_dir)
    assert before <= {s.id for s in await seen.steps.of("prj-1")}
    made = git(project.repo_path, "log", "--format=%(trailers:key=Executor-Step,valueonly)").split()
    assert len(made) == len(set(made)), "a step was committed twice"
    assert sorted(p.name for p in Path(project.repo_path).glob("docs/qa/round-*.json"))
    assert [e.kind for e in await seen.events.after(0)].count("node.adopted") == 1


@pytest.mark.timeout(300)
async def test_a_leader_that_froze_past_its_lease_finds_itself_replaced(cluster: Cluster, seen: Store) -> None:
    """Both are alive in the end, and the project is delivered once all the same."""
    first, second = cluster.nodes
    await seen.projects.create(Project("prj-1", GOALS[0]))
    operator = asyncio.create_task(approve_everything(seen))
    await first.start()

    async def coding() -> bool:
        return any(s.stage == "coder" and s.status == "done" for s in await seen.steps.of("prj-1"))

    await until(seen, coding)
    frozen = await seen.leases.leader()
    assert frozen is not None
    os.kill(first.pid, signal.SIGSTOP)
    await second.start()

    async def adopted() -> bool:
        return any(e.kind == "project.travelled" for e in await seen.events.after(0))

    await until(seen, adopted, 60)  # also when it froze in the middle of a transaction: Postgres lets go of its rows after ten seconds
    os.kill(first.pid, signal.SIGCONT)
    project = await final(seen, "prj-1", 200)
    operator.cancel()
    assert project.status is ProjectStatus.DELIVERED, project.detail
    leader = await seen.leases.leader()
    assert leader is not None and leader.fencing > frozen.fencing and leader.holder != frozen.holder
    kinds = [e.kind for e in await seen.events.after(0)]
    assert kinds.count("project.delivered") == 1 and kinds.count("node.adopted") == 1
    made = git(project.repo_path, "log", "--format=%(trailers:key=Executor-Step,valueonly)").split()
    assert len(made) == len(set(made))
    with pytest.raises(FencedError):
        await seen.projects.update("prj-1", fence=frozen, detail="written by the one that froze")
