"""A project from its goal to its end."""

import json
from pathlib import Path
from typing import Any

from executor_tui.lab.script.model import GOALS


async def test_a_goal_becomes_a_repository_with_requirements_design_code_tests_and_evidence(world: Any, run_git: Any) -> None:
    project = await world.begin(GOALS[1])
    done = await world.final(project.id)
    assert (done.status, done.stage, done.round) == ("delivered", "delivered", 1)
    repo = Path(done.repo_path)
    assert repo == world.places.projects_dir / project.id / "repo"
    assert "AC-1" in (repo / "docs/prd.md").read_text()
    assert "```mermaid" in (repo / "docs/design.md").read_text()
    evidence = json.loads((repo / "docs/qa/round-1.json").read_text())
    assert (evidence["exit_code"], evidence["passed"], evidence["ended"]) == (0, True, "exit")
    assert evidence["tests_passed"] == 6
    assert evidence["command"] in ("python3 -m unittest discover -s tests",)
    log = run_git(repo, "log", "--format=%an|%s")
    assert "Executor Coder|Coder: write convert.py" in log
    assert run_git(repo, "status", "--porcelain") == ""
    assert done.head == run_git(repo, "rev-parse", "HEAD").strip()
