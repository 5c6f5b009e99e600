"""Kill the node with SIGKILL in the middle of the Coder's work: the project finishes, nothing is lost, nothing outside happens twice."""

import asyncio
import json
from pathlib import Path

import pytest

from executor_tui.domain.project import Project, ProjectStatus
from executor_tui.lab.world import GOALS, World
from executor_tui.store.store import Store
from tests.e2e.conftest import NodeProcess, approve_everything, final, until
from tests.e2e.test_delivery import git


@pytest.mark.timeout(240)
@pytest.mark.parametrize("turns", [1, 2])
async def test_a_project_killed_in_the_coders_loop_is_delivered_after_a_restart(
    shared: Store, node: NodeProcess, world: World, turns: int
) -> None:
    await node.start()
    operator = asyncio.create_task(approve_everything(shared))
    await shared.projects.create(Project("prj-1", GOALS[0]))

    async def in_the_loop() -> bool:
        return sum(s.stage == "coder" for s in await shared.steps.of("prj-1")) >= turns

    await until(shared, in_the_loop)
    before = await shared.steps.of("prj-1")
    await node.kill()
    assert (await shared.projects.get("prj-1")).status is ProjectStatus.RUNNING
    await node.start()
    project = await final(shared, "prj-1")
    operator.cancel()
    assert project.status is ProjectStatus.DELIVERED, project.detail
    after = {s.id: s for s in await shared.steps.of("prj-1")}
    assert {s.id for s in before} <= set(after), "a finished step was lost"
    assert len({s.seq for s in after.values()}) == len(after)
    subjects = git(project.repo_path, "log", "--format=%(trailers:key=Executor-Step,valueonly)").split()
    assert len(subjects) == len(set(subjects)), "a step was committed twice"
    evidence = sorted(Path(project.repo_path).glob("docs/qa/round-*.json"))
    assert [json.loads(p.read_text())["round"] for p in evidence] == list(range(1, len(evidence) + 1))
    (report,) = await shared.reports.list()
    assert report.kind == "crash"
