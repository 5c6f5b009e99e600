"""Going back in a project, and going on after the process is gone."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from executor_tui.core.pipeline.requests import fork_project
from executor_tui.domain.errors import UsageError
from executor_tui.domain.project import Project, ProjectStatus
from executor_tui.lab.script.model import GOALS, ScriptedModel
from executor_tui.lab.upstreams.script import text_of


async def started(world: Any, project: Project) -> Project:
    """What the orchestrator does with a queued project."""
    await world.store.projects.move(project.id, (ProjectStatus.QUEUED,), ProjectStatus.RUNNING)
    await world.pipeline.start(await world.store.projects.get(project.id))
    done: Project = await world.final(project.id)
    return done


async def test_a_fork_goes_on_from_its_step_and_leaves_the_origin_as_it_was(world: Any, run_git: Any) -> None:
    origin = await world.begin(GOALS[0])
    before = await world.final(origin.id)
    steps = await world.store.steps.of(origin.id)
    failed = next(s for s in steps if s.status == "failed")
    asked = len(world.server.requests)
    fork = await world.pipeline.fork(origin.id, failed.seq, "ana")
    assert (fork.status, fork.forked_from, fork.goal) == ("queued", failed.id, before.goal)
    done = await started(world, fork)
    assert (done.status, done.round) == ("delivered", 2)
    roles = [text_of(r["messages"][0])[:40] for r in world.server.requests[asked:]]
    assert not any("the PM" in r or "Architect" in r for r in roles), "what came before the step is not done again"
    assert (Path(done.repo_path) / "docs/qa/round-2.json").exists()
    assert done.repo_path != before.repo_path
    copied = await world.store.steps.of(fork.id)
    assert [(s.kind, s.summary) for s in copied[: failed.seq]] == [(s.kind, s.summary) for s in steps[: failed.seq]]
    assert await world.store.projects.get(origin.id) == before
    assert run_git(before.repo_path, "rev-parse", "HEAD").strip() == before.head
    run_git(done.repo_path, "merge-base", "--is-ancestor", failed.commit, "HEAD")


async def test_a_fork_from_the_beginning_does_everything_again(world: Any) -> None:
    origin = await world.begin(GOALS[1])
    await world.final(origin.id)
    asked = len(world.server.requests)
    done = await started(world, await world.pipeline.fork(origin.id, 0))
    assert (done.status, done.forked_from) == ("delivered", f"{origin.id}.0")
    assert len(world.server.requests) == 2 * asked


async def test_a_step_that_is_not_there_or_not_done_cannot_be_forked_from(world: Any) -> None:
    from executor_tui.domain.project import Stage, Step, StepStatus

    project = await world.store.projects.create(Project("prj-x", "g"))
    with pytest.raises(UsageError, match="has no step '3'; there are: none yet"):
        await fork_project(world.store, project.id, "3", "ana")
    await world.store.steps.put(Step("prj-x.3", "prj-x", 0, Stage.PM, 0, "turn", "s", StepStatus.RUNNING))
    with pytest.raises(UsageError, match="is not done"):
        await fork_project(world.store, project.id, "1", "ana")


async def test_a_clean_stop_in_the_middle_is_gone_on_from_at_the_next_launch(places: Any, make_world: Any) -> None:
    reached, scripted = asyncio.Event(), ScriptedModel()
    halted = {"yes": True}

    async def hold(request: dict[str, Any]) -> Any:
        reached.set()
        await asyncio.sleep(600)

    def script(request: dict[str, Any]) -> Any:
        second_write = "You are the Coder" in text_of(request["messages"][0]) and len(request["messages"]) > 6
        return hold(request) if halted["yes"] and second_write else scripted(request)

    async with make_world(places, script) as world:
        project = await world.begin(GOALS[1])
        await reached.wait()
    halted["yes"] = False
    async with make_world(places, script) as world:
        done = await world.final(project.id)
        assert (done.status, done.round) == ("delivered", 1)
        openings = [r for r in world.server.requests if len(r["messages"]) == 2]
        assert [text_of(r["messages"][0])[:14] for r in openings] == ["You are QA of "], "only the stage after is begun"
        summaries = [s.summary for s in await world.store.steps.of(project.id) if s.stage == "coder" and s.kind == "turn"]
        assert len(summaries) == len(set(summaries)) == 5


async def test_the_work_of_a_dead_node_is_taken_over(places: Any, make_world: Any) -> None:
    reached, scripted = asyncio.Event(), ScriptedModel()
    halted = {"yes": True}

    async def hold(request: dict[str, Any]) -> Any:
        reached.set()
        await asyncio.sleep(600)

    def script(request: dict[str, Any]) -> Any:
        return hold(request) if halted["yes"] and "You are the Coder" in text_of(request["messages"][0]) else scripted(request)

    async with make_world(places, script, node_id="node-dead") as world:
        project = await world.begin(GOALS[1])
        await reached.wait()
    halted["yes"] = False
    async with make_world(places, script, node_id="node-heir") as world:
        assert (await world.store.projects.get(project.id)).status == "running"
        assert await world.pipeline.adopt("node-nobody") == 0
        assert await world.pipeline.adopt("node-dead") == 1
        assert (await world.final(project.id)).status == "delivered"
        assert await world.pipeline.adopt("node-dead") == 0


async def test_a_workspace_that_is_not_here_is_said_to_be_missing(places: Any, make_world: Any) -> None:
    import shutil

    reached, scripted = asyncio.Event(), ScriptedModel()

    async def hold(request: dict[str, Any]) -> Any:
        reached.set()
        await asyncio.sleep(600)

    def script(request: dict[str, Any]) -> Any:
        return hold(request) if "You are the Coder" in text_of(request["messages"][0]) else scripted(request)

    async with make_world(places, script) as world:
        project = await world.begin(GOALS[1])
        await reached.wait()
    shutil.rmtree(places.projects_dir / project.id)
    async with make_world(places, script) as world:
        done = await world.final(project.id)
        assert done.status == "failed" and "is not on this machine" in done.detail and "fork" in done.detail


async def test_a_quarantined_project_is_not_worked_on_until_it_is_released(places: Any, make_world: Any) -> None:
    from executor_tui.core.recovery.work import release

    reached, scripted = asyncio.Event(), ScriptedModel()
    halted = {"yes": True}

    async def hold(request: dict[str, Any]) -> Any:
        reached.set()
        await asyncio.sleep(600)

    def script(request: dict[str, Any]) -> Any:
        return hold(request) if halted["yes"] and "You are the Coder" in text_of(request["messages"][0]) else scripted(request)

    async with make_world(places, script) as world:
        project = await world.begin(GOALS[1])
        await reached.wait()
        await world.store.projects.update(project.id, status=ProjectStatus.QUARANTINED)
    halted["yes"] = False
    async with make_world(places, script) as world:
        from dbos import DBOS

        while (await DBOS.list_workflows_async(workflow_ids=[project.id]))[0].status != "CANCELLED":
            await asyncio.sleep(0.02)
        assert world.server.requests == []
        assert await release(world.store, project.id, "ana")
        assert (await started(world, await world.store.projects.get(project.id))).status == "delivered"
