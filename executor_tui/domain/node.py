"""Nodes, the leadership lease, attached operators."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Node:
    """One running Executor. `gateway_url` is where its gateway listens; `pid` and `host` say where it runs."""

    id: str
    host: str
    pid: int
    boot_id: str
    version: str
    gateway_url: str = ""
    started_at: datetime | None = None
    heartbeat_at: datetime | None = None
    stopped_at: datetime | None = None
    unwell: str = ""


@dataclass(frozen=True, slots=True)
class Lease:
    """Who leads, until when, under which fencing number. The number only grows; a write with an older one is refused."""

    name: str
    holder: str
    fencing: int
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Operator:
    """A console attached to the store."""

    id: str
    name: str
    origin: str
    screen: str = ""
    view_only: bool = False
    looking_at: str = ""
    attached_at: datetime | None = None
    seen_at: datetime | None = None
