"""What a firewall does with a packet, as far as its rules tell: whether a change would shut Executor out, whether a forward gets through.

Three answers: a rule matches, does not, or cannot be told (an address list, a rate limit). Pure.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from ipaddress import ip_address, ip_interface

from executor_tui.agents.routers.state import State, is_enabled
from executor_tui.infra.routeros.connection import Row
from executor_tui.infra.routeros.values import meaning

STOPS = frozenset({"drop", "reject", "tarpit"})
_NOT_MATCHERS = frozenset(
    {".id", "action", "chain", "comment", "disabled", "dynamic", "invalid", "log", "log-prefix", "bytes", "packets", "jump-target"}
    | {"reject-with", "address-list", "address-list-timeout", "creation-time", "hw-offload", "to-addresses", "to-address", "to-ports"}
)
_MAX_DEPTH = 8


class Verdict(IntEnum):
    """In order of badness."""

    ACCEPT = 0
    MAYBE = 1
    DROP = 2


@dataclass(frozen=True, slots=True)
class Packet:
    """One packet on its way in or through. An empty text is not known; `lists` None means that the interface is not known."""

    src: str = ""
    dst: str = ""
    protocol: str = "tcp"
    dst_port: int = 0
    interface: str = ""
    lists: frozenset[str] | None = None
    state: str = "new"
    nat: str = ""


def matchers_of(row: Mapping[str, str]) -> dict[str, str]:
    """The properties of a rule that decide what it matches."""
    return {name: text for name, text in row.items() if name not in _NOT_MATCHERS}


@lru_cache(maxsize=65_536)
def _meant(kind: str, text: str) -> object:
    return meaning(kind, text)


@lru_cache(maxsize=4_096)
def _number(address: str) -> tuple[int, int]:
    parsed = ip_address(address)
    return parsed.version, int(parsed)


def _in_span(text: str, address: str) -> bool | None:
    if not address:
        return None
    meant = _meant("matcher", text)
    if not isinstance(meant, tuple) or len(meant) != 2 or not isinstance(meant[1], tuple):
        return None
    negated, (version, low, high) = bool(meant[0]), meant[1]
    own_version, number = _number(address)
    return bool(own_version == version and low <= number <= high) != negated


def _negatable(text: str, value: str) -> bool | None:
    if not value:
        return None
    return (text.removeprefix("!") == value) != text.startswith("!")


def _in_lists(text: str, lists: frozenset[str] | None) -> bool | None:
    wanted = text.removeprefix("!")
    if wanted == "all":
        return not text.startswith("!")
    return None if lists is None else (wanted in lists) != text.startswith("!")


def _has_port(text: str, port: int) -> bool | None:
    meant = _meant("ports", text)
    if not port or not isinstance(meant, tuple) or not isinstance(meant[1], tuple):
        return None
    negated, ranges = bool(meant[0]), meant[1]
    return any(low <= port <= high for low, high in ranges) != negated


def _in_words(text: str, word: str) -> bool:
    return (word in text.removeprefix("!").split(",")) != text.startswith("!")


def _matcher(name: str, text: str, packet: Packet) -> bool | None:
    match name:
        case "protocol":
            meant = _meant("protocol", text)
            return None if not isinstance(meant, tuple) else (meant[1] == packet.protocol) != meant[0]
        case "src-address":
            return _in_span(text, packet.src)
        case "dst-address":
            return _in_span(text, packet.dst)
        case "dst-port":
            return _has_port(text, packet.dst_port)
        case "in-interface":
            return _negatable(text, packet.interface)
        case "in-interface-list":
            return _in_lists(text, packet.lists)
        case "connection-state":
            return _in_words(text, packet.state)
        case "connection-nat-state":
            return _in_words(text, packet.nat)
    return None


def matches(rule: Mapping[str, str], packet: Packet) -> bool | None:
    """Whether a rule matches; None when its properties cannot tell."""
    sure = True
    for name, text in rule.items():
        if name in _NOT_MATCHERS:
            continue
        found = _matcher(name, text, packet)
        if found is False:
            return False
        sure = sure and found is True
    return True if sure else None


def verdict(rules: Sequence[Row], chain: str, packet: Packet) -> Verdict:
    """What becomes of the packet in a built-in chain, whose end lets through."""
    chains: dict[str, list[Row]] = {}
    for rule in rules:
        if is_enabled(rule):
            chains.setdefault(rule.get("chain", ""), []).append(rule)
    found = _walk(chains, chain, packet, 0)
    return Verdict.ACCEPT if found is None else found


def _walk(chains: Mapping[str, Sequence[Row]], chain: str, packet: Packet, depth: int) -> Verdict | None:
    """The verdict, or None when the packet comes out at the chain's end."""
    may_stop = may_pass = False
    for rule in chains.get(chain, ()):
        action = rule.get("action", "accept")
        if action not in STOPS and action not in ("accept", "jump", "return"):
            continue
        found = matches(rule, packet)
        if found is False:
            continue
        if action == "return":
            if found:
                break
            continue
        end = _end_of(chains, action, rule, packet, depth)
        if end is None:
            continue
        if found and end is not Verdict.MAYBE:
            unsure = may_stop if end is Verdict.ACCEPT else may_pass
            return Verdict.MAYBE if unsure else end
        may_stop, may_pass = may_stop or end is not Verdict.ACCEPT, may_pass or end is not Verdict.DROP
    return Verdict.MAYBE if may_stop else None


