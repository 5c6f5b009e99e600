"""executor lxc: containers, in words or by typed operations. Everything that changes something is planned, shown and consented to."""

import json
from collections.abc import Sequence
from typing import IO, TYPE_CHECKING

import click

from executor_tui.cli.context import Cli, common, table
from executor_tui.cli.machines import How, WordsGroup, asking, change, megabytes, with_device

if TYPE_CHECKING:
    from executor_tui.agents.containers.orphans import Orphan
    from executor_tui.agents.device import Device, Json
    from executor_tui.config.load import Config
    from executor_tui.infra.proxmox.driver import Proxmox
    from executor_tui.infra.proxmox.model import Cluster, Container, ContainerConfig, Snapshot, Template
    from executor_tui.store.store import Store

KIND = "proxmox"


@click.group(cls=WordsGroup, context_settings={"help_option_names": ["-h", "--help"]})
def command() -> None:
    """Containers on Proxmox. `executor lxc "a Debian box with 2 cores and 4 GB"` asks in words; the commands are the typed operations.

    Every change takes --plan (show, do nothing), --yes and --confirm WORD (consent beforehand).
    """


def _driver(device: "Device") -> "Proxmox":
    from executor_tui.agents.proxmox import ProxmoxDevice

    assert isinstance(device, ProxmoxDevice)
    return device.driver


device_option = click.option("--device", default="", metavar="ID", help="The agent whose cluster is meant, when there are several.")


# -- looking -------------------------------------------------------------------------------------------------------------------------------


@command.command("list")
@click.option("--all", "everything", is_flag=True, help="Those that are not ours too.")
@device_option
@common
def list_(cli: Cli, everything: bool, device: str) -> None:
    """Containers, ours only unless --all."""

    async def work(machine: "Device", store: "Store", config: "Config") -> "tuple[Container, ...]":
        return await _driver(machine).containers()

    found = [c for c in with_device(cli, KIND, device, work) if everything or "executor" in c.tags]
    cli.emit({"containers": found}, lambda: _containers(found))


def _containers(found: "Sequence[Container]") -> str:
    rows = [
        (str(c.vmid), c.name, c.power, c.node, f"{c.cores:g}", f"{c.memory // 1024**2}M", f"{c.disk / 1024**3:g}G", c.lock or "-",
         ",".join(c.tags) or "-")
        for c in found
    ]  # fmt: skip
    return table(
        ("ID", "NAME", "STATE", "NODE", "CORES", "MEMORY", "DISK", "LOCK", "TAGS"), rows, "no containers of ours; see all with: --all"
    )


@command.command("nodes")
@device_option
@common
def nodes(cli: Cli, device: str) -> None:
    """Nodes and their room, and the storages containers can go to."""

    async def work(machine: "Device", store: "Store", config: "Config") -> "Cluster":
        return await _driver(machine).cluster()

    cluster = with_device(cli, KIND, device, work)
    cli.emit({"status": cluster.status, "nodes": cluster.nodes, "storages": cluster.storages}, lambda: _nodes(cluster))


def _nodes(cluster: "Cluster") -> str:
    gib = 1024**3
    rows = [
        (n.name, "online" if n.online else "offline", str(n.cores), f"{n.load:.0%}", f"{n.memory_free / gib:.1f}G of {n.memory / gib:.1f}G")
        for n in cluster.nodes
    ]
    storages = [
        (s.name, s.node, s.kind, ",".join(sorted(s.content)), f"{s.free / gib:.1f}G of {s.size / gib:.1f}G" if s.size else "-")
        for s in cluster.storages
    ]
    head = "" if cluster.status.quorate else "no quorum: it can be read, not changed\n\n"
    first = table(("NODE", "STATE", "CORES", "LOAD", "MEMORY FREE"), rows, "no nodes")
    return head + first + "\n\n" + table(("STORAGE", "NODE", "KIND", "CONTENT", "FREE"), storages, "no storages")


