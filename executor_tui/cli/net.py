"""executor net: the router, in words or by typed operations. Everything that changes something is planned, shown and consented to."""

import json
import shlex
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from executor_tui.cli import net_looking
from executor_tui.cli.context import Cli, common
from executor_tui.cli.machines import How, WordsGroup, asking, change

if TYPE_CHECKING:
    from executor_tui.agents.device import Json

KIND = "routeros"
F = TypeVar("F", bound=Callable[..., Any])


@click.group(cls=WordsGroup, context_settings={"help_option_names": ["-h", "--help"]})
def command() -> None:
    """The router. `executor net "give 10.0.0.23 at most 20 Mbit down"` asks in words; the commands are the typed operations.

    Every change takes --plan (show, do nothing), --yes and --confirm WORD (consent beforehand).
    """


for looking in net_looking.COMMANDS:
    command.add_command(looking)


def _set(op: str, **values: object) -> "Json":
    """An operation with what was given; an option that was not is left open."""
    return {"op": op, **{name: value for name, value in values.items() if value not in (None, "", (), False)}}


note_option = click.option("--note", default="", metavar="WORDS", help="A few words for the comment.")
kind_argument = click.argument(
    "kind", type=click.Choice(["rule", "rule6", "nat", "nat6", "address", "address6", "queue", "tree", "wireguard", "peer"])
)  # fmt: skip


def matching(function: F) -> F:
    """The options that say which traffic a rule is about."""
    for option, text in reversed(_MATCHERS):
        function = click.option(option, default="", metavar=text)(function)
    return function


_MATCHERS = (
    ("--protocol", "tcp|udp|icmp|…"), ("--src-address", "ADDRESS"), ("--dst-address", "ADDRESS"), ("--src-address-list", "LIST"),
    ("--dst-address-list", "LIST"), ("--src-port", "PORTS"), ("--dst-port", "PORTS"), ("--in-interface", "NAME"),
    ("--out-interface", "NAME"), ("--in-interface-list", "LIST"), ("--out-interface-list", "LIST"), ("--connection-state", "STATES"),
    ("--src-mac-address", "MAC"),
)  # fmt: skip


# -- firewall ------------------------------------------------------------------------------------------------------------------------------


@command.command("rule")
@click.argument("action", type=click.Choice(["accept", "drop", "reject", "log"]))
@click.option("--chain", default="forward", show_default=True, help="input: to the router; forward: through it; output: from it.")
@matching
@click.option("--ipv6", is_flag=True)
@click.option("--place", type=click.Choice(["before_drops", "first", "last"]), default="before_drops", show_default=True)
@click.option("--before", default="", metavar="ID", help="The .id of the rule it must come before.")
@click.option("--log", is_flag=True, help="Write a line to the router's log for each packet.")
@note_option
@asking
@common
def rule(cli: Cli, action: str, ipv6: bool, how: How, **values: Any) -> None:
    """Let through, drop, reject or log traffic."""
    change(cli, KIND, [_set("net.rule", action=action, family="ipv6" if ipv6 else "", **values)], how)


@command.command("list-add")
@click.argument("list_name", metavar="LIST")
@click.argument("addresses", nargs=-1, required=True, metavar="ADDRESS…")
@click.option("--timeout", default="", metavar="30m|12h|7d", help="Goes away by itself after this long.")
@note_option
@asking
@common
def list_add(cli: Cli, list_name: str, addresses: tuple[str, ...], timeout: str, note: str, how: How) -> None:
    """Put addresses, networks or host names on an address list."""
    change(cli, KIND, [_set("net.address", list=list_name, address=a, timeout=timeout, note=note) for a in addresses], how)


@command.command("list-remove")
@click.argument("list_name", metavar="LIST")
@click.argument("addresses", nargs=-1, required=True, metavar="ADDRESS…")
@click.option("--foreign", is_flag=True, help="Also when Executor did not put it there.")
@asking
@common
def list_remove(cli: Cli, list_name: str, addresses: tuple[str, ...], foreign: bool, how: How) -> None:
    """Take addresses off an address list."""
    kinds = ["address6" if a.count(":") > 1 else "address" for a in addresses]
    wanted = [
        _set("net.remove", kind=k, name=f"{list_name} {a}", foreign=foreign) for k, a in zip(kinds, addresses, strict=True)
    ]  # fmt: skip
    change(cli, KIND, wanted, how)


