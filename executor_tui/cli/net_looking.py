"""The commands of `executor net` that only look. What a router says is data: control characters never reach the terminal."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from executor_tui.cli.context import Cli, common, table
from executor_tui.cli.machines import with_device
from executor_tui.config.places import write_atomically

if TYPE_CHECKING:
    from executor_tui.agents.device import Device
    from executor_tui.agents.routers.clients import Client
    from executor_tui.config.load import Config
    from executor_tui.infra.routeros.facts import Certificate, Ping, Resource, Update
    from executor_tui.infra.routeros.router import RouterOs
    from executor_tui.infra.routeros.rows import Item, Rule, SimpleQueue
    from executor_tui.store.store import Store

T = TypeVar("T")
KIND = "routeros"
FOLLOW_S = 2.0
device_option = click.option("--device", default="", metavar="ID", help="The agent whose router is meant, when there are several.")


def look(cli: Cli, device: str, work: "Callable[[RouterOs], Awaitable[T]]") -> T:
    """Read from the router."""

    async def run(machine: "Device", store: "Store", config: "Config") -> T:
        from executor_tui.agents.network import NetworkDevice

        assert isinstance(machine, NetworkDevice)
        return await machine.link.read(work)

    return with_device(cli, KIND, device, run)


def bits(rate: int) -> str:
    """`20000000` → `20M`; 0 is a dash."""
    for factor, letter in ((10**9, "G"), (10**6, "M"), (10**3, "k")):
        if rate >= factor:
            return f"{rate / factor:.3g}{letter}"
    return str(rate) if rate else "-"


def _flags(item: "Item") -> str:
    raw = item.raw
    words = [("off", raw.get("disabled") == "true"), ("dynamic", raw.get("dynamic") == "true"), ("invalid", raw.get("invalid") == "true")]
    return ",".join(word for word, on in words if on) or "-"


def _whose(item: "Item") -> str:
    from executor_tui.agents.routers.marks import mark_in

    return mark_in(item.raw) or "-"


@click.command("status")
@click.option("--ask-vendor", is_flag=True, help="Let the router ask MikroTik for a newer version; takes seconds.")
@device_option
@common
def status(cli: Cli, ask_vendor: bool, device: str) -> None:
    """Version, load, memory, disk, certificates, a waiting update."""

    async def work(router: "RouterOs") -> "tuple[Ping, Resource, tuple[Certificate, ...], Update]":
        ping = await router.ping()
        return ping, await router.resource(), await router.certificates(), await router.update_status(ask_vendor=ask_vendor)

    ping, resource, certificates, update = look(cli, device, work)
    document = {"ping": ping, "resource": resource, "certificates": certificates, "update": update}
    cli.emit(document, lambda: _status(ping, resource, certificates, update))


def _status(ping: "Ping", resource: "Resource", certificates: "tuple[Certificate, ...]", update: "Update") -> str:
    mib = 1024**2
    newest = f", {update.latest_version} is waiting" if update.is_waiting else ""
    rows = [
        ("identity", ping.identity), ("answers in", f"{ping.latency_s * 1000:.0f} ms"),
        ("RouterOS", f"{resource.version}{newest}"), ("board", f"{resource.board_name} ({resource.architecture_name})"),
        ("up for", f"{resource.uptime_s / 3600:.1f} h"), ("load", f"{resource.cpu_load_percent} % of {resource.cpu_count} cores"),
        ("memory free", f"{resource.free_memory_bytes // mib} of {resource.total_memory_bytes // mib} MiB"),
        ("disk free", f"{resource.free_hdd_space_bytes // mib} of {resource.total_hdd_space_bytes // mib} MiB"),
        *((f"certificate {c.name}", "expired" if c.expired else f"until {c.invalid_after}") for c in certificates),
    ]  # fmt: skip
    return table(("WHAT", "NOW"), rows, "")


@click.command("interfaces")
@device_option
@common
def interfaces(cli: Cli, device: str) -> None:
    """Interfaces and what they have carried."""
    from executor_tui.infra.routeros.rows import Interface

    found = look(cli, device, lambda router: router.read(Interface))
    rows = [
        (i.name, i.type, "running" if i.running else "down", f"{i.rx_byte / 1e9:.2f}G", f"{i.tx_byte / 1e9:.2f}G", i.mac_address or "-",
         i.comment)
        for i in found
    ]  # fmt: skip
    cli.emit({"interfaces": found}, lambda: table(("NAME", "TYPE", "STATE", "IN", "OUT", "MAC", "COMMENT"), rows, "no interfaces"))


@click.command("leases")
@device_option
@common
def leases(cli: Cli, device: str) -> None:
    """Who has which address (DHCP leases)."""
    from executor_tui.infra.routeros.rows import Lease

    found = look(cli, device, lambda router: router.read(Lease))
    rows = [(i.address, i.mac_address, i.host_name or "-", i.status, "fixed" if not i.dynamic else "dynamic", i.comment) for i in found]
    cli.emit({"leases": found}, lambda: table(("ADDRESS", "MAC", "HOST", "STATUS", "KIND", "COMMENT"), rows, "no leases"))


@click.command("logs")
@click.option("--last", type=click.IntRange(1, 10_000), default=50, show_default=True)
@device_option
@common
def logs(cli: Cli, last: int, device: str) -> None:
    """The newest lines of the router's log."""
    found = look(cli, device, lambda router: router.log(last))
    rows = [(line.time, ",".join(line.topics), line.message) for line in found]
    cli.emit({"lines": found}, lambda: table(("TIME", "TOPICS", "MESSAGE"), rows, "the log is empty"))


