"""What a model may look at on a router: rows as lines of JSON, secrets left out. Everything in them was written by others."""

import json
from collections.abc import Awaitable, Callable, Sequence

from executor_tui.agents.network import NetworkDevice
from executor_tui.agents.proposing import Desk
from executor_tui.agents.routers.operations import PROPOSABLE
from executor_tui.agents.routers.state import facts
from executor_tui.infra.routeros.connection import Row
from executor_tui.infra.routeros.router import RouterOs

LOG_LINES = 60
_MENUS: dict[str, tuple[str, str]] = {
    "rules": ("/ip/firewall/filter", "filter rules in their order"),
    "rules_ipv6": ("/ipv6/firewall/filter", "IPv6 filter rules"),
    "nat": ("/ip/firewall/nat", "NAT rules in their order"),
    "address_lists": ("/ip/firewall/address-list", "what is on the address lists"),
    "address_lists_ipv6": ("/ipv6/firewall/address-list", "the same for IPv6"),
    "interfaces": ("/interface", "interfaces by name and state"),
    "interface_lists": ("/interface/list/member", "which interfaces are WAN and LAN"),
    "addresses": ("/ip/address", "the router's own addresses"),
    "routes": ("/ip/route", "routes"),
    "leases": ("/ip/dhcp-server/lease", "who has which address: host names, MAC addresses"),
    "wireguard": ("/interface/wireguard", "WireGuard interfaces"),
    "wireguard_peers": ("/interface/wireguard/peers", "who may come in over WireGuard"),
    "limits": ("/queue/simple", "bandwidth limits (simple queues)"),
    "queue_tree": ("/queue/tree", "the queue tree"),
    "ppp_accounts": ("/ppp/secret", "PPP accounts"),
}
_STATUS, _LOG = "status", "log"


def desk_of(device: NetworkDevice) -> Desk:
    """A router's desk."""
    looks = {_STATUS: "version, load, memory", **{name: about for name, (_, about) in _MENUS.items()}, _LOG: "the newest log lines"}

    async def look(what: str) -> Sequence[str]:
        return await device.link.read(_LOOKS.get(what) or (lambda router: _rows(router, what)))

    return Desk(looks, look, PROPOSABLE, device.check)


async def _rows(router: RouterOs, what: str) -> list[str]:
    return [_line(row) for row in await router.rows(_MENUS[what][0])]


def _line(row: Row) -> str:
    shown = {".id": row.get(".id", ""), **(facts(row) or {})}
    return json.dumps({name: text for name, text in shown.items() if text not in ("", "false")}, ensure_ascii=False)


async def _status(router: RouterOs) -> list[str]:
    resource, identity = await router.resource(), (await router.ping()).identity
    return [
        json.dumps({"identity": identity, "version": resource.version, "board": resource.board_name, "load": resource.cpu_load_percent})
    ]


async def _log(router: RouterOs) -> list[str]:
    return [f"{line.time} {','.join(line.topics)} {line.message}" for line in await router.log(LOG_LINES)]


_LOOKS: dict[str, Callable[[RouterOs], Awaitable[list[str]]]] = {_STATUS: _status, _LOG: _log}
