"""The typed operations on a router. Their JSON schema is also the schema of the tool a model proposes them with.

Fields that a caller may leave open have an empty default; `resolve` fills them in once, and planning sees only complete operations.
"""

import ipaddress
import re
from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal, get_args

from pydantic import AfterValidator, Field, TypeAdapter, model_validator

from executor_tui.agents import typed
from executor_tui.agents.device import Json
from executor_tui.agents.typed import Operation as Operation
from executor_tui.agents.typed import dump as dump
from executor_tui.infra.routeros.values import meaning, parse_amount, parse_seconds
from executor_tui.infra.routeros.wireguard_keys import is_key

_IDENTITY = r"^$|^\*[0-9A-Fa-f]+$"
_STATE = "(established|invalid|new|related|untracked)"
_WORD = r"^$|^!?[A-Za-z0-9][A-Za-z0-9._-]{0,62}$"


def _match(text: str) -> str:
    """What a rule may match an address with."""
    return _checked(text, "matcher", "an address, a prefix or a range such as 10.0.0.5, 10.0.0.0/24 or 10.0.0.1-10.0.0.9")


def _ports(text: str) -> str:
    kind = meaning("ports", text)
    bounds = [n for pair in kind[1] for n in pair] if isinstance(kind, tuple) and kind and isinstance(kind[1], tuple) else []
    if text and (not bounds or not all(0 < n < 65_536 for n in bounds)):
        raise ValueError("write ports as 80, 80,443 or 8000-8100")
    return text


def _checked(text: str, kind: str, wanted: str) -> str:
    if text and meaning(kind, text) == ("text", text):
        raise ValueError(f"write {wanted}")
    return text


def _rate(text: str) -> str:
    if text:
        try:
            parse_amount(text)
        except ValueError:
            raise ValueError("write bits per second as 20M, 512k or 1500000") from None
    return text


def _interval(text: str) -> str:
    if text:
        try:
            parse_seconds(text)
        except ValueError:
            raise ValueError("write a time as 30m, 12h or 7d") from None
    return text


def _one_address(text: str) -> str:
    if text:
        ipaddress.ip_address(text)
    return text


def _with_prefix(text: str) -> str:
    if text and "/" not in text:
        raise ValueError("write an address with its prefix, such as 10.99.1.1/24")
    if text:
        ipaddress.ip_interface(text)
    return text


def _networks(text: str) -> str:
    for part in filter(None, text.split(",")):
        ipaddress.ip_network(part.strip(), strict=False)
    return text.replace(" ", "")


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("one line of printable characters")
    return text


def _key(text: str) -> str:
    if text and not is_key(text):
        raise ValueError("a WireGuard key is 32 bytes in base64")
    return text


def _host(text: str) -> str:
    if text and not re.fullmatch(r"[A-Za-z0-9._-]{1,253}(:\d{1,5})?|\[[0-9a-fA-F:]+\](:\d{1,5})?", text):
        raise ValueError("write a host, or host:port, such as vpn.example.org:13231")
    return text


Match = Annotated[str, AfterValidator(_match)]
Ports = Annotated[str, AfterValidator(_ports)]
Rate = Annotated[str, AfterValidator(_rate)]
Interval = Annotated[str, AfterValidator(_interval)]
OneAddress = Annotated[str, AfterValidator(_one_address)]
Prefixed = Annotated[str, AfterValidator(_with_prefix)]
Networks = Annotated[str, AfterValidator(_networks)]
Note = Annotated[str, Field(max_length=80), AfterValidator(_printable)]
Word = Annotated[str, Field(pattern=_WORD)]
Family = Literal["ipv4", "ipv6"]
Kind = Literal["rule", "rule6", "nat", "nat6", "address", "address6", "queue", "tree", "wireguard", "peer", "ip", "member"]

MENUS: dict[str, str] = {
    "rule": "/ip/firewall/filter", "rule6": "/ipv6/firewall/filter", "nat": "/ip/firewall/nat", "nat6": "/ipv6/firewall/nat",
    "address": "/ip/firewall/address-list", "address6": "/ipv6/firewall/address-list", "queue": "/queue/simple", "tree": "/queue/tree",
    "wireguard": "/interface/wireguard", "peer": "/interface/wireguard/peers", "ip": "/ip/address", "member": "/interface/list/member",
}  # fmt: skip
"""The menus whose rows are ever touched, by what an operation calls them."""
ORDERED = frozenset({"rule", "rule6", "nat", "nat6", "queue"})


