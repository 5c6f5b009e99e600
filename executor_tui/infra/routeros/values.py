"""What RouterOS texts mean, so that two spellings of one thing compare equal: `20M/20M` and `20000000/20000000`, `yes` and `true`.

Forms after the vendor's manual; the router gives values back in its own spelling, not in the one it was sent.
"""

import ipaddress
import re
from collections.abc import Callable, Hashable

_INTERVAL_PART = re.compile(r"(\d+)(ms|us|ns|w|d|h|m|s)")
_INTERVAL_CLOCK = re.compile(r"(?:(\d+)w)?\s*(?:(\d+)d)?\s*(\d+):(\d{1,2})(?::(\d{1,2})(\.\d+)?)?")
_SECONDS = {"w": 604_800.0, "d": 86_400.0, "h": 3_600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
_AMOUNT = re.compile(r"(\d+)(?:\.(\d+))?([kKMGT]?)")
_FACTORS = {"": 1, "k": 10**3, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_PROTOCOL_NAMES = {
    "1": "icmp",
    "2": "igmp",
    "6": "tcp",
    "17": "udp",
    "41": "ipv6-encap",
    "47": "gre",
    "50": "ipsec-esp",
    "51": "ipsec-ah",
} | {
    "58": "icmpv6",
    "89": "ospf",
    "112": "vrrp",
    "132": "sctp",
}

Meaning = Callable[[str], Hashable]
"""From a RouterOS text to something that is equal exactly when the meaning is. Raises `ValueError`."""


def parse_bool(text: str) -> bool:
    """`yes`/`true` or `no`/`false`. Raises `ValueError`."""
    if text in ("yes", "true"):
        return True
    if text in ("no", "false"):
        return False
    raise ValueError(f"not yes or no: {text!r}")


def parse_seconds(text: str) -> float:
    """Seconds of an interval: `1w4d23h26m9s`, `00:30:00`, `10`, `6ms272us`. `never` and an empty text are 0. Raises `ValueError`."""
    if text in ("", "never"):
        return 0.0
    if text.isdigit():
        return float(text)
    clock = _INTERVAL_CLOCK.fullmatch(text)
    if clock:
        weeks, days, hours, minutes, seconds = (int(part or 0) for part in clock.groups()[:5])
        return ((weeks * 7 + days) * 24 + hours) * 3_600.0 + minutes * 60 + seconds + float(clock.group(6) or 0)
    parts = _INTERVAL_PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f"not a time interval: {text!r}")
    return sum(int(number) * _SECONDS[unit] for number, unit in parts)


def parse_amount(text: str) -> int:
    """Bits or bytes of `20M`, `512k`, `1.5G`, `1000`; `unlimited` is 0. Raises `ValueError`."""
    if text == "unlimited":
        return 0
    match = _AMOUNT.fullmatch(text)
    if not match:
        raise ValueError(f"not an amount: {text!r}")
    whole, fraction, factor = match.groups()
    scale = _FACTORS[factor]
    return int(whole) * scale + (int(fraction) * scale // 10 ** len(fraction) if fraction else 0)


def parse_pair(text: str, one: Callable[[str], int]) -> tuple[int, int]:
    """`up/down`; a single value stands for both. Raises `ValueError`."""
    up, slash, down = text.partition("/")
    first = one(up)
    return first, one(down) if slash else first


def words(text: str) -> tuple[str, ...]:
    """A comma-separated list."""
    return tuple(part for part in text.split(",") if part)


def _negatable(inner: Meaning) -> Meaning:
    return lambda text: (text.startswith("!"), inner(text.removeprefix("!")))


def _text(text: str) -> Hashable:
    return text


def _interval(text: str) -> Hashable:
    return text if text.startswith("none") else round(parse_seconds(text) * 1e6)


def _rate_pair(text: str) -> Hashable:
    return parse_pair(text, parse_amount)


def _int_pair(text: str) -> Hashable:
    return parse_pair(text, int)


def _interval_pair(text: str) -> Hashable:
    return parse_pair(text, lambda part: round(parse_seconds(part) * 1e6))


def _text_pair(text: str) -> Hashable:
    first, slash, second = text.partition("/")
    return first, second if slash else first


def _span(text: str) -> Hashable:
    """An address, prefix or range as its first and last address."""
    first, dash, last = text.partition("-")
    if dash:
        low, high = ipaddress.ip_address(first), ipaddress.ip_address(last)
        return low.version, int(low), int(high)
    network = ipaddress.ip_network(text, strict=False)
    return network.version, int(network.network_address), int(network.broadcast_address)


def _listed(text: str) -> Hashable:
    """What an address list holds: a span of addresses, or a DNS name, which has no case."""
    try:
        return _span(text)
    except ValueError:
        return text.rstrip(".").lower()


def _targets(text: str) -> Hashable:
    """Networks or interface names, in any order."""
    return frozenset(_span_or_name(part) for part in words(text))


def _span_or_name(text: str) -> Hashable:
    try:
        return _span(text)
    except ValueError:
        return text


def _interface_address(text: str) -> Hashable:
    return ipaddress.ip_interface(text)


def _ports(text: str) -> Hashable:
    """Sorted, merged ranges of port numbers."""
    ranges = sorted((int(low), int(high or low)) for low, _, high in (part.partition("-") for part in words(text)))
    merged: list[tuple[int, int]] = []
    for low, high in ranges:
        if merged and low <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(high, merged[-1][1]))
        else:
            merged.append((low, high))
    return tuple(merged)


def _word_set(text: str) -> Hashable:
    return frozenset(words(text))


def _protocol(text: str) -> Hashable:
    return _PROTOCOL_NAMES.get(text, text)


def _mac(text: str) -> Hashable:
    return re.sub(r"[.:-]", "", text).upper()


MEANINGS: dict[str, Meaning] = {
    "text": _text,
    "bool": parse_bool,
    "int": int,
    "interval": _interval,
    "rate": parse_amount,
    "rate pair": _rate_pair,
    "int pair": _int_pair,
    "interval pair": _interval_pair,
    "text pair": _text_pair,
    "matcher": _negatable(_span),
    "listed": _listed,
    "targets": _targets,
    "interface address": _interface_address,
    "ports": _negatable(_ports),
    "words": _negatable(_word_set),
    "protocol": _negatable(_protocol),
    "mac": _mac,
}


def meaning(kind: str, text: str) -> Hashable:
    """What `text` means as a value of this kind; a text that is no such value means itself, and nothing else."""
    try:
        return MEANINGS[kind](text)
    except ValueError:
        return ("text", text)
