"""What a cluster holds, as plain data. Memory and disk are bytes unless the name says otherwise."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

GIB = 1024**3
MIB = 1024**2

OnLine = Callable[[str], None]
"""Gets the lines of a task's log as they come. They are the server's text: never markup, never a format string."""


class Power(StrEnum):
    RUNNING = "running"
    STOPPED = "stopped"
    UNKNOWN = "unknown"
    """Its node is offline."""


@dataclass(frozen=True, slots=True)
class NodeInfo:
    """One node. `load` is the share of its processors in use, 0..1."""

    name: str
    online: bool
    cores: int = 0
    load: float = 0.0
    memory: int = 0
    memory_used: int = 0
    disk: int = 0
    disk_used: int = 0

    @property
    def memory_free(self) -> int:
        return max(0, self.memory - self.memory_used)


@dataclass(frozen=True, slots=True)
class StorageInfo:
    """A storage as one node sees it. `content` says what it takes: rootdir, vztmpl, images, …"""

    name: str
    node: str
    kind: str
    content: frozenset[str]
    active: bool
    shared: bool = False
    size: int = 0
    used: int = 0

    @property
    def free(self) -> int:
        return max(0, self.size - self.used)


@dataclass(frozen=True, slots=True)
class Template:
    """An operating system template: `local:vztmpl/debian-12-standard_12.7-1_amd64.tar.zst`."""

    volume: str
    node: str
    size: int = 0

    @property
    def name(self) -> str:
        return self.volume.rsplit("/", 1)[-1]


@dataclass(frozen=True, slots=True)
class Container:
    """A container as the cluster's list shows it."""

    vmid: int
    name: str
    node: str
    power: Power
    tags: tuple[str, ...] = ()
    cores: float = 0
    memory: int = 0
    disk: int = 0
    lock: str = ""
    template: bool = False
    uptime_s: int = 0


@dataclass(frozen=True, slots=True)
class ContainerConfig:
    """A container's configuration, by meaning. `nets` maps `net0` to its options; `pending` holds what waits for a restart."""

    vmid: int
    hostname: str
    cores: int | None
    memory_mb: int
    swap_mb: int
    disk_gb: float
    storage: str
    tags: tuple[str, ...]
    description: str = ""
    unprivileged: bool = False
    nesting: bool = False
    protection: bool = False
    nets: dict[str, dict[str, str]] = field(default_factory=dict)
    digest: str = ""
    parent: str = ""
    lock: str = ""

    @property
    def address(self) -> str:
        """The static IPv4 address of its first interface, without the prefix; empty with DHCP."""
        text = self.nets.get("net0", {}).get("ip", "")
        return text.partition("/")[0] if "/" in text else ""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """`incomplete` is set while it is made or deleted, or when that was interrupted."""

    name: str
    taken_at: datetime | None = None
    description: str = ""
    parent: str = ""
    incomplete: str = ""


@dataclass(frozen=True, slots=True)
class TaskResult:
    """A task that came to a good end, perhaps with warnings."""

    upid: str
    warnings: int = 0
    lines: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RunningTask:
    """A task that has not ended. `kind` is vzcreate, vzstart, vzsnapshot, …"""

    upid: str
    node: str
    kind: str
    vmid: int | None
    started_at: datetime


@dataclass(frozen=True, slots=True)
class ClusterStatus:
    name: str
    quorate: bool
    nodes_online: int
    nodes: int
    version: str = ""


@dataclass(frozen=True, slots=True)
class Cluster:
    """Everything placement and planning look at, read at one moment."""

    status: ClusterStatus
    nodes: tuple[NodeInfo, ...]
    storages: tuple[StorageInfo, ...]
    containers: tuple[Container, ...]
    taken_ids: frozenset[int]
    """Ids of containers and virtual machines alike: they share one number space."""

    def container(self, vmid: int) -> Container | None:
        return next((c for c in self.containers if c.vmid == vmid), None)

    def node(self, name: str) -> NodeInfo | None:
        return next((n for n in self.nodes if n.name == name), None)


@dataclass(frozen=True, slots=True)
class NewContainer:
    """What to create. `address` is `dhcp` or an address with prefix (10.0.0.23/24); `public_keys` go to root's authorized_keys."""

    node: str
    vmid: int
    template: str
    storage: str
    hostname: str
    cores: int
    memory_mb: int
    swap_mb: int
    disk_gb: int
    bridge: str
    address: str = "dhcp"
    gateway: str = ""
    nesting: bool = False
    public_keys: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    description: str = ""


_TAG = re.compile(r"[a-z0-9_][a-z0-9_\-+.]*")


def tag(text: str) -> str:
    """`text` as a tag Proxmox takes (pve-tag: lower case, digits, `_-+.`)."""
    clean = re.sub(r"[^a-z0-9_\-+.]", "-", text.lower()).lstrip("-+.")
    return clean if _TAG.fullmatch(clean) else "untagged"
