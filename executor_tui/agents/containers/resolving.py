"""Deciding once what operations leave open: the container a name means, the node, the template, the storage, the id, the address. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from executor_tui.agents.containers import operations as ops
from executor_tui.agents.containers.addresses import next_address, parse_range
from executor_tui.agents.containers.placement import Wanted, place, room_for, storage_room
from executor_tui.agents.device import Json, PlanRefusedError, vaulted
from executor_tui.config.general import ContainerSettings
from executor_tui.infra.proxmox.driver import next_vmid
from executor_tui.infra.proxmox.model import GIB, MIB, Cluster, Container, StorageInfo, Template

_SWAP_MB = 512


def proof_ref(change_id: str) -> str:
    """Where the vault keeps the secret that a project's container got from the change that made it."""
    return f"container-proof-{change_id}"


@dataclass(frozen=True, slots=True)
class Survey:
    """What there is to choose from. `addresses` are those that containers have been given for good."""

    cluster: Cluster
    templates: tuple[Template, ...]
    addresses: frozenset[str]
    settings: ContainerSettings
    public_key: str = ""


@dataclass
class _Taken:
    """What others, and earlier operations of this change, will take."""

    ids: set[int] = field(default_factory=set)
    addresses: set[str] = field(default_factory=set)
    memory: dict[str, int] = field(default_factory=dict)
    disk: dict[str, int] = field(default_factory=dict)
    made: dict[str, tuple[int, str]] = field(default_factory=dict)
    """Host name → id and node of what earlier operations of this change make."""

    def add(self, operation: ops.Create | ops.Clone) -> None:
        self.ids.add(operation.vmid or 0)
        self.addresses.add(operation.address.partition("/")[0])
        if isinstance(operation, ops.Create):
            self.memory[operation.node] = self.memory.get(operation.node, 0) + (operation.memory_mb or 0) * MIB
            self.disk[operation.storage] = self.disk.get(operation.storage, 0) + (operation.disk_gb or 0) * GIB


def resolve(
    operations: Sequence[ops.ContainerOperation], survey: Survey, others: Sequence[Json], change_id: str, project_id: str
) -> tuple[ops.ContainerOperation, ...]:
    """The operations with nothing left open. Raises PlanRefusedError, naming the choices where there is more than one."""
    taken = _Taken()
    for other in others:
        if other.get("op") in ("lxc.create", "lxc.clone") and other.get("vmid"):
            taken.add(_as_made(other))
    found: list[ops.ContainerOperation] = []
    for number, operation in enumerate(operations, 1):
        done: ops.ContainerOperation
        match operation:
            case ops.Create():
                done = _create(number, operation, survey, taken, change_id, project_id)
            case ops.Clone():
                done = _clone(number, operation, survey, taken, change_id, project_id)
            case _:
                done = _existing(number, operation, survey, taken)
        found.append(done)
    return tuple(found)


def _as_made(raw: Json) -> ops.Create | ops.Clone:
    parsed = ops.parse([raw])[0]
    assert isinstance(parsed, ops.Create | ops.Clone)
    return parsed


def _create(number: int, want: ops.Create, survey: Survey, taken: _Taken, change_id: str, project_id: str) -> ops.Create:
    settings = survey.settings
    memory_mb = want.memory_mb or settings.memory_mb
    wanted = Wanted(want.cores or settings.cores, memory_mb, want.disk_gb or settings.disk_gb)
    template = _template(number, want.template or settings.template, survey, want.node)
    node, storage = _node_and_storage(number, want, wanted, template, survey, taken)
    vmid = _vmid(number, want.vmid, survey, taken)
    address, gateway = _address(number, want.address, want.gateway, survey, taken)
    project = want.project or project_id
    made = want.model_copy(update={
        "template": template, "storage": storage, "node": node, "vmid": vmid, "cores": wanted.cores, "memory_mb": memory_mb,
        "swap_mb": min(_SWAP_MB, memory_mb) if want.swap_mb is None else want.swap_mb, "disk_gb": int(wanted.disk_gb),
        "address": address, "gateway": gateway, "bridge": want.bridge or settings.bridge, "project": project, "made_by": change_id,
        "hostname": want.hostname or _hostname(project, vmid), "keep": settings.keep if want.run else "",
        "proof": vaulted(proof_ref(change_id)) if want.run else {},
        "public_keys": tuple(dict.fromkeys(k for k in (survey.public_key, *want.public_keys) if k)),
    })  # fmt: skip
    taken.add(made)
    taken.made[made.hostname] = (vmid, node)
    return made


