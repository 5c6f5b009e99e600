"""Address arguments in the forms the different menus take and give back."""

import ipaddress
import re
from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from executor_tui.lab.routeros.errors import ARGUMENT, TrapError, invalid_value
from executor_tui.lab.routeros.values import Names, Normaliser

_DNS_NAME = re.compile(r"(?=.{1,253}$)([A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\.)*[A-Za-z_]([A-Za-z0-9_-]*[A-Za-z0-9_])?\.?")


def _range_expected() -> TrapError:
    return TrapError("value of range expects range of ip addresses", ARGUMENT)


def _text(network: IPv4Network | IPv6Network) -> str:
    """A single IPv4 host is shown without its mask, a single IPv6 host with it."""
    if isinstance(network, IPv4Network) and network.prefixlen == 32:
        return str(network.network_address)
    return str(network)


def _span(version: int, text: str) -> str:
    """One address, prefix or first-last range, with host bits of a prefix cleared. Raises `ValueError`."""
    first, dash, last = text.partition("-")
    kind: type[IPv4Address] | type[IPv6Address] = IPv4Address if version == 4 else IPv6Address
    if dash:
        low, high = kind(first), kind(last)
        if int(low) > int(high):
            raise ValueError(text)
        return f"{low}-{high}"
    network = IPv4Network(text, strict=False) if version == 4 else IPv6Network(text, strict=False)
    return _text(network)


def matcher(version: int) -> Normaliser:
    """What a firewall rule matches an address with: `10.0.0.0/8`, `10.0.0.1-10.0.0.9`, `!192.168.88.2`."""

    def normalise(text: str, field: str, names: Names) -> str:
        sign, bare = ("!", text[1:]) if text.startswith("!") else ("", text)
        try:
            return sign + _span(version, bare)
        except ValueError:
            raise _range_expected() from None

    return normalise


def listed(version: int) -> Normaliser:
    """What an address list holds: an address, prefix, range, or a DNS name the router keeps resolved."""

    def normalise(text: str, field: str, names: Names) -> str:
        try:
            return _span(version, text)
        except ValueError:
            if _DNS_NAME.fullmatch(text) and not re.fullmatch(r"[\d./-]+", text):
                return text
            raise TrapError(f"{text} is not a valid dns name", ARGUMENT) from None

    return normalise


def _parsed(field: str, parse: Callable[[], str]) -> str:
    try:
        return parse()
    except ValueError:
        raise invalid_value(field) from None


def host(text: str, field: str, names: Names) -> str:
    """A single IPv4 address."""
    return _parsed(field, lambda: str(IPv4Address(text)))


def endpoint(text: str, field: str, names: Names) -> str:
    """Where a tunnel's other end is: an address of either family, a DNS name, or nothing."""
    if not text:
        return ""
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        if _DNS_NAME.fullmatch(text):
            return text
        raise invalid_value(field) from None


def with_mask(text: str, field: str, names: Names) -> str:
    """An address with the length of its network, host bits kept: `10.0.0.1/24`."""
    return _parsed(field, lambda: str(ipaddress.IPv4Interface(text)))


def nat_target(text: str, field: str, names: Names) -> str:
    """`to-addresses`: one address, a prefix or a range."""
    return _parsed(field, lambda: _span(4, text))


def prefix6(text: str, field: str, names: Names) -> str:
    return _parsed(field, lambda: str(IPv6Network(text, strict=False)))


def prefixes(text: str, field: str, names: Names) -> str:
    """Comma-separated networks of either family, single hosts with their mask: WireGuard's allowed addresses."""
    if not text:
        return ""
    return _parsed(field, lambda: ",".join(str(ipaddress.ip_network(part, strict=False)) for part in text.split(",")))


def queue_target(text: str, field: str, names: Names) -> str:
    """Networks or interfaces a simple queue applies to; a single host reads back with `/32` (or `/128`)."""
    shown: list[str] = []
    for part in text.split(",") if text else []:
        if names.has("interface", part):
            shown.append(part)
            continue
        shown.append(_parsed(field, lambda part=part: str(ipaddress.ip_network(part, strict=False))))  # type: ignore[misc]
    return ",".join(shown)


def route_target(text: str, field: str, names: Names) -> str:
    return _parsed(field, lambda: str(IPv4Network(text, strict=False)))
