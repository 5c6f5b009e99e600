"""Agents and their checkpoints."""

from dataclasses import replace
from typing import Any

from executor_tui.domain.agent import Agent, AgentState, Ping
from executor_tui.domain.event import Event, Level
from executor_tui.domain.recovery import Checkpoint
from executor_tui.store import tables
from executor_tui.store.repository import Repository


class Agents(Repository[Agent]):
    table, cls, topic, noun = tables.agents, Agent, "fleet", "agent"

    async def put(self, agent: Agent, event: Event | None = None) -> None:
        """Add an agent, or replace its row."""
        await self._put(agent, event)

    async def remove(self, agent_id: str, event: Event | None = None) -> None:
        async with self.db.write(*self._topics(event)) as conn:
            await conn.execute(self.table.delete().where(self.table.c.id == agent_id))

    async def update(self, agent_id: str, event: Event | None = None, **values: Any) -> None:
        """Set some fields of one agent, by name."""
        await self._update(agent_id, event, **values)

    async def set_state(self, agent_id: str, state: AgentState, reason: str = "", **values: Any) -> None:
        """Change state; an event is recorded, and `state_since` moves, only when it really changes."""
        agent = await self.get(agent_id)
        now = self.clock.now()
        event = None
        if agent.state != state:
            values["state_since"] = now
            bad = state in (AgentState.DEGRADED, AgentState.OFFLINE)
            message = f"{agent.name} is {state}" + (f": {reason}" if reason else "")
            event = Event(
                "agent.state_changed", message, Level.WARNING if bad else Level.INFO, agent_id=agent_id,
                project_id=str(values.get("project_id") or agent.project_id or ""),
                data={"from": str(agent.state), "to": str(state), "reason": reason},
            )  # fmt: skip
        await self._update(agent_id, event, state=state, reason=reason, last_seen_at=now, **values)

    async def pinged(self, ping: Ping) -> None:
        """Record the answer of a ping."""
        await self.set_state(ping.agent_id, ping.state, ping.reason, latency_ms=ping.latency_ms)


class Checkpoints(Repository[Checkpoint]):
    table, cls, topic, noun = tables.checkpoints, Checkpoint, "checkpoints", "checkpoint"

    async def save(self, checkpoint: Checkpoint) -> None:
        """On disk when this returns; one row per agent."""
        await self._put(replace(checkpoint, saved_at=checkpoint.saved_at or self.clock.now()))
