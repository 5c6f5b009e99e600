"""Static addresses for containers, from a configured range."""

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass

from executor_tui.domain.errors import ConfigError

DEFAULT_PREFIX = 24


@dataclass(frozen=True, slots=True)
class AddressRange:
    """First to last address, both given out, and the prefix of the network they are in."""

    first: ipaddress.IPv4Address
    last: ipaddress.IPv4Address
    prefix: int

    def __iter__(self) -> Iterator[ipaddress.IPv4Address]:
        for number in range(int(self.first), int(self.last) + 1):
            yield ipaddress.IPv4Address(number)


def parse_range(text: str) -> AddressRange:
    """`10.0.0.0/24` (its hosts), `10.0.0.50-10.0.0.99` (prefix 24) or `10.0.0.50-10.0.0.99/22`. Raises ConfigError."""
    try:
        if "-" in text:
            first, _, rest = text.partition("-")
            last, _, prefix = rest.partition("/")
            found = AddressRange(ipaddress.IPv4Address(first.strip()), ipaddress.IPv4Address(last.strip()), int(prefix or DEFAULT_PREFIX))
            if found.last < found.first or not 1 <= found.prefix <= 31:
                raise ValueError("the last address comes before the first, or the prefix is none")
            return found
        network = ipaddress.IPv4Network(text, strict=False)
        if network.prefixlen > 30:
            raise ValueError("the network has no room")
        return AddressRange(network.network_address + 1, network.broadcast_address - 1, network.prefixlen)
    except ValueError as exc:
        message = f"executor.json: containers.address_range: {text!r} is no range of IPv4 addresses ({exc})"
        raise ConfigError(message, hint="write 10.0.0.0/24 or 10.0.0.50-10.0.0.99/24") from exc


def next_address(allowed: AddressRange, taken: frozenset[str]) -> str | None:
    """The first free address with its prefix, or None when the range is used up."""
    free = next((address for address in allowed if str(address) not in taken), None)
    return None if free is None else f"{free}/{allowed.prefix}"
