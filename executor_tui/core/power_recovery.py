"""Power recovery: what was the node doing when it went down, how did it go down, and everything put back where it was.

`begin()` before anything else of a node runs, `run()` beside it, `recover()` once it leads, `clean_stop()` at the end. Each outage gets
exactly one report: it is named after the last sign of life before it, and last_state.json carries it until the report is in the store
and handed to the outbox, however often the node falls over meanwhile.
"""

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from executor_tui.config.files import NotificationSettings
from executor_tui.config.places import Places
from executor_tui.core import identity
from executor_tui.core.alerts import raise_alert, recovery_alert
from executor_tui.core.recovery import report as reports
from executor_tui.core.recovery.checkpoints import CheckpointWriter
from executor_tui.core.recovery.last_state import LastState, NodeState, Unreported
from executor_tui.core.recovery.outage import WTMP, Here, classify, report_id, shutdown_recorded
from executor_tui.core.recovery.report import AgentThen, Findings, Moment, WorkThen
from executor_tui.core.recovery.suspects import QUARANTINE_AFTER, count, guilty
from executor_tui.core.recovery.work import Before, in_progress, quarantine, settle, still_open
from executor_tui.domain.agent import Ping
from executor_tui.domain.clock import Clock
from executor_tui.domain.crash import crash_point
from executor_tui.domain.errors import ExecutorError, NotFoundError, StoreError
from executor_tui.domain.event import Event, Level
from executor_tui.domain.ids import new_id
from executor_tui.domain.recovery import Checkpoint, Outage, OutageKind, RecoveryReport
from executor_tui.store.store import Store

log = logging.getLogger(__name__)
T = TypeVar("T")

PingAll = Callable[[], Awaitable[object]]
"""Pings every agent at once under its own deadline and records the answers, or returns them as a sequence of `Ping`."""
ResumeWork = Callable[[], Awaitable[object]]
"""Puts unfinished work back to work; may return mappings with `id`, `kind`, `outcome` and `detail` for the report."""

CollectOrphans = Callable[[], Awaitable[Sequence[WorkThen]]]
"""Looks for what the outage left outside and asks for its collection."""

SCAN_REQUEST = "recovery.requested"
"""Note by which `executor recovery run` asks the node for a scan: {"report_id", "by"}."""
AGENTS_EVERY_S = 10.0
_QUIET = (OutageKind.FIRST_START, OutageKind.CLEAN_STOP)


@dataclass(frozen=True, slots=True)
class Limits:
    """`quarantine_after` crashes running, 0 for never. Pings and resumption each get their time, then the report goes out without them."""

    ping_deadline_s: float = 15.0
    resume_deadline_s: float = 60.0
    quarantine_after: int = QUARANTINE_AFTER


