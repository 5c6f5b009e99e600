"""Filter, NAT and address lists, for IPv4 and IPv6.

A rule shows `disabled`, `log` and `log-prefix` only once somebody has set them (observed on 7.x).
"""

from executor_tui.lab.routeros.addresses import listed, matcher, nat_target, prefix6
from executor_tui.lab.routeros.errors import failure
from executor_tui.lab.routeros.schema import COUNTED, CRUD, ORDERED, Check, Derive, Field, Menu, Unique, menu
from executor_tui.lab.routeros.state import Router
from executor_tui.lab.routeros.table import Row
from executor_tui.lab.routeros.values import (
    Normaliser,
    boolean,
    interval,
    interval_or,
    mac_address,
    one_of,
    ports,
    protocol,
    reference,
    some_of,
    string,
)

_FILTER_ACTIONS = (
    "accept",
    "add-dst-to-address-list",
    "add-src-to-address-list",
    "drop",
    "fasttrack-connection",
    "jump",
    "log",
    "passthrough",
    "reject",
    "return",
    "tarpit",
)
_NAT_ACTIONS = (
    "accept",
    "add-dst-to-address-list",
    "add-src-to-address-list",
    "dst-nat",
    "endpoint-independent-nat",
    "jump",
    "log",
    "masquerade",
    "netmap",
    "passthrough",
    "redirect",
    "return",
    "same",
    "src-nat",
)
_STATES = ("established", "invalid", "new", "related", "untracked")
_PORT_PROTOCOLS = ("tcp", "udp", "udp-lite", "dccp", "sctp")
_REJECTS = (
    "icmp-admin-prohibited",
    "icmp-host-prohibited",
    "icmp-host-unreachable",
    "icmp-net-prohibited",
    "icmp-network-unreachable",
    "icmp-no-route",
    "icmp-port-unreachable",
    "icmp-protocol-unreachable",
    "tcp-reset",
)
# Matchers this lab stores as they are written.
_PLAIN = (
    "connection-bytes",
    "connection-limit",
    "connection-rate",
    "content",
    "dst-address-type",
    "dst-limit",
    "icmp-options",
    "limit",
    "nth",
    "packet-size",
    "per-connection-classifier",
    "priority",
    "src-address-type",
    "tcp-flags",
    "tcp-mss",
    "time",
    "tls-host",
    "dscp",
    "connection-type",
    "ingress-priority",
    "random",
)


def _text(name: str) -> Field:
    return Field(name, string(), empty_unsets=True)


def _shared(version: int, actions: tuple[str, ...]) -> tuple[Field, ...]:
    return (
        Field("chain", string(min_length=1), required=True),
        Field("action", one_of(*actions), default="accept", always_exported=True),
        Field("protocol", protocol),
        Field("src-address", matcher(version)),
        Field("dst-address", matcher(version)),
        _text("src-address-list"),
        _text("dst-address-list"),
        Field("src-port", ports),
        Field("dst-port", ports),
        Field("port", ports),
        Field("in-interface", reference("interface", negatable=True)),
        Field("out-interface", reference("interface", negatable=True)),
        Field("in-interface-list", reference("interface-list", "all", "dynamic", "none", "static", negatable=True)),
        Field("out-interface-list", reference("interface-list", "all", "dynamic", "none", "static", negatable=True)),
        Field("src-mac-address", mac_address),
        Field("connection-state", some_of(_STATES, negatable=True)),
        Field("connection-nat-state", some_of(("srcnat", "dstnat"), negatable=True)),
        _text("connection-mark"),
        _text("packet-mark"),
        _text("routing-mark"),
        Field("ipsec-policy", string()),
        _text("jump-target"),
        _text("address-list"),
        Field("address-list-timeout", interval_or("none-static", "none-dynamic")),
        *(Field(name, string()) for name in _PLAIN),
        Field("log", boolean),
        Field("log-prefix", string(31)),
        Field("comment", string(), empty_unsets=True),
        Field("disabled", boolean),
    )


def _counters(path: str) -> Derive:
    def derive(row: Row, router: Router) -> dict[str, str]:
        now_s = router.clock.monotonic_s()
        meter = router.traffic.meter(f"{path}/{row.id}", now_s, running=row.values.get("disabled") != "true")
        return {"bytes": str(meter.bytes(now_s)), "packets": str(meter.packets(now_s)), "invalid": "false"}

    return derive


