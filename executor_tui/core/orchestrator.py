"""The core orchestrator: one loop over the change feed that keeps the fleet at work.

It owns no work of its own: projects run in `core.pipeline`, calls in the gateway, messages in the outbox. It sees that each has what it
needs, asks the user when something is missing, and after a restart puts things back where they were.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from executor_tui.config.load import Config
from executor_tui.config.places import Places
from executor_tui.core.election import Election
from executor_tui.core.fleet import Pinger, ping_agents, sync_registry
from executor_tui.core.serving import can_serve, missing_keys_text
from executor_tui.domain.agent import Agent, AgentState, Ping
from executor_tui.domain.clock import Clock
from executor_tui.domain.errors import ConflictError, ExecutorError, FencedError, StoreError
from executor_tui.domain.event import Event, Level
from executor_tui.domain.project import Project, ProjectStatus, Question
from executor_tui.domain.recovery import RecoveryReport
from executor_tui.store.store import Store

log = logging.getLogger(__name__)

KEYS_QUESTION = "keys"
GATEWAY_START_S = 20.0
"""Longer than recovery waits for the pings: agents that could not be asked are not heard of yet, which is not the same as offline."""
_ASSIGNING_TOPICS = frozenset({"project", "keys", "questions", "fleet", "config"})


class ProjectWork(Protocol):
    """What the orchestrator needs of the pipeline."""

    async def start(self, project: Project) -> None:
        """Begin or continue the durable workflow of a project. Starting one that runs does nothing."""
        ...

    async def resume(self, projects: Sequence[Project]) -> Mapping[str, str]:
        """Begin or continue many at once; by id, what kept those from it that could not."""
        ...

    async def adopt(self, dead_executor_id: str) -> int:
        """Take over the unfinished workflows of a node that is gone; says how many."""
        ...


class Recovery(Protocol):
    """What the orchestrator needs of power recovery."""

    async def recover(
        self, ping_all: Callable[[], Awaitable[object]], resume_work: Callable[[], Awaitable[object]]
    ) -> RecoveryReport | None:
        """Classify the outage, load checkpoints, ping, resume, and write one report; None when there was no outage."""
        ...


@dataclass
class Parts:
    """What an orchestrator is made of."""

    store: Store
    places: Places
    clock: Clock
    node_id: str
    election: Election
    projects: ProjectWork
    recovery: Recovery
    pinger: Pinger | None = None
    gateway_up: asyncio.Event = field(default_factory=asyncio.Event)
    """Set while the gateway answers: most agents are as well as it is."""
    heard: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once the agents have been pinged for the first time, or another node leads: what is resumed need not hold that up any more."""


