"""The process is killed at every place where something has just become durable, or is about to; each time a new one goes on."""

import asyncio
import collections
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from executor_tui.config.places import Places
from executor_tui.core.pipeline.requests import answer_project, fork_project
from executor_tui.domain.clock import SystemClock
from executor_tui.domain.crash import POINTS
from executor_tui.domain.project import Project
from executor_tui.lab.script.model import GOALS
from executor_tui.store.store import Store, default_url

NODE = Path(__file__).with_name("pipeline_node.py")
ANSWER = "answer"
WAY = (
    "pipeline.enqueued", "pipeline.step", "pipeline.prepared", "pipeline.recorded", "pipeline.thought", "pipeline.thought_told",
    "pipeline.acted", "pipeline.results_told", "pipeline.committed", "pipeline.commit_told", "pipeline.results_told:6",
    "pipeline.committed",
    "pipeline.acted:2", "pipeline.recorded:3", "pipeline.tested", "pipeline.evidence", "pipeline.asked", "pipeline.waiting_told",
    "pipeline.put_aside", ANSWER, "pipeline.woken", "pipeline.committed:2", "pipeline.pushed", "pipeline.delivered",
)  # fmt: skip
"""Where one project's nodes die, one after the other. The first waits for a queue's thread, a second at most."""
FORKED = "pipeline.forked"


def test_every_crash_point_of_the_pipeline_is_visited() -> None:
    visited = {point.partition(":")[0] for point in WAY if point != ANSWER} | {FORKED}
    assert visited == {name for name in POINTS if name.startswith("pipeline.")}


class Nodes:
    """Starts one node after the other on the same directories."""

    def __init__(self, places: Places, base_url: str) -> None:
        self._places, self._base_url = places, base_url
        self.exits: list[tuple[str, int]] = []

    async def run(self, project_id: str, crash_at: str = "") -> int:
        """One node, until it dies or the project is over; its exit code."""
        env = {k: v for k, v in os.environ.items() if not k.startswith("EXECUTOR_")} | ({"EXECUTOR_CRASH_AT": crash_at} if crash_at else {})
        words = [sys.executable, str(NODE), str(self._places.config_dir), str(self._places.state_dir), self._base_url, project_id]
        process = await asyncio.create_subprocess_exec(*words, env=env, stderr=asyncio.subprocess.PIPE)
        try:
            async with asyncio.timeout(100):
                _, errors = await process.communicate()
        except TimeoutError:
            process.kill()
            raise AssertionError(f"the node did not come to {crash_at or 'its end'}") from None
        assert process.returncode in (0, -signal.SIGKILL), errors.decode()[-3000:]
        self.exits.append((crash_at, process.returncode))
        return process.returncode


@pytest.mark.timeout(600)
async def test_a_project_whose_node_is_killed_at_every_point_is_delivered_and_nothing_is_done_twice(
    places: Places, model_server: Any, tmp_path: Path, run_git: Any
) -> None:
    settings = {"projects": {"max_rounds": 1}, "sandbox": {"environment": {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}}}
    (places.config_dir / "executor.json").write_text(json.dumps(settings))
    source = tmp_path / "source"
    source.mkdir()
    run_git(source, "init", "-q", "-b", "main")
    run_git(source, "commit", "-q", "--allow-empty", "-m", "first")
    store = await Store.open(default_url(places.state_dir), SystemClock())
    row = Project("prj-crash", GOALS[0], max_rounds=1, budget_usd=None, source_repo=str(source), branch="executor/prj-crash")
    await store.projects.create(row)
    nodes = Nodes(places, model_server.url)
    for point in WAY:
        if point == ANSWER:
            await answer_project(store, row.id, "more rounds", "ana")
        else:
            assert await nodes.run(row.id, point) == -signal.SIGKILL, f"no node died at {point}"
    assert await nodes.run(row.id) == 0

    done, steps = await store.projects.get(row.id), await store.steps.of(row.id)
    assert (done.status, done.round) == ("delivered", 2), done.detail
    assert run_git(source, "rev-parse", "executor/prj-crash").strip() == done.head
    trailers = run_git(done.repo_path, "log", "--format=%(trailers:key=Executor-Step,valueonly,separator=%x2C)").split()
    assert len(trailers) == len(set(trailers)), "a step has more than one commit"
    assert {s.commit for s in steps if s.kind in ("turn", "evidence") and s.commit} <= set(
        run_git(done.repo_path, "log", "--format=%H").split()
    )
    assert [s.summary for s in steps if s.kind == "evidence"] == ["evidence of round 1 kept", "evidence of round 2 kept"]
    assert sorted(p.name for p in (Path(done.repo_path) / "docs/qa").iterdir()) == ["round-1.json", "round-2.json"]
    asked = collections.Counter(h["x-executor-request-id"] for h in model_server.headers)
    assert {s.id for s in steps if s.kind == "turn"} == set(asked), "every turn was asked for, and no other"
    assert sum(n - 1 for n in asked.values()) == 2, "only the turns whose node died before the answer was kept were asked for again"
    assert len(await store.questions.of(row.id)) == 1
    kinds = collections.Counter(e.kind for e in await store.events.tail(2000, project_id=row.id))
    assert (kinds["project.delivered"], kinds["question.asked"], kinds["tests.failed"], kinds["tests.passed"]) == (1, 1, 1, 2)
    assert kinds["step.done"] == sum(s.kind == "turn" for s in steps)
    titles = [a.dedupe_key for a in await store.alerts.list()]
    assert len(titles) == len(set(titles)) == 2
    await store.close()


async def test_a_fork_that_dies_half_made_is_made_by_the_next_node(places: Places, model_server: Any) -> None:
    store = await Store.open(default_url(places.state_dir), SystemClock())
    await store.projects.create(Project("prj-origin", GOALS[1], budget_usd=None))
    nodes = Nodes(places, model_server.url)
    assert await nodes.run("prj-origin") == 0
    wrote = next(s for s in await store.steps.of("prj-origin") if s.summary == "write convert.py")
    fork = await fork_project(store, "prj-origin", str(wrote.seq), "ana")
    assert await nodes.run(fork.id, FORKED) == -signal.SIGKILL
    assert await nodes.run(fork.id) == 0
    done = await store.projects.get(fork.id)
    assert done.status == "delivered"
    assert (Path(done.repo_path) / "tests/test_convert.py").exists()
    seqs = [s.seq for s in await store.steps.of(fork.id)]
    assert seqs == list(range(1, len(seqs) + 1))
    await store.close()
