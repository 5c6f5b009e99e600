"""Runs the changes of an installation: exactly one process at a time holds the right to, a node or a command that found no node.

The right is a lease in the store, so that two processes never work on one device at once; each write of the work carries its number.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import aclosing

from dbos import DBOS, SetWorkflowID

from executor_tui.agents.device import Device
from executor_tui.agents.devices import open_device
from executor_tui.config.load import Config
from executor_tui.config.places import Places
from executor_tui.core import durable
from executor_tui.core.changes import workflow
from executor_tui.core.changes.engine import Engine
from executor_tui.core.changes.outcome import Outcome
from executor_tui.core.changes.runtime import ModelAccess, Runtime
from executor_tui.core.election import Election
from executor_tui.domain.change import Change, ChangeStatus
from executor_tui.domain.crash import crash_point
from executor_tui.domain.errors import StoreError
from executor_tui.domain.node import Lease
from executor_tui.store.store import Store

log = logging.getLogger(__name__)
LEASE = "changes"
TTL_S, BEAT_S = 10.0, 2.0
_BROKEN = ("ERROR", "MAX_RECOVERY_ATTEMPTS_EXCEEDED", "CANCELLED")
_OPEN = (ChangeStatus.PLANNED, ChangeStatus.WAITING, ChangeStatus.APPLYING)
_TOPICS = frozenset({"changes", "approvals", "notes"})


class ChangeHost:
    """Use `async with`, and keep `run()` going for as long as changes are to be worked on.

    `executor_id` is stable for this process's role: by it DBOS finds again what this process left unfinished. `wanted` says whether to
    stand for the right at all; a node does while it leads. `model_access` is the way to a model, for requests in words.
    """

    def __init__(
        self, store: Store, places: Places, config: Callable[[], Config], executor_id: str, wanted: Callable[[], bool] = lambda: True,
        model_access: ModelAccess | None = None,
    ) -> None:  # fmt: skip
        self._store, self._places, self._config, self._executor_id = store, places, config, executor_id
        self._wanted, self._clock = wanted, store.clock
        clock = store.clock
        self._election = Election(store.leases, clock, executor_id, TTL_S, LEASE)
        self.runtime = Runtime(store, places, clock, config, self._device, lambda: self._election.lease, model_access)
        self.engine = Engine(self.runtime)
        self._begun: set[str] = set()

    async def start(self) -> None:
        """Bring DBOS up (or join it) and let this process's workflows find their way."""
        workflow.use(self.engine)
        await durable.launch(self._places, self._store.db.url, self._executor_id)

    async def stop(self) -> None:
        """Give the right back. Work that is under way stays pending."""
        await self._election.resign()
        await durable.shutdown()
        workflow.use(None)

    async def __aenter__(self) -> "ChangeHost":
        await self.start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.stop()

    @property
    def lease(self) -> Lease | None:
        return self._election.lease

    async def run(self) -> None:
        """Hold the right, begin what is asked for, wake what waits; until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._beat(), name="changes-lease")
            group.create_task(self._follow(), name="changes-feed")

    async def _beat(self) -> None:
        while True:
            if self._wanted():
                gained = await self._election.campaign()
                if gained:
                    self.runtime.tell()
                    await self._adopt()
                    await self.dispatch()
            elif self._election.leads:
                await self._election.resign()
            await self._clock.sleep(BEAT_S)

    async def _follow(self) -> None:
        async with aclosing(self._store.feed()) as feed:
            async for topics in feed:
                if not topics & _TOPICS:
                    continue
                self.runtime.tell()
                if self._election.leads:
                    try:
                        await self.dispatch()
                    except StoreError as exc:
                        log.error("changes: %s", exc.message)

    async def _adopt(self) -> None:
        """Take over unfinished changes of whoever had the right before: it cannot write any more."""
        found = await DBOS.list_workflows_async(name=workflow.NAME, status=durable.UNFINISHED, load_input=False, load_output=False)
        ids = [w.workflow_id for w in found if w.executor_id != self._executor_id and w.workflow_id not in self._begun]
        if ids:
            log.warning("taking over %d unfinished changes", len(ids))
            await DBOS.resume_workflows_async(ids)
            self._begun.update(ids)

    async def dispatch(self) -> None:
        """Begin the workflow of every open change that has none yet. Beginning one twice does nothing."""
        for change in await self._store.changes.in_status(*_OPEN):
            if change.id not in self._begun:
                self._begun.add(change.id)
                try:
                    await self._begin(change)
                except BaseException:
                    self._begun.discard(change.id)
                    raise

    async def _begin(self, change: Change) -> None:
        crash_point("change.asked")
        status = await DBOS.get_workflow_status_async(change.id)
        if status is not None and status.status in _BROKEN:
            detail = "its work was broken off by a fault of Executor's own; see the log, and look at the device"
            await self.engine.conclude(change.id, Outcome(ChangeStatus.FAILED, detail))
            return
        if status is None:
            with SetWorkflowID(change.id):
                await DBOS.start_workflow_async(workflow.change_workflow, change.id)
            if not change.workflow_id:
                await self._store.changes.update(change.id, workflow_id=change.id)

    async def _device(self, agent_id: str) -> Device:
        return await open_device(agent_id, self._store, self._config(), self._places)