@command.command("masquerade")
@click.option("--out-interface", default="", metavar="NAME")
@click.option("--out-interface-list", default="", metavar="LIST", help="WAN when neither is given.")
@click.option("--src-address", default="", metavar="NETWORK", help="Only what comes from there.")
@click.option("--ipv6", is_flag=True)
@note_option
@asking
@common
def masquerade(cli: Cli, out_interface: str, out_interface_list: str, src_address: str, ipv6: bool, note: str, how: How) -> None:
    """Hide what leaves behind the router's address (source NAT)."""
    family = "ipv6" if ipv6 else ""
    wanted = _set(
        "net.masquerade", out_interface=out_interface, out_interface_list=out_interface_list, src_address=src_address, family=family,
        note=note,
    )  # fmt: skip
    change(cli, KIND, [wanted], how)


@command.command("forward")
@click.argument("port")
@click.argument("to", metavar="ADDRESS[:PORT]|CONTAINER[:PORT]")
@click.option("--udp", is_flag=True, help="UDP; otherwise TCP.")
@click.option("--in-interface", default="", metavar="NAME")
@click.option("--in-interface-list", default="", metavar="LIST", help="WAN when neither is given.")
@click.option("--src-address", default="", metavar="ADDRESS", help="Only from there.")
@note_option
@asking
@common
def forward(cli: Cli, port: str, to: str, udp: bool, how: How, **values: Any) -> None:
    """Forward a port from outside to a machine inside (destination NAT)."""
    host, _, to_port = to.partition(":")
    wanted = _set("net.forward", port=port, protocol="udp" if udp else "", to_port=to_port, **values)
    change(cli, KIND, [{**wanted, **({"to_address": host} if _is_address(host) else {"container": host})}], how)


def _is_address(text: str) -> bool:
    return text.count(".") == 3 and text.replace(".", "").isdigit()


# -- WireGuard -----------------------------------------------------------------------------------------------------------------------------


@command.command("wireguard-add")
@click.argument("name", required=False, default="")
@click.option("--listen-port", type=int, help="Otherwise the next free one from 13231.")
@click.option("--address", default="", metavar="CIDR", help="The router's address in the tunnel; otherwise in a free 10.99 network.")
@click.option("--closed", is_flag=True, help="Do not let its port through the router's firewall.")
@click.option("--list", "list_name", default="", metavar="LAN", help="The interface list it joins: who comes in counts as inside.")
@note_option
@asking
@common
def wireguard_add(cli: Cli, name: str, closed: bool, list_name: str, how: How, **values: Any) -> None:
    """Make a WireGuard interface; its keys are made here."""
    wanted = _set("net.wireguard", name=name, list=list_name, **values)
    change(cli, KIND, [{**wanted, **({"open": False} if closed else {})}], how)


@command.command("peer")
@click.argument("name")
@click.option("--interface", default="", help="Needed when there are several.")
@click.option("--address", default="", help="The client's address; otherwise the next free one.")
@click.option("--public-key", default="", metavar="KEY", help="When the client has made its keys itself.")
@click.option("--endpoint", default="", metavar="HOST[:PORT]", help="Where the client finds the router.")
@click.option("--dns", default="", metavar="ADDRESS")
@click.option("--allowed", default="", metavar="NETWORKS", help="What the client sends through the tunnel; otherwise everything.")
@note_option
@asking
@common
def peer(cli: Cli, how: How, **values: Any) -> None:
    """Let somebody in over WireGuard. The configuration for the client afterwards: executor net client NAME."""
    change(cli, KIND, [_set("net.peer", **values)], how)


# -- bandwidth -----------------------------------------------------------------------------------------------------------------------------


@command.command("limit")
@click.argument("target", metavar="ADDRESS|NETWORK|INTERFACE", required=False, default="")
@click.option("--container", default="", metavar="ID|NAME", help="Instead of an address: a container.")
@click.option("--down", default="", metavar="20M", help="Bits per second towards it.")
@click.option("--up", default="", metavar="5M", help="Bits per second from it.")
@click.option("--name", default="", help="The queue's name.")
@click.option("--parent", default="", metavar="QUEUE")
@note_option
@asking
@common
def limit(cli: Cli, how: How, **values: Any) -> None:
    """Limit the bandwidth of something; asked again, the limit is changed."""
    change(cli, KIND, [_set("net.limit", **values)], how)


@command.command("tree")
@click.argument("name")
@click.argument("parent", metavar="INTERFACE|global|QUEUE")
@click.option("--packet-mark", default="")
@click.option("--limit", default="", metavar="20M", help="At most.")
@click.option("--guaranteed", default="", metavar="5M", help="At least.")
@click.option("--priority", type=click.IntRange(1, 8))
@note_option
@asking
@common
def tree(cli: Cli, how: How, **values: Any) -> None:
    """A queue of the queue tree."""
    change(cli, KIND, [_set("net.tree", **values)], how)


