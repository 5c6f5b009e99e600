"""A project from its goal to its end."""

import asyncio
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from executor_tui.config.places import Places
from executor_tui.core.pipeline.requests import Wish, project_of
from executor_tui.domain.agent import Agent
from executor_tui.domain.errors import ConflictError, NotFoundError, UsageError
from executor_tui.domain.event import Event
from executor_tui.domain.project import Project, ProjectStatus, Step, Where
from executor_tui.lab.script.model import GOALS, ScriptedModel

CACHE, TEMPERATURE, CONTENTS = GOALS


@dataclass
class Finished:
    """What one delivered project left behind."""

    project: Project
    steps: tuple[Step, ...]
    events: tuple[Event, ...]
    agents: dict[str, Agent]
    checkpoints: set[str]
    requests: list[dict[str, Any]]
    headers: list[dict[str, str]]
    state_dir: Path

    @property
    def repo(self) -> Path:
        return Path(self.project.repo_path)

    def evidence(self, number: int) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.repo / f"docs/qa/round-{number}.json").read_text())
        return found


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, make_world: Any) -> Finished:
    """The lab's first goal, whose first version is wrong, run to its end once for every test that only looks."""
    folder = tmp_path_factory.mktemp("finished")
    places = Places(folder / "config", folder / "state")
    places.config_dir.mkdir()
    places.state_dir.mkdir()

    async def run() -> Finished:
        async with make_world(places, ScriptedModel()) as world:
            project = await world.begin(CACHE)
            done = await world.final(project.id)
            store = world.store
            agents = {a.id: a for a in await store.agents.list()}
            checkpoints = {c.agent_id for c in await store.checkpoints.list()}
            steps, events = await store.steps.of(done.id), await store.events.tail(1000)
            return Finished(done, steps, events, agents, checkpoints, world.server.requests, world.server.headers, places.state_dir)

    return asyncio.run(run())


def test_a_goal_becomes_a_repository_with_requirements_design_code_tests_and_evidence(finished: Finished, run_git: Any) -> None:
    done, repo = finished.project, finished.repo
    assert (done.status, done.stage, done.round) == ("delivered", "delivered", 2)
    assert repo == finished.state_dir / "projects" / done.id / "repo"
    assert "AC-1" in (repo / "docs/prd.md").read_text()
    assert "```mermaid" in (repo / "docs/design.md").read_text()
    evidence = finished.evidence(2)
    assert (evidence["exit_code"], evidence["passed"], evidence["ended"], evidence["tests_passed"]) == (0, True, "exit", 8)
    assert evidence["command"] == "python3 -m unittest discover -s tests"
    assert "Ran 8 tests" in evidence["output_tail"] and evidence["duration_s"] > 0
    log = run_git(repo, "log", "--format=%an|%s|%(trailers:key=Executor-Step,valueonly)")
    assert f"Executor Coder|Coder: write ttl_cache.py|{done.id}." in log
    assert run_git(repo, "status", "--porcelain") == ""
    assert done.head == run_git(repo, "rev-parse", "HEAD").strip()
    run_git(repo, "merge-base", "--is-ancestor", evidence["commit"], "HEAD")


def test_a_wrong_first_version_is_failed_by_qas_test_and_repaired_in_the_next_round(finished: Finished) -> None:
    rounds = [finished.evidence(n) for n in (1, 2)]
    assert [r["passed"] for r in rounds] == [False, True]
    assert rounds[0]["exit_code"] == 1 and "a was read last and must stay" in rounds[0]["output_tail"]
    assert rounds[0]["commit"] != rounds[1]["commit"]
    second = next(r for r in finished.requests if "Round 2:" in r["messages"][1]["content"])
    assert "a was read last and must stay" in second["messages"][1]["content"]


def test_the_architect_asks_for_a_critical_model_for_one_turn_and_says_why(finished: Finished) -> None:
    critical = [n for n, body in enumerate(finished.requests) if body["model"] == "executor/critical"]
    assert len(critical) == 1
    headers = finished.headers[critical[0]]
    assert "a mistake here is costly later" in headers["x-executor-why"]
    assert headers["x-executor-request-id"].startswith(f"{finished.project.id}.")


def test_every_turn_is_a_row_with_what_was_said_done_and_committed(finished: Finished) -> None:
    steps = finished.steps
    assert [s.seq for s in steps] == list(range(1, len(steps) + 1))
    assert {s.kind for s in steps} == {"turn", "test", "evidence", "deliver"}
    assert all(s.ended_at is not None for s in steps)
    assert [s.summary for s in steps if s.status != "done"] == ["the tests failed with exit code 1"]
    wrote = next(s for s in steps if s.summary == "write ttl_cache.py")
    assert (wrote.stage, wrote.round, wrote.agent_id, len(wrote.commit)) == ("coder", 1, "coder-001", 40)
    assert wrote.tool_calls[0]["result"].startswith("wrote ttl_cache.py") and wrote.tool_calls[0]["ok"]
    assert wrote.input_tokens > 0 and wrote.model and wrote.prompt
    assert steps[-1].commit == finished.project.head


