"""The lookout: takes a snapshot whenever something changed, asks core.escalations what it calls for, and raises what is new."""

import asyncio
import logging
import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from executor_tui.config.load import Config
from executor_tui.core.alerts import raise_alert
from executor_tui.core.escalations import ENDED, RUNNING, Disk, Snapshot, escalate
from executor_tui.domain.errors import StoreError
from executor_tui.store.store import Store

log = logging.getLogger(__name__)

_PROMPT = frozenset({"approvals", "questions", "project", "parks"})
"""Topics that are looked at as soon as they change; everything else at the next round."""
TOLD_FOR = timedelta(hours=24)
"""A project that ended longer ago is history, not news."""


class Lookout:
    """`run()` until cancelled; only the node that `leads` raises anything."""

    def __init__(self, store: Store, state_dir: Path, config: Callable[[], Config], leads: Callable[[], bool] = lambda: True) -> None:
        self._store, self._clock, self._state_dir, self._config, self._leads = store, store.clock, state_dir, config, leads
        self._raised: set[str] = set()
        self._time = (self._clock.now(), self._clock.monotonic_s())
        self._since = self._time[0]
        self._changed = asyncio.Event()

    async def run(self) -> None:
        """Look at once when somebody is asked something, and every few seconds at everything."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow(), name="lookout-feed")
            group.create_task(self._rounds(), name="lookout-rounds")
            while True:
                await self._changed.wait()
                self._changed.clear()
                began_s = self._clock.monotonic_s()
                await self.look()
                # A large fleet in a busy hour: looking takes at most a fifth of the time.
                await self._clock.sleep(4 * (self._clock.monotonic_s() - began_s))

    async def _follow(self) -> None:
        async for topics in self._store.feed():
            if topics & _PROMPT:
                self._changed.set()

    async def _rounds(self) -> None:
        while True:
            await self._clock.sleep(self._config().executor.escalations.every_s)
            self._changed.set()

    async def look(self) -> int:
        """One look; says how many alerts were new."""
        if not self._leads():
            return 0
        try:
            alerts = [a for a in escalate(await self._snapshot(), self._config().executor.escalations) if a.dedupe_key not in self._raised]
            keys = [a.dedupe_key for a in alerts]
            known = await self._store.alerts.known_keys(keys) if keys else frozenset()
            new = [a for a in alerts if a.dedupe_key not in known]
            for alert in new:
                await raise_alert(self._store, self._config().notification, alert)
            self._raised.update(keys)
        except StoreError as exc:
            log.error("lookout: %s", exc.message)
            return 0
        return len(new)

    async def _snapshot(self) -> Snapshot:
        store, now = self._store, self._clock.now()
        running = await store.projects.in_status(*RUNNING)
        ended = await store.projects.in_status(*ENDED)
        agents = await store.agents.list()
        at_work = {agent.project_id for agent in agents} & {p.id for p in running}
        news = [p for p in ended if (p.finished_at or p.updated_at or now) > now - TOLD_FOR]
        return Snapshot(
            now,
            agents=agents,
            projects=(*running, *news),
            # Projects that wait for their turn repeat nothing and are stuck at nothing.
            steps={project_id: await store.steps.latest(project_id) for project_id in sorted(filter(None, at_work))},
            approvals=await store.approvals.pending(),
            questions=await store.questions.open(),
            limits=await store.limits.list(),
            parks=await store.parks.open(),
            disk=await asyncio.to_thread(_disk, self._state_dir),
            clock_jump_s=self._clock_jump_s(),
            watched_since=self._since,
        )

    def _clock_jump_s(self) -> float:
        """How far wall time ran ahead of monotonic time since the last look; negative when it was set back."""
        wall, monotonic_s = self._time
        self._time = (self._clock.now(), self._clock.monotonic_s())
        return (self._time[0] - wall).total_seconds() - (self._time[1] - monotonic_s)


def _disk(path: Path) -> Disk | None:
    try:
        usage = shutil.disk_usage(path)
    except OSError as exc:
        log.warning("the room left at %s is unknown: %s", path, exc.strerror)
        return None
    return Disk(usage.free, usage.total)