@click.command("export")
@click.argument("scope", required=False, default="", metavar="[MENU]")
@device_option
@common
def export(cli: Cli, scope: str, device: str) -> None:
    """The configuration as a script, secrets left out; MENU such as /ip/firewall for a part."""
    scope = "/" + scope.strip("/ ").replace(" ", "/") if scope.strip("/ ") else ""
    text = look(cli, device, lambda router: router.export(scope))
    cli.emit({"export": text}, "\n".join("".join(c if c.isprintable() else " " for c in line) for line in text.splitlines()))


@click.command("rules")
@click.option("--nat", is_flag=True, help="NAT instead of the filter.")
@click.option("--ipv6", is_flag=True)
@click.option("--chain", default="", help="Only this chain.")
@device_option
@common
def rules(cli: Cli, nat: bool, ipv6: bool, chain: str, device: str) -> None:
    """Firewall rules in their order, with what they have counted."""
    from executor_tui.infra.routeros.rows import Rule

    menu = f"/{'ipv6' if ipv6 else 'ip'}/firewall/{'nat' if nat else 'filter'}"
    found = [r for r in look(cli, device, lambda router: router.read(Rule, menu=menu)) if chain in ("", r.chain)]
    cli.emit({"rules": [{**dict(r.raw), "ours": _whose(r) != "-"} for r in found]}, lambda: _rules(found))


def _rules(found: "Sequence[Rule]") -> str:
    from executor_tui.agents.routers.draft import words_of

    rows = [(r.id, r.chain, r.action or "accept", words_of(r.raw) or "everything", f"{r.packets}", _flags(r), r.comment) for r in found]
    return table(("ID", "CHAIN", "ACTION", "WHAT", "PACKETS", "FLAGS", "COMMENT"), rows, "no rules")


@click.command("lists")
@click.argument("name", required=False, default="")
@click.option("--ipv6", is_flag=True)
@device_option
@common
def lists(cli: Cli, name: str, ipv6: bool, device: str) -> None:
    """Address lists."""
    from executor_tui.infra.routeros.rows import ListedAddress

    menu = f"/{'ipv6' if ipv6 else 'ip'}/firewall/address-list"
    found = [a for a in look(cli, device, lambda router: router.read(ListedAddress, menu=menu)) if name in ("", a.list)]
    rows = [(a.list, a.address, f"{a.timeout_s:.0f}s" if a.timeout_s else "stays", _flags(a), a.comment) for a in found]
    cli.emit({"addresses": found}, lambda: table(("LIST", "ADDRESS", "FOR", "FLAGS", "COMMENT"), rows, "no addresses"))


@click.command("wireguard")
@device_option
@common
def wireguard(cli: Cli, device: str) -> None:
    """WireGuard interfaces and peers; keys are never shown, but public ones."""
    from executor_tui.infra.routeros.rows import Wireguard, WireguardPeer

    async def work(router: "RouterOs") -> "tuple[tuple[Wireguard, ...], tuple[WireguardPeer, ...]]":
        return await router.read(Wireguard), await router.read(WireguardPeer)

    tunnels, peers = look(cli, device, work)
    first = [(t.name, str(t.listen_port), "running" if t.running else "down", t.public_key, t.comment) for t in tunnels]
    second = [
        (p.name, p.interface, ",".join(p.allowed_address), f"{p.last_handshake_s:.0f}s ago" if p.last_handshake_s else "never",
         f"{p.rx / 1e6:.1f}M", f"{p.tx / 1e6:.1f}M", p.comment)
        for p in peers
    ]  # fmt: skip

    def text() -> str:
        above = table(("INTERFACE", "PORT", "STATE", "PUBLIC KEY", "COMMENT"), first, "no WireGuard interface")
        return above + "\n\n" + table(("PEER", "INTERFACE", "ADDRESSES", "HANDSHAKE", "IN", "OUT", "COMMENT"), second, "no peers")

    cli.emit({"interfaces": tunnels, "peers": peers}, text)


@click.command("ppp")
@device_option
@common
def ppp(cli: Cli, device: str) -> None:
    """PPP accounts, without their passwords, and who is connected."""
    from executor_tui.infra.routeros.rows import PppSecret, PppSession

    async def work(router: "RouterOs") -> tuple[tuple[PppSecret, ...], tuple[PppSession, ...]]:
        return await router.read(PppSecret), await router.read(PppSession)

    accounts, sessions = look(cli, device, work)
    online = {s.name: s.address for s in sessions}
    rows = [(a.name, a.service, a.profile, a.remote_address or "-", online.get(a.name, "-"), _flags(a), a.comment) for a in accounts]
    head = ("NAME", "SERVICE", "PROFILE", "ADDRESS", "CONNECTED AS", "FLAGS", "COMMENT")
    cli.emit({"accounts": accounts, "sessions": sessions}, lambda: table(head, rows, "no PPP accounts"))


