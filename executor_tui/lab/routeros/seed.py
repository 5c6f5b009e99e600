"""A small office behind one router: what a simulated router holds when it starts."""

from executor_tui.lab.routeros.menus.vpn import new_private_key, public_key_of
from executor_tui.lab.routeros.state import Router

_LEASES = (
    ("192.168.88.10", "48:A9:8A:10:00:10", "nas", "storage"),
    ("192.168.88.23", "48:A9:8A:10:00:23", "laptop-maria", ""),
    ("192.168.88.31", "48:A9:8A:10:00:31", "printer", "printer in the hall"),
    ("192.168.88.47", "48:A9:8A:10:00:47", "phone-ivan", ""),
    ("192.168.88.52", "48:A9:8A:10:00:52", "pve1", "hypervisor"),
)


def seed(router: Router) -> None:
    """Fill an empty router. Nothing here is logged or announced."""
    _settings(router)
    _interfaces(router)
    _addresses(router)
    _leases(router)
    _firewall(router)
    _queues_and_vpn(router)
    _system(router)


def _settings(router: Router) -> None:
    router.settings["/system/identity"]["name"] = "office-gw"
    router.settings["/system/clock"]["time-zone-name"] = "UTC"
    router.settings["/system/package/update"]["channel"] = "stable"
    router.settings["/ip/settings"]["ip-forward"] = "true"


def _interfaces(router: Router) -> None:
    interfaces = router.table("/interface")
    for number in range(1, 6):
        facts = {"type": "ether", "default-name": f"ether{number}", "mac-address": f"48:A9:8A:00:00:0{number}"}
        facts["running"] = str(number != 5).lower()
        interfaces.add({"name": f"ether{number}", "mtu": "1500", "disabled": "false"}, facts=facts)
    facts = {"type": "bridge", "mac-address": "48:A9:8A:00:00:02", "running": "true"}
    interfaces.add({"name": "bridge", "mtu": "1500", "disabled": "false", "comment": "defconf"}, facts=facts)
    lists = router.table("/interface/list")
    for name in ("WAN", "LAN"):
        lists.add({"name": name, "comment": "defconf"})
    members = router.table("/interface/list/member")
    for interface, name in (("ether1", "WAN"), ("bridge", "LAN")):
        members.add({"list": name, "interface": interface, "disabled": "false", "comment": "defconf"})


def _addresses(router: Router) -> None:
    addresses = router.table("/ip/address")
    addresses.add(
        {
            "address": "192.168.88.1/24",
            "interface": "bridge",
            "network": "192.168.88.0",
            "comment": "defconf",
            "disabled": "false",
        }
    )
    addresses.add(
        {"address": "203.0.113.14/24", "interface": "ether1", "network": "203.0.113.0", "disabled": "false"},
        dynamic=True,
    )
    routes = router.table("/ip/route")
    state = {"active": "true", "inactive": "false"}
    default = {
        "dst-address": "0.0.0.0/0",
        "gateway": "203.0.113.1",
        "distance": "1",
        "routing-table": "main",
        "scope": "30",
        "target-scope": "10",
    }
    routes.add(default, dynamic=True, facts={**state, "dhcp": "true", "immediate-gw": "203.0.113.1%ether1"})
    for network, interface in (("192.168.88.0/24", "bridge"), ("203.0.113.0/24", "ether1")):
        connected = {
            "dst-address": network,
            "gateway": interface,
            "distance": "0",
            "routing-table": "main",
            "scope": "10",
            "target-scope": "5",
        }
        routes.add(connected, dynamic=True, facts={**state, "connect": "true", "immediate-gw": interface})


def _leases(router: Router) -> None:
    router.table("/ip/dhcp-server").add({"name": "defconf", "interface": "bridge", "lease-time": "30m", "disabled": "false"})
    for address, mac, host, comment in _LEASES:
        facts = {
            "status": "bound",
            "last-seen": "4m11s",
            "active-address": address,
            "active-mac-address": mac,
            "active-server": "defconf",
            "host-name": host,
        }
        values = {"address": address, "mac-address": mac, "server": "defconf", "disabled": "false"}
        if comment:
            values["comment"] = comment
        router.table("/ip/dhcp-server/lease").add(values, dynamic=not comment, facts=facts)