class Orchestrator:
    """Use `run()`; stop it by cancelling its task."""

    def __init__(self, parts: Parts, config: Config) -> None:
        self._p, self.config = parts, config
        self._recovered = False
        self._office = 0
        self._nudge = asyncio.Event()
        self._ping_now = asyncio.Event()
        self.ready = asyncio.Event()
        """Set once recovery is done and work is being assigned, or another node leads."""

    def reconfigure(self, config: Config) -> None:
        """New settings from the next round on."""
        self.config = config
        self._nudge.set()

    async def run(self) -> None:
        """Heartbeat, leadership, pings and assignment, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow_feed(), name="orchestrator-feed")
            group.create_task(self._beat(), name="orchestrator-heartbeat")
            group.create_task(self._ping_rounds(), name="orchestrator-pings")

    # -- leadership ----------------------------------------------------------------------------------------------------------------

    async def _beat(self) -> None:
        while True:
            try:
                await self._heartbeat()
            except FencedError as exc:
                log.warning("%s", exc.message)
            except StoreError as exc:
                log.error("heartbeat: %s (%s)", exc.message, exc.hint)
            await self._p.clock.sleep(self.config.executor.node.heartbeat_s)

    async def _heartbeat(self) -> None:
        await self._p.election.campaign()
        await self._p.store.nodes.heartbeat(self._p.node_id)
        lease = self._p.election.lease
        if lease is not None and lease.fencing != self._office:
            words = f"node {self._p.node_id} leads (fencing number {lease.fencing})"
            await self._p.store.events.add(Event("node.leads", words))
            await self._take_office()
            self._office = lease.fencing  # only now: what fails on the way in is tried again at the next beat
        if self._p.election.leads:
            await self._p.store.approvals.expire(self._p.clock.now())
            await self._adopt_from_dead_nodes()
        else:
            self._p.heard.set()
            self.ready.set()

    async def _take_office(self) -> None:
        await sync_registry(self._p.store, self.config)
        await self.power_recovery_check()
        self.ready.set()
        self._nudge.set()

    async def power_recovery_check(self) -> RecoveryReport | None:
        """Scan the agents after a start: what kind of outage it was, who is well, what is resumed. Writes at most one report per outage."""
        if self._recovered:
            return None
        report = await self._p.recovery.recover(self._ping_once_the_gateway_is_up, self._resume_own_work)
        self._recovered = True
        return report

    async def _resume_own_work(self) -> list[dict[str, object]]:
        """Put unfinished projects back to work: the pipeline recovers their steps, this only makes sure that none is forgotten."""
        projects = await self._p.store.projects.in_status(ProjectStatus.RUNNING, ProjectStatus.ASKING)
        failed = await self._p.projects.resume(projects)
        resumed: list[dict[str, object]] = []
        for project in projects:
            outcome, detail = "resumed", f"{project.stage}, round {project.round}"
            if project.id in failed:
                outcome, detail = "needs you", failed[project.id]
            resumed.append({"id": project.id, "kind": "project", "outcome": outcome, "detail": detail, "goal": project.goal})
        return resumed

    async def _adopt_from_dead_nodes(self) -> None:
        limit_s = self.config.executor.node.lease_s * 2
        now = self._p.clock.now()
        for node in await self._p.store.nodes.list():
            silent = node.heartbeat_at is None or (now - node.heartbeat_at).total_seconds() > limit_s
            if node.id == self._p.node_id or node.stopped_at is not None or not silent:
                continue
            adopted = await self._p.projects.adopt(node.id)
            await self._p.store.nodes.update(node.id, stopped_at=now, unwell="silent; its work was adopted")
            message = f"node {node.id} on {node.host} is silent; {adopted} workflows adopted by {self._p.node_id}"
            await self._p.store.events.add(Event("node.adopted", message, Level.WARNING, data={"adopted": adopted}))

    # -- pings ---------------------------------------------------------------------------------------------------------------------

    async def _ping_once_the_gateway_is_up(self) -> tuple[Ping, ...]:
        """Right after a start nobody could answer: the gateway is given a moment to come up. The answers are recorded already."""
        try:
            await self._wait_for(self._p.gateway_up, GATEWAY_START_S)
            await self._ping_round()
        finally:
            self._p.heard.set()
        return ()

    async def _wait_for(self, event: asyncio.Event, seconds: float) -> None:
        """Until the event is set, or `seconds` of the clock have passed."""
        waits = [asyncio.ensure_future(event.wait()), asyncio.ensure_future(self._p.clock.sleep(seconds))]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waits:
                task.cancel()
            await asyncio.gather(*waits, return_exceptions=True)

    def ping_soon(self) -> None:
        """Do not wait for the next round: something happened that the agents depend on."""
        self._ping_now.set()

    async def _ping_rounds(self) -> None:
        await self.ready.wait()
        while True:
            await self._wait_for(self._ping_now, self.config.executor.node.ping_every_s)
            self._ping_now.clear()
            if self._p.election.leads:
                try:
                    await self._ping_round()
                except StoreError as exc:
                    log.error("pings: %s", exc.message)

    async def ping_all(self) -> tuple[Agent, ...]:
        """Ping every agent of the registry concurrently under the deadline; returns them as they are now."""
        await self._ping_round()
        return await self._p.store.agents.list()

    async def _ping_round(self) -> None:
        agents = await self._p.store.agents.list()
        deadline_s = self.config.executor.node.ping_deadline_s
        await ping_agents(self._p.store, agents, self.config, self._p.places, deadline_s=deadline_s, pinger=self._p.pinger)

    # -- work ----------------------------------------------------------------------------------------------------------------------

    async def _follow_feed(self) -> None:
        nudged = asyncio.create_task(self._on_nudge(), name="orchestrator-nudge")
        try:
            async for topics in self._p.store.feed():
                if topics & _ASSIGNING_TOPICS:
                    self._nudge.set()
        finally:
            nudged.cancel()
            await asyncio.gather(nudged, return_exceptions=True)

    async def _on_nudge(self) -> None:
        while True:
            await self._nudge.wait()
            self._nudge.clear()
            if not (self._p.election.leads and self.ready.is_set()):
                continue
            try:
                await self.assign()
            except ExecutorError as exc:
                log.error("assignment: %s", exc.message)

    async def assign(self) -> None:
        """Give queued projects to the pipeline, as many as may run at once; ask for keys when nothing can serve them."""
        store = self._p.store
        await self._release_those_waiting_for_keys()
        running = await store.projects.in_status(ProjectStatus.RUNNING)
        room = self.config.executor.projects.parallel - len(running)
        for project in await store.projects.in_status(ProjectStatus.QUEUED):
            if room <= 0:
                return
            if not await self._fleet_takes_work():
                return
            if not await self._can_serve():
                await self.ask_user_multi_account(project)
                continue
            event = Event("project.started", f"project {project.id} started", project_id=project.id)
            source = (ProjectStatus.QUEUED,)
            if await store.projects.move(project.id, source, ProjectStatus.RUNNING, event, node_id=self._p.node_id, detail=""):
                await self._p.projects.start(await store.projects.get(project.id))
                room -= 1

    async def _can_serve(self) -> bool:
        return can_serve(self.config, await self._p.store.keys.usable())

    async def _fleet_takes_work(self) -> bool:
        """Every project role has an agent that is not paused (a registry without project agents uses the built-in ones)."""
        return not await self._p.store.agents.all_paused()

    async def ask_user_multi_account(self, project: Project) -> Question:
        """Request API keys from the user, as nothing can serve this project. One open question however many projects wait."""
        store = self._p.store
        text = missing_keys_text(self.config)
        event = Event("project.waiting_keys", f"project {project.id} waits for API keys", Level.WARNING, project_id=project.id)
        await store.projects.move(project.id, (ProjectStatus.QUEUED,), ProjectStatus.WAITING_KEYS, event, detail="waits for API keys")
        standing = [q for q in await store.questions.open() if q.kind == KEYS_QUESTION]
        if standing:
            return standing[0]
        return await store.questions.ask(
            Question(f"{KEYS_QUESTION}-{project.id}", None, KEYS_QUESTION, text, ("enter keys", "use the lab"))
        )

    async def _release_those_waiting_for_keys(self) -> None:
        store = self._p.store
        waiting = await store.projects.in_status(ProjectStatus.WAITING_KEYS)
        asked = [q for q in await store.questions.open() if q.kind == KEYS_QUESTION]
        if not (waiting or asked) or not await self._can_serve():
            return
        for question in asked:
            try:
                await store.questions.answer(question.id, "keys entered", by="executor")
            except ConflictError:
                log.info("question %s was answered meanwhile", question.id)
        for project in waiting:
            await store.projects.move(project.id, (ProjectStatus.WAITING_KEYS,), ProjectStatus.QUEUED, detail="")


async def set_idle(store: Store, agents: tuple[Agent, ...]) -> None:
    """At a clean stop: nobody is busy any more."""
    for agent in agents:
        await store.agents.set_state(agent.id, AgentState.OFFLINE, "the node was stopped")
