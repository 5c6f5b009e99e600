"""From resolved operations and the live state to the calls that are still missing. Pure; a state that is as wanted gives no calls."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from executor_tui.agents.containers import operations as ops
from executor_tui.agents.containers.state import Seen, State, facts, made_by, marker
from executor_tui.agents.device import Call, Json, Plan, PlanRefusedError
from executor_tui.agents.drafting import PlanDraft
from executor_tui.infra.proxmox.model import tag

CREATE, CLONE, START, STOP, SHUTDOWN, REBOOT, DELETE = "create", "clone", "start", "stop", "shutdown", "reboot", "delete"
SNAPSHOT, ROLLBACK, DELETE_SNAPSHOT, CONFIGURE, GROW, BACKUP = "snapshot", "rollback", "delete_snapshot", "configure", "grow", "backup"
"""What a call does; the agent maps each to a method of the driver."""

OWN_TAG = "executor"
KEEPS_WAY_BACK = frozenset({"lvmthin", "rbd", "btrfs", "cephfs"})
"""Storages that can go back to a snapshot that is not the newest. ZFS cannot (vendor's documentation), so no way back is kept there."""


def own_tags(project: str, change_id: str) -> tuple[str, ...]:
    """Every container we make carries these, so that it can be found again without us."""
    return (OWN_TAG, tag(f"run-{project or change_id}"))


def belongs(seen: Seen, run: str) -> bool:
    """Whether a project made this container for its own run: its tags say so, and so does the change its description names."""
    return set(own_tags(run, "")) <= set(seen.config.tags) and marker(f"chg-{run}-") in seen.config.description


def way_back(change_id: str) -> str:
    """The snapshot taken before a rollback, so that the rollback can be undone."""
    return f"before-{change_id}"


@dataclass
class _Draft(PlanDraft):
    """A plan while it is made. `power` and `there` follow what the calls so far will have brought about."""

    state: State
    done: frozenset[str]
    power: dict[int, bool] = field(default_factory=dict)
    there: dict[int, bool] = field(default_factory=dict)
    labels: dict[int, str] = field(default_factory=dict)

    def call(
        self, number: int, what: str, vmid: int, about: str, more: Json | None = None, *, shows: bool = True, **arguments: object
    ) -> bool:
        """Add a call unless it is known to have been made; says whether it was added."""
        identity = f"{number}.{what}"
        if identity in self.done:
            return False
        self.calls.append(Call(identity, what, {"vmid": vmid, **arguments, **(more or {})}, about, str(vmid), shows))
        return True

    def running(self, vmid: int) -> bool:
        if vmid in self.power:
            return self.power[vmid]
        seen = self.state.seen.get(vmid)
        return seen is not None and seen.running

    def require(self, number: int, vmid: int) -> Seen | None:
        """The container an operation is about; None when an earlier operation of this change makes it. Raises PlanRefusedError."""
        seen = self.state.seen.get(vmid)
        if seen is None and not self.there.get(vmid):
            raise PlanRefusedError(f"operation {number}: there is no container {vmid}", hint="see what there is with: executor lxc list")
        return seen

    def own(self, number: int, vmid: int, run: str) -> None:
        """What is done for a project's run is done to its own containers only. Raises PlanRefusedError."""
        seen = self.state.seen.get(vmid)
        if run and seen is not None and not belongs(seen, run):
            raise PlanRefusedError(f"operation {number}: {seen.label} is not one that project {run} made for itself")

    def label(self, vmid: int) -> str:
        seen = self.state.seen.get(vmid)
        return seen.label if seen is not None else self.labels.get(vmid, f"container {vmid}")


def plan(operations: Sequence[ops.ContainerOperation], state: State, change_id: str, done: frozenset[str] = frozenset()) -> Plan:
    """The plan. Raises PlanRefusedError when what is asked for is not possible."""
    draft = _Draft(state, done)
    _refuse_contradictions(operations)
    for number, operation in enumerate(operations, 1):
        _dispatch(draft, number, operation, change_id)
    touched = sorted({vmid_of(operation) for operation in operations} | {v for o in operations if (v := source_of(o))})
    return Plan(
        operations=tuple(ops.dump(o) for o in operations), calls=tuple(draft.calls), diff=tuple(draft.diff),
        before={str(vmid): facts(state.seen.get(vmid)) for vmid in touched}, risks=tuple(draft.risks), summary=summary_of(draft.diff),
        targets=tuple(f"lxc/{vmid}" for vmid in touched), undo=tuple(draft.undo), warnings=tuple(draft.warnings),
        confirm_word=" ".join(dict.fromkeys(draft.words)), guard="what was done is taken back, call by call",
    )  # fmt: skip


def vmid_of(operation: ops.ContainerOperation) -> int:
    """The container an operation makes or changes."""
    if isinstance(operation, ops.Create | ops.Clone):
        return operation.vmid or 0
    return int(operation.container)


def source_of(operation: ops.ContainerOperation) -> int:
    """The container a copy is made of; 0 for everything else."""
    return int(operation.container) if isinstance(operation, ops.Clone) else 0


def summary_of(diff: Sequence[str]) -> str:
    """One line for lists: the first thing that changes, and how many more there are."""
    if not diff:
        return "nothing to do"
    verb = {"+": "make ", "-": "remove "}.get(diff[0][:1], "")
    more = f", and {len(diff) - 1} more" if len(diff) > 1 else ""
    return f"{verb}{diff[0][2:]}{more}"


def _refuse_contradictions(operations: Sequence[ops.ContainerOperation]) -> None:
    """What is wanted in the end must be one thing: two orders about the power of one container would undo each other."""
    powered: set[int] = set()
    for number, operation in enumerate(operations, 1):
        if isinstance(operation, ops.Start | ops.Stop | ops.Shutdown | ops.Reboot | ops.Delete | ops.Rollback):
            vmid = vmid_of(operation)
            if vmid in powered:
                raise PlanRefusedError(f"operation {number}: another operation already decides whether container {vmid} runs; ask twice")
            powered.add(vmid)


def _create(draft: _Draft, number: int, want: ops.Create) -> None:
    vmid = want.vmid or 0
    seen = draft.state.seen.get(vmid)
    draft.labels[vmid] = f"container {vmid} {want.hostname}"
    if seen is not None and not made_by(seen.config, want.made_by):
        raise PlanRefusedError(f"operation {number}: the id {vmid} was taken meanwhile by {seen.label}")
    if vmid in draft.state.cluster.taken_ids and seen is None:
        raise PlanRefusedError(f"operation {number}: the id {vmid} belongs to a virtual machine")
    if seen is None:
        tags = own_tags(want.project, want.made_by)
        draft.call(
            number, CREATE, vmid, f"create {draft.labels[vmid]} on {want.node}", node=want.node, template=want.template,
            storage=want.storage, hostname=want.hostname, cores=want.cores, memory_mb=want.memory_mb, swap_mb=want.swap_mb,
            disk_gb=want.disk_gb, bridge=want.bridge, address=want.address, gateway=want.gateway, nesting=want.nesting, proof=want.proof,
            public_keys=list(want.public_keys), tags=list(tags), description=marker(want.made_by),
        )  # fmt: skip
        cores = f"{want.cores} core" if want.cores == 1 else f"{want.cores} cores"
        size = f"{cores}, {want.memory_mb} MiB, {want.disk_gb} GiB on {want.storage}, {want.address}"
        nesting = ", nesting" if want.nesting else ""
        line = f"+ {draft.labels[vmid]} on {want.node}: {want.template.rsplit('/', 1)[-1]}, {size}{nesting}"
        draft.changed("lxc.create", line, {"op": "lxc.delete", "container": vmid})
        if want.run:
            end = {"stop": "stopped", "keep": "left running"}.get(want.keep, "deleted")
            draft.diff.append(f"  while project {want.run} is at work: copies of it for test runs, each removed again; then it is {end}")
    draft.there[vmid] = True
    if want.start and not draft.running(vmid):
        draft.call(number, START, vmid, f"start {draft.labels[vmid]}", node=want.node)
        draft.power[vmid] = True


def _clone(draft: _Draft, number: int, want: ops.Clone) -> None:
    vmid, source = want.vmid or 0, int(want.container)
    original = draft.require(number, source)
    draft.own(number, source, want.run)
    seen = draft.state.seen.get(vmid)
    draft.labels[vmid] = f"container {vmid} {want.hostname}"
    node = want.node or (original.info.node if original else "")
    if seen is not None and not made_by(seen.config, want.made_by):
        raise PlanRefusedError(f"operation {number}: the id {vmid} was taken meanwhile by {seen.label}")
    if seen is None:
        _check_clone(draft, number, want, original)
        origin = f"{draft.label(source)}" + (f" at snapshot {want.snapshot}" if want.snapshot else "")
        draft.call(
            number, CLONE, vmid, f"copy {origin} to {draft.labels[vmid]}", node=node, source=source, snapshot=want.snapshot,
            hostname=want.hostname, description=marker(want.made_by),
        )  # fmt: skip
        draft.changed(_key("clone", want), f"+ {draft.labels[vmid]} on {node}: a copy of {origin}", {"op": "lxc.delete", "container": vmid})
    _settle_clone(draft, number, want, node, original, seen)
    draft.there[vmid] = True
    if want.start and not draft.running(vmid):
        draft.call(number, START, vmid, f"start {draft.labels[vmid]}", node=node)
        draft.power[vmid] = True


def _settle_clone(draft: _Draft, number: int, want: ops.Clone, node: str, original: Seen | None, seen: Seen | None) -> None:
    """A copy carries its original's tags and address until it is told otherwise."""
    vmid, tags = want.vmid or 0, own_tags(want.project, want.made_by)
    options: Json = {}
    if seen is None or set(seen.config.tags) != set(tags):
        options["tags"] = ";".join(tags)
    net = seen.config.nets.get("net0", {}) if seen is not None else {}
    if want.address and net.get("ip") != want.address:
        bridge = (original.config.nets.get("net0", {}).get("bridge") if original is not None else "") or net.get("bridge", "vmbr0")
        options["net0"] = f"name=eth0,bridge={bridge},ip={want.address}" + (f",gw={want.gateway}" if want.gateway else "")
    if options:
        draft.call(number, CONFIGURE, vmid, f"set {', '.join(options)} of {draft.labels[vmid]}", node=node, options=options, was={})


def _check_clone(draft: _Draft, number: int, want: ops.Clone, original: Seen | None) -> None:
    source = int(want.container)
    if want.snapshot and original is not None and original.snapshot(want.snapshot) is None:
        raise PlanRefusedError(f"operation {number}: {draft.label(source)} has no snapshot {want.snapshot}")
    if not want.snapshot and draft.running(source):
        hint = "take one first: executor lxc snapshot " + str(source)
        raise PlanRefusedError(f"operation {number}: {draft.label(source)} runs, so it can only be copied from a snapshot", hint=hint)


def _key(what: str, want: ops.OnContainer) -> str:
    """The entry of the risk table: a project's own containers have entries of their own."""
    return f"lxc.run.{what}" if want.run else f"lxc.{what}"


def _start(draft: _Draft, number: int, want: ops.Start) -> None:
    vmid = int(want.container)
    draft.require(number, vmid)
    draft.own(number, vmid, want.run)
    if not draft.running(vmid):
        draft.call(number, START, vmid, f"start {draft.label(vmid)}", node=want.node)
        draft.changed(_key("start", want), f"~ {draft.label(vmid)}: stopped → running", {"op": "lxc.shutdown", "container": vmid})
        draft.power[vmid] = True


def _end(draft: _Draft, number: int, want: ops.Stop | ops.Shutdown, what: str, **arguments: object) -> None:
    vmid = int(want.container)
    draft.require(number, vmid)
    draft.own(number, vmid, want.run)
    if draft.running(vmid):
        draft.call(number, what, vmid, f"{what} {draft.label(vmid)}", arguments, node=want.node)
        hard = " at once" if what == STOP else ""
        draft.changed(_key(what, want), f"~ {draft.label(vmid)}: running → stopped{hard}", {"op": "lxc.start", "container": vmid})
        draft.power[vmid] = False


def _reboot(draft: _Draft, number: int, want: ops.Reboot) -> None:
    vmid = int(want.container)
    draft.require(number, vmid)
    if not draft.running(vmid):
        raise PlanRefusedError(f"operation {number}: {draft.label(vmid)} does not run; start it instead")
    if draft.call(number, REBOOT, vmid, f"restart {draft.label(vmid)}", shows=False, node=want.node):
        draft.changed("lxc.reboot", f"~ {draft.label(vmid)}: restarted", None)


def _delete(draft: _Draft, number: int, want: ops.Delete) -> None:
    vmid = int(want.container)
    seen = draft.state.seen.get(vmid)
    if seen is None and not draft.there.get(vmid):
        return
    label = draft.label(vmid)
    draft.own(number, vmid, want.run)
    if seen is not None and seen.config.protection:
        hint = "take the protection off first: Options, Protection"
        raise PlanRefusedError(f"operation {number}: {label} is protected against deletion", hint=hint)
    if draft.running(vmid):
        draft.call(number, STOP, vmid, f"stop {label}", node=want.node)
    snapshots = len(seen.snapshots) if seen is not None else 0
    draft.call(number, DELETE, vmid, f"delete {label}", node=want.node)
    lost = f" with {snapshots} snapshot{'s' if snapshots != 1 else ''}" if snapshots else ""
    draft.changed(_key("delete", want), f"- {label}{lost}", None)
    if want.run:
        draft.warnings.append(f"what was written in {label} and not committed is lost; every commit is on this machine")
    else:
        draft.warnings.append(f"nothing brings {label} back; a backup can be taken first: executor lxc backup {vmid}")
    draft.words.append(seen.config.hostname or str(vmid) if seen is not None else str(vmid))
    draft.there[vmid], draft.power[vmid] = False, False


def _take_snapshot(draft: _Draft, number: int, want: ops.TakeSnapshot) -> None:
    vmid = int(want.container)
    seen = draft.require(number, vmid)
    draft.own(number, vmid, want.run)
    if seen is not None and seen.snapshot(want.name) is not None:
        return
    draft.call(number, SNAPSHOT, vmid, f"snapshot {draft.label(vmid)}", node=want.node, name=want.name, description=want.description)
    undo: Json = {"op": "lxc.delete_snapshot", "container": vmid, "name": want.name}
    draft.changed(_key("snapshot", want), f"+ snapshot {want.name} of {draft.label(vmid)}", undo)


def _rollback(draft: _Draft, number: int, want: ops.Rollback, change_id: str) -> None:
    vmid = int(want.container)
    seen = draft.require(number, vmid)
    if seen is None or seen.snapshot(want.name) is None:
        known = ", ".join(s.name for s in seen.snapshots) if seen is not None else ""
        raise PlanRefusedError(f"operation {number}: {draft.label(vmid)} has no snapshot {want.name}", hint=f"it has: {known or 'none'}")
    undo: Json | None = None
    if f"{number}.{ROLLBACK}" not in draft.done:
        backwards = draft.state.storage_kind(seen.info.node, seen.config.storage) in KEEPS_WAY_BACK
        keep = way_back(change_id)
        if backwards:
            undo = {"op": "lxc.rollback", "container": vmid, "name": keep, **({"start": True} if seen.running else {})}
            if seen.snapshot(keep) is None:
                about = f"snapshot {seen.label} as it is now, as the way back"
                draft.call(number, SNAPSHOT, vmid, about, node=want.node, name=keep, description=marker(change_id))
        else:
            draft.warnings.append(f"its storage {seen.config.storage} allows no way back: what was written since {want.name} is lost")
        draft.call(number, ROLLBACK, vmid, f"roll {seen.label} back to {want.name}", shows=False, node=want.node, name=want.name)
        stops = ", which stops it" if draft.running(vmid) else ""
        draft.changed("lxc.rollback", f"~ {seen.label}: back to snapshot {want.name}{stops}", undo)
        draft.words.append(seen.config.hostname or str(vmid))
        draft.power[vmid] = False
    if want.start and not draft.running(vmid):
        draft.call(number, START, vmid, f"start {seen.label}", node=want.node)
        draft.power[vmid] = True


def _delete_snapshot(draft: _Draft, number: int, want: ops.DeleteSnapshot) -> None:
    vmid = int(want.container)
    seen = draft.require(number, vmid)
    if seen is None or seen.snapshot(want.name) is None:
        return
    draft.call(number, DELETE_SNAPSHOT, vmid, f"delete snapshot {want.name} of {seen.label}", node=want.node, name=want.name)
    draft.changed("lxc.delete_snapshot", f"- snapshot {want.name} of {seen.label}", None)
    draft.words.append(want.name)


def _resize(draft: _Draft, number: int, want: ops.Resize) -> None:
    vmid = int(want.container)
    seen = draft.require(number, vmid)
    if seen is None:
        raise PlanRefusedError(f"operation {number}: {draft.label(vmid)} is made by this change; give it its size there")
    have = seen.config
    wanted = {"cores": want.cores, "memory": want.memory_mb, "swap": want.swap_mb}
    present = {"cores": have.cores, "memory": have.memory_mb, "swap": have.swap_mb}
    differing = {name: value for name, value in wanted.items() if value is not None and value != present[name]}
    if differing:
        was = {name: present[name] for name in differing}
        draft.call(number, CONFIGURE, vmid, f"set {', '.join(differing)} of {seen.label}", node=want.node, options=differing, was=was)
        back: Json = {"op": "lxc.resize", "container": vmid}
        for name, value in was.items():
            if value is not None:
                back["cores" if name == "cores" else f"{name}_mb"] = value
        for name, value in differing.items():
            unit = "" if name == "cores" else " MiB"
            have_text = "all" if was[name] is None else f"{was[name]}{unit}"
            draft.diff.append(f"~ {seen.label}: {name} {have_text} → {value}{unit}")
        draft.risks.append("lxc.resize")
        draft.undo.insert(0, back)
    _grow(draft, number, want, seen)


def _grow(draft: _Draft, number: int, want: ops.Resize, seen: Seen) -> None:
    if want.disk_gb is None or want.disk_gb == seen.config.disk_gb:
        return
    if want.disk_gb < seen.config.disk_gb:
        raise PlanRefusedError(f"operation {number}: the disk of {seen.label} has {seen.config.disk_gb:g} GiB; a disk never shrinks")
    draft.call(number, GROW, seen.info.vmid, f"grow the disk of {seen.label}", node=want.node, disk_gb=want.disk_gb)
    draft.changed("lxc.resize.disk", f"~ {seen.label}: disk {seen.config.disk_gb:g} → {want.disk_gb} GiB, for good", None)


def _backup(draft: _Draft, number: int, want: ops.Backup) -> None:
    vmid = int(want.container)
    draft.require(number, vmid)
    about = f"back {draft.label(vmid)} up to {want.storage}"
    if draft.call(number, BACKUP, vmid, about, shows=False, node=want.node, storage=want.storage):
        draft.changed("lxc.backup", f"+ backup of {draft.label(vmid)} on {want.storage}", None)


def _dispatch(draft: _Draft, number: int, operation: ops.ContainerOperation, change_id: str) -> None:
    match operation:
        case ops.Create():
            _create(draft, number, operation)
        case ops.Clone():
            _clone(draft, number, operation)
        case ops.Start():
            _start(draft, number, operation)
        case ops.Shutdown():
            _end(draft, number, operation, SHUTDOWN, timeout_s=operation.timeout_s, force=operation.force)
        case ops.Stop():
            _end(draft, number, operation, STOP)
        case ops.Reboot():
            _reboot(draft, number, operation)
        case ops.Delete():
            _delete(draft, number, operation)
        case ops.TakeSnapshot():
            _take_snapshot(draft, number, operation)
        case ops.Rollback():
            _rollback(draft, number, operation, change_id)
        case ops.DeleteSnapshot():
            _delete_snapshot(draft, number, operation)
        case ops.Resize():
            _resize(draft, number, operation)
        case ops.Backup():
            _backup(draft, number, operation)