@command.command("templates")
@device_option
@common
def templates(cli: Cli, device: str) -> None:
    """Templates a container can be made from."""

    async def work(machine: "Device", store: "Store", config: "Config") -> "tuple[Template, ...]":
        driver = _driver(machine)
        return await driver.templates(await driver.cluster())

    found = with_device(cli, KIND, device, work)
    rows = [(t.volume, t.node or "shared") for t in found]
    hint = "no templates; download one on the node with: pveam download STORAGE TEMPLATE"
    cli.emit({"templates": found}, lambda: table(("TEMPLATE", "NODE"), rows, hint))


@command.command("show")
@click.argument("container")
@device_option
@common
def show(cli: Cli, container: str, device: str) -> None:
    """One container: configuration, snapshots, addresses."""

    async def work(machine: "Device", store: "Store", config: "Config") -> "tuple[ContainerConfig, tuple[Snapshot, ...], tuple[str, ...]]":
        driver = _driver(machine)
        found = await _find(driver, container)
        there = await driver.addresses(found.node, found.vmid) if found.power == "running" else ()
        return await driver.config(found.node, found.vmid), await driver.snapshots(found.node, found.vmid), there

    config, snapshots, addresses = with_device(cli, KIND, device, work)

    def text() -> str:
        size = f"{config.cores or 'all'} cores, {config.memory_mb} MiB memory, {config.swap_mb} MiB swap"
        size += f", {config.disk_gb:g} GiB on {config.storage}"
        lines = [f"{config.vmid} {config.hostname}", size, f"addresses: {', '.join(addresses) or config.address or 'none yet'}"]
        lines.append(f"snapshots: {', '.join(s.name for s in snapshots) or 'none'}")
        return "\n".join([*lines, f"tags: {', '.join(config.tags) or 'none'}"])

    cli.emit({"config": config, "snapshots": snapshots, "addresses": addresses}, text)


async def _find(driver: "Proxmox", named: str) -> "Container":
    from executor_tui.infra.proxmox.errors import MissingError

    if named.isdigit():
        return await driver.container(int(named))
    found = [c for c in await driver.containers() if c.name == named]
    if len(found) != 1:
        what = f"several containers are named {named!r}: say which id" if found else f"no container named {named!r}"
        raise MissingError(driver.target.name, what, hint="see what there is with: executor lxc list --all")
    return found[0]


@command.command("operations")
@common
def operations(cli: Cli) -> None:
    """The typed operations and what each takes, as JSON Schema."""
    from executor_tui.agents.containers.operations import OPERATIONS

    schemas = {str(cls.model_fields["op"].annotation.__args__[0]): cls.model_json_schema() for cls in OPERATIONS}  # type: ignore[union-attr]
    lines = [f"{name}: {str(schema.get('description', '')).splitlines()[0]}" for name, schema in schemas.items()]
    cli.emit({"operations": schemas}, "\n".join(lines))


# -- changing ------------------------------------------------------------------------------------------------------------------------------


def _set(op: str, **values: object) -> "Json":
    """An operation with what was given; an option that was not is left open."""
    return {"op": op, **{name: value for name, value in values.items() if value not in (None, "", ())}}


