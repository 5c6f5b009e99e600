"""Which node a new container goes to, and whether it fits: by free memory first, then by load. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from executor_tui.infra.proxmox.model import GIB, MIB, Cluster, NodeInfo, StorageInfo

MEMORY_KEPT_FREE = 256 * MIB
"""Left to the node itself."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a container needs of a node."""

    cores: int
    memory_mb: int
    disk_gb: float


def room_for(node: NodeInfo, wanted: Wanted, promised: int) -> str:
    """Why it does not fit, in a few words; empty when it does. `promised` is memory that others under way will take (bytes)."""
    if not node.online:
        return "offline"
    if wanted.cores > node.cores > 0:
        return f"it has {node.cores} cores, {wanted.cores} are wanted"
    free = node.memory_free - promised - MEMORY_KEPT_FREE
    if node.memory and wanted.memory_mb * MIB > free:
        return f"{max(0, free) // MIB} MiB of memory free, {wanted.memory_mb} MiB wanted"
    return ""


def storage_room(storage: StorageInfo, disk_gb: float, promised: int = 0) -> str:
    """Why the disk does not fit on the storage; empty when it does, or when the storage does not tell its size."""
    free = storage.free - promised
    if storage.size and disk_gb * GIB > free:
        return f"storage {storage.name} has {max(0, free) / GIB:.1f} GiB free, {disk_gb:g} GiB wanted"
    return ""


def place(cluster: Cluster, wanted: Wanted, allowed: frozenset[str], promised: Mapping[str, int]) -> tuple[str, tuple[str, ...]]:
    """The node with the most free memory, the less loaded of equals; "" and each node's reason when none fits."""
    reasons: list[str] = []
    fitting: list[NodeInfo] = []
    for node in cluster.nodes:
        reason = room_for(node, wanted, promised.get(node.name, 0)) if node.name in allowed else "no template or storage for it there"
        if reason:
            reasons.append(f"{node.name}: {reason}")
        else:
            fitting.append(node)
    if not fitting:
        return "", tuple(reasons)
    best = min(fitting, key=lambda n: (-(n.memory_free - promised.get(n.name, 0)) // (64 * MIB), round(n.load, 2), n.name))
    return best.name, tuple(reasons)