# -- what is there -------------------------------------------------------------------------------------------------------------------------


def naming(function: F) -> F:
    """Which row is meant."""
    for decorate in (
        click.option("--foreign", is_flag=True, help="It is not Executor's, and meant all the same."),
        click.option("--id", "identity", default="", metavar="*ID", help="Its .id, instead of a name."),
        click.argument("name", required=False, default=""),
    ):
        function = decorate(function)
    return function


@command.command("remove")
@kind_argument
@naming
@asking
@common
def remove(cli: Cli, kind: str, name: str, identity: str, foreign: bool, how: How) -> None:
    """Remove a row by its name or --id; only Executor's own, unless --foreign."""
    change(cli, KIND, [_set("net.remove", kind=kind, name=name, id=identity, foreign=foreign)], how)


def _switch(word: str, on: bool) -> None:
    @command.command(word, help=f"Switch a row {word} without removing it.")
    @kind_argument
    @naming
    @asking
    @common
    def run(cli: Cli, kind: str, name: str, identity: str, foreign: bool, how: How) -> None:
        change(cli, KIND, [{**_set("net.switch", kind=kind, name=name, id=identity, foreign=foreign), "on": on}], how)


_switch("on", True)
_switch("off", False)


@command.command("move")
@kind_argument
@naming
@click.option("--before", default="", metavar="*ID", help="The .id of the row it must come before; otherwise the end.")
@asking
@common
def move(cli: Cli, kind: str, name: str, identity: str, foreign: bool, before: str, how: How) -> None:
    """Move a rule or a limit."""
    change(cli, KIND, [_set("net.move", kind=kind, name=name, id=identity, foreign=foreign, before=before)], how)


# -- operations as they are ----------------------------------------------------------------------------------------------------------------


def operations_of(words: tuple[str, ...]) -> "list[Json]":
    """`limit target=10.0.0.23 down=20M`, or a JSON object or list; `-` or nothing reads JSON from stdin. Raises UsageError."""
    if not words and sys.stdin.isatty():
        raise click.UsageError("say which operation: 'limit target=10.0.0.23 down=20M'; see: executor net operations")
    if not words or words == ("-",):
        words = (sys.stdin.read(),)
    found: list[Json] = []
    for word in words:
        if word.lstrip().startswith(("{", "[")):
            found += _from_json(word)
            continue
        try:
            name, *pairs = shlex.split(word)
        except ValueError as exc:
            raise click.UsageError(f"{word!r}: {exc}") from exc
        wrong = next((pair for pair in pairs if "=" not in pair), None)
        if wrong is not None:
            raise click.UsageError(f"{wrong!r} is no NAME=VALUE; write an operation in one argument: 'limit target=10.0.0.23 down=20M'")
        op = name if name.startswith("net.") else f"net.{name}"
        found.append({"op": op, **dict(pair.split("=", 1) for pair in pairs)})
    return found


def _from_json(text: str) -> "list[Json]":
    try:
        given = json.loads(text)
    except ValueError as exc:
        raise click.UsageError(f"not JSON: {exc}") from exc
    wanted = given if isinstance(given, list) else [given]
    if not all(isinstance(item, dict) for item in wanted):
        raise click.UsageError("the operations must be JSON objects; see: executor net operations --json")
    return wanted


@command.command("plan")
@click.argument("words", nargs=-1, metavar="OP…")
@click.option("--device", default="", metavar="ID", help="The agent whose device is meant, when there are several.")
@common
def plan(cli: Cli, words: tuple[str, ...], device: str) -> None:
    """Show what typed operations would do, and do nothing."""
    change(cli, KIND, operations_of(words), How(device=device, plan_only=True))


@command.command("apply")
@click.argument("words", nargs=-1, metavar="OP…")
@asking
@common
def apply(cli: Cli, words: tuple[str, ...], how: How) -> None:
    """Apply typed operations: 'limit target=10.0.0.23 down=20M', or JSON, or JSON from stdin."""
    change(cli, KIND, operations_of(words), how)


@command.command("ask", hidden=True)
@click.argument("request")
@asking
@common
def ask(cli: Cli, request: str, how: How) -> None:
    """A request in words: the agent looks, proposes typed operations, and they become a change."""
    from executor_tui.cli.words import ask_in_words

    ask_in_words(cli, KIND, request, how)
