"""Steps that are recorded: each runs until it has a result that is kept, is interrupted at once when the project is cancelled, and is put
aside, holding nothing, when it can do nothing now.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from dbos import DBOS
from dbos import error as dbos_error

from executor_tui.agents.client import Json
from executor_tui.core.pipeline.parts import Parts, ProjectFailedError, StoppedError, WaitError, text_in
from executor_tui.domain.crash import crash_point
from executor_tui.domain.errors import ExecutorError, StoreError
from executor_tui.domain.project import ProjectStatus
from executor_tui.workspaces.errors import UnreachableError

T = TypeVar("T")
Body = Callable[[str], Coroutine[Any, Any, Json]]
"""A step's work, given the step's id: the same id when it is done again."""
PutAside = Callable[[WaitError], Awaitable[None]]

STOPPED, FAILED, HINT = "__stopped__", "__failed__", "__hint__"


class Journal:
    """The steps of one run of one project's workflow. The project's id is the workflow's id."""

    def __init__(self, parts: Parts, project_id: str, put_aside: PutAside) -> None:
        self._parts, self.project_id, self._put_aside = parts, project_id, put_aside
        self.cancelled = asyncio.Event()
        """Set to stop what runs now; the row says CANCELLED already."""

    async def step(self, name: str, body: Body) -> Json:
        """Do a step, or find its result in the journal. Raises StoppedError and ProjectFailedError, alike when it is found there."""

        async def kept() -> Json:
            return await self._outcome(body, f"{self.project_id}.{DBOS.step_id}")

        result = await DBOS.run_step_async({"name": name}, kept)
        crash_point("pipeline.recorded")
        if result.get(STOPPED):
            raise StoppedError
        if FAILED in result:
            raise ProjectFailedError(text_in(result, FAILED), hint=text_in(result, HINT))
        return result

    async def _outcome(self, body: Body, step_id: str) -> Json:
        """The result to be kept. What concerns the machine or the moment is not kept: the step is put aside and done again later."""
        crash_point("pipeline.step")
        try:
            if await self._is_stopped():
                return {STOPPED: True}
            result = await self._interruptible(body(step_id))
            await self._keep(result)
            return result
        except WaitError as exc:
            await self._put_aside(exc)
            raise dbos_error.DBOSWorkflowCancelledError(exc.detail) from exc
        except UnreachableError as exc:
            await self._put_aside(WaitError("machine", exc.message))
            raise dbos_error.DBOSWorkflowCancelledError(exc.message) from exc
        except StoreError:
            raise
        except ExecutorError as exc:
            return {FAILED: exc.message, HINT: exc.hint}

    async def _keep(self, result: Json) -> None:
        """The commit a step ends on is kept before the step is: a journal must not reach further than the history."""
        if text_in(result, "commit") or text_in(result, "head"):
            workspace = self._parts.workspaces.get(self.project_id)
            if workspace is not None:
                await self._parts.travel.keep(self.project_id, workspace.root)

    async def _is_stopped(self) -> bool:
        project = await self._parts.store.projects.find(self.project_id)
        if project is None or project.status is ProjectStatus.CANCELLED or self.cancelled.is_set():
            return True
        if project.status is ProjectStatus.QUARANTINED:
            raise WaitError("quarantine", project.detail)
        return False

    async def _interruptible(self, work: Coroutine[Any, Any, Json]) -> Json:
        task = asyncio.create_task(work)
        stop = asyncio.create_task(self.cancelled.wait())
        try:
            await asyncio.wait({task, stop}, return_when=asyncio.FIRST_COMPLETED)
            return task.result() if task.done() else {STOPPED: True}
        finally:
            for pending in (task, stop):
                pending.cancel()
            await asyncio.gather(task, stop, return_exceptions=True)
