"""All menus of the simulated router by path. A new menu costs one entry in its module."""

from collections.abc import Mapping

from executor_tui.lab.routeros.menus import firewall, network, queues, system, vpn
from executor_tui.lab.routeros.schema import Menu

ALL: Mapping[str, Menu] = {menu.path: menu for room in (network, firewall, vpn, queues, system) for menu in room.MENUS}

# In the order export writes them.
EXPORT_ORDER: tuple[str, ...] = (
    "/interface/wireguard",
    "/interface/list",
    "/queue/simple",
    "/queue/tree",
    "/interface/list/member",
    "/interface/wireguard/peers",
    "/ip/address",
    "/ip/dhcp-server/lease",
    "/ip/firewall/address-list",
    "/ip/firewall/filter",
    "/ip/firewall/nat",
    "/ip/route",
    "/ipv6/firewall/address-list",
    "/ipv6/firewall/filter",
    "/ipv6/firewall/nat",
    "/ppp/secret",
    "/system/identity",
    "/system/scheduler",
    "/system/script",
)