def test_every_stage_step_and_verdict_is_an_event(finished: Finished) -> None:
    kinds = [e.kind for e in finished.events if e.project_id == finished.project.id]
    assert kinds.count("step.done") == sum(s.kind == "turn" for s in finished.steps)
    assert kinds.count("project.stage_started") == 6
    assert (kinds.count("tests.passed"), kinds.count("tests.failed"), kinds.count("project.delivered")) == (2, 1, 1)
    assert any(e.kind == "alert.raised" for e in finished.events)


def test_agents_are_busy_while_they_work_and_free_afterwards_with_a_checkpoint_each(finished: Finished) -> None:
    assert set(finished.agents) == {"pm-001", "architect-001", "coder-001", "qa-001"} == finished.checkpoints
    assert all((a.state, a.project_id, a.task) == ("online", None, "") for a in finished.agents.values())
    changes = [e for e in finished.events if e.kind == "agent.state_changed" and e.agent_id == "coder-001"]
    assert [e.data["to"] for e in changes] == ["busy", "online", "busy", "online"]


def test_the_secret_is_nowhere_but_on_the_wire(finished: Finished, canary: str) -> None:
    assert all(h["Authorization"] == f"Bearer {canary}" for h in finished.headers)
    for path in finished.state_dir.rglob("*"):
        if path.is_file():
            assert canary.encode() not in path.read_bytes(), path


async def test_work_on_an_existing_repository_delivers_a_branch_and_leaves_the_checkout_alone(
    world: Any, tmp_path: Path, run_git: Any
) -> None:
    source = tmp_path / "source"
    source.mkdir()
    run_git(source, "init", "-q", "-b", "trunk")
    (source / "README.md").write_text("mine\n")
    run_git(source, "add", "-A")
    run_git(source, "commit", "-qm", "first")
    (source / "README.md").write_text("mine, not committed\n")
    before = (run_git(source, "status", "--porcelain"), run_git(source, "rev-parse", "trunk"))
    project = await world.begin(TEMPERATURE, source_repo=str(source), branch="executor/prj-repo", id="prj-repo")
    done = await world.final(project.id)
    assert done.status == "delivered", done.detail
    assert (run_git(source, "status", "--porcelain"), run_git(source, "rev-parse", "trunk")) == before
    assert (source / "README.md").read_text() == "mine, not committed\n"
    assert run_git(source, "rev-parse", "executor/prj-repo").strip() == done.head
    files = run_git(source, "ls-tree", "-r", "--name-only", "executor/prj-repo").split()
    assert {"README.md", "convert.py", "docs/prd.md", "docs/qa/round-1.json"} <= set(files)
    assert "The repository already holds a program" in world.server.requests[0]["messages"][1]["content"]


async def test_without_a_sandbox_nothing_runs_and_the_project_says_why(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from executor_tui.workspaces.errors import SandboxUnavailableError

    async def no_sandbox(project: Any) -> Any:
        raise SandboxUnavailableError("bubblewrap is not installed", hint="apt install bubblewrap")

    world.pipeline._parts.open_workspace = no_sandbox
    project = await world.begin(TEMPERATURE)
    done = await world.final(project.id)
    assert (done.status, done.detail) == ("failed", "bubblewrap is not installed. apt install bubblewrap")


async def test_a_wish_that_cannot_be_is_refused_with_the_reason(places: Any, tmp_path: Path) -> None:
    from executor_tui.config.load import load

    config = load(places.config_dir)
    for wish, says in (
        (Wish("  "), "empty"), (Wish("x" * 30_000), "20000"), (Wish("a\0b"), "NUL"), (Wish("g", max_rounds=0), "rounds"),
        (Wish("g", budget_usd=-1), "negative"), (Wish("g", repo=tmp_path / "no"), "no such directory"),
        (Wish("g", repo=tmp_path), "not a git"), (Wish("g", where=Where.LXC), "no Proxmox"),
    ):  # fmt: skip
        with pytest.raises(UsageError, match=says):
            project_of(wish, config, "prj-1")
    project = project_of(Wish(" g ", where=Where.UNSAFE_LOCAL), config, "prj-1")
    assert (project.goal, project.where, project.max_rounds, project.budget_usd) == ("g", "unsafe_local", 4, 5.0)


async def test_what_cannot_be_cancelled_or_answered_says_so(world: Any) -> None:
    with pytest.raises(NotFoundError):
        await world.pipeline.cancel("prj-none")
    project = await world.store.projects.create(Project("prj-done", TEMPERATURE, ProjectStatus.DELIVERED))
    with pytest.raises(ConflictError, match="delivered already"):
        await world.pipeline.cancel(project.id)
    with pytest.raises(NotFoundError, match="has asked nothing"):
        await world.pipeline.answer(project.id, "yes")


async def test_two_projects_run_side_by_side_and_starting_one_twice_does_its_work_once(world: Any) -> None:
    first, second = await world.begin(TEMPERATURE), await world.begin(CONTENTS)
    for _ in range(3):
        await world.pipeline.start(await world.store.projects.get(first.id))
    assert (await world.final(first.id)).status == "delivered"
    assert (await world.final(second.id)).status == "delivered"
    await world.pipeline.start(await world.store.projects.get(first.id))
    openings = [body["messages"][1]["content"] for body in world.server.requests if len(body["messages"]) == 2]
    assert sum(TEMPERATURE in text for text in openings) == 4
