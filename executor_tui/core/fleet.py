"""The registry's agents as rows of the store, and pinging them, all at once under one deadline."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from executor_tui.config.files import AgentEntry
from executor_tui.config.load import Config
from executor_tui.config.places import Places
from executor_tui.domain.agent import Agent, AgentState, AgentType, Ping, Role
from executor_tui.domain.errors import ConfigError, ExecutorError
from executor_tui.domain.event import Event, Level
from executor_tui.store.store import Store

log = logging.getLogger(__name__)

Pinger = Callable[[Agent], Awaitable[Ping]]

_WORDS = {
    "network": Role.NETWORK, "mikrotik": Role.NETWORK, "proxmox": Role.PROXMOX, "lxc": Role.PROXMOX, "search": Role.DEEP_SEARCH,
    "spy": Role.DEEP_SEARCH, "architect": Role.ARCHITECT, "coder": Role.CODER, "qa": Role.QA, "pm": Role.PM,
}  # fmt: skip


def role_of(entry: AgentEntry) -> Role:
    """The role given, else the one its id or name tells. Raises ConfigError when neither does."""
    if entry.role is not None:
        return entry.role
    words = f"{entry.id} {entry.name}".lower().replace("-", " ").replace("_", " ").split()
    for word in words:
        for known, role in _WORDS.items():
            if word == known or (len(known) > 2 and known in word):
                return role
    roles = ", ".join(Role)
    raise ConfigError(f'fleet_registry.json: agent {entry.id!r} has no role and its name tells none; add "role": one of {roles}')


async def sync_registry(store: Store, config: Config) -> None:
    """Make the agents table match fleet_registry.json: new ones added, changed ones updated, removed ones forgotten unless at work."""
    known = {agent.id: agent for agent in await store.agents.in_short()}
    wanted = {entry.id: entry for entry in config.fleet_registry.agents}
    for entry in wanted.values():
        device = f"{entry.device.kind}://{entry.device.host}" if entry.device else ""
        old = known.get(entry.id)
        if old is None:
            kind = AgentType.PROJECT if role_of(entry) in (Role.PM, Role.ARCHITECT, Role.CODER, Role.QA) else entry.type
            state = AgentState.WAITING
            agent = Agent(
                entry.id, entry.name, kind, role_of(entry), state, "for its first ping", device=device, state_since=store.clock.now()
            )
            await store.agents.put(agent, Event("agent.registered", f"{entry.name} joined the fleet", agent_id=entry.id))
        elif (old.name, old.role, old.device) != (entry.name, role_of(entry), device):
            await store.agents.update(entry.id, name=entry.name, role=role_of(entry), device=device)
    for agent in known.values():
        if agent.id not in wanted and not _at_work(agent):
            event = Event("agent.removed", f"{agent.name} left the fleet", Level.INFO, agent_id=agent.id)
            await store.agents.remove(agent.id, event)


def _at_work(agent: Agent) -> bool:
    """Busy, or waiting with work in hand; one that waits for its first ping has none."""
    return agent.state is AgentState.BUSY or (agent.state is AgentState.WAITING and bool(agent.project_id or agent.task))


async def ping_agents(
    store: Store, agents: Sequence[Agent], config: Config, places: Places, *, deadline_s: float, pinger: Pinger | None = None
) -> tuple[Ping, ...]:
    """Ping all at once; one that has not answered by `deadline_s` is offline. Writes what changed and returns every answer."""
    from executor_tui.agents.pings import OWN_PINGS, Pings

    async def one(ping: Pinger, agent: Agent) -> Ping:
        try:
            async with asyncio.timeout(deadline_s):
                return await ping(agent)
        except TimeoutError:
            return Ping(agent.id, AgentState.OFFLINE, f"no answer within {deadline_s:g} s")
        except ExecutorError as exc:
            return Ping(agent.id, AgentState.OFFLINE, exc.message)
        except Exception as exc:  # one agent's fault must not keep the others from being pinged; it is logged and shown
            log.exception("ping of %s", agent.id)
            return Ping(agent.id, AgentState.DEGRADED, f"its ping failed: {type(exc).__name__} (see the log)")

    if pinger is not None:
        answers = await asyncio.gather(*(one(pinger, a) for a in agents))
    else:
        async with Pings(store, config, places) as pings:
            # Those that stand on nothing but the gateway are as well as it is: one question for all of them, not a task for each.
            alike = [a for a in agents if a.role not in OWN_PINGS]
            asked = [*alike[:1], *(a for a in agents if a.role in OWN_PINGS)]
            told = dict(zip([a.id for a in asked], await asyncio.gather(*(one(pings.ping, a) for a in asked)), strict=True))
            answers = [told[a.id] if a.id in told else replace(told[alike[0].id], agent_id=a.id) for a in agents]
    await _record(store, agents, answers)
    return tuple(answers)


async def _record(store: Store, agents: Sequence[Agent], answers: Sequence[Ping]) -> None:
    """What changed, of the whole round in one transaction."""
    pings = [(agent, _keeping_work(agent, answer)) for agent, answer in zip(agents, answers, strict=True)]
    changed = [p for a, p in pings if (a.state, a.reason) != (p.state, p.reason) or a.last_seen_at is None]
    if changed:
        await store.agents.pinged_all(changed)


def _keeping_work(agent: Agent, ping: Ping) -> Ping:
    """An agent that answers while it works or waits stays busy or waiting: those states belong to its work, not to the ping."""
    works = agent.project_id or agent.task
    if ping.state is AgentState.ONLINE and works and agent.state in (AgentState.BUSY, AgentState.WAITING):
        return replace(ping, state=agent.state, reason=agent.reason)
    return ping
