"""From a sentence to tested code: the whole program against the lab's world, node and gateway as real processes."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest

from executor_tui.config.places import Places
from executor_tui.domain.approval import ApprovalStatus
from executor_tui.domain.project import Project
from executor_tui.lab.world import GOALS, World
from executor_tui.store.store import Store
from tests.e2e.conftest import NodeProcess, approve_everything, final, until


def git(repository: str, *args: str) -> str:
    return subprocess.run(["git", "-C", repository, *args], capture_output=True, text=True, check=True).stdout


@pytest.mark.timeout(240)
async def test_every_goal_of_the_lab_becomes_a_repository_with_its_evidence(shared: Store, node: NodeProcess, world: World) -> None:
    await node.start()
    operator = asyncio.create_task(approve_everything(shared))
    for number, goal in enumerate(GOALS):
        await shared.projects.create(Project(f"prj-{number}", goal))
    projects = [await final(shared, f"prj-{number}") for number in range(len(GOALS))]
    operator.cancel()
    assert [(p.status, p.detail) for p in projects if p.status != "delivered"] == []
    rounds = []
    for project in projects:
        repository = Path(project.repo_path)
        assert (repository / "docs/prd.md").read_text().strip()
        assert "```mermaid" in (repository / "docs/design.md").read_text()
        evidence = [json.loads(p.read_text()) for p in sorted(repository.glob("docs/qa/round-*.json"))]
        assert evidence[-1]["exit_code"] == 0
        assert all(e["exit_code"] != 0 for e in evidence[:-1])
        assert len(git(project.repo_path, "log", "--oneline").splitlines()) >= 4
        assert git(project.repo_path, "status", "--porcelain") == ""
        rounds.append(len(evidence))
        # The evidence is not taken on trust: the tests are run once more, here.
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"], cwd=repository, capture_output=True, check=False
        )
        assert done.returncode == 0, done.stdout.decode()
    assert max(rounds) > 1, "no goal failed its tests first"
    approvals = await shared.approvals.list()
    assert [a.status for a in approvals] == [ApprovalStatus.APPROVED] * len(approvals)
    assert approvals, "no goal asked for a critical model"
    found = await shared.events.tail(50, kinds=("search.",))
    assert [(e.project_id, e.data["sources"]) for e in found] == [("prj-0", 2)], "the PM of one goal asks the web first, once"
    assert "## Sources" in Path(str(found[0].data["report"])).read_text()


async def test_a_goal_the_script_does_not_know_is_said_plainly_and_nothing_is_delivered(
    shared: Store, node: NodeProcess, world: World
) -> None:
    await node.start()
    await shared.projects.create(Project("prj-1", "Write an operating system in COBOL", max_rounds=1))
    project = await final(shared, "prj-1")
    assert project.status != "delivered"
    assert project.detail


async def test_silence_means_no_and_the_project_goes_on_with_the_next_model(places: Places, shared: Store, world: World) -> None:
    settings = places.config_dir / "executor.json"
    data = json.loads(settings.read_text())
    data["gateway"]["approval_wait_s"] = 0.2
    settings.write_text(json.dumps(data))
    process = await NodeProcess(places).start()
    try:
        for number, goal in enumerate(GOALS):
            await shared.projects.create(Project(f"prj-{number}", goal))
        projects = [await final(shared, f"prj-{number}") for number in range(len(GOALS))]
    finally:
        await process.stop()
    assert [p.status for p in projects] == ["delivered"] * len(GOALS)
    calls = await shared.calls.recent(500)
    assert "claude-opus" not in {c.model_id for c in calls if c.status == "ok"}


async def test_a_second_node_on_one_state_directory_is_turned_away_in_one_line(places: Places, node: NodeProcess, shared: Store) -> None:
    await node.start()

    async def leads() -> bool:
        return await shared.leases.leader() is not None

    await until(shared, leads)
    second = NodeProcess(places)
    await second.start()
    assert await second.wait() == 1
    assert "a node already runs" in (places.state_dir / "node.out").read_text()


async def test_a_clean_stop_leaves_nothing_running_and_needs_no_report(places: Places, node: NodeProcess, shared: Store) -> None:
    await node.start()

    async def up() -> bool:
        return any(n.gateway_url for n in await shared.nodes.list()) and bool(await shared.events.tail(kinds=("node.leads",)))

    await until(shared, up)
    children = subprocess.run(["pgrep", "-P", str(node.pid)], capture_output=True, text=True, check=False).stdout.split()
    assert children
    assert await node.stop() == 0
    for child in children:
        assert not Path(f"/proc/{child}").exists()
    await node.start()

    async def leads_again() -> bool:
        events = await shared.events.tail(kinds=("node.leads",))
        return len(events) == 2

    await until(shared, leads_again)
    assert await shared.reports.list() == ()
    leader = await shared.leases.leader()
    assert leader is not None
    assert await node.stop() == 0
    assert (await shared.nodes.get(leader.holder)).stopped_at is not None
