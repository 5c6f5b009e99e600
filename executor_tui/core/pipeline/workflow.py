"""The one workflow DBOS knows. It has no inputs: what it is about is its own id, so that a fork of it is about the fork."""

from collections.abc import Awaitable, Callable

from dbos import DBOS

NAME, QUEUE = "executor.project", "projects"

Runner = Callable[[str], Awaitable[str]]

_runner: list[Runner] = []


def bind(runner: Runner | None) -> None:
    """Say who does the work in this process; None when nobody does any more."""
    _runner[:] = [] if runner is None else [runner]


@DBOS.workflow(name=NAME, max_recovery_attempts=None)
async def project_workflow() -> str:
    """A project from its goal to its end; returns how it ended."""
    workflow_id = DBOS.workflow_id
    assert workflow_id is not None and _runner, "the pipeline is launched before its workflows run"
    return await _runner[0](workflow_id)