def _clone(number: int, want: ops.Clone, survey: Survey, taken: _Taken, change_id: str, project_id: str) -> ops.Clone:
    source, node = _lookup(number, want.container, survey.cluster, taken)
    vmid = _vmid(number, want.vmid, survey, taken)
    address, gateway = _address(number, want.address, want.gateway, survey, taken)
    project = want.project or project_id
    made = want.model_copy(update={
        "container": source, "node": node, "vmid": vmid, "hostname": want.hostname or _hostname(project, vmid), "address": address,
        "gateway": gateway, "project": project, "made_by": change_id,
    })  # fmt: skip
    taken.add(made)
    taken.made[made.hostname] = (vmid, node)
    return made


def _existing(number: int, operation: ops.ContainerOperation, survey: Survey, taken: _Taken) -> ops.ContainerOperation:
    assert isinstance(operation, ops.OnContainer)
    vmid, node = _lookup(number, operation.container, survey.cluster, taken)
    update: Json = {"container": vmid, "node": node}
    if isinstance(operation, ops.Resize):
        _check_resize(number, operation, survey.cluster, vmid, node)
    if isinstance(operation, ops.Backup):
        update["storage"] = _one_storage(number, operation.storage, _storages(survey.cluster, node, "backup"), "takes backups")
    changed: ops.ContainerOperation = operation.model_copy(update=update)
    return changed