class Marked(Operation):
    """An operation that makes rows of ours. `mark` ties them to it."""

    INTERNAL: ClassVar[frozenset[str]] = frozenset({"mark"})
    note: Note = ""
    """A few words for the comment, which also names Executor and the change."""
    mark: str = Field(default="", pattern=r"^$|^chg-[\w-]+\.\d+[a-z]?$")
    """Filled in by Executor."""


class Rule(Marked):
    """Let through, drop, reject or log traffic: one firewall filter rule, put before the first drop of its chain unless told otherwise."""

    op: Literal["net.rule"]
    family: Family = "ipv4"
    chain: str = Field(default="forward", pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,31}$")
    """`input` is to the router itself, `forward` through it, `output` from it."""
    action: Literal["accept", "drop", "reject", "log"]
    protocol: Word = ""
    src_address: Match = ""
    dst_address: Match = ""
    src_address_list: Word = ""
    dst_address_list: Word = ""
    src_port: Ports = ""
    dst_port: Ports = ""
    in_interface: Word = ""
    out_interface: Word = ""
    in_interface_list: Word = ""
    out_interface_list: Word = ""
    connection_state: str = Field(
        default="", pattern=r"^$|^!?(established|invalid|new|related|untracked)(,(established|invalid|new|related|untracked))*$"
    )
    src_mac_address: str = Field(default="", pattern=r"^$|^!?([0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}$")
    log: bool = False
    log_prefix: str = Field(default="", max_length=31)
    place: Literal["before_drops", "first", "last"] = "before_drops"
    before: str = Field(default="", pattern=_IDENTITY)
    """The `.id` of the rule it must come before, such as *5; wins over `place`."""


class ListAddress(Marked):
    """Put an address, network, range or host name on an address list."""

    op: Literal["net.address"]
    list: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._-]{0,62}$")
    address: str = Field(min_length=1, max_length=253, pattern=r"^[A-Za-z0-9.:/_-]+$")
    family: Family | None = None
    """Empty: by the looks of the address; a host name goes on the IPv4 list."""
    timeout: Interval = ""
    """Goes away by itself after this long; empty: stays."""


class Masquerade(Marked):
    """Hide what leaves through an interface behind its address (source NAT)."""

    op: Literal["net.masquerade"]
    family: Family = "ipv4"
    out_interface: Word = ""
    out_interface_list: Word = ""
    """Empty, when no interface is given either: WAN, where there is such a list."""
    src_address: Match = ""


class Forward(Marked):
    """Forward a port from outside to a machine inside (destination NAT); also lets it through the filter where it would be dropped."""

    op: Literal["net.forward"]
    protocol: Literal["tcp", "udp"] = "tcp"
    port: Ports = Field(min_length=1)
    to_address: OneAddress = ""
    container: int | str | None = Field(default=None, union_mode="left_to_right")
    """Instead of `to_address`: a container, by id or name."""
    to_port: int | None = Field(default=None, ge=1, le=65_535)
    """Empty: the same port."""
    in_interface: Word = ""
    in_interface_list: Word = ""
    """Empty, when no interface is given either: WAN, where there is such a list."""
    src_address: Match = ""
    """Only from there."""
    src_address_list: Word = ""

    @model_validator(mode="after")
    def _names_a_machine(self) -> "Forward":
        if not self.to_address and self.container is None:
            raise ValueError("say to which machine: to_address or container")
        return self


class Wireguard(Marked):
    """Make a WireGuard interface: its keys are made by Executor, its address and port given out where they are left open."""

    op: Literal["net.wireguard"]
    name: str = Field(default="wireguard1", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,30}$")
    listen_port: int | None = Field(default=None, ge=1, le=65_535)
    address: Prefixed = ""
    """The router's address in the tunnel with its prefix; empty: the first of a free 10.x network."""
    mtu: int = Field(default=1420, ge=576, le=9000)
    open: bool = True
    """Let its port through the router's own firewall."""
    list: Word = ""
    """The interface list it joins, such as LAN, so that who comes in counts as inside; empty: none."""


class Peer(Marked):
    """Let somebody in over WireGuard: keys made by Executor, address given out, client configuration to be had with: net client."""

    INTERNAL: ClassVar[frozenset[str]] = frozenset({"mark", "public_key"})
    op: Literal["net.peer"]
    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._-]{0,40}$")
    interface: Word = ""
    """Empty when there is only one WireGuard interface."""
    address: str = Field(default="", pattern=r"^$|^[0-9a-fA-F.:]+(/\d{1,3})?$")
    """The client's address in the tunnel; empty: the next free one."""
    public_key: Annotated[str, AfterValidator(_key)] = ""
    """The client's own public key, when it has made its keys itself."""
    preshared: bool = True
    endpoint: Annotated[str, AfterValidator(_host)] = ""
    """Where the client finds the router; empty: the router's public address."""
    dns: Networks = ""
    allowed: Networks = "0.0.0.0/0"
    """What the client sends through the tunnel."""
    keepalive_s: int = Field(default=25, ge=0, le=3600)