@command.command("create")
@click.argument("hostname", required=False, default="")
@click.option("--template", default="", help="A template, or part of its name; needed when there are several.")
@click.option("--storage", default="", help="Where its disk goes; needed when there are several.")
@click.option("--node", default="", help="The node; otherwise the one with the most room.")
@click.option("--vmid", type=int, help="Its id; otherwise the next free one.")
@click.option("--cores", type=int)
@click.option("--memory", metavar="MB|4G")
@click.option("--swap", metavar="MB|1G")
@click.option("--disk", "disk_gb", type=int, metavar="GB")
@click.option("--address", default="", metavar="CIDR|dhcp", help="Otherwise from the configured range, else DHCP.")
@click.option("--gateway", default="", metavar="ADDRESS")
@click.option("--nesting", is_flag=True, help="Let containers run inside it.")
@click.option("--no-start", is_flag=True, help="Create it only.")
@click.option("--count", type=click.IntRange(1, 100), default=1, show_default=True, help="How many; they are made side by side.")
@asking
@common
def create(
    cli: Cli, hostname: str, template: str, storage: str, node: str, vmid: int | None, cores: int | None, memory: str | None,
    swap: str | None, disk_gb: int | None, address: str, gateway: str, nesting: bool, no_start: bool, count: int, how: How,
) -> None:  # fmt: skip
    """Create an unprivileged container and start it."""
    wanted = _set(
        "lxc.create", hostname=hostname, template=template, storage=storage, node=node, vmid=vmid, cores=cores, memory_mb=megabytes(memory),
        swap_mb=megabytes(swap), disk_gb=disk_gb, address=address, gateway=gateway, project=how.project,
    )  # fmt: skip
    wanted |= {"nesting": True} if nesting else {}
    wanted |= {"start": False} if no_start else {}
    many = [{**wanted, **({"hostname": f"{hostname}-{n}"} if hostname and count > 1 else {})} for n in range(1, count + 1)]
    change(cli, KIND, many, how)


@command.command("clone")
@click.argument("container")
@click.argument("hostname", required=False, default="")
@click.option("--snapshot", default="", help="Copy its state at this snapshot; needed when it runs.")
@click.option("--vmid", type=int)
@click.option("--address", default="", metavar="CIDR|dhcp")
@click.option("--start", is_flag=True, help="Start the copy.")
@asking
@common
def clone(
    cli: Cli, container: str, hostname: str, snapshot: str, vmid: int | None, address: str, start: bool, how: How
) -> None:  # fmt: skip
    """Make a full copy of a container."""
    wanted = _set("lxc.clone", container=container, hostname=hostname, snapshot=snapshot, vmid=vmid, address=address, project=how.project)
    change(cli, KIND, [{**wanted, **({"start": True} if start else {})}], how)


def _simple(name: str, op: str, text: str) -> None:
    """A command that takes nothing but containers."""

    @command.command(name, help=text)
    @click.argument("containers", nargs=-1, required=True, metavar="CONTAINER…")
    @asking
    @common
    def run(cli: Cli, containers: tuple[str, ...], how: How) -> None:
        change(cli, KIND, [_set(op, container=c) for c in containers], how)


_simple("start", "lxc.start", "Start containers.")
_simple("stop", "lxc.stop", "Stop containers at once, as pulling the plug.")
_simple("reboot", "lxc.reboot", "Restart running containers.")
_simple("delete", "lxc.delete", "Delete containers with their disks and snapshots. Nothing brings them back; see also: backup.")
_simple("backup", "lxc.backup", "Write backups of containers to the storage that takes them.")


@command.command("shutdown")
@click.argument("containers", nargs=-1, required=True, metavar="CONTAINER…")
@click.option("--timeout", "timeout_s", type=int, default=60, show_default=True, metavar="SECONDS")
@click.option("--force", is_flag=True, help="Stop it hard when it does not end in time.")
@asking
@common
def shutdown(cli: Cli, containers: tuple[str, ...], timeout_s: int, force: bool, how: How) -> None:
    """Ask containers to end by themselves."""
    more = {"force": True} if force else {}
    change(cli, KIND, [{**_set("lxc.shutdown", container=c, timeout_s=timeout_s), **more} for c in containers], how)


@command.command("snapshot")
@click.argument("container")
@click.argument("name")
@click.option("--description", default="")
@asking
@common
def snapshot(cli: Cli, container: str, name: str, description: str, how: How) -> None:
    """Take a snapshot."""
    change(cli, KIND, [_set("lxc.snapshot", container=container, name=name, description=description)], how)