@click.command("queues")
@device_option
@common
def queues(cli: Cli, device: str) -> None:
    """Limits: simple queues and the queue tree, with what goes through them now."""
    from executor_tui.infra.routeros.rows import SimpleQueue, TreeQueue

    async def work(router: "RouterOs") -> tuple[tuple[SimpleQueue, ...], tuple[TreeQueue, ...]]:
        return await router.read(SimpleQueue), await router.read(TreeQueue)

    simple, tree = look(cli, device, work)
    rows = [
        (q.name, q.parent, q.packet_mark or "-", bits(q.max_limit_bps), bits(q.limit_at_bps), bits(q.rate_bps), _flags(q)) for q in tree
    ]

    def text() -> str:
        below = "\n\n" + table(("TREE", "PARENT", "MARK", "AT MOST", "AT LEAST", "NOW", "FLAGS"), rows, "") if rows else ""
        return _queues(simple) + below

    cli.emit({"queues": simple, "tree": tree}, text)


def _queues(found: "Sequence[SimpleQueue]") -> str:
    rows = [
        (q.name, ",".join(q.target), bits(q.max_limit_bps.down), bits(q.max_limit_bps.up), bits(q.rate_bps.down), bits(q.rate_bps.up),
         _flags(q), _whose(q))
        for q in found
    ]  # fmt: skip
    return table(("NAME", "TARGET", "DOWN", "UP", "DOWN NOW", "UP NOW", "FLAGS", "OURS"), rows, "no limits")


@click.command("rates")
@click.argument("names", nargs=-1, metavar="[INTERFACE…]")
@click.option("-f", "--follow", is_flag=True, help="Again and again, until interrupted.")
@device_option
@common
def rates(cli: Cli, names: tuple[str, ...], follow: bool, device: str) -> None:
    """What goes through interfaces and limits right now."""
    from executor_tui.infra.routeros.rows import Interface

    async def once(router: "RouterOs") -> None:
        wanted = names or tuple(i.name for i in await router.read(Interface) if i.running)
        through, limited = await router.interface_rates(wanted), await router.queue_rates()
        rows = [(r.name, "interface", bits(r.rx_bps), bits(r.tx_bps), "-") for r in through]
        rows += [
            (q.name, "limit", bits(q.rate_bps.up), bits(q.rate_bps.down), f"{bits(q.max_limit_bps.up)}/{bits(q.max_limit_bps.down)}")
            for q in limited
        ]  # fmt: skip
        document = {"interfaces": through, "queues": limited}
        text = table(("NAME", "KIND", "IN", "OUT", "LIMIT"), rows, "nothing runs")
        if follow:
            cli.line(document, text)
        else:
            cli.emit(document, text)

    async def work(router: "RouterOs") -> None:
        await once(router)
        while follow:
            await asyncio.sleep(FOLLOW_S)
            await once(router)

    look(cli, device, work)


@click.command("client")
@click.argument("name")
@click.option("--interface", default="", help="Needed when the name is on several.")
@click.option("--qr", is_flag=True, help="As a QR code for a phone, in the terminal.")
@click.option("--svg", type=click.Path(dir_okay=False, writable=True, path_type=Path), help="Write the QR code to a file.")
@device_option
@common
def client(cli: Cli, name: str, interface: str, qr: bool, svg: Path | None, device: str) -> None:
    """The configuration of a WireGuard client Executor let in. It holds the client's private key."""

    async def work(machine: "Device", store: "Store", config: "Config") -> "Client":
        from executor_tui.agents.credentials import open_secret
        from executor_tui.agents.network import NetworkDevice
        from executor_tui.agents.routers.clients import client_of

        assert isinstance(machine, NetworkDevice)

        async def secret(ref: str) -> str:
            return await open_secret(store, config.executor.vault, cli.places, ref)

        return await machine.link.read(lambda router: client_of(router, machine.id, store, secret, name, interface))

    found = with_device(cli, KIND, device, work)
    if svg is not None:
        write_atomically(svg, found.qr_svg())
        cli.emit({"name": found.name, "svg": str(svg)}, f"{svg} holds the QR code, private key and all; delete it once it is scanned")
        return
    cli.emit({"name": found.name, "config": found.text()}, lambda: found.qr_text() if qr else found.text().rstrip("\n"))


@click.command("operations")
@common
def operations(cli: Cli) -> None:
    """The typed operations and what each takes, as JSON Schema."""
    from executor_tui.agents.routers.operations import OPERATIONS
    from executor_tui.agents.typed import name_of

    schemas = {name_of(cls): cls.model_json_schema() for cls in OPERATIONS}
    lines = [f"{name}: {str(schema.get('description', '')).splitlines()[0]}" for name, schema in schemas.items()]
    cli.emit({"operations": schemas}, "\n".join(lines))


COMMANDS = (status, interfaces, leases, logs, export, rules, lists, wireguard, ppp, queues, rates, client, operations)
