"""The network agent: a RouterOS router as a device that changes are planned for, and its answer to `ping`."""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime, timedelta
from typing import TypeVar

from executor_tui.agents.device import Call, Guarded, Hands, Json, Plan, PlanRefusedError
from executor_tui.agents.links import Link, router_link
from executor_tui.agents.routers import operations as ops
from executor_tui.agents.routers import planning
from executor_tui.agents.routers.making import Maker
from executor_tui.agents.routers.marks import key_ref, preshared_ref
from executor_tui.agents.routers.resolving import containers_named, menus_to_resolve, resolve
from executor_tui.agents.routers.state import FASTTRACK, State, Survey
from executor_tui.config.files import AgentEntry
from executor_tui.config.load import Config
from executor_tui.config.places import Places
from executor_tui.domain.agent import Agent, AgentState, Ping
from executor_tui.domain.clock import Clock
from executor_tui.domain.errors import ExecutorError, StoreError
from executor_tui.infra.routeros.connection import Row
from executor_tui.infra.routeros.errors import GuardBusyError, GuardEndedError, RouterOsGuardError, RouterOsTrapError
from executor_tui.infra.routeros.facts import Certificate, Resource, Update
from executor_tui.infra.routeros.guards import DeadManSwitch, Guard
from executor_tui.infra.routeros.router import RouterOs, parse_version
from executor_tui.infra.routeros.where import eq
from executor_tui.infra.routeros.wireguard_keys import new_key_pair, new_preshared_key, public_key
from executor_tui.store.store import Store

SLOW_MS = 1_000.0
CERTIFICATE_DAYS = 14
FULL = 0.9
GUARD_S = 300
"""How long a router before 7.18 waits for the word that all is well before it goes back by itself."""
BUSY_TRIES = 30
"""How often, a second apart, safe mode is asked for while somebody else is in it."""
T = TypeVar("T")
FindContainer = Callable[[int | str], Awaitable[str]]
"""The address of a container by id or name. Raises an ExecutorError when there is none."""


class NetworkDevice:
    """One router, for `core.changes`."""

    kind = "routeros"
    finishes_forward = False
    width = 1

    def __init__(self, agent_id: str, link: Link, clock: Clock, find_container: FindContainer) -> None:
        self.id, self.link, self._clock, self._find_container = agent_id, link, clock, find_container

    def check(self, operations: Sequence[Json]) -> tuple[Json, ...]:
        return tuple(ops.dump(o) for o in ops.parse(operations))

    async def resolve(self, operations: Sequence[Json], others: Sequence[Json], hands: Hands) -> tuple[Json, ...]:
        wanted = ops.parse(operations)
        state = await self._state((*planning.menus_of(wanted), *menus_to_resolve(wanted)))
        containers = {str(named): await self._find_container(named) for named in containers_named(wanted)}
        resolved = resolve(wanted, Survey(state, containers), others, hands.change_id)
        return tuple([ops.dump(await self._with_keys(operation, hands)) for operation in resolved])

    async def _with_keys(self, operation: ops.RouterOperation, hands: Hands) -> ops.RouterOperation:
        """Make the keys an operation needs and keep them; a public key is no secret and goes into the operation."""
        if isinstance(operation, ops.Wireguard):
            await hands.secret_or_new(key_ref(self.id, operation.mark), _new_private_key)
        if isinstance(operation, ops.Peer):
            if operation.preshared:
                await hands.secret_or_new(preshared_ref(self.id, operation.mark), new_preshared_key)
            if not operation.public_key:
                private = await hands.secret_or_new(key_ref(self.id, operation.mark), _new_private_key)
                return operation.model_copy(update={"public_key": public_key(private)})
        return operation

    async def plan(self, operations: Sequence[Json], change_id: str, done: frozenset[str] = frozenset()) -> Plan:
        wanted = ops.parse(operations)
        state = await self._state(planning.menus_of(wanted))
        return planning.plan(wanted, state, self.id, change_id)  # every call shows in the state: `done` adds nothing

    async def _state(self, menus: Sequence[str]) -> State:
        return await self.link.read(lambda router: self._read(router, menus))

    async def _read(self, router: RouterOs, menus: Sequence[str]) -> State:
        resource = await router.resource()
        found: dict[str, tuple[Row, ...]] = {}
        for menu in dict.fromkeys(menus):
            if menu == FASTTRACK:
                found[menu] = await router.rows("/ip/firewall/filter", eq("action", "fasttrack-connection"))
                continue
            try:
                found[menu] = await router.rows(menu)
            except RouterOsTrapError as exc:
                if not exc.is_missing:
                    raise
                raise PlanRefusedError(f"{self.id} has no {menu}", hint="the package or the licence for it is missing there") from exc
        return State(parse_version(resource.version), found, await self._sessions(router), self.link.target.host, self.link.target.port)

    async def _sessions(self, router: RouterOs) -> tuple[str, ...]:
        """Where the router sees Executor's sessions come from; the account may be without the right to ask."""
        with contextlib.suppress(RouterOsTrapError):
            rows = await router.rows("/user/active", eq("name", self.link.target.username))
            return tuple(dict.fromkeys(row["address"] for row in rows if row.get("via", "").startswith("api") and row.get("address")))
        return ()

    @asynccontextmanager
    async def guarded(self, plan: Plan, hands: Hands) -> AsyncIterator[Guarded]:
        connection = await self.link.dial()
        try:
            async with AsyncExitStack() as stack:
                guard = await connection.guard(switch_name(hands.change_id), GUARD_S)
                await self._enter(stack, guard, hands)
                yield Maker(connection, guard, hands)
        finally:
            await connection.close()

    async def _enter(self, stack: AsyncExitStack, guard: Guard, hands: Hands) -> None:
        """Put the guard up; whoever is in safe mode, a person or an attempt that has just died, is waited for. Raises GuardBusyError."""
        for left in reversed(range(BUSY_TRIES)):
            try:
                await stack.enter_async_context(guard)
                return
            except GuardBusyError as exc:
                if not left:
                    raise
                hands.say(f"{exc.message}; waiting for it")
                await self._clock.sleep(1.0)

    async def made(self, call: Call, since: datetime) -> bool:
        return False  # every call shows in the state

    async def settle(self, plan: Plan, hands: Hands) -> None:
        """Raises RouterOsGuardError as long as the router has not noticed that an earlier attempt is over."""
        await self.link.read(lambda router: self._settled(router, plan, hands))

    async def _settled(self, router: RouterOs, plan: Plan, hands: Hands) -> None:
        if await router.supports_safe_mode():
            if await router.safe_mode().is_held() and (await self.plan(plan.operations, hands.change_id)).before != plan.before:
                raise RouterOsGuardError(self.id, "safe mode is still held; the router has not noticed yet that the connection is gone")
            return
        switch = router.dead_man_switch(switch_name(hands.change_id), GUARD_S)
        if not await switch.is_armed():
            await switch.remove_backup()
            return
        now = await self.plan(plan.operations, hands.change_id)
        if now.nothing_to_do or now.before == plan.before:
            with contextlib.suppress(GuardEndedError):
                await switch.commit()
            return
        await self._go_back(switch, hands)

    async def _go_back(self, switch: DeadManSwitch, hands: Hands) -> None:
        hands.say("an interrupted attempt stands half-way; the router restarts to go back")
        await switch.roll_back()
        raise RouterOsGuardError(self.id, "it is restarting to go back to how it was")


