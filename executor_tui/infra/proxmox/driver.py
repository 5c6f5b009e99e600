"""Proxmox VE as an object: every operation on containers we use. Each that starts a task follows it to its end before it returns."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from executor_tui.domain.clock import Clock
from executor_tui.infra.proxmox import reading, tasks
from executor_tui.infra.proxmox.errors import MissingError, NodeOfflineError
from executor_tui.infra.proxmox.model import (
    Cluster,
    ClusterStatus,
    Container,
    ContainerConfig,
    NewContainer,
    NodeInfo,
    OnLine,
    RunningTask,
    Snapshot,
    StorageInfo,
    TaskResult,
    Template,
)
from executor_tui.infra.proxmox.reading import row, rows, text
from executor_tui.infra.proxmox.session import Session
from executor_tui.infra.proxmox.target import ProxmoxTarget

FIRST_VMID = 100
"""Proxmox keeps the ids below for itself (vendor's documentation)."""


class Proxmox:
    """One cluster. Cheap to make: it connects with the first request. Every method raises a `ProxmoxError`."""

    def __init__(self, target: ProxmoxTarget, clock: Clock, *, poll_s: float = 0.5, task_s: float = 900.0) -> None:
        self._session, self._clock, self._poll_s, self._task_s = Session(target), clock, poll_s, task_s
        self.target = target

    def close(self) -> None:
        self._session.close()

    # -- reading -------------------------------------------------------------------------------------------------------------------

    async def status(self) -> ClusterStatus:
        """Version and quorum: the smallest real read there is."""
        version = text(row(await self._session.get("version")).get("version"))
        return reading.cluster_status(await self._session.get("cluster/status"), version)

    async def cluster(self) -> Cluster:
        """Nodes, storages and containers, as of now."""
        status = await self.status()
        found = rows(await self._session.get("cluster/resources"))
        guests = [r for r in found if r.get("type") in ("lxc", "qemu")]
        return Cluster(
            status=status,
            nodes=tuple(sorted((reading.node(r) for r in found if r.get("type") == "node"), key=lambda n: n.name)),
            storages=tuple(reading.storage(r) for r in found if r.get("type") == "storage"),
            containers=tuple(sorted((reading.container(r) for r in guests if r["type"] == "lxc"), key=lambda c: c.vmid)),
            taken_ids=frozenset(reading.whole(r.get("vmid")) for r in guests),
        )

    async def nodes(self) -> tuple[NodeInfo, ...]:
        return (await self.cluster()).nodes

    async def containers(self) -> tuple[Container, ...]:
        """Every container of the cluster, by id."""
        found = rows(await self._session.get("cluster/resources", type="vm"))
        return tuple(sorted((reading.container(r) for r in found if r.get("type") == "lxc"), key=lambda c: c.vmid))

    async def container(self, vmid: int) -> Container:
        """Raises MissingError."""
        found = next((c for c in await self.containers() if c.vmid == vmid), None)
        if found is None:
            raise MissingError(self.target.name, f"no container {vmid}", hint="see what there is with: executor lxc list")
        return found

    async def config(self, node: str, vmid: int) -> ContainerConfig:
        """A container's configuration, what waits for a restart included. Raises MissingError."""
        return reading.config(vmid, row(await self._session.get(f"nodes/{node}/lxc/{vmid}/config")))

    async def snapshots(self, node: str, vmid: int) -> tuple[Snapshot, ...]:
        """Oldest first; `current`, which is no snapshot, is left out."""
        found = [reading.snapshot(r) for r in rows(await self._session.get(f"nodes/{node}/lxc/{vmid}/snapshot"))]
        kept = [s for s in found if s.name != "current"]
        return tuple(sorted(kept, key=lambda s: (s.taken_at is None, s.taken_at.timestamp() if s.taken_at else 0.0, s.name)))

    async def templates(self, cluster: Cluster) -> tuple[Template, ...]:
        """Operating system templates on every storage that may hold them, of every node that is online; shared ones once."""
        online = {n.name for n in cluster.nodes if n.online}
        found: dict[tuple[str, str], Template] = {}
        for storage in cluster.storages:
            if not storage.active or "vztmpl" not in storage.content or storage.node not in online:
                continue
            for template in await self._templates_on(storage):
                found.setdefault((template.volume, "" if storage.shared else storage.node), template)
        return tuple(sorted(found.values(), key=lambda t: (t.name, t.node)))

    async def _templates_on(self, storage: StorageInfo) -> list[Template]:
        path = f"nodes/{storage.node}/storage/{storage.name}/content"
        found = [r for r in rows(await self._session.get(path, content="vztmpl")) if text(r.get("content")) == "vztmpl"]
        return [reading.template(r, "" if storage.shared else storage.node) for r in found]

    async def addresses(self, node: str, vmid: int) -> tuple[str, ...]:
        """IPv4 addresses a running container has, loopback left out; where DHCP put it."""
        found: list[str] = []
        for interface in rows(await self._session.get(f"nodes/{node}/lxc/{vmid}/interfaces")):
            address = text(interface.get("inet")).partition("/")[0]
            if address and not address.startswith("127."):
                found.append(address)
        return tuple(found)

    async def running_tasks(self, node: str, vmid: int) -> tuple[RunningTask, ...]:
        """Tasks about one container that have not ended: a listed task without end time is at work (vendor's API)."""
        found = rows(await self._session.get(f"nodes/{node}/tasks", vmid=vmid, source="all", limit=50))
        return tuple(reading.task(r) for r in found if not r.get("endtime") and not r.get("status"))

    async def ended_well(self, node: str, vmid: int, kind: str, since: datetime) -> bool:
        """Whether a task of this kind (vzrollback, vzreboot, vzdump) about a container began after `since` and ended well."""
        found = rows(await self._session.get(f"nodes/{node}/tasks", vmid=vmid, source="all", limit=50))
        good = [reading.task(r) for r in found if text(r.get("status")) == "OK" or text(r.get("status")).startswith("WARNINGS")]
        return any(t.kind == kind and t.started_at >= since for t in good)

    async def certificate_ends_at(self, node: str) -> datetime | None:
        """When the certificate a node shows to the world expires; None when it does not say."""
        found = rows(await self._session.get(f"nodes/{node}/certificates/info"))
        shown = [r for r in found if text(r.get("filename")) in ("pveproxy-ssl.pem", "pve-ssl.pem")]
        named = sorted(shown, key=lambda r: text(r.get("filename")) != "pveproxy-ssl.pem")
        return reading.when(named[0].get("notafter")) if named else None

    # -- changing ------------------------------------------------------------------------------------------------------------------

    async def create(self, new: NewContainer, on_line: OnLine | None = None) -> TaskResult:
        """Create, not start. Raises TemplateMissingError, StorageFullError, ExistsError and the general ones."""
        net = f"name=eth0,bridge={new.bridge},ip={new.address}" + (f",gw={new.gateway}" if new.gateway else "")
        upid = await self._session.send(
            "POST", f"nodes/{new.node}/lxc", vmid=new.vmid, ostemplate=new.template, storage=new.storage, hostname=new.hostname,
            cores=new.cores, memory=new.memory_mb, swap=new.swap_mb, rootfs=f"{new.storage}:{new.disk_gb}", net0=net, unprivileged=True,
            features="nesting=1" if new.nesting else None, ssh_public_keys="\n".join(new.public_keys) or None,
            tags=";".join(new.tags) or None, description=new.description or None,
        )  # fmt: skip
        return await self._follow(upid, f"create container {new.vmid}", on_line)

    async def start(self, node: str, vmid: int, on_line: OnLine | None = None) -> TaskResult:
        return await self._power(node, vmid, "start", on_line)

    async def stop(self, node: str, vmid: int, on_line: OnLine | None = None) -> TaskResult:
        """At once, as pulling the plug."""
        return await self._power(node, vmid, "stop", on_line)

    async def shutdown(self, node: str, vmid: int, timeout_s: float = 60, on_line: OnLine | None = None) -> TaskResult:
        """Ask it to end by itself. Raises ShutdownTimeoutError when it does not within `timeout_s`; then it still runs."""
        return await self._power(node, vmid, "shutdown", on_line, timeout=int(timeout_s), forceStop=False)

    async def reboot(self, node: str, vmid: int, on_line: OnLine | None = None) -> TaskResult:
        return await self._power(node, vmid, "reboot", on_line)

    async def delete(self, node: str, vmid: int, on_line: OnLine | None = None) -> TaskResult:
        """Remove a stopped container with its volumes, and from backup jobs and HA. Raises WrongStateError when it runs."""
        upid = await self._session.send("DELETE", f"nodes/{node}/lxc/{vmid}", purge=True)
        return await self._follow(upid, f"delete container {vmid}", on_line)

    async def snapshot(self, node: str, vmid: int, name: str, description: str = "", on_line: OnLine | None = None) -> TaskResult:
        path = f"nodes/{node}/lxc/{vmid}/snapshot"
        upid = await self._session.send("POST", path, snapname=name, description=description or None)
        return await self._follow(upid, f"snapshot {name} of container {vmid}", on_line)

    async def rollback(self, node: str, vmid: int, name: str, on_line: OnLine | None = None) -> TaskResult:
        """Put the container back to a snapshot; it is stopped afterwards."""
        upid = await self._session.send("POST", f"nodes/{node}/lxc/{vmid}/snapshot/{name}/rollback")
        return await self._follow(upid, f"roll container {vmid} back to {name}", on_line)

    async def delete_snapshot(self, node: str, vmid: int, name: str, on_line: OnLine | None = None) -> TaskResult:
        upid = await self._session.send("DELETE", f"nodes/{node}/lxc/{vmid}/snapshot/{name}")
        return await self._follow(upid, f"delete snapshot {name} of container {vmid}", on_line)

    async def clone(
        self, node: str, vmid: int, new_vmid: int, hostname: str, snapshot: str = "", note: str = "", on_line: OnLine | None = None
    ) -> TaskResult:
        """A full copy of a container, or of its state at a snapshot; a running one can only be copied from a snapshot."""
        upid = await self._session.send(
            "POST", f"nodes/{node}/lxc/{vmid}/clone", newid=new_vmid, hostname=hostname, full=True, snapname=snapshot or None,
            description=note or None,
        )  # fmt: skip
        return await self._follow(upid, f"copy container {vmid} to {new_vmid}", on_line)

    async def configure(self, node: str, vmid: int, options: Mapping[str, object], digest: str = "") -> None:
        """Set options (cores, memory, swap, tags, net0, …). With `digest`, refused when somebody changed it since it was read."""
        await self._session.send("PUT", f"nodes/{node}/lxc/{vmid}/config", digest=digest or None, **options)

    async def unset(self, node: str, vmid: int, *names: str) -> None:
        """Take options away."""
        await self._session.send("PUT", f"nodes/{node}/lxc/{vmid}/config", delete=",".join(names))

    async def grow_disk(self, node: str, vmid: int, disk_gb: float, on_line: OnLine | None = None) -> TaskResult:
        """Grow the root disk to `disk_gb`. A disk never shrinks."""
        path = f"nodes/{node}/lxc/{vmid}/resize"
        upid = await self._session.send("PUT", path, disk="rootfs", size=f"{disk_gb:g}G")
        return await self._follow(upid, f"grow the disk of container {vmid}", on_line)

    async def backup(self, node: str, vmid: int, storage: str, on_line: OnLine | None = None) -> TaskResult:
        """Write a backup of a container to a storage; it is suspended for a moment at most (vzdump, mode snapshot)."""
        upid = await self._session.send("POST", f"nodes/{node}/vzdump", vmid=vmid, storage=storage, mode="snapshot", compress="zstd")
        return await self._follow(upid, f"back up container {vmid}", on_line)

    async def follow(self, upid: str, what: str, on_line: OnLine | None = None) -> TaskResult:
        """Follow a task that somebody else started, or that outlived us."""
        return await self._follow(upid, what, on_line)

    async def _power(self, node: str, vmid: int, action: str, on_line: OnLine | None, **options: object) -> TaskResult:
        upid = await self._session.send("POST", f"nodes/{node}/lxc/{vmid}/status/{action}", **options)
        return await self._follow(upid, f"{action} container {vmid}", on_line)

    async def _follow(self, upid: object, what: str, on_line: OnLine | None) -> TaskResult:
        return await tasks.wait(
            self._session, self._clock, text(upid), what, timeout_s=self._task_s, poll_s=self._poll_s, on_line=on_line
        )  # fmt: skip


def next_vmid(taken: frozenset[int], reserved: Sequence[int] = ()) -> int:
    """The lowest id that neither a guest has nor anybody is about to take."""
    used = taken | set(reserved)
    return next(vmid for vmid in range(FIRST_VMID, 1_000_000_000) if vmid not in used)


def require_online(device: str, cluster: Cluster, name: str) -> NodeInfo:
    """The node. Raises NodeOfflineError when it is not online or not there."""
    node = cluster.node(name)
    if node is None:
        known = ", ".join(n.name for n in cluster.nodes)
        raise NodeOfflineError(device, f"no node {name}", hint=f"there are: {known}")
    if not node.online:
        raise NodeOfflineError(device, f"node {name} is offline", hint="bring it back or choose another one")
    return node
