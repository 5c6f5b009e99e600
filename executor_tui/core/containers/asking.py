"""Asking for changes in a project's name, and waiting for them: what a project does to its container goes the way of every change."""

from collections.abc import Sequence
from contextlib import aclosing

from executor_tui.agents.device import Asked, Device, Json
from executor_tui.core.changes.mandate import UNDER
from executor_tui.core.changes.requests import submit
from executor_tui.core.pipeline.parts import ProjectFailedError, WaitError
from executor_tui.domain.change import Change, ChangeStatus
from executor_tui.domain.errors import ExecutorError
from executor_tui.domain.project import Project
from executor_tui.store.store import Store

GOOD = (ChangeStatus.DONE, ChangeStatus.NOTHING_TO_DO)


class ChangeFailedError(ExecutorError):
    """A change for a project failed or was taken back; the message is what its receipt says."""


def change_id(project: Project, name: str) -> str:
    """The id of a project's change. It begins with the project's, by which the planner knows the project's own containers."""
    return f"chg-{project.id}-{name}"


async def ask(store: Store, device: Device, project: Project, name: str, operations: Sequence[Json], why: str, under: str = "") -> Change:
    """Record the change, once; whoever works on changes does the rest. `under` names the change whose consent covers it."""
    data: Json = {UNDER: under} if under else {}
    asked = Asked(
        device.id, tuple(operations), requested_by=f"project {project.id}", agent_id=device.id, project_id=project.id, why=why, data=data,
    )  # fmt: skip
    return await submit(store, device, asked, change_id(project, name))


async def carried_out(store: Store, change: Change) -> Change:
    """The change once it is made. While it waits for a person the project is put aside.

    Raises WaitError, ProjectFailedError when it was refused, and ChangeFailedError.
    """
    async with aclosing(store.feed()) as feed:
        async for _ in feed:
            seen = await store.changes.get(change.id)
            if seen.status in GOOD:
                return seen
            if seen.status is ChangeStatus.WAITING:
                raise WaitError("change", _waits(seen), agent_id=seen.device, change_id=seen.id)
            if seen.status is ChangeStatus.REFUSED:
                raise ProjectFailedError(f"the container is not to be had: {seen.detail}", hint="run it here instead: --where local")
            if seen.status.final:
                raise ChangeFailedError(seen.detail or f"change {seen.id} {seen.status.replace('_', ' ')}")
    raise AssertionError("unreachable: the feed does not end by itself")


def _waits(change: Change) -> str:
    return f"{change.summary or 'a change to its container'}: {change.detail or 'waits for consent'}"
