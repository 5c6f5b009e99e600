"""Agents and their checkpoints."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

from sqlalchemy import bindparam, case, func, select, update
from sqlalchemy.sql import Insert

from executor_tui.domain.agent import Agent, AgentState, AgentType, Ping, Role
from executor_tui.domain.clock import Clock
from executor_tui.domain.event import Event, Level
from executor_tui.domain.recovery import Checkpoint
from executor_tui.store import tables
from executor_tui.store.batch import Batches, Step
from executor_tui.store.codec import to_row
from executor_tui.store.database import Database
from executor_tui.store.repository import Repository, record


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
            event = _state_changed(agent, state, reason, str(values.get("project_id") or agent.project_id or ""))
        await self._update(agent_id, event, state=state, reason=reason, last_seen_at=now, **values)

    async def in_state(self, *states: AgentState, limit: int) -> tuple[tuple[Agent, ...], int]:
        """Up to `limit` agents in any of these states, paused ones aside, longest in it first; and how many there are in all."""
        c = self.table.c
        where = (c.state.in_([s.value for s in states]), c.paused.is_(False))
        row = await self.db.one(select(func.count().label("count")).select_from(self.table).where(*where))
        found = await self._many(select(self.table).where(*where).order_by(c.state_since, c.id).limit(limit))
        return found, int(row["count"]) if row else 0

    async def at_projects(self) -> tuple[Agent, ...]:
        """Those that work for a project now."""
        return await self._many(select(self.table).where(self.table.c.project_id.is_not(None)).order_by(self.table.c.id))

    async def of_role(self, role: Role) -> tuple[Agent, ...]:
        """Those of one role, in the order of their ids."""
        return await self._many(select(self.table).where(self.table.c.role == role.value).order_by(self.table.c.id))

    async def all_paused(self) -> frozenset[str]:
        """Roles of project agents in which everybody is paused."""
        c = self.table.c
        statement = (
            select(c.role).where(c.type == AgentType.PROJECT.value).group_by(c.role).having(func.min(case((c.paused, 1), else_=0)) == 1)
        )
        return frozenset(row["role"] for row in await self.db.all(statement))

    async def pinged(self, ping: Ping) -> None:
        """Record the answer of a ping."""
        await self.set_state(ping.agent_id, ping.state, ping.reason, latency_ms=ping.latency_ms)

    async def in_short(self) -> tuple[Agent, ...]:
        """Every agent, of its fields only who it is, its device, its state with reason and time, its work: half of what `list` takes."""
        c = self.table.c
        columns = (c.id, c.name, c.type, c.role, c.state, c.reason, c.state_since, c.project_id, c.task, c.device)
        return await self._many(select(*columns).order_by(c.id))

    async def states(self) -> dict[str, str]:
        """Agent id → state, without reading the rest of the rows."""
        c = self.table.c
        async with self.db.read() as conn:
            return {row[0]: row[1] for row in await conn.execute(select(c.id, c.state))}

    async def pinged_all(self, pings: Sequence[Ping]) -> None:
        """Record the answers of a whole round in one transaction, events of real changes included; unknown agents are left aside."""
        if not pings:
            return
        known = {agent.id: agent for agent in await self.in_short()}
        now, rows, events = self.clock.now(), [], list[Event]()
        for ping in pings:
            agent = known.get(ping.agent_id)
            if agent is None:
                continue
            changed = agent.state != ping.state
            rows.append({
                "b_id": agent.id, "state": ping.state.value, "reason": ping.reason, "latency_ms": ping.latency_ms, "last_seen_at": now,
                "state_since": now if changed else agent.state_since,
            })  # fmt: skip
            if changed:
                events.append(_state_changed(agent, ping.state, ping.reason, agent.project_id or ""))
        if not rows:
            return
        async with self.db.write(self.topic, *(("events",) if events else ())) as conn:
            await conn.execute(update(self.table).where(self.table.c.id == bindparam("b_id")), rows)
            await record(conn, self.clock, *events)


def _state_changed(agent: Agent, state: AgentState, reason: str, project_id: str) -> Event:
    bad = state in (AgentState.DEGRADED, AgentState.OFFLINE)
    message = f"{agent.name} is {state}" + (f": {reason}" if reason else "")
    return Event(
        "agent.state_changed", message, Level.WARNING if bad else Level.INFO, agent_id=agent.id, project_id=project_id,
        data={"from": str(agent.state), "to": str(state), "reason": reason},
    )  # fmt: skip


class Checkpoints(Repository[Checkpoint]):
    """One row per agent. Written past the event loop: a checkpoint costs it next to nothing, however slow the disk."""

    table, cls, topic, noun = tables.checkpoints, Checkpoint, "checkpoints", "checkpoint"

    def __init__(self, db: Database, clock: Clock, batches: Batches) -> None:
        super().__init__(db, clock)
        self._batches = batches
        self._put_all = cast(Insert, db.upsert_many(self.table))

    async def save(self, checkpoint: Checkpoint) -> None:
        """On disk when this returns."""
        await self.save_all((checkpoint,))

    async def save_all(self, checkpoints: Sequence[Checkpoint]) -> None:
        """Several at once, in one transaction; on disk when this returns. At most one for each agent."""
        now = self.clock.now()
        rows = [to_row(replace(c, saved_at=c.saved_at or now)) for c in checkpoints]
        if rows:
            await self._batches.write([Step(self._put_all, rows)], [self.topic])
