"""Interfaces, addresses, routes and DHCP leases."""

import ipaddress

from executor_tui.lab.routeros.addresses import host, route_target, with_mask
from executor_tui.lab.routeros.errors import failure
from executor_tui.lab.routeros.schema import CRUD, READ, SETTINGS, Field, Menu, Unique, menu
from executor_tui.lab.routeros.state import Router
from executor_tui.lab.routeros.table import Row
from executor_tui.lab.routeros.values import boolean, integer, interval, mac_address, reference, string

_COMMENT = Field("comment", string(), empty_unsets=True)
_DISABLED = Field("disabled", boolean, default="false")


def interface_meters(row: Row, router: Router) -> dict[str, str]:
    """Byte and packet counters of an interface, one meter each way."""
    now_s = router.clock.monotonic_s()
    running = row.values.get("disabled") != "true" and row.facts.get("running") != "false"
    shown: dict[str, str] = {}
    for way in ("rx", "tx"):
        meter = router.traffic.meter(f"interface/{row.id}/{way}", now_s, running=running)
        shown[f"{way}-byte"] = str(meter.bytes(now_s))
        shown[f"{way}-packet"] = str(meter.packets(now_s))
        shown |= {f"{way}-drop": "0", f"{way}-error": "0"}
    return shown


def _interface(row: Row, router: Router) -> dict[str, str]:
    up = row.values.get("disabled") != "true" and row.facts.get("running", "true") == "true"
    shown = {name: value for name, value in row.facts.items() if name != "running"}
    return {
        "type": "wg",
        "mtu": row.values.get("mtu", "1500"),
        **shown,
        "running": str(up).lower(),
        **interface_meters(row, router),
    }


def _address(row: Row, router: Router) -> dict[str, str]:
    network = ipaddress.IPv4Interface(row.values["address"]).network
    known = router.has("interface", row.values["interface"])
    return {
        "network": str(network.network_address),
        "actual-interface": row.values["interface"],
        "invalid": str(not known).lower(),
        "slave": "false",
        "vrf": "main",
    }


def _facts(row: Row, router: Router) -> dict[str, str]:
    return dict(row.facts)


def _lease(row: Row, router: Router) -> dict[str, str]:
    fixed = {
        "address-lists": "",
        "dhcp-option": "",
        "agent-circuit-id": "",
        "agent-remote-id": "",
        "active-agent-circuit-id": "",
        "active-agent-remote-id": "",
        "blocked": "false",
        "radius": "false",
    }
    state = {"status": "waiting", "last-seen": "never"} | dict(row.facts)
    if "expires_s" in state:
        left_s = max(0, int(float(state.pop("expires_s")) - router.clock.monotonic_s()))
        state["expires-after"] = interval(str(left_s), "expires-after", router)
    return fixed | state


def _check_lease(values: dict[str, str], router: Router) -> None:
    if values.get("server") == "all":
        del values["server"]
    if "mac-address" not in values and "client-id" not in values:
        raise failure("mac-address or client-id must be specified")


MENUS: tuple[Menu, ...] = (
    menu(
        "/interface",
        "interface",
        Field("name", string(min_length=1)),
        Field("mtu", integer(68, 65_535)),
        _COMMENT,
        _DISABLED,
        verbs=READ | {"set", "enable", "disable", "comment", "reset-counters", "reset-counters-all"},
        name_key="name",
        derive=_interface,
        print_arguments=frozenset({"stats", "stats-detail", "oid"}),
    ),
    menu(
        "/interface/list",
        "interface list",
        Field("name", string(min_length=1), required=True),
        _COMMENT,
        name_key="name",
    ),
    menu(
        "/interface/list/member",
        "interface list member",
        Field("list", reference("interface-list"), required=True),
        Field("interface", reference("interface"), required=True),
        _COMMENT,
        _DISABLED,
        uniques=(Unique(("list", "interface"), "already have such member"),),
    ),
    menu(
        "/ip/address",
        "address",
        Field("address", with_mask, required=True),
        Field("interface", reference("interface"), required=True),
        Field("network", host),
        _COMMENT,
        _DISABLED,
        uniques=(Unique(("address", "interface"), "already have such address"),),
        derive=_address,
    ),
    menu(
        "/ip/route",
        "route",
        Field("dst-address", route_target, default="0.0.0.0/0"),
        Field("gateway", string(min_length=1), required=True),
        Field("distance", integer(1, 255), default="1"),
        Field("routing-table", string(), default="main"),
        Field("scope", integer(0, 255), default="30"),
        Field("target-scope", integer(0, 255), default="10"),
        _COMMENT,
        Field("disabled", boolean),
        verbs=CRUD,
        derive=_facts,
    ),
    menu(
        "/ip/dhcp-server",
        "dhcp server",
        Field("name", string()),
        Field("interface", string()),
        Field("lease-time", interval),
        _DISABLED,
        verbs=READ,
        name_key="name",
    ),
    menu(
        "/ip/dhcp-server/lease",
        "lease",
        Field("address", host, required=True),
        Field("mac-address", mac_address),
        Field("client-id", string()),
        Field("server", reference("server", "all")),
        Field("lease-time", interval),
        Field("rate-limit", string()),
        Field("block-access", boolean),
        _COMMENT,
        _DISABLED,
        verbs=CRUD | {"make-static"},
        uniques=(
            Unique(("address",), "already have static lease with this IP address", enabled_only=True),
            Unique(("mac-address", "server"), "already have static lease for this client", enabled_only=True),
        ),
        check=_check_lease,
        derive=_lease,
    ),
    menu(
        "/ip/service",
        "service",
        Field("name", string()),
        Field("port", integer(1, 65_535)),
        Field("address", string()),
        Field("certificate", string()),
        Field("tls-version", string()),
        _DISABLED,
        verbs=READ | {"set", "enable", "disable"},
        name_key="name",
        derive=_facts,
    ),
    menu("/ip/settings", "settings", Field("ip-forward", boolean), verbs=SETTINGS, singleton=True),
)