def _firewall(router: Router) -> None:
    rules = router.table("/ip/firewall/filter")
    dummy = "special dummy rule to show fasttrack counters"
    rules.add({"chain": "forward", "action": "passthrough", "comment": dummy}, dynamic=True)
    known = "established,related,untracked"
    for rule in (
        {
            "chain": "input",
            "action": "accept",
            "connection-state": known,
            "comment": "defconf: accept established,related,untracked",
        },
        {"chain": "input", "action": "drop", "connection-state": "invalid", "comment": "defconf: drop invalid"},
        {"chain": "input", "action": "accept", "protocol": "icmp", "comment": "defconf: accept ICMP"},
        {
            "chain": "input",
            "action": "drop",
            "in-interface-list": "!LAN",
            "comment": "defconf: drop all not coming from LAN",
        },
        {
            "chain": "forward",
            "action": "fasttrack-connection",
            "connection-state": "established,related",
            "comment": "defconf: fasttrack",
        },
        {
            "chain": "forward",
            "action": "accept",
            "connection-state": known,
            "comment": "defconf: accept established,related, untracked",
        },
        {"chain": "forward", "action": "drop", "connection-state": "invalid", "comment": "defconf: drop invalid"},
        {
            "chain": "forward",
            "action": "drop",
            "connection-state": "new",
            "connection-nat-state": "!dstnat",
            "in-interface-list": "WAN",
            "comment": "defconf: drop all from WAN not DSTNATed",
        },
    ):
        rules.add(rule)
    masquerade = {"chain": "srcnat", "action": "masquerade", "out-interface-list": "WAN", "ipsec-policy": "out,none"}
    router.table("/ip/firewall/nat").add({**masquerade, "comment": "defconf: masquerade"})
    stamp = {"creation-time": router.clock.now().strftime("%Y-%m-%d %H:%M:%S")}
    blocked = {"list": "blocked", "address": "198.51.100.7", "disabled": "false", "comment": "scanner"}
    router.table("/ip/firewall/address-list").add(blocked, facts=stamp)


def _queues_and_vpn(router: Router) -> None:
    for name, kind in (
        ("default", "pfifo"),
        ("default-small", "pfifo"),
        ("ethernet-default", "pfifo"),
        ("pcq-upload-default", "pcq"),
        ("fq-codel", "fq-codel"),
    ):
        router.table("/queue/type").add({"name": name, "kind": kind})
    for name in ("default", "default-encryption"):
        router.table("/ppp/profile").add({"name": name}, facts={"local-address": "", "remote-address": ""})
    wireguard = {
        "name": "wg-staff",
        "listen-port": "13231",
        "mtu": "1420",
        "private-key": new_private_key(),
        "disabled": "false",
    }
    row = router.table("/interface/wireguard").add(wireguard)
    row.facts |= {"type": "wg", "running": "true"}
    router.table("/ip/address").add({"address": "10.99.0.1/24", "interface": "wg-staff", "network": "10.99.0.0", "disabled": "false"})
    peer = {
        "interface": "wg-staff",
        "name": "maria",
        "public-key": public_key_of(new_private_key()),
        "allowed-address": "10.99.0.2/32",
        "endpoint-address": "",
        "endpoint-port": "0",
        "disabled": "false",
        "comment": "Maria's laptop",
    }
    router.table("/interface/wireguard/peers").add(peer, facts={"handshake": "yes"})


def _system(router: Router) -> None:
    for user in router.users.values():
        router.table("/user").add({"name": user.name, "group": user.group, "address": "", "disabled": "false"}, facts={"expired": "false"})
    services = (
        ("telnet", 23, True),
        ("ftp", 21, True),
        ("www", 80, True),
        ("ssh", 22, False),
        ("api", 8728, False),
        ("winbox", 8291, False),
        ("api-ssl", 8729, False),
    )
    for name, port, disabled in services:
        values = {"name": name, "port": str(port), "address": "", "disabled": str(disabled).lower()}
        router.table("/ip/service").add(values, facts={"proto": "tcp", "invalid": "false", "vrf": "main", "max-sessions": "20"})
    router.table("/system/package").add({"name": "routeros", "version": router.device.version}, facts={"build-time": "2026-10-28 09:12:44"})
    router.log("system,info", "router started")
