"""How an argument is checked and turned into the text the router stores.

A normaliser is (text, argument name, names known to the router) → stored text; it raises `TrapError` in the router's words.
Messages were taken from the vendor's API manual and from published transcripts of 7.x routers where those exist.
"""

import base64
import binascii
import re
from collections.abc import Callable, Sequence
from datetime import date, time
from typing import Protocol

from executor_tui.lab.routeros.durations import format_interval, parse_amount, parse_interval_ms
from executor_tui.lab.routeros.errors import ARGUMENT, TrapError, invalid_value, no_match, out_of_range


class Names(Protocol):
    """What a reference may point at."""

    def has(self, kind: str, name: str) -> bool:
        """Whether something of this kind (`interface`, `interface-list`, `queue-type`, …) is called `name`."""
        ...


Normaliser = Callable[[str, str, Names], str]

_TRUE = ("yes", "true")
_FALSE = ("no", "false")


def boolean(text: str, field: str, names: Names) -> str:
    """Reads back as `true` or `false`, whichever spelling was sent."""
    if text in _TRUE:
        return "true"
    if text in _FALSE:
        return "false"
    raise no_match(field)


def string(max_length: int = 65_535, min_length: int = 0) -> Normaliser:
    def normalise(text: str, field: str, names: Names) -> str:
        if len(text) > max_length or len(text) < min_length:
            raise invalid_value(field)
        return text

    return normalise


def integer(low: int, high: int) -> Normaliser:
    def normalise(text: str, field: str, names: Names) -> str:
        digits = text.removeprefix("-")
        if not digits.isascii() or not digits.isdigit():
            raise invalid_value(field)
        number = int(text)
        if not low <= number <= high:
            raise out_of_range(field, low, high)
        return str(number)

    return normalise


def interval(text: str, field: str, names: Names) -> str:
    try:
        return format_interval(parse_interval_ms(text))
    except ValueError:
        raise invalid_value(field) from None


def interval_or(*words: str) -> Normaliser:
    """An interval, or one of a few words such as `none-static`."""

    def normalise(text: str, field: str, names: Names) -> str:
        return text if text in words else interval(text, field, names)

    return normalise


def amount(text: str, field: str, names: Names) -> str:
    """A rate or a size with an optional k, M or G: reads back as plain bits or bytes."""
    try:
        return str(parse_amount(text))
    except ValueError:
        raise invalid_value(field) from None


def pair(one: Normaliser) -> Normaliser:
    """`up/down`; a single value stands for both."""

    def normalise(text: str, field: str, names: Names) -> str:
        up, slash, down = text.partition("/")
        first = one(up, field, names)
        return f"{first}/{one(down, field, names) if slash else first}"

    return normalise


def decimal(text: str, field: str, names: Names) -> str:
    if not re.fullmatch(r"\d+(\.\d+)?", text):
        raise invalid_value(field)
    return text


def one_of(*allowed: str, negatable: bool = False) -> Normaliser:
    def normalise(text: str, field: str, names: Names) -> str:
        bare = text[1:] if negatable and text.startswith("!") else text
        if bare not in allowed:
            raise no_match(field)
        return text

    return normalise


def some_of(allowed: Sequence[str], *, negatable: bool = False) -> Normaliser:
    """A comma-separated set; reads back in the order the router lists the words."""

    def normalise(text: str, field: str, names: Names) -> str:
        sign = "!" if negatable and text.startswith("!") else ""
        chosen = set(text.removeprefix(sign).split(",")) if text else set()
        if not chosen <= set(allowed):
            raise no_match(field)
        return sign + ",".join(word for word in allowed if word in chosen)

    return normalise


def reference(kind: str, *also: str, negatable: bool = False) -> Normaliser:
    """The name of something that must exist. The message names the kind, not the argument (as `in-interface` does on 7.x)."""

    def normalise(text: str, field: str, names: Names) -> str:
        bare = text[1:] if negatable and text.startswith("!") else text
        if bare not in also and not names.has(kind, bare):
            raise no_match(kind)
        return text

    return normalise


def ports(text: str, field: str, names: Names) -> str:
    """`80`, `80,443`, `1000-2000`, `!53`."""
    parts: list[str] = []
    for part in text.removeprefix("!").split(","):
        first, dash, last = part.partition("-")
        low = integer(0, 65_535)(first, field, names)
        high = integer(0, 65_535)(last, field, names) if dash else low
        if int(low) > int(high):
            raise invalid_value(field)
        parts.append(f"{low}-{high}" if dash else low)
    return ("!" if text.startswith("!") else "") + ",".join(parts)


_PROTOCOLS = {
    1: "icmp",
    2: "igmp",
    6: "tcp",
    17: "udp",
    41: "ipv6-encap",
    47: "gre",
    50: "ipsec-esp",
    51: "ipsec-ah",
    58: "icmpv6",
    132: "sctp",
}
_PROTOCOL_WORDS = frozenset({*_PROTOCOLS.values(), "udp-lite", "dccp", "ospf", "vrrp", "l2tp", "ipip", "pim"})


def protocol(text: str, field: str, names: Names) -> str:
    """A protocol by name or number; known numbers read back as names."""
    sign, bare = ("!", text[1:]) if text.startswith("!") else ("", text)
    if bare.isdigit() and int(bare) <= 255:
        return sign + _PROTOCOLS.get(int(bare), bare)
    if bare not in _PROTOCOL_WORDS:
        raise no_match(field)
    return text


def mac_address(text: str, field: str, names: Names) -> str:
    pairs = re.split(r"[:.-]", text)
    if len(pairs) != 6 or not all(re.fullmatch(r"[0-9A-Fa-f]{2}", part) for part in pairs):
        raise TrapError(f"invalid value of {field}, mac address required", ARGUMENT)
    return ":".join(pairs).upper()


def x25519_key(text: str, field: str, names: Names) -> str:
    """A WireGuard key: 32 bytes in base64."""
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise invalid_value(field) from None
    if len(raw) != 32:
        raise invalid_value(field)
    return text


def calendar_date(text: str, field: str, names: Names) -> str:
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        raise invalid_value(field) from None


def time_of_day(text: str, field: str, names: Names) -> str:
    if text == "startup":
        return text
    try:
        return time.fromisoformat(text).strftime("%H:%M:%S")
    except ValueError:
        raise invalid_value(field) from None
