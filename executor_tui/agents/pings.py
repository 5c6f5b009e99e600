"""How each kind of agent answers `ping`: a real read of what it stands on, with its latency."""

import asyncio
import importlib
from dataclasses import replace
from types import TracebackType

import aiohttp

from executor_tui.config.files import AgentEntry
from executor_tui.config.load import Config
from executor_tui.config.places import Places
from executor_tui.domain.agent import Agent, AgentState, Ping, Role
from executor_tui.store.store import Store

SLOW_MS = 1_000.0
_DEVICE_PINGS = {Role.NETWORK: "executor_tui.agents.network", Role.PROXMOX: "executor_tui.agents.proxmox"}
"""Modules with `async def ping_device(agent, entry, store, config, places) -> Ping`."""

OWN_PINGS = frozenset({*_DEVICE_PINGS, Role.DEEP_SEARCH})
"""Roles that stand on more than the gateway; the agents of every other role are as well as it is."""


class Pings:
    """One round of pings; an async context manager that owns the HTTP session."""

    def __init__(self, store: Store, config: Config, places: Places) -> None:
        self._store, self._config, self._places = store, config, places
        self._session: aiohttp.ClientSession | None = None
        self._gateway: asyncio.Task[Ping] | None = None
        self._entries: dict[str, AgentEntry] = {entry.id: entry for entry in config.fleet_registry.agents}

    async def __aenter__(self) -> "Pings":
        self._session = aiohttp.ClientSession()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._gateway is not None:
            self._gateway.cancel()
            await asyncio.gather(self._gateway, return_exceptions=True)
        if self._session is not None:
            await self._session.close()

    async def ping(self, agent: Agent) -> Ping:
        """Ask one agent. Agents with a device are asked at the device, the others at the gateway their models come through."""
        entry = self._entries.get(agent.id)
        if agent.role in _DEVICE_PINGS:
            if entry is None or entry.device is None:
                return Ping(agent.id, AgentState.OFFLINE, "no device: give it one in fleet_registry.json")
            module = importlib.import_module(_DEVICE_PINGS[agent.role])
            answer = await module.ping_device(agent, entry, self._store, self._config, self._places)
            assert isinstance(answer, Ping)
            return answer
        answer = await self._ping_gateway(agent)
        if agent.role is Role.DEEP_SEARCH:
            from executor_tui.agents.deep_search import ping_search

            return await ping_search(agent, answer, self._store, self._config)
        return answer

    async def _ping_gateway(self, agent: Agent) -> Ping:
        """The gateway is asked once in a round, however many agents stand on it."""
        if self._gateway is None:
            self._gateway = asyncio.create_task(self._ask_gateway(), name="ping-gateway")
        return replace(await asyncio.shield(self._gateway), agent_id=agent.id)

    async def _ask_gateway(self) -> Ping:
        """Its answer, under nobody's name."""
        url = await gateway_url(self._store)
        if url is None:
            return Ping("", AgentState.OFFLINE, "no gateway: no node leads; start one with: executor --no-ui")
        assert self._session is not None
        started = self._store.clock.monotonic_s()
        try:
            async with self._session.get(f"{url}/healthz") as answer:
                status = answer.status
        except (aiohttp.ClientError, OSError) as exc:
            return Ping("", AgentState.OFFLINE, f"the gateway at {url} does not answer: {type(exc).__name__}")
        latency_ms = (self._store.clock.monotonic_s() - started) * 1000
        if status != 200:
            return Ping("", AgentState.DEGRADED, f"the gateway answers {status}", latency_ms)
        if latency_ms > SLOW_MS:
            return Ping("", AgentState.DEGRADED, f"the gateway took {latency_ms:.0f} ms", latency_ms)
        return Ping("", AgentState.ONLINE, "", latency_ms)


async def gateway_url(store: Store) -> str | None:
    """Where the leading node's gateway listens."""
    leader = await store.leases.leader()
    node = await store.nodes.find(leader.holder) if leader else None
    return node.gateway_url or None if node else None