class PowerRecovery:
    """Of one node. `boot_id` and `wtmp` say where the machine keeps them."""

    def __init__(
        self, store: Store, places: Places, clock: Clock, node_id: str, *, notification: Callable[[], NotificationSettings],
        boot_id: Callable[[], str] = identity.boot_id, limits: Limits | None = None, wtmp: Path = WTMP,
        orphans: CollectOrphans | None = None,
    ) -> None:  # fmt: skip
        self._store, self._clock, self._node_id = store, clock, node_id
        self._notification, self._boot_id, self._limits, self._wtmp = notification, boot_id, limits or Limits(), wtmp
        self._orphans = orphans
        self._file = LastState(places.last_state_file, clock)
        self._checkpoints = CheckpointWriter(store.checkpoints)
        self._state: NodeState | None = None
        self._outage: Outage | None = None
        self._before = Before()
        self._work: tuple[PingAll, ResumeWork] | None = None
        self._fleet = (-1, float("-inf"))
        self._going_on: set[asyncio.Future[Any]] = set()
        self.trouble = ""
        """Why the last heartbeat could not be written; empty while all is well."""

    # -- checkpoints -----------------------------------------------------------------------------------------------------------

    async def save_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Keep what an agent is doing; on disk when this returns. Cheap enough for every step: many at once share one commit."""
        await self._checkpoints.save(checkpoint)

    async def load_checkpoint(self, agent_id: str) -> Checkpoint | None:
        """What an agent was doing last, or None."""
        return await self._store.checkpoints.find(agent_id)

    # -- start, heartbeat, stop ------------------------------------------------------------------------------------------------

    async def begin(self) -> Outage:
        """Say how the last run ended and begin a new one; call it before the node registers itself or resumes any work.

        What brought the node down several times running is put in quarantine here. Raises StoreError when the state directory cannot be
        used.
        """
        read = await self._file.read()
        notes = [read.note] if read.note else []
        old = read.state or await self._from_store(notes)
        verdict = classify(old, self._here(old))
        outage = replace(verdict.outage, sure="likely") if read.state is None and old is not None and not old.clean else verdict.outage
        notes += [verdict.note] if verdict.note else []
        unreported = await self._carried(old, outage) or _fresh(old, outage, notes)
        self._before = await Before.of(self._store)
        suspects = count(old.suspects if old else (), in_progress(self._before, self._node_id), outage.kind)
        caught = guilty(suspects, self._limits.quarantine_after)
        if unreported is not None:
            unreported = replace(unreported, quarantined=tuple(dict.fromkeys((*unreported.quarantined, *caught))))
        now = self._clock.now()
        self._outage, self._state = outage, NodeState(
            self._node_id, self._boot_id(), os.getpid(), now, now, self._clock.monotonic_s(),
            suspects=tuple(s for s in suspects if s.work not in caught), unreported=unreported, agents=old.agents if old else {},
        )  # fmt: skip
        await self._file.write(self._state)
        crash_point("recovery.begun")
        for work in unreported.quarantined if unreported else ():
            await quarantine(self._store, work, self._limits.quarantine_after)
        await self._tell(outage, notes)
        return outage

    async def beat(self) -> None:
        """Write the heartbeat. A disk that is full or gone does not stop the node: `trouble` says so until it is well again."""
        if self._state is None:
            await self.begin()
            return
        agents = await self._agents_now(self._state.agents)
        self._state = replace(self._state, heartbeat_at=self._clock.now(), monotonic_s=self._clock.monotonic_s(), agents=agents)
        try:
            await self._file.write(self._state)
        except StoreError as exc:
            if not self.trouble:
                log.error("%s (%s)", exc.message, exc.hint)
                self._store.events.emit(Event("recovery.heartbeat_failed", exc.message, Level.ERROR))
                await self._show(exc.message)
            self.trouble = exc.message
        else:
            if self.trouble:
                await self._show("")
            self.trouble = ""

    async def _show(self, unwell: str) -> None:
        """On the node's row, where the console looks. A disk that takes no heartbeat may not take this either."""
        try:
            await self._store.nodes.update(self._node_id, unwell=unwell)
        except (StoreError, NotFoundError) as exc:
            log.warning("the node's row was not changed: %s", exc.message)

    async def run(self, every_s: float) -> None:
        """Heartbeats, and scans when somebody asks for one, until cancelled."""
        while True:
            await self.beat()
            try:
                await self._scan_if_asked()
            except StoreError as exc:
                log.error("recovery scan: %s", exc.message)
            await self._clock.sleep(every_s)

    async def clean_stop(self) -> None:
        """Say that this run ended in good order. Call it last. Raises StoreError."""
        for task in tuple(self._going_on):
            task.cancel()
        if self._state is not None:
            now, monotonic_s = self._clock.now(), self._clock.monotonic_s()
            self._state = replace(self._state, clean=True, suspects=(), heartbeat_at=now, monotonic_s=monotonic_s)
            await self._file.write(self._state)
            crash_point("last_state.stopped")

    # -- recovery --------------------------------------------------------------------------------------------------------------

    async def recover(self, ping_all: PingAll, resume_work: ResumeWork) -> RecoveryReport | None:
        """Settle what was in flight, ping everybody, resume work, write one report and hand it to the outbox.

        None when there is nothing to report: a first start, or a clean stop before this one.
        """
        self._work = (ping_all, resume_work)
        if self._state is None:
            await self.begin()
        assert self._state is not None
        unreported = self._state.unreported
        found = await self._scan(ping_all, resume_work, unreported.quarantined if unreported else ())
        if unreported is None:
            return None
        report = reports.build(self._node_id, unreported, found, self._clock.now())
        await self._store.reports.add(report)
        crash_point("recovery.reported")
        await self._announce(report)
        self._state = replace(self._state, unreported=None)
        await self._file.write(self._state)
        return report

    async def scan(self, report_id: str = "") -> RecoveryReport | None:
        """The same scan with nothing having stopped, because somebody asked; None before this node has recovered at all."""
        if self._work is None:
            return None
        now = self._clock.now()
        found = await self._scan(*self._work, ())
        outage = Unreported(report_id or new_id("rec"), OutageKind.SCAN, "certain", None, now)
        report = reports.build(self._node_id, outage, found, self._clock.now())
        await self._store.reports.add(report)
        return report

    async def _scan(self, ping_all: PingAll, resume_work: ResumeWork, quarantined: Sequence[str]) -> Findings:
        started_at = self._state.started_at if self._state else self._clock.now()
        then = self._state.agents if self._state else {}
        checkpoints = {c.agent_id: c for c in await self._store.checkpoints.list()}
        moments = [Moment(self._clock.now(), f"{len(checkpoints)} checkpoints loaded")]
        unreported = self._state.unreported if self._state else None
        work, in_flight_usd = await settle(self._store, self._node_id, started_at, unreported.down_from if unreported else None)
        crash_point("recovery.settled")
        told: list[WorkThen] = []
        heard, _, _ = await asyncio.gather(
            self._ping(ping_all, moments), self._resume(resume_work, moments, told), self._collect(moments, told)
        )
        crash_point("recovery.resumed")
        agents = await self._agents_then(checkpoints, then, heard)
        work = [*told, *await still_open(self._store, self._before, {w.id for w in told}, quarantined), *work]
        return Findings(agents, work, in_flight_usd, sorted(moments, key=lambda m: m.at))

    async def _ping(self, ping_all: PingAll, moments: list[Moment]) -> bool:
        """Whether the round of pings came to its end in time."""
        answers = await self._within(self._limits.ping_deadline_s, ping_all())
        if answers is None:
            moments.append(Moment(self._clock.now(), f"pings given up after {self._limits.ping_deadline_s:g} s"))
            return False
        pings = [answer for answer in answers if isinstance(answer, Ping)] if isinstance(answers, Iterable) else []
        await self._store.agents.pinged_all(pings)
        moments.append(Moment(self._clock.now(), "agents pinged"))
        return True

    async def _resume(self, resume_work: ResumeWork, moments: list[Moment], told: list[WorkThen]) -> None:
        try:
            answer = await self._within(self._limits.resume_deadline_s, resume_work(), go_on=True)
        except ExecutorError as exc:
            told.append(WorkThen(self._node_id, "node", reports.NEEDS_YOU, f"resuming work failed: {exc.message}"))
            return
        told += [_told(item) for item in answer if isinstance(item, Mapping)] if isinstance(answer, Iterable) else []
        late = f"work still being resumed after {self._limits.resume_deadline_s:g} s; it goes on"
        moments.append(Moment(self._clock.now(), late if self._going_on else "work resumed"))

    async def _collect(self, moments: list[Moment], told: list[WorkThen]) -> None:
        if self._orphans is None:
            return
        try:
            found = await self._within(self._limits.resume_deadline_s, self._orphans())
        except ExecutorError as exc:
            told.append(WorkThen(self._node_id, "node", reports.NEEDS_YOU, f"looking for containers left behind failed: {exc.message}"))
            return
        if found is None:
            told.append(
                WorkThen(self._node_id, "node", reports.NEEDS_YOU, "containers left behind: no answer in time; executor lxc orphans")
            )
        elif found:
            told += found
            moments.append(Moment(self._clock.now(), f"{len(found)} containers without an owner found"))

    async def _agents_then(self, checkpoints: Mapping[str, Checkpoint], then: Mapping[str, str], heard: bool) -> list[AgentThen]:
        found = []
        for agent in await self._store.agents.in_short():
            checkpoint = checkpoints.get(agent.id)
            before = checkpoint.state if checkpoint else then.get(agent.id) or self._before.agents.get(agent.id, "")
            after, reason = (str(agent.state), agent.reason) if heard else (reports.UNKNOWN, "not heard of in time")
            found.append(AgentThen(agent.id, agent.name, before or reports.UNKNOWN, after, reason))
        return found

    async def _announce(self, report: RecoveryReport) -> None:
        await raise_alert(self._store, self._notification(), recovery_alert(report))
        crash_point("recovery.alerted")

    # -- smaller parts ---------------------------------------------------------------------------------------------------------

    def _here(self, old: NodeState | None) -> Here:
        boot_id = self._boot_id()
        moved = old is not None and not old.clean and old.boot_id != boot_id
        shutdown = shutdown_recorded(old.heartbeat_at, self._wtmp) if old is not None and moved else None
        return Here(self._clock.now(), self._clock.monotonic_s(), boot_id, old is not None and _alive(old.pid), shutdown)

    async def _from_store(self, notes: list[str]) -> NodeState | None:
        """Without a file of ours, what the store last heard of this node."""
        node = await self._store.nodes.find(self._node_id)
        if node is None or node.started_at is None:
            return None
        if not notes:
            notes.append("last_state.json was missing; how it went down is judged by the store's last heartbeat")
        heartbeat_at = max(node.heartbeat_at or node.started_at, node.started_at)
        return NodeState(node.id, node.boot_id, node.pid, node.started_at, heartbeat_at, clean=node.stopped_at is not None)

    async def _carried(self, old: NodeState | None, outage: Outage) -> Unreported | None:
        """An outage that an earlier run did not come to report. It goes on; if only the alert was missing, that is raised now."""
        if old is None or old.unreported is None:
            return None
        known = await self._store.reports.find(old.unreported.report_id)
        if known is not None:
            await self._announce(known)
            return None
        again = 0 if outage.kind in _QUIET else 1
        return replace(old.unreported, up_at=outage.up_at, restarts=old.unreported.restarts + again)

    async def _agents_now(self, known: Mapping[str, str]) -> Mapping[str, str]:
        """The agents' states, read again when the fleet changed, at most every ten seconds."""
        revision, read_at = self._fleet
        now = self._clock.monotonic_s()
        if now - read_at < AGENTS_EVERY_S:
            return known
        try:
            current = (await self._store.db.revisions()).get(self._store.agents.topic, 0)
            states = await self._store.agents.states() if current != revision else known
        except StoreError as exc:
            log.warning("agents' states not read for last_state.json: %s", exc.message)
            return known
        self._fleet = (current, now)
        return states

    async def _scan_if_asked(self) -> None:
        asked = await self._store.notes.get(SCAN_REQUEST) if self._work is not None else None
        if isinstance(asked, Mapping):
            await self._store.notes.delete(SCAN_REQUEST)
            await self.scan(str(asked.get("report_id", "")))

    async def _within(self, seconds: float, work: Awaitable[T], *, go_on: bool = False) -> T | None:
        """The result, or None when the time is over: by our clock, so that a test need not wait. Late work ends, or goes on by itself."""
        task = asyncio.ensure_future(work)
        timer = asyncio.ensure_future(self._clock.sleep(seconds))
        try:
            await asyncio.wait({task, timer}, return_when=asyncio.FIRST_COMPLETED)
            return task.result() if task.done() else None
        finally:
            if go_on and not task.done() and timer.done():
                self._going_on.add(task)
                task.add_done_callback(self._gone_on)
            else:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
            timer.cancel()
            await asyncio.gather(timer, return_exceptions=True)

    def _gone_on(self, task: "asyncio.Future[Any]") -> None:
        self._going_on.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("resuming work failed after its time: %s", error)

    async def _tell(self, outage: Outage, notes: Sequence[str]) -> None:
        if outage.kind is OutageKind.FIRST_START:
            return
        level = Level.INFO if outage.kind is OutageKind.CLEAN_STOP else Level.WARNING
        down = f", down {reports.span(outage.downtime_s)}" if outage.down_from else ""
        message = "; ".join([f"started after {reports.KIND_WORDS[outage.kind].lower()} ({outage.sure}){down}", *notes])
        await self._store.events.add(Event("recovery.began", message, level, subject_id=self._node_id, data={"kind": str(outage.kind)}))


def _fresh(old: NodeState | None, outage: Outage, notes: Sequence[str]) -> Unreported | None:
    if old is None or outage.kind in _QUIET:
        return None
    return Unreported(report_id(old), outage.kind, outage.sure, outage.down_from, outage.up_at, outage.boot_id_before, notes=tuple(notes))


def _told(item: Mapping[str, object]) -> WorkThen:
    return WorkThen(*(str(item.get(name, "")) for name in ("id", "kind", "outcome", "detail")))


def _alive(pid: int) -> bool:
    """Whether a process other than ourselves has this id."""
    if pid <= 0 or pid == os.getpid():
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
