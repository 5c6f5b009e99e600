"""The Proxmox agent: containers as a device that changes are planned for, and its answer to `ping`."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime

from executor_tui.agents.containers import operations as ops
from executor_tui.agents.containers import planning
from executor_tui.agents.containers.making import OWN_KEY, Maker, ended_well, new_ssh_key, public_ssh_key
from executor_tui.agents.containers.resolving import Survey, resolve
from executor_tui.agents.containers.state import Seen, State
from executor_tui.agents.device import Call, Guarded, Hands, Json, Plan, PlanRefusedError
from executor_tui.agents.drivers import proxmox_driver
from executor_tui.config.files import AgentEntry
from executor_tui.config.general import ContainerSettings
from executor_tui.config.load import Config
from executor_tui.config.places import Places
from executor_tui.domain.agent import Agent, AgentState, Ping
from executor_tui.domain.clock import Clock
from executor_tui.infra.proxmox.driver import Proxmox
from executor_tui.infra.proxmox.errors import ForbiddenError, MissingError, ProxmoxError
from executor_tui.infra.proxmox.model import Cluster
from executor_tui.store.store import Store

SLOW_MS = 1_000.0
FULL = 0.9
CERTIFICATE_DAYS = 14


class ProxmoxDevice:
    """One cluster, for `core.changes`."""

    kind = "proxmox"
    finishes_forward = True

    def __init__(self, agent_id: str, driver: Proxmox, settings: Callable[[], ContainerSettings], clock: Clock) -> None:
        self.id, self.driver, self._settings, self._clock = agent_id, driver, settings, clock

    @property
    def width(self) -> int:
        return self._settings().parallel

    def check(self, operations: Sequence[Json]) -> tuple[Json, ...]:
        return tuple(ops.dump(o) for o in ops.parse(operations))

    async def resolve(self, operations: Sequence[Json], others: Sequence[Json], hands: Hands) -> tuple[Json, ...]:
        wanted = ops.parse(operations)
        cluster = await self.driver.cluster()
        making = any(isinstance(o, ops.Create) for o in wanted)
        ranged = making or any(isinstance(o, ops.Clone) for o in wanted)
        survey = Survey(
            cluster=cluster,
            templates=await self.driver.templates(cluster) if making else (),
            addresses=await self._addresses(cluster) if ranged else frozenset(),
            settings=self._settings(),
            public_key=public_ssh_key(await hands.secret_or_new(OWN_KEY, new_ssh_key)) if making else "",
        )
        return tuple(ops.dump(o) for o in resolve(wanted, survey, others, hands.change_id, hands.project_id))

    async def _addresses(self, cluster: Cluster) -> frozenset[str]:
        """Static addresses of every container that can be read."""
        online = {n.name for n in cluster.nodes if n.online}
        readable = [c for c in cluster.containers if c.node in online]
        configs = await asyncio.gather(*(self.driver.config(c.node, c.vmid) for c in readable), return_exceptions=True)
        for found in configs:
            if isinstance(found, BaseException) and not isinstance(found, MissingError | ForbiddenError):
                raise found
        return frozenset(c.address for c in configs if not isinstance(c, BaseException) and c.address)

    async def plan(self, operations: Sequence[Json], change_id: str, done: frozenset[str] = frozenset()) -> Plan:
        wanted = ops.parse(operations)
        touched = {planning.vmid_of(o) for o in wanted} | {planning.source_of(o) for o in wanted}
        return planning.plan(wanted, await self._state(touched - {0}), change_id, done)

    async def _state(self, vmids: set[int]) -> State:
        cluster = await self.driver.cluster()
        there = [c for c in cluster.containers if c.vmid in vmids]
        for container in there:
            node = cluster.node(container.node)
            if node is not None and not node.online:
                hint = "bring the node back first"
                raise PlanRefusedError(f"container {container.vmid} is on node {node.name}, which is offline", hint=hint)
        seen = await asyncio.gather(*(self._seen(cluster, c.vmid) for c in there))
        return State(cluster, {s.info.vmid: s for s in seen if s is not None})

    async def _seen(self, cluster: Cluster, vmid: int) -> Seen | None:
        container = cluster.container(vmid)
        assert container is not None
        try:
            config = await self.driver.config(container.node, vmid)
            return Seen(container, config, await self.driver.snapshots(container.node, vmid))
        except MissingError:  # it went away since the cluster was read
            return None

    @asynccontextmanager
    async def guarded(self, plan: Plan, hands: Hands) -> AsyncIterator[Guarded]:
        yield Maker(self.driver, hands, self._clock, plan.operations, self._remaining)

    async def _remaining(self, operations: Sequence[Json], change_id: str) -> frozenset[str]:
        return frozenset(call.id for call in (await self.plan(operations, change_id)).calls)

    async def made(self, call: Call, since: datetime) -> bool:
        return await ended_well(self.driver, call, since)

    async def settle(self, plan: Plan, hands: Hands) -> None:
        pairs = {(str(c.arguments["node"]), int(str(c.arguments["vmid"]))) for c in plan.calls if c.arguments.get("node")}
        for node, vmid in sorted(pairs):
            for task in await self.driver.running_tasks(node, vmid):
                hands.say(f"waiting for {task.kind} of container {vmid}, which an interrupted attempt left running")
                try:
                    await self.driver.follow(task.upid, f"{task.kind} of container {vmid}", hands.say)
                except ProxmoxError as exc:
                    hands.say(exc.message)  # how it ended shows in the state, which is read next


async def ping_device(agent: Agent, entry: AgentEntry, store: Store, config: Config, places: Places) -> Ping:
    """A real read with its latency. Unwell is told from gone: quorum, nodes, storages and the certificate are looked at."""
    clock = store.clock
    started_s = clock.monotonic_s()
    try:
        driver = await proxmox_driver(entry, store, config, places)
        status = await driver.status()
        latency_ms = (clock.monotonic_s() - started_s) * 1000
        reasons = [] if status.quorate else ["no quorum: it can be read, not changed"]
        cluster = await driver.cluster()
        reasons += reasons_of(cluster)
        reasons += await _certificate_reasons(driver, cluster, clock.now())
    except ProxmoxError as exc:
        return Ping(agent.id, AgentState.OFFLINE, exc.message)
    if latency_ms > SLOW_MS:
        reasons.append(f"slow: {latency_ms:.0f} ms")
    return Ping(agent.id, AgentState.DEGRADED if reasons else AgentState.ONLINE, "; ".join(reasons), latency_ms)


def reasons_of(cluster: Cluster) -> list[str]:
    """What is wrong with nodes and storages, in a few words each."""
    offline = [n.name for n in cluster.nodes if not n.online]
    reasons = [f"node {', '.join(offline)} offline"] if offline else []
    for storage in cluster.storages:
        if storage.size and storage.used / storage.size > FULL:
            reasons.append(f"storage {storage.name} on {storage.node} is {storage.used / storage.size:.0%} full")
    for node in cluster.nodes:
        if node.online and node.memory and node.memory_used / node.memory > FULL:
            reasons.append(f"memory of {node.name} is {node.memory_used / node.memory:.0%} used")
    return reasons


async def _certificate_reasons(driver: Proxmox, cluster: Cluster, now: datetime) -> list[str]:
    """About the certificate of the first node that is online; an account that may not read it gets no answer here."""
    node = next((n.name for n in cluster.nodes if n.online), None)
    if node is None:
        return []
    try:
        ends_at = await driver.certificate_ends_at(node)
    except ForbiddenError:
        return []
    if ends_at is None or (ends_at - now).days >= CERTIFICATE_DAYS:
        return []
    return [f"the certificate of {node} {'expired' if ends_at <= now else 'expires'} on {ends_at:%Y-%m-%d}"]
