"""The API's JSON as our data. Every value is checked here: a field that is missing or of another kind becomes its harmless default."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime

from executor_tui.infra.proxmox.model import (
    GIB,
    ClusterStatus,
    Container,
    ContainerConfig,
    NodeInfo,
    Power,
    RunningTask,
    Snapshot,
    StorageInfo,
    Template,
)

Row = Mapping[str, object]

_UNITS = {"": 1, "K": 1024, "M": 1024**2, "G": 1024**3, "T": 1024**4}


def rows(answer: object) -> list[Row]:
    """The rows of a list answer; anything that is no row is left out."""
    return [row for row in answer if isinstance(row, dict)] if isinstance(answer, list) else []


def row(answer: object) -> Row:
    return answer if isinstance(answer, dict) else {}


def text(value: object) -> str:
    return "" if value is None else str(value)


def number(value: object) -> float:
    try:
        return float(str(value))
    except ValueError:
        return 0.0


def whole(value: object) -> int:
    return int(number(value))


def flag(value: object) -> bool:
    return text(value).lower() in ("1", "true", "yes", "on")


def tags_of(value: object) -> tuple[str, ...]:
    """Tags are kept as one string, separated by semicolons (older: commas or spaces)."""
    return tuple(sorted({t for t in re.split(r"[;, ]+", text(value)) if t}))


def options(value: object) -> tuple[str, dict[str, str]]:
    """A property string such as `local-lvm:vm-100-disk-0,size=8G`: its bare first value and its options."""
    first, found = "", {}
    for position, part in enumerate(text(value).split(",")):
        name, separator, content = part.partition("=")
        if separator:
            found[name] = content
        elif position == 0:
            first = part
    return first, found


def size_bytes(value: str) -> int:
    """`8G`, `512M` or plain bytes; 0 when it is none."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([KMGT]?)", value.strip().upper())
    return int(float(match[1]) * _UNITS[match[2]]) if match else 0


def when(value: object) -> datetime | None:
    seconds = number(value)
    return datetime.fromtimestamp(seconds, UTC) if seconds > 0 else None


def node(raw: Row) -> NodeInfo:
    return NodeInfo(
        name=text(raw.get("node")), online=text(raw.get("status")) == "online",
        cores=whole(raw.get("maxcpu")), load=number(raw.get("cpu")),
        memory=whole(raw.get("maxmem")), memory_used=whole(raw.get("mem")),
        disk=whole(raw.get("maxdisk")), disk_used=whole(raw.get("disk")),
    )  # fmt: skip


def storage(raw: Row) -> StorageInfo:
    return StorageInfo(
        name=text(raw.get("storage")), node=text(raw.get("node")), kind=text(raw.get("plugintype") or raw.get("type")),
        content=frozenset(text(raw.get("content")).split(",")), active=text(raw.get("status")) == "available" or flag(raw.get("active")),
        shared=flag(raw.get("shared")), size=whole(raw.get("maxdisk") or raw.get("total")), used=whole(raw.get("disk") or raw.get("used")),
    )  # fmt: skip


def template(raw: Row, node_name: str) -> Template:
    return Template(text(raw.get("volid")), node_name, whole(raw.get("size")))


def container(raw: Row) -> Container:
    status = text(raw.get("status"))
    return Container(
        vmid=whole(raw.get("vmid")), name=text(raw.get("name")), node=text(raw.get("node")),
        power=Power(status) if status in (Power.RUNNING, Power.STOPPED) else Power.UNKNOWN, tags=tags_of(raw.get("tags")),
        cores=number(raw.get("maxcpu")), memory=whole(raw.get("maxmem")), disk=whole(raw.get("maxdisk")), lock=text(raw.get("lock")),
        template=flag(raw.get("template")), uptime_s=whole(raw.get("uptime")),
    )  # fmt: skip


def config(vmid: int, raw: Row) -> ContainerConfig:
    volume, root = options(raw.get("rootfs"))
    nets = {name: options(value)[1] for name, value in raw.items() if re.fullmatch(r"net\d+", name)}
    cores = raw.get("cores")
    return ContainerConfig(
        vmid=vmid, hostname=text(raw.get("hostname")), cores=None if cores is None else whole(cores), memory_mb=whole(raw.get("memory")),
        swap_mb=whole(raw.get("swap")), disk_gb=round(size_bytes(root.get("size", "")) / GIB, 3), storage=volume.partition(":")[0],
        tags=tags_of(raw.get("tags")), description=text(raw.get("description")).strip(), unprivileged=flag(raw.get("unprivileged")),
        nesting=flag(options(raw.get("features"))[1].get("nesting")), protection=flag(raw.get("protection")), nets=nets,
        digest=text(raw.get("digest")), parent=text(raw.get("parent")), lock=text(raw.get("lock")),
    )  # fmt: skip


def snapshot(raw: Row) -> Snapshot:
    return Snapshot(
        text(raw.get("name")), when(raw.get("snaptime")), text(raw.get("description")).strip(), text(raw.get("parent")),
        text(raw.get("snapstate")),
    )  # fmt: skip


def task(raw: Row) -> RunningTask:
    owner = text(raw.get("id"))
    started = when(raw.get("starttime")) or datetime.fromtimestamp(0, UTC)
    return RunningTask(
        text(raw.get("upid")), text(raw.get("node")), text(raw.get("type")), int(owner) if owner.isdigit() else None, started
    )


def cluster_status(answer: object, version: str) -> ClusterStatus:
    """`/cluster/status`. A single node without a cluster has no cluster row and always counts as quorate (vendor's API)."""
    found = rows(answer)
    head = next((r for r in found if r.get("type") == "cluster"), None)
    nodes = [r for r in found if r.get("type") == "node"]
    online = sum(flag(r.get("online")) for r in nodes)
    if head is None:
        return ClusterStatus(text(nodes[0].get("name")) if nodes else "", True, online, len(nodes), version)
    return ClusterStatus(text(head.get("name")), flag(head.get("quorate")), online, len(nodes), version)
