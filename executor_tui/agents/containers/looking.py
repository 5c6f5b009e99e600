"""What a model may look at on a Proxmox cluster: lines of JSON. Names, tags and descriptions in them were written by others."""

import json
from collections.abc import Sequence
from dataclasses import asdict

from executor_tui.agents.containers.operations import OPERATIONS
from executor_tui.agents.proposing import Desk
from executor_tui.agents.proxmox import ProxmoxDevice
from executor_tui.infra.proxmox.driver import Proxmox
from executor_tui.infra.proxmox.model import GIB, MIB

LOOKS = {
    "containers": "every container: id, name, state, node, size, tags",
    "nodes": "nodes with their load and free memory",
    "storages": "storages, what they take and their free space",
    "templates": "what containers can be made from",
    "snapshots": "the snapshots of every container",
}


def desk_of(device: ProxmoxDevice) -> Desk:
    """A cluster's desk."""

    async def look(what: str) -> Sequence[str]:
        return [json.dumps(row, ensure_ascii=False, default=str) for row in await _rows(device.driver, what)]

    return Desk(LOOKS, look, OPERATIONS, device.check)


async def _rows(driver: Proxmox, what: str) -> list[dict[str, object]]:
    cluster = await driver.cluster()
    if what == "nodes":
        return [
            {"node": n.name, "online": n.online, "cores": n.cores, "load": round(n.load, 2),
             "memory_free_gb": round(n.memory_free / GIB, 1)}
            for n in cluster.nodes
        ]  # fmt: skip
    if what == "storages":
        return [
            {"storage": s.name, "node": s.node, "kind": s.kind, "takes": sorted(s.content), "free_gb": round(s.free / GIB, 1)}
            for s in cluster.storages
        ]  # fmt: skip
    if what == "templates":
        return [asdict(t) for t in await driver.templates(cluster)]
    if what == "snapshots":
        return [
            {"container": c.vmid, "snapshots": [s.name for s in await driver.snapshots(c.node, c.vmid)]} for c in cluster.containers
        ]  # fmt: skip
    return [
        {"id": c.vmid, "name": c.name, "state": str(c.power), "node": c.node, "cores": c.cores, "memory_mb": c.memory // MIB,
         "disk_gb": round(c.disk / GIB, 1), "tags": list(c.tags)}
        for c in cluster.containers
    ]  # fmt: skip
