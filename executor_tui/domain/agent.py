"""Agents: who they are and how they are doing."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class AgentType(StrEnum):
    INFRASTRUCTURE = "infrastructure"
    PROJECT = "project"


class Role(StrEnum):
    """What an agent does; the keys of config/roles.json."""

    PM = "pm"
    ARCHITECT = "architect"
    CODER = "coder"
    QA = "qa"
    NETWORK = "network"
    PROXMOX = "proxmox"
    DEEP_SEARCH = "deep_search"


class AgentState(StrEnum):
    ONLINE = "online"
    BUSY = "busy"
    WAITING = "waiting"
    DEGRADED = "degraded"
    OFFLINE = "offline"


@dataclass(frozen=True, slots=True)
class Agent:
    """One agent of the fleet as the store knows it. `reason` says why it is degraded, waiting or offline."""

    id: str
    name: str
    type: AgentType
    role: Role
    state: AgentState = AgentState.OFFLINE
    reason: str = ""
    task: str = ""
    project_id: str | None = None
    model: str = ""
    cost_usd: float = 0.0
    paused: bool = False
    device: str = ""
    latency_ms: float | None = None
    state_since: datetime | None = None
    last_seen_at: datetime | None = None
    progress_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Ping:
    """The answer of one agent to `ping`: structured state, never scraped from text."""

    agent_id: str
    state: AgentState
    reason: str = ""
    latency_ms: float | None = None