def _check_rule(values: dict[str, str], router: Router) -> None:
    proto = values.get("protocol", "").removeprefix("!")
    if any(name in values for name in ("src-port", "dst-port", "port")) and proto not in _PORT_PROTOCOLS:
        raise failure("ports can be specified if proto is tcp,udp,udp-lite,dccp,sctp")
    if "tcp-flags" in values and proto != "tcp":
        raise failure("tcp-flags works only with tcp")
    chain = values["chain"]
    if chain in ("output", "postrouting") and ("in-interface" in values or "in-interface-list" in values):
        raise failure("incoming interface matching not possible in output and postrouting chains")
    if chain in ("input", "prerouting") and ("out-interface" in values or "out-interface-list" in values):
        raise failure("outgoing interface matching not possible in input and prerouting chains")
    if values.get("action") == "jump" and not values.get("jump-target"):
        raise failure("jump target must be specified")
    if values.get("action", "").startswith("add-") and not values.get("address-list"):
        raise failure("address-list must be specified")


def _check_nat(values: dict[str, str], router: Router) -> None:
    _check_rule(values, router)
    action, chain = values.get("action", "accept"), values["chain"]
    if action in ("dst-nat", "redirect") and chain not in ("dstnat", "output"):
        raise failure("dst-nat/redirect action must be in dstnat/output chains")
    if action in ("src-nat", "masquerade") and chain not in ("srcnat", "input"):
        raise failure("src-nat/masquerade action must be in srcnat/input chains")
    if action in ("src-nat", "netmap") and not (values.get("to-addresses") or values.get("to-address")):
        raise failure("to-addresses must be specified")


_RULE_VERBS = ORDERED | COUNTED
_RULE_PRINT = frozenset({"chain", "stats", "all", "dynamic", "static"})


def _filter(version: int) -> Menu:
    path = "/ip/firewall/filter" if version == 4 else "/ipv6/firewall/filter"
    extra = (
        (Field("ttl", string()), Field("fragment", boolean)) if version == 4 else (Field("hop-limit", string()), Field("headers", string()))
    )
    return _rules(
        path,
        "filter rule",
        _check_rule,
        (*_shared(version, _FILTER_ACTIONS), Field("reject-with", one_of(*_REJECTS)), *extra),
    )


def _nat(version: int) -> Menu:
    path = "/ip/firewall/nat" if version == 4 else "/ipv6/firewall/nat"
    target = Field("to-addresses", nat_target) if version == 4 else Field("to-address", prefix6)
    extra = (target, Field("to-ports", ports), Field("randomise-ports", boolean), Field("same-not-by-dst", boolean))
    return _rules(path, "nat rule", _check_nat, (*_shared(version, _NAT_ACTIONS), *extra))


def _rules(path: str, noun: str, check: Check, fields: tuple[Field, ...]) -> Menu:
    return menu(path, noun, *fields, verbs=_RULE_VERBS, check=check, derive=_counters(path), print_arguments=_RULE_PRINT)


def _remaining(row: Row, router: Router) -> dict[str, str]:
    shown = {"creation-time": row.facts.get("creation-time", "")}
    if "expires_s" in row.facts:
        left_s = max(0, int(float(row.facts["expires_s"]) - router.clock.monotonic_s()))
        shown["timeout"] = interval(str(left_s), "timeout", router)
    return shown


def _address_list(version: int) -> Menu:
    address: Normaliser = listed(version)
    return menu(
        "/ip/firewall/address-list" if version == 4 else "/ipv6/firewall/address-list",
        "address list entry",
        Field("list", string(min_length=1), required=True),
        Field("address", address, required=True),
        Field("timeout", interval),
        Field("dynamic", boolean, add_only=True),
        Field("comment", string(), empty_unsets=True),
        Field("disabled", boolean, default="false"),
        verbs=CRUD,
        uniques=(Unique(("list", "address"), "already have such entry", enabled_only=True),),
        derive=_remaining,
    )


MENUS: tuple[Menu, ...] = tuple(build(version) for build in (_filter, _nat, _address_list) for version in (4, 6))
