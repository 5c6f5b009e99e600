"""Whether a plan would shut Executor itself out of the router. Pure: the menus before are compared with the menus after.

What cannot be told (an address list, a rate limit) counts as danger only where it was none before.
"""

from collections.abc import Sequence

from executor_tui.agents.routers.draft import Draft
from executor_tui.agents.routers.operations import MENUS
from executor_tui.agents.routers.packets import Packet, Verdict, interface_of, matches, own_packets, verdict
from executor_tui.agents.routers.state import is_enabled
from executor_tui.infra.routeros.connection import Row

_FAMILIES = (("ipv4", "rule", "nat"), ("ipv6", "rule6", "nat6"))
_TURNS = frozenset({"dst-nat", "redirect", "netmap"})


def shut_out(draft: Draft) -> list[str]:
    """One line for each way in which Executor would lose the router; none when it stays reachable."""
    found: list[str] = []
    for family, filtering, turning in _FAMILIES:
        packets = own_packets(draft.state, family)
        found += _filtered(draft, filtering, packets)
        found += _turned_away(draft, turning, packets)
    found += _tunnel_gone(draft)
    return list(dict.fromkeys(found))


def _filtered(draft: Draft, kind: str, packets: Sequence[Packet]) -> list[str]:
    menu = MENUS[kind]
    if menu not in draft.tables:
        return []
    lines: list[str] = []
    for packet in packets:
        was, will = verdict(draft.state.rows(menu), "input", packet), verdict(draft.tables[menu], "input", packet)
        if will > was:
            sure = "would" if will is Verdict.DROP else "may"
            what = "Executor's own connection" if packet.state == "established" else "Executor's next connection"
            lines.append(f"this {sure} drop {what}: from {packet.src} to port {packet.dst_port} of this router")
    return lines


def _turned_away(draft: Draft, kind: str, packets: Sequence[Packet]) -> list[str]:
    menu = MENUS[kind]
    if menu not in draft.tables:
        return []
    lines = []
    for packet in packets:
        if packet.state != "new" or _is_turned(draft.state.rows(menu), packet) is not False:
            continue
        after = _is_turned(draft.tables[menu], packet)
        if after is not False:
            sure = "would" if after else "may"
            lines.append(f"this {sure} send Executor's next connection elsewhere: port {packet.dst_port} of this router is forwarded")
    return lines


def _is_turned(rows: Sequence[Row], packet: Packet) -> bool | None:
    """Whether destination NAT takes the packet; None when it may."""
    maybe = False
    for row in rows:
        if row.get("chain") == "dstnat" and row.get("action") in _TURNS and is_enabled(row):
            found = matches(row, packet)
            if found:
                return True
            maybe = maybe or found is None
    return None if maybe else False


def _tunnel_gone(draft: Draft) -> list[str]:
    menu = MENUS["wireguard"]
    if menu not in draft.tables:
        return []
    up = {row.get("name") for row in draft.tables[menu] if is_enabled(row)}
    was_up = {row.get("name") for row in draft.state.rows(menu) if is_enabled(row)}
    lines = []
    for source in draft.state.sessions:
        interface = interface_of(draft.state, source)
        if interface in was_up - up:
            lines.append(f"Executor itself comes in through {interface}, from {source}")
    return lines
