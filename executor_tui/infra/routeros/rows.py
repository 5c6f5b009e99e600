"""Items of a router as frozen dataclasses, converted by what the property is and never by how its text looks."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, TypeVar

from executor_tui.infra.routeros.errors import RouterOsProtocolError
from executor_tui.infra.routeros.values import parse_amount, parse_bool, parse_pair, parse_seconds, words

_READ = "read"


@dataclass(frozen=True, slots=True)
class UpDown:
    """A value each way; for queues `up` is from the client, in bits per second, packets or bytes."""

    up: int = 0
    down: int = 0


def _up_down(text: str) -> UpDown:
    return UpDown(*parse_pair(text, parse_amount))


def text(default: str = "") -> str:
    return field(default=default)


def flag(default: bool = False) -> bool:
    return field(default=default, metadata={_READ: parse_bool})


def number(default: int = 0) -> int:
    return field(default=default, metadata={_READ: int})


def amount(default: int = 0) -> int:
    return field(default=default, metadata={_READ: parse_amount})


def seconds() -> float:
    return field(default=0.0, metadata={_READ: parse_seconds})


def listed() -> tuple[str, ...]:
    return field(default=(), metadata={_READ: words})


_NONE = UpDown()
_RATES = {_READ: _up_down}


@dataclass(frozen=True, slots=True)
class Item:
    """`id` is the router's own identity of the item; `raw` everything it showed, without secrets. What it did not show has its default.

    Subclasses name their fields like the router's properties, with underscores for dashes and a unit at the end (`_s`, `_bytes`, `_bps`,
    `_percent`) that is not part of the router's name.
    """

    MENU: ClassVar[str] = ""
    id: str = ""
    raw: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)


T = TypeVar("T", bound=Item)
_UNITS = ("_s", "_bytes", "_bps", "_percent")


def property_name(name: str) -> str:
    """`lease_time_s` → `lease-time`."""
    for unit in _UNITS:
        name = name.removesuffix(unit)
    return name.replace("_", "-")


def decode(kind: type[T], raw: Mapping[str, str], device: str) -> T:
    """One item. Raises `RouterOsProtocolError` naming the property whose text is not of its kind."""
    values: dict[str, Any] = {"id": raw.get(".id", ""), "raw": raw}
    for item in fields(kind):
        if item.name in ("id", "raw"):
            continue
        name = property_name(item.name)
        if name not in raw or (raw[name] == "" and item.type is not str):
            continue
        read: Callable[[str], object] = item.metadata.get(_READ, str)
        try:
            values[item.name] = read(raw[name])
        except ValueError as error:
            where = f"{kind.MENU} {raw.get('.id', '')}".strip()
            raise RouterOsProtocolError(device, f"{where} shows {name}={raw[name][:60]!r}, which cannot be read: {error}") from error
    return kind(**values)


@dataclass(frozen=True, slots=True)
class Rule(Item):
    """A filter or NAT rule, of either address family."""

    MENU: ClassVar[str] = "/ip/firewall/filter"
    chain: str = text()
    action: str = text()
    comment: str = text()
    disabled: bool = flag()
    dynamic: bool = flag()
    protocol: str = text()
    src_address: str = text()
    dst_address: str = text()
    src_address_list: str = text()
    dst_address_list: str = text()
    src_port: str = text()
    dst_port: str = text()
    in_interface: str = text()
    out_interface: str = text()
    in_interface_list: str = text()
    out_interface_list: str = text()
    connection_state: str = text()
    jump_target: str = text()
    to_addresses: str = text()
    to_ports: str = text()
    log: bool = flag()
    log_prefix: str = text()
    bytes: int = number()
    packets: int = number()


@dataclass(frozen=True, slots=True)
class NatRule(Rule):
    MENU: ClassVar[str] = "/ip/firewall/nat"


@dataclass(frozen=True, slots=True)
class ListedAddress(Item):
    """An entry of an address list; `timeout_s` is what is left of a timed one."""

    MENU: ClassVar[str] = "/ip/firewall/address-list"
    list: str = text()
    address: str = text()
    comment: str = text()
    disabled: bool = flag()
    dynamic: bool = flag()
    timeout_s: float = seconds()


@dataclass(frozen=True, slots=True)
class Address(Item):
    MENU: ClassVar[str] = "/ip/address"
    address: str = text()
    network: str = text()
    interface: str = text()
    comment: str = text()
    disabled: bool = flag()
    dynamic: bool = flag()
    invalid: bool = flag()


@dataclass(frozen=True, slots=True)
class Route(Item):
    """`active` is absent, so false, for a route whose gateway cannot be reached."""

    MENU: ClassVar[str] = "/ip/route"
    dst_address: str = text()
    gateway: str = text()
    distance: int = number()
    routing_table: str = text()
    active: bool = flag()
    dynamic: bool = flag()
    disabled: bool = flag()
    comment: str = text()


@dataclass(frozen=True, slots=True)
class Lease(Item):
    MENU: ClassVar[str] = "/ip/dhcp-server/lease"
    address: str = text()
    mac_address: str = text()
    host_name: str = text()
    server: str = text()
    status: str = text()
    comment: str = text()
    last_seen_s: float = seconds()
    expires_after_s: float = seconds()
    dynamic: bool = flag()
    disabled: bool = flag()


@dataclass(frozen=True, slots=True)
class Interface(Item):
    MENU: ClassVar[str] = "/interface"
    name: str = text()
    type: str = text()
    mac_address: str = text()
    mtu: str = text()
    running: bool = flag()
    disabled: bool = flag()
    dynamic: bool = flag()
    comment: str = text()
    rx_byte: int = number()
    tx_byte: int = number()


@dataclass(frozen=True, slots=True)
class InterfaceListMember(Item):
    MENU: ClassVar[str] = "/interface/list/member"
    list: str = text()
    interface: str = text()
    disabled: bool = flag()
    dynamic: bool = flag()


@dataclass(frozen=True, slots=True)
class Wireguard(Item):
    MENU: ClassVar[str] = "/interface/wireguard"
    name: str = text()
    listen_port: int = number()
    mtu: int = number()
    public_key: str = text()
    running: bool = flag()
    disabled: bool = flag()
    comment: str = text()


@dataclass(frozen=True, slots=True)
class WireguardPeer(Item):
    MENU: ClassVar[str] = "/interface/wireguard/peers"
    name: str = text()
    interface: str = text()
    public_key: str = text()
    allowed_address: tuple[str, ...] = listed()
    client_address: tuple[str, ...] = listed()
    endpoint_address: str = text()
    endpoint_port: int = number()
    persistent_keepalive_s: float = seconds()
    last_handshake_s: float = seconds()
    rx: int = number()
    tx: int = number()
    disabled: bool = flag()
    comment: str = text()


@dataclass(frozen=True, slots=True)
class PppSecret(Item):
    """An account; its password is never read."""

    MENU: ClassVar[str] = "/ppp/secret"
    name: str = text()
    service: str = text()
    profile: str = text()
    local_address: str = text()
    remote_address: str = text()
    disabled: bool = flag()
    comment: str = text()


@dataclass(frozen=True, slots=True)
class PppSession(Item):
    """Somebody connected over PPP now."""

    MENU: ClassVar[str] = "/ppp/active"
    name: str = text()
    service: str = text()
    caller_id: str = text()
    address: str = text()
    uptime_s: float = seconds()


@dataclass(frozen=True, slots=True)
class SimpleQueue(Item):
    """Limits and `rate` in bits per second, counted from the client: `up` is its upload. A limit of 0 is none."""

    MENU: ClassVar[str] = "/queue/simple"
    name: str = text()
    target: tuple[str, ...] = listed()
    parent: str = text()
    max_limit_bps: UpDown = field(default=_NONE, metadata=_RATES)
    limit_at_bps: UpDown = field(default=_NONE, metadata=_RATES)
    priority: UpDown = field(default=_NONE, metadata=_RATES)
    rate_bps: UpDown = field(default=_NONE, metadata=_RATES)
    bytes: UpDown = field(default=_NONE, metadata=_RATES)
    packets: UpDown = field(default=_NONE, metadata=_RATES)
    disabled: bool = flag()
    dynamic: bool = flag()
    comment: str = text()


@dataclass(frozen=True, slots=True)
class TreeQueue(Item):
    MENU: ClassVar[str] = "/queue/tree"
    name: str = text()
    parent: str = text()
    packet_mark: str = text()
    max_limit_bps: int = amount()
    limit_at_bps: int = amount()
    priority: int = number()
    rate_bps: int = amount()
    bytes: int = number()
    disabled: bool = flag()
    comment: str = text()
