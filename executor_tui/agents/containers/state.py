"""The live state that planning looks at, and the part of it that a consent is bound to."""

from collections.abc import Mapping
from dataclasses import dataclass

from executor_tui.agents.device import Json
from executor_tui.infra.proxmox.model import Cluster, Container, ContainerConfig, Power, Snapshot


@dataclass(frozen=True, slots=True)
class Seen:
    """One container as it was found."""

    info: Container
    config: ContainerConfig
    snapshots: tuple[Snapshot, ...] = ()

    @property
    def label(self) -> str:
        return f"container {self.info.vmid} {self.config.hostname}".rstrip()

    @property
    def running(self) -> bool:
        return self.info.power is Power.RUNNING

    def snapshot(self, name: str) -> Snapshot | None:
        return next((s for s in self.snapshots if s.name == name), None)


@dataclass(frozen=True, slots=True)
class State:
    """The cluster, and in full those containers that the operations are about."""

    cluster: Cluster
    seen: Mapping[int, Seen]

    def storage_kind(self, node: str, name: str) -> str:
        """lvmthin, zfspool, dir, …; empty when it is not known."""
        return next((s.kind for s in self.cluster.storages if s.name == name and s.node == node), "")


def marker(change_id: str) -> str:
    """What is written into the description of a container so that a restart knows whose it is."""
    return f"executor: made by change {change_id}"


def made_by(config: ContainerConfig, change_id: str) -> bool:
    return bool(change_id) and marker(change_id) in config.description


def facts(seen: Seen | None) -> Json | None:
    """A container by meaning: what a consent is bound to, and what a rollback must restore. Nothing that moves by itself is in it."""
    if seen is None:
        return None
    config = seen.config
    return {
        "hostname": config.hostname, "node": seen.info.node, "power": str(seen.info.power), "cores": config.cores,
        "memory_mb": config.memory_mb, "swap_mb": config.swap_mb, "disk_gb": config.disk_gb, "storage": config.storage,
        "tags": list(config.tags), "net0": dict(sorted(config.nets.get("net0", {}).items())), "nesting": config.nesting,
        "unprivileged": config.unprivileged, "protection": config.protection, "description": config.description,
        "snapshots": sorted(s.name for s in seen.snapshots),
    }  # fmt: skip
