"""Planning WireGuard: the interface with its address and its hole in the firewall, and peers. Private keys stay references. Pure."""

from ipaddress import ip_interface

from executor_tui.agents.routers import operations as ops
from executor_tui.agents.routers.draft import Draft
from executor_tui.agents.routers.firewall import rule
from executor_tui.agents.routers.marks import key_ref, mark_in, preshared_ref
from executor_tui.agents.routers.packets import Packet, Verdict, verdict
from executor_tui.infra.routeros.compare import Value

NAMED_PEERS_SINCE = (7, 15)


def wireguard(draft: Draft, number: int, want: ops.Wireguard) -> None:
    """The interface, its address, and its port let through where the router's own filter would stop it."""
    named = next((row for row in draft.rows("wireguard") if row.get("name") == want.name), None)
    if named is not None and mark_in(named) != want.mark:
        whose = "made by another change" if mark_in(named) else "not Executor's"
        raise draft.refuse(number, f"there is an interface {want.name} already, {whose}", "take another name")
    values: dict[str, Value] = {"name": want.name, "listen-port": want.listen_port, "mtu": want.mtu}
    label = f"WireGuard interface {want.name} on port {want.listen_port}"
    secrets = {"private-key": key_ref(draft.device, want.mark)}
    draft.ensure(number, "wireguard", want.mark, values, label, "net.wireguard", note=want.note, secrets=secrets)
    address: dict[str, Value] = {"address": want.address, "interface": want.name}
    draft.ensure(number, "ip", want.mark, address, f"address {want.address} on {want.name}", "net.wireguard", note=want.note, part="a")
    if want.list:
        member: dict[str, Value] = {"list": want.list, "interface": want.name}
        label = f"{want.name} on interface list {want.list}"
        draft.ensure(number, "member", want.mark, member, label, "net.wireguard.inside", note=want.note, part="m")
    if want.open:
        _let_in(draft, number, want)


def _let_in(draft: Draft, number: int, want: ops.Wireguard) -> None:
    """A filter rule for the listening port, unless it gets through as things are."""
    own = draft.by_mark("rule", want.mark + "f")
    packet = Packet("", "", "udp", want.listen_port or 0, "", frozenset({"WAN"}), "new")
    if own is None and verdict(draft.rows("rule"), "input", packet) is Verdict.ACCEPT:
        draft.saw(f"rule {want.mark}f", None)
        return
    hole = ops.Rule(
        op="net.rule", chain="input", action="accept", protocol="udp", dst_port=str(want.listen_port), mark=want.mark + "f",
        note=want.note or f"WireGuard {want.name}",
    )  # fmt: skip
    rule(draft, number, hole)


def peer(draft: Draft, number: int, want: ops.Peer) -> None:
    """Somebody who may come in. A peer of that name that is there keeps its keys."""
    if draft.state.version < NAMED_PEERS_SINCE:
        raise draft.refuse(number, "this RouterOS gives peers no names", "update it to 7.15 or later")
    own = draft.by_mark("peer", want.mark)
    for row in draft.rows("peer"):
        if row is own or row.get("interface") != want.interface:
            continue
        if row.get("name") == want.name:
            raise draft.refuse(number, f"{want.interface} has a peer {want.name} already, not Executor's", "take another name")
        if _overlap(want.address, row.get("allowed-address", "")):
            raise draft.refuse(number, f"{want.address} belongs to the peer {row.get('name') or row['.id']}", "leave the address open")
    values: dict[str, Value] = {
        "interface": want.interface, "name": want.name, "public-key": want.public_key, "allowed-address": want.address,
    }  # fmt: skip
    secrets = {"preshared-key": preshared_ref(draft.device, want.mark)} if want.preshared else {}
    label = f"WireGuard peer {want.name} on {want.interface} at {want.address}"
    if own is None and not want.endpoint:
        draft.warnings.append(f"the router has no public address of its own: give the client its way in with --endpoint, for {want.name}")
    draft.ensure(number, "peer", want.mark, values, label, "net.wireguard.peer", note=want.note, secrets=secrets)


def _overlap(address: str, allowed: str) -> bool:
    """Whether a client's address is one that another peer is sent."""
    try:
        mine = ip_interface(address).ip
        return any(
            mine in network and network.prefixlen >= 30 * (1 if network.version == 4 else 4)
            for network in (ip_interface(part).network for part in allowed.split(",") if part)
        )
    except ValueError:
        return False