class Limit(Marked):
    """Limit the bandwidth of an address, a network, an interface or a container (a simple queue). Asked again, the limit is changed."""

    op: Literal["net.limit"]
    target: str = Field(default="", pattern=r"^$|^[A-Za-z0-9][A-Za-z0-9.:/,_-]{0,200}$")
    container: int | str | None = Field(default=None, union_mode="left_to_right")
    """Instead of `target`: a container, by id or name."""
    down: Rate = ""
    """Bits per second towards the target, such as 20M; empty: no limit."""
    up: Rate = ""
    """Bits per second from the target; empty: no limit."""
    name: str = Field(default="", pattern=r"^$|^[A-Za-z0-9][A-Za-z0-9 ._/:-]{0,62}$")
    parent: Word = ""
    priority: int = Field(default=8, ge=1, le=8)

    @model_validator(mode="after")
    def _limits_something(self) -> "Limit":
        if not self.target and self.container is None:
            raise ValueError("say whom to limit: target or container")
        if not self.down and not self.up:
            raise ValueError("say how much: down, up or both; to take a limit away: net.remove, kind queue")
        return self


class Tree(Marked):
    """A queue of the queue tree: limits marked packets, or everything that goes out through an interface."""

    op: Literal["net.tree"]
    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._/:-]{0,62}$")
    parent: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._/:-]{0,62}$")
    """An interface, `global`, or another queue of the tree."""
    packet_mark: Word = ""
    limit: Rate = ""
    """At most, in bits per second."""
    guaranteed: Rate = ""
    """At least."""
    priority: int = Field(default=8, ge=1, le=8)


class OnRow(Operation):
    """An operation on a row that exists: named by its `.id`, by its name (or address), or by Executor's mark in its comment."""

    INTERNAL: ClassVar[frozenset[str]] = frozenset({"foreign"})
    kind: Kind
    id: str = Field(default="", pattern=_IDENTITY)
    name: str = Field(default="", max_length=120)
    mark: str = Field(default="", pattern=r"^$|^chg-[\w-]+\.\d+[a-z]?$")
    foreign: bool = False
    """Only a person may set this: the row is not Executor's, and is meant all the same."""

    @model_validator(mode="after")
    def _names_a_row(self) -> "OnRow":
        if not self.id and not self.name and not self.mark:
            raise ValueError("say which row: id or name")
        return self


class Remove(OnRow):
    """Remove a row that Executor made."""

    op: Literal["net.remove"]


class Switch(OnRow):
    """Switch a row on or off without removing it."""

    op: Literal["net.switch"]
    on: bool


class Move(OnRow):
    """Move a rule or queue to another place."""

    op: Literal["net.move"]
    before: str = Field(default="", pattern=_IDENTITY)
    """The `.id` of the row it must come before; empty: the end."""


class Put(Operation):
    """Put a row back as it was: what undoing is made of. A value of null clears the property."""

    op: Literal["net.put"]
    kind: Kind
    values: dict[str, str | None]
    id: str = Field(default="", pattern=_IDENTITY)
    """The row that is still there, when it is; otherwise it is added."""
    mark: str = Field(default="", pattern=r"^$|^chg-[\w-]+\.\d+[a-z]?$")
    before: str = Field(default="", pattern=_IDENTITY)
    secrets: tuple[Literal["private-key", "preshared-key"], ...] = ()
    """Properties whose value the vault keeps under the mark."""


RouterOperation = Annotated[
    Rule | ListAddress | Masquerade | Forward | Wireguard | Peer | Limit | Tree | Remove | Switch | Move | Put, Field(discriminator="op")
]
OPERATIONS: tuple[type[Operation], ...] = get_args(get_args(RouterOperation)[0])
PROPOSABLE: tuple[type[Operation], ...] = tuple(cls for cls in OPERATIONS if cls is not Put)
"""What a model may propose; `net.put` takes any values and is kept for undoing and for persons."""
_ADAPTER: TypeAdapter[RouterOperation] = TypeAdapter(RouterOperation)


def parse(raw: Sequence[Json]) -> tuple[RouterOperation, ...]:
    """Typed operations. Raises PlanRefusedError, one line a mistake."""
    return typed.parse(_ADAPTER, raw, "executor net operations")