def switch_name(change_id: str) -> str:
    """The name of a change's dead man's switch on the router."""
    return f"executor-{change_id}"[:48]


def _new_private_key() -> str:
    return new_key_pair().private_key


# -- ping ----------------------------------------------------------------------------------------------------------------------------------


async def ping_device(agent: Agent, entry: AgentEntry, store: Store, config: Config, places: Places) -> Ping:
    """A real read with its latency. Unwell is told from gone: slow, certificates, disk, memory and a waiting update are looked at."""
    try:
        link = await router_link(entry, store, config, places, "pings", config.executor.node.ping_deadline_s)
        return await link.read(lambda router: _ping(agent.id, router, store.clock.now()))
    except StoreError:
        raise
    except ExecutorError as exc:
        return Ping(agent.id, AgentState.OFFLINE, exc.message)


async def _ping(agent_id: str, router: RouterOs, now: datetime) -> Ping:
    latency_ms = (await router.ping()).latency_s * 1000
    reasons = [f"slow: {latency_ms:.0f} ms"] if latency_ms > SLOW_MS else []
    resource = await _allowed(router.resource(), Resource())
    certificates, update = await _allowed(router.certificates(), ()), await _allowed(router.update_status(), Update())
    reasons += reasons_of(resource, certificates, update, now)
    return Ping(agent_id, AgentState.DEGRADED if reasons else AgentState.ONLINE, "; ".join(reasons), latency_ms)


async def _allowed(read: Awaitable[T], otherwise: T) -> T:
    """What is read; where the account may not, or the router has no such thing, what stands for not knowing."""
    try:
        return await read
    except RouterOsTrapError:
        return otherwise


def reasons_of(resource: Resource, certificates: Sequence[Certificate], update: Update, now: datetime) -> list[str]:
    """What is wrong with a router that answers, in a few words each."""
    reasons = []
    for certificate in certificates:
        left = timedelta(seconds=certificate.expires_after_s)
        if certificate.expired:
            reasons.append(f"the certificate {certificate.name} has expired")
        elif "expires-after" in certificate.raw and left < timedelta(days=CERTIFICATE_DAYS):
            reasons.append(f"the certificate {certificate.name} expires on {now + left:%Y-%m-%d}")
    for what, free, total in (
        ("disk", resource.free_hdd_space_bytes, resource.total_hdd_space_bytes),
        ("memory", resource.free_memory_bytes, resource.total_memory_bytes),
    ):
        if total and 1 - free / total > FULL:
            reasons.append(f"its {what} is {1 - free / total:.0%} full")
    if update.is_waiting:
        reasons.append(f"RouterOS {update.latest_version} is waiting ({update.installed_version} is installed)")
    return reasons


async def open_router(
    entry: AgentEntry, store: Store, config: Config, places: Places, find_container: FindContainer
) -> NetworkDevice:  # fmt: skip
    """The device of an agent's router. Raises ConfigError and VaultError."""
    return NetworkDevice(entry.id, await router_link(entry, store, config, places), store.clock, find_container)