def _check_resize(number: int, want: ops.Resize, cluster: Cluster, vmid: int, node_name: str) -> None:
    container, node = cluster.container(vmid), cluster.node(node_name)
    if container is None or node is None:
        return
    more = max(0, (want.memory_mb or 0) - container.memory // MIB)
    reason = room_for(node, Wanted(want.cores or 1, more, 0), 0) if more or want.cores else ""
    if reason:
        raise PlanRefusedError(f"operation {number}: node {node.name} has no room for it: {reason}")


def _lookup(number: int, named: int | str, cluster: Cluster, taken: _Taken) -> tuple[int, str]:
    """Id and node of the container an operation names."""
    if isinstance(named, int):
        container = cluster.container(named)
        if container is not None:
            return container.vmid, container.node
        for vmid, node in taken.made.values():
            if vmid == named:
                return vmid, node
        raise PlanRefusedError(f"operation {number}: there is no container {named}", hint="see what there is with: executor lxc list")
    if named in taken.made:
        return taken.made[named]
    same: list[Container] = [c for c in cluster.containers if c.name == named]
    if len(same) == 1:
        return same[0].vmid, same[0].node
    if not same:
        raise PlanRefusedError(f"operation {number}: there is no container named {named!r}", hint="see what there is: executor lxc list")
    ids = ", ".join(str(c.vmid) for c in same)
    raise PlanRefusedError(f"operation {number}: several containers are named {named!r}: say which id ({ids})")


def _template(number: int, named: str, survey: Survey, node: str) -> str:
    there = [t for t in survey.templates if not node or t.node in ("", node)]
    volumes = sorted({t.volume for t in there if not named or named == t.volume or named.lower() in t.name.lower()})
    if len(volumes) == 1:
        return volumes[0]
    choices = ", ".join(sorted({t.name for t in there})) or "none"
    if not volumes:
        what = f"no template matches {named!r}" if named else "there is no template"
        hint = f"there are: {choices}; download one on the node with: pveam download STORAGE TEMPLATE"
        raise PlanRefusedError(f"operation {number}: {what}", hint=hint)
    raise PlanRefusedError(f"operation {number}: several templates fit; say which one", hint=f"there are: {', '.join(volumes)}")


def _node_and_storage(
    number: int, want: ops.Create, wanted: Wanted, template: str, survey: Survey, taken: _Taken
) -> tuple[str, str]:  # fmt: skip
    cluster = survey.cluster
    holding = {t.node for t in survey.templates if t.volume == template}
    allowed: set[str] = set()
    named = want.storage or survey.settings.storage
    for node in cluster.nodes:
        storages = _storages(cluster, node.name, "rootdir")
        there = "" in holding or node.name in holding
        if there and any(not named or s.name == named for s in storages) and want.node in ("", node.name):
            allowed.add(node.name)
    chosen, reasons = place(cluster, wanted, frozenset(allowed), taken.memory)
    if not chosen:
        names = ", ".join(sorted({s.name for n in cluster.nodes for s in _storages(cluster, n.name, "rootdir")})) or "none"
        if want.node and cluster.node(want.node) is None:
            raise PlanRefusedError(
                f"operation {number}: no node {want.node}", hint=f"there are: {', '.join(n.name for n in cluster.nodes)}"
            )
        hint = f"storages for containers: {names}"
        raise PlanRefusedError(f"operation {number}: no node has room for it ({'; '.join(reasons)})", hint=hint)
    storages = _storages(cluster, chosen, "rootdir")
    storage = _one_storage(number, named, storages, "takes containers")
    info = next(s for s in storages if s.name == storage)
    full = storage_room(info, wanted.disk_gb, taken.disk.get(storage, 0))
    if full:
        raise PlanRefusedError(f"operation {number}: {full}", hint="free space, name another storage, or take a smaller disk")
    return chosen, storage


def _storages(cluster: Cluster, node: str, content: str) -> list[StorageInfo]:
    return sorted((s for s in cluster.storages if s.node == node and s.active and content in s.content), key=lambda s: s.name)


def _one_storage(number: int, named: str, there: Sequence[StorageInfo], what: str) -> str:
    names = [s.name for s in there]
    if named in names:
        return named
    if not named and len(names) == 1:
        return names[0]
    if named or not names:
        problem = f"no storage {named!r} {what} there" if named else f"no storage {what} there"
        raise PlanRefusedError(f"operation {number}: {problem}", hint=f"there are: {', '.join(names) or 'none'}")
    raise PlanRefusedError(f"operation {number}: several storages fit; say which one", hint=f"there are: {', '.join(names)}")


def _vmid(number: int, named: int | None, survey: Survey, taken: _Taken) -> int:
    if named is None:
        return next_vmid(survey.cluster.taken_ids, sorted(taken.ids))
    if named in survey.cluster.taken_ids or named in taken.ids:
        hint = f"the next free one is {next_vmid(survey.cluster.taken_ids, sorted(taken.ids))}"
        raise PlanRefusedError(f"operation {number}: the id {named} is taken", hint=hint)
    return named


def _address(number: int, named: str, gateway: str, survey: Survey, taken: _Taken) -> tuple[str, str]:
    """Address and gateway: as named, from the configured range, else DHCP."""
    used = survey.addresses | taken.addresses
    settings = survey.settings
    if named == "dhcp" or (not named and not settings.address_range):
        return "dhcp", ""
    gateway = gateway or settings.gateway
    if named:
        if named.partition("/")[0] in used:
            raise PlanRefusedError(f"operation {number}: the address {named} is taken by another container")
        return named, gateway
    found = next_address(parse_range(settings.address_range), used | {gateway})
    if found is None:
        raise PlanRefusedError(
            f"operation {number}: every address of {settings.address_range} is taken", hint="widen the range, or say dhcp"
        )
    return found, gateway


def _hostname(project: str, vmid: int) -> str:
    return f"{project}-{vmid}" if project else f"executor-{vmid}"
