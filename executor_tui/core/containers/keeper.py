"""Puts projects' containers away when the projects are over, as `containers.keep` says: destroyed, stopped, or left as they are."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import replace

from executor_tui.agents.device import Json
from executor_tui.config.load import Config
from executor_tui.config.places import Places
from executor_tui.core.containers.asking import GOOD, ask, change_id
from executor_tui.core.containers.record import Record, read_record, write_record
from executor_tui.domain.approval import ApprovalStatus
from executor_tui.domain.errors import ExecutorError
from executor_tui.domain.event import Event, Level
from executor_tui.domain.project import Project, Where
from executor_tui.infra.proxmox.model import Power
from executor_tui.store.store import Store

log = logging.getLogger(__name__)
LOOK_S = 60.0
"""How often, at the latest, it is looked for containers to put away."""
ENDINGS = 5
"""After so many changes that failed it is left to a person: executor lxc orphans."""
_TOPICS = frozenset({"project", "changes"})


class Keeper:
    """Keep `run()` going; `leads` says whether this node is the one to act."""

    def __init__(self, store: Store, places: Places, config: Callable[[], Config], leads: Callable[[], bool]) -> None:
        self._store, self._places, self._config, self._leads = store, places, config, leads
        self._over_ids: set[str] = set()
        """Projects that need no look any more."""

    async def run(self) -> None:
        """Look after each change of the store, and now and then without one, until cancelled."""
        changed = asyncio.Event()

        async def follow() -> None:
            async with aclosing(self._store.feed()) as feed:
                async for topics in feed:
                    if topics & _TOPICS:
                        changed.set()

        following = asyncio.create_task(follow(), name="containers-feed")
        try:
            while True:
                if self._leads():
                    await self.look()
                await self._news(changed)
                changed.clear()
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)

    async def _news(self, changed: asyncio.Event) -> None:
        waits = [asyncio.ensure_future(changed.wait()), asyncio.ensure_future(self._store.clock.sleep(LOOK_S))]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
            await asyncio.gather(*waits, return_exceptions=True)

    async def look(self) -> None:
        """One round. A cluster that does not answer is asked again at the next one."""
        for project in await self._store.projects.list():
            if project.where is not Where.LXC or not project.status.final or project.id in self._over_ids:
                continue
            record = await read_record(self._store, project.id)
            if record.over:
                self._over_ids.add(project.id)
                continue
            try:
                if record.made_by:
                    await self._end(project, record)
                else:
                    await self._not_made(project, record)
            except ExecutorError as exc:
                log.warning("the container of project %s is not put away yet: %s", project.id, exc.message)

    async def _not_made(self, project: Project, record: Record) -> None:
        """The project ended before its container stood: what is asked for is withdrawn, what was made meanwhile is put away."""
        change = await self._store.changes.find(change_id(project, f"make-{record.attempt}"))
        if change is None:
            await write_record(self._store, project.id, replace(record, over=True))
            return
        if change.status in GOOD:
            vmid = int(str(change.operations[0]["vmid"]))
            await write_record(self._store, project.id, replace(record, made_by=change.id, vmid=vmid, device=change.device))
            return
        if change.status.final:
            await write_record(self._store, project.id, replace(record, over=True))
            return
        approval = await self._store.approvals.find(change.approval_id) if change.approval_id else None
        if approval is not None and approval.status is ApprovalStatus.PENDING:
            await self._store.approvals.cancel(approval.id, f"project {project.id} is {project.status}")

    async def _end(self, project: Project, record: Record) -> None:
        if record.ending:
            change = await self._store.changes.find(record.ending)
            if change is not None and not change.status.final:
                return
            if change is not None and change.status in GOOD:
                await self._over(project, record, f"the container of project {project.id} is put away")
                return
        if record.endings >= ENDINGS:
            text = f"the container of project {project.id} could not be put away; see: executor lxc orphans"
            await self._over(project, record, text, Level.WARNING)
            return
        from executor_tui.core.containers.room import Room

        room = Room(project, self._store, self._places, self._config)
        device = await room.device(record)
        containers = [(seen.info.vmid, seen.info.power is Power.RUNNING) for seen in await room.own(device)]
        operations = ending(containers, record.vmid, self._config().executor.containers.keep, project.id)
        if not operations:
            await self._over(project, record, f"nothing of the container of project {project.id} is left to put away")
            return
        number = record.endings + 1
        change = await ask(self._store, device, project, f"end-{number}", operations, "the project is over", record.made_by)
        await write_record(self._store, project.id, replace(record, ending=change.id, endings=number))

    async def _over(self, project: Project, record: Record, text: str, level: Level = Level.INFO) -> None:
        await write_record(self._store, project.id, replace(record, over=True))
        await self._store.events.add(Event("container.over", text, level, record.device, project.id))


def ending(containers: list[tuple[int, bool]], main: int, keep: str, run: str) -> tuple[Json, ...]:
    """What becomes of a project's containers (id, whether it runs): copies for test runs always go, its own as the policy says."""
    found: list[Json] = []
    for vmid, running in containers:
        if keep == "destroy" or vmid != main:
            found.append({"op": "lxc.delete", "container": vmid, "run": run})
        elif keep == "stop" and running:
            found.append({"op": "lxc.shutdown", "container": vmid, "force": True, "run": run})
    return tuple(found)