@command.command("rollback")
@click.argument("container")
@click.argument("name")
@click.option("--start", is_flag=True, help="Start it again afterwards.")
@asking
@common
def rollback(cli: Cli, container: str, name: str, start: bool, how: How) -> None:
    """Put a container back to a snapshot; a snapshot of how it is now is kept where the storage allows it."""
    change(cli, KIND, [{**_set("lxc.rollback", container=container, name=name), **({"start": True} if start else {})}], how)


@command.command("delete-snapshot")
@click.argument("container")
@click.argument("name")
@asking
@common
def delete_snapshot(cli: Cli, container: str, name: str, how: How) -> None:
    """Delete a snapshot."""
    change(cli, KIND, [_set("lxc.delete_snapshot", container=container, name=name)], how)


@command.command("resize")
@click.argument("container")
@click.option("--cores", type=int)
@click.option("--memory", metavar="MB|4G")
@click.option("--swap", metavar="MB|1G")
@click.option("--disk", "disk_gb", type=int, metavar="GB", help="Its whole size afterwards; a disk only grows.")
@asking
@common
def resize(
    cli: Cli, container: str, cores: int | None, memory: str | None, swap: str | None, disk_gb: int | None, how: How
) -> None:  # fmt: skip
    """Give a container more or less."""
    wanted = _set("lxc.resize", container=container, cores=cores, memory_mb=megabytes(memory), swap_mb=megabytes(swap), disk_gb=disk_gb)
    if len(wanted) == 2:
        raise click.UsageError("say what to change: --cores, --memory, --swap or --disk")
    change(cli, KIND, [wanted], how)


@command.command("apply")
@click.argument("file", type=click.File("r"), default="-")
@asking
@common
def apply(cli: Cli, file: "IO[str]", how: How) -> None:
    """Apply typed operations: a JSON list from FILE, or from stdin."""
    try:
        given = json.load(file)
    except ValueError as exc:
        raise click.UsageError(f"{file.name} is not JSON: {exc}") from exc
    wanted = given if isinstance(given, list) else [given]
    if not all(isinstance(item, dict) for item in wanted):
        raise click.UsageError("the operations must be JSON objects; see: executor lxc operations --json")
    change(cli, KIND, wanted, how)


@command.command("orphans")
@click.option("--collect", is_flag=True, help="Delete or stop them, as containers.keep in executor.json says.")
@asking
@common
def orphans(cli: Cli, collect: bool, how: How) -> None:
    """Containers of ours that nobody needs any more."""
    from executor_tui.agents.containers import orphans as finding

    async def work(machine: "Device", store: "Store", config: "Config") -> "tuple[tuple[Orphan, ...], str]":
        projects = {p.id: p.status for p in await store.projects.list()}
        changes = {c.id: c.status for c in await store.changes.list()}
        return finding.orphans(await _driver(machine).containers(), projects, changes), config.executor.containers.keep

    found, keep = with_device(cli, KIND, how.device, work)
    rows = [(str(o.container.vmid), o.container.name, o.container.power, o.container.node, o.reason) for o in found]
    if not collect or not found:
        cli.emit({"orphans": found}, lambda: table(("ID", "NAME", "STATE", "NODE", "WHY"), rows, "no orphans"))
        return
    todo = finding.collecting(found, keep)  # type: ignore[arg-type]
    if not todo:
        cli.emit({"orphans": found, "policy": keep}, f"{len(found)} orphans; the policy (containers.keep: {keep}) leaves them as they are")
        return
    change(cli, KIND, todo, how)


@command.command("ask", hidden=True)
@click.argument("request")
@asking
@common
def ask(cli: Cli, request: str, how: How) -> None:
    """A request in words: the agent looks, proposes typed operations, and they become a change."""
    from executor_tui.cli.words import ask_in_words

    ask_in_words(cli, KIND, request, how)