def _end_of(chains: Mapping[str, Sequence[Row]], action: str, rule: Row, packet: Packet, depth: int) -> Verdict | None:
    if action == "jump":
        return _walk(chains, rule.get("jump-target", ""), packet, depth + 1) if depth < _MAX_DEPTH else Verdict.MAYBE
    return Verdict.DROP if action in STOPS else Verdict.ACCEPT


def interface_of(state: State, address: str) -> str:
    """The interface whose network an address is in; empty when it is in none."""
    for row in state.rows("/ip/address"):
        try:
            if ip_address(address) in ip_interface(row.get("address", "")).network and is_enabled(row):
                return row.get("actual-interface") or row.get("interface", "")
        except ValueError:
            continue
    return ""


def own_packets(state: State, family: str) -> tuple[Packet, ...]:
    """Executor's own traffic to the router: the connection it has, and the next one it will make."""
    found: list[Packet] = []
    for source in state.sessions:
        version = "ipv6" if ":" in source else "ipv4"
        if version != family:
            continue
        interface = interface_of(state, source)
        members = frozenset(
            row.get("list", "") for row in state.rows("/interface/list/member") if row.get("interface") == interface and is_enabled(row)
        )
        dst = state.host if _is_address(state.host) else ""
        for connection in ("established", "new"):
            found.append(Packet(source, dst, "tcp", state.port, interface, members if interface else None, connection))
    return tuple(found)


def _is_address(text: str) -> bool:
    try:
        return bool(ip_address(text))
    except ValueError:
        return False


def covers(wide: Mapping[str, str], narrow: Mapping[str, str]) -> bool:
    """Whether everything one rule matches is matched by another too, as far as that can be told."""
    inner = matchers_of(narrow)
    return all(name in inner and _implied(name, text, inner[name]) for name, text in matchers_of(wide).items())


def _implied(name: str, wide: str, narrow: str) -> bool:
    if wide == narrow:
        return True
    if wide.startswith("!") or narrow.startswith("!"):
        return False
    if name in ("src-address", "dst-address"):
        outer, inner = _meant("matcher", wide), _meant("matcher", narrow)
        if isinstance(outer, tuple) and isinstance(inner, tuple) and isinstance(outer[1], tuple) and isinstance(inner[1], tuple):
            same_version: bool = outer[1][0] == inner[1][0]
            return same_version and bool(outer[1][1] <= inner[1][1] and inner[1][2] <= outer[1][2])
    if name == "connection-state":
        return set(narrow.split(",")) <= set(wide.split(","))
    if name in ("dst-port", "src-port"):
        outer, inner = _meant("ports", wide), _meant("ports", narrow)
        if isinstance(outer, tuple) and isinstance(inner, tuple) and isinstance(outer[1], tuple) and isinstance(inner[1], tuple):
            return all(any(low <= a and b <= high for low, high in outer[1]) for a, b in inner[1])
    return False
