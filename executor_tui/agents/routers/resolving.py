"""Deciding once what operations leave open: the row a name means, the interface, address, port and mark of what is made. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Network, ip_address, ip_interface, ip_network

from executor_tui.agents.device import Json, PlanRefusedError
from executor_tui.agents.routers import operations as ops
from executor_tui.agents.routers.existing import NOUNS, found_by_name
from executor_tui.agents.routers.firewall import is_same_rule
from executor_tui.agents.routers.marks import mark_in
from executor_tui.agents.routers.operations import MENUS
from executor_tui.agents.routers.queues import is_for
from executor_tui.agents.routers.state import Survey, is_dynamic, is_enabled
from executor_tui.infra.routeros.connection import Row

FIRST_PORT = 13_231
TUNNELS = IPv4Network("10.99.0.0/16")
"""Where tunnels get their networks from, one /24 each."""
INTERFACE_LISTS, INTERFACES = "/interface/list", "/interface"
"""Read for resolving only."""


@dataclass
class _Taken:
    """What others, and earlier operations of this change, will take."""

    ports: set[int] = field(default_factory=set)
    addresses: set[str] = field(default_factory=set)
    networks: list[IPv4Network] = field(default_factory=list)
    tunnels: dict[str, str] = field(default_factory=dict)
    """Interface → its address, of interfaces that earlier operations make."""

    def add(self, raw: Json) -> None:
        if raw.get("op") == "net.wireguard":
            self.ports.add(int(str(raw.get("listen_port") or 0)))
            address = str(raw.get("address") or "")
            if address:
                self.tunnels[str(raw.get("name") or "wireguard1")] = address
                network = ip_interface(address).network
                if isinstance(network, IPv4Network):
                    self.networks.append(network)
        if raw.get("op") == "net.peer":
            self.addresses.add(str(raw.get("address") or "").partition("/")[0])


def menus_to_resolve(operations: Sequence[ops.RouterOperation]) -> tuple[str, ...]:
    """What must be read besides the menus that planning reads."""
    wanted: list[str] = []
    for operation in operations:
        if isinstance(operation, ops.Masquerade | ops.Forward):
            wanted.append(INTERFACE_LISTS)
        if isinstance(operation, ops.Peer):
            wanted += ["/ip/address", "/interface/list/member"]
        if isinstance(operation, ops.Limit):
            wanted.append(INTERFACES)
    return tuple(dict.fromkeys(wanted))


def containers_named(operations: Sequence[ops.RouterOperation]) -> tuple[int | str, ...]:
    """The containers whose addresses are needed."""
    named = [o.container for o in operations if isinstance(o, ops.Limit | ops.Forward) and o.container is not None]
    return tuple(dict.fromkeys(named))


def resolve(
    operations: Sequence[ops.RouterOperation], survey: Survey, others: Sequence[Json], change_id: str
) -> tuple[ops.RouterOperation, ...]:  # fmt: skip
    """The operations with nothing left open but keys. Raises PlanRefusedError, naming the choices where there is more than one."""
    taken = _Taken()
    for other in others:
        taken.add(other)
    found: list[ops.RouterOperation] = []
    for number, operation in enumerate(operations, 1):
        one = _one(number, operation, survey, taken, f"{change_id}.{number}")
        taken.add(ops.dump(one))
        found.append(one)
    return tuple(found)


def _one(number: int, want: ops.RouterOperation, survey: Survey, taken: _Taken, mark: str) -> ops.RouterOperation:
    match want:
        case ops.ListAddress():
            return _listed(want, mark)
        case ops.Masquerade():
            return want.model_copy(update={"mark": want.mark or mark, **_outward(number, want, survey)})
        case ops.Forward():
            return _forward(number, want, survey, mark)
        case ops.Wireguard():
            return _wireguard(want, survey, taken, mark)
        case ops.Peer():
            return _peer(number, want, survey, taken, mark)
        case ops.Limit():
            return _limit(number, want, survey, mark)
        case ops.Tree():
            own = _own(survey, "tree", lambda row: row.get("name") == want.name)
            return want.model_copy(update={"mark": want.mark or own or mark})
        case ops.Rule():
            six = ":" in want.src_address + want.dst_address
            return want.model_copy(update={"mark": want.mark or mark, "family": "ipv6" if six else want.family})
        case ops.Put():
            return want
        case _:
            return _existing(number, want, survey)


def _rows(survey: Survey, kind: str) -> tuple[Row, ...]:
    return survey.state.rows(MENUS[kind])


def _own(survey: Survey, kind: str, fits: Callable[[Row], bool]) -> str:
    """The mark of a row of ours that fits; empty when there is none."""
    return next((mark_in(row) for row in _rows(survey, kind) if mark_in(row) and fits(row)), "")


def _refused(number: int, problem: str, hint: str = "") -> PlanRefusedError:
    return PlanRefusedError(f"operation {number}: {problem}", hint=hint)


# -- firewall -----------------------------------------------------------------------------------------------------------------------------


def _listed(want: ops.ListAddress, mark: str) -> ops.ListAddress:
    family = want.family
    if family is None:
        family = "ipv6" if ":" in want.address else "ipv4"
    return want.model_copy(update={"mark": want.mark or mark, "family": family})


def _outward(number: int, want: ops.Masquerade, survey: Survey) -> Json:
    if want.out_interface or want.out_interface_list:
        return {}
    return {"out_interface_list": _wan(number, survey, "out_interface or out_interface_list")}


def _wan(number: int, survey: Survey, fields: str) -> str:
    if any(row.get("name") == "WAN" for row in survey.state.rows(INTERFACE_LISTS)):
        return "WAN"
    raise _refused(number, f"this router has no interface list WAN: say which interface leads outside ({fields})")


def _forward(number: int, want: ops.Forward, survey: Survey, mark: str) -> ops.Forward:
    address = want.to_address or survey.containers[str(want.container)]
    if ip_address(address).version == 6:
        raise _refused(number, "IPv6 needs no forward", "let it through with net.rule, family ipv6, chain forward, dst_address")
    update: Json = {"to_address": address, "container": None}
    if not want.in_interface and not want.in_interface_list:
        update["in_interface_list"] = _wan(number, survey, "in_interface or in_interface_list")
    done = want.model_copy(update=update)
    matched = {
        "chain": "dstnat", "action": "dst-nat", "protocol": done.protocol, "dst-port": done.port, "in-interface": done.in_interface,
        "in-interface-list": done.in_interface_list, "src-address": done.src_address, "src-address-list": done.src_address_list,
    }  # fmt: skip
    given = {name: text for name, text in matched.items() if text}
    own = _own(survey, "nat", lambda row: is_same_rule(MENUS["nat"], given, row))
    return done.model_copy(update={"mark": want.mark or own or mark})


# -- WireGuard ----------------------------------------------------------------------------------------------------------------------------


def _wireguard(want: ops.Wireguard, survey: Survey, taken: _Taken, mark: str) -> ops.Wireguard:
    row = next((r for r in _rows(survey, "wireguard") if r.get("name") == want.name and mark_in(r)), None)
    mark = want.mark or (mark_in(row) if row is not None else mark)
    address = next((r.get("address", "") for r in _rows(survey, "ip") if row is not None and mark_in(r) == mark + "a"), "")
    port = int(row.get("listen-port", "0")) if row is not None else 0
    used = {int(r.get("listen-port", "0")) for r in _rows(survey, "wireguard")} | taken.ports
    free = next(number for number in range(FIRST_PORT, 65_536) if number not in used)
    return want.model_copy(update={
        "mark": mark, "listen_port": want.listen_port or port or free, "address": want.address or address or _tunnel(survey, taken),
    })  # fmt: skip


def _tunnel(survey: Survey, taken: _Taken) -> str:
    """The first address of a /24 nothing else uses."""
    used = [*taken.networks]
    for row in _rows(survey, "ip"):
        network = ip_interface(row.get("address", "0.0.0.0/32")).network
        if isinstance(network, IPv4Network):
            used.append(network)
    for network in TUNNELS.subnets(new_prefix=24):
        if not any(network.overlaps(other) for other in used):
            return f"{network.network_address + 1}/24"
    raise PlanRefusedError(f"every network of {TUNNELS} is in use", hint="give the address yourself")


def _peer(number: int, want: ops.Peer, survey: Survey, taken: _Taken, mark: str) -> ops.Peer:
    interface = want.interface or _only_tunnel(number, survey, taken)
    tunnel = taken.tunnels.get(interface) or _tunnel_address(number, interface, survey)
    row = next(
        (r for r in _rows(survey, "peer") if mark_in(r) and r.get("name") == want.name and r.get("interface") == interface), None
    )  # fmt: skip
    if row is not None:
        mark = mark_in(row)
    address = want.address or (row.get("allowed-address", "").split(",")[0] if row is not None else "")
    address = address or _next_client(number, interface, tunnel, survey, taken)
    host = ip_interface(address).ip
    if host not in ip_interface(tunnel).network:
        raise _refused(number, f"{host} is not in the network of {interface} ({ip_interface(tunnel).network})", "leave the address open")
    return want.model_copy(update={
        "interface": interface, "mark": want.mark or mark, "address": f"{host}/{32 if host.version == 4 else 128}",
        "endpoint": want.endpoint or _public_address(survey),
        "public_key": want.public_key or (row.get("public-key", "") if row is not None else ""),
    })  # fmt: skip


def _only_tunnel(number: int, survey: Survey, taken: _Taken) -> str:
    names = [*(r.get("name", "") for r in _rows(survey, "wireguard")), *taken.tunnels]
    names = list(dict.fromkeys(names))
    if len(names) == 1:
        return names[0]
    hint = f"there are: {', '.join(names)}" if names else "make one first with net.wireguard"
    raise _refused(number, "say which WireGuard interface" if names else "this router has no WireGuard interface", hint)


def _tunnel_address(number: int, interface: str, survey: Survey) -> str:
    for row in _rows(survey, "ip"):
        if row.get("interface") == interface and is_enabled(row):
            return row.get("address", "")
    known = any(r.get("name") == interface for r in _rows(survey, "wireguard"))
    problem = f"{interface} has no address" if known else f"there is no WireGuard interface {interface}"
    raise _refused(number, problem, "see what there is: executor net wireguard")


def _next_client(number: int, interface: str, tunnel: str, survey: Survey, taken: _Taken) -> str:
    own = ip_interface(tunnel)
    used = {str(own.ip), *taken.addresses}
    for row in _rows(survey, "peer"):
        for part in row.get("allowed-address", "").split(","):
            if row.get("interface") == interface and part:
                used.add(part.partition("/")[0])
    free = next((host for host in own.network.hosts() if str(host) not in used), None)
    if free is None:
        raise _refused(number, f"every address of {own.network} is taken")
    return str(free)


def _public_address(survey: Survey) -> str:
    """The router's address on the outside that the world can reach; empty when it has none of its own."""
    outside = {r.get("interface") for r in survey.state.rows("/interface/list/member") if r.get("list") == "WAN"}
    for row in _rows(survey, "ip"):
        address = ip_interface(row.get("address", "0.0.0.0/32")).ip
        reachable = not any(address in ip_network(n) for n in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10"))
        if row.get("interface") in outside and reachable and not address.is_loopback:
            return str(address)
    return ""


# -- queues -------------------------------------------------------------------------------------------------------------------------------


def _limit(number: int, want: ops.Limit, survey: Survey, mark: str) -> ops.Limit:
    target = want.target or survey.containers[str(want.container)]
    interfaces = {row.get("name", "") for row in survey.state.rows(INTERFACES)}
    parts = []
    for part in target.split(","):
        if part in interfaces:
            parts.append(part)
            continue
        try:
            parts.append(str(ip_network(part, strict=False)))
        except ValueError:
            raise _refused(number, f"{part} is no address, network or interface of this router") from None
    target = ",".join(parts)
    row = next((r for r in _rows(survey, "queue") if mark_in(r) and not is_dynamic(r) and is_for(r, target)), None)
    name = want.name or (row.get("name", "") if row is not None else "") or f"executor {target.replace(',', ' ')}"
    return want.model_copy(update={
        "target": target, "container": None, "name": name, "mark": want.mark or (mark_in(row) if row is not None else mark),
    })  # fmt: skip


# -- rows that exist ----------------------------------------------------------------------------------------------------------------------


def _existing(number: int, want: "ops.Remove | ops.Switch | ops.Move", survey: Survey) -> ops.RouterOperation:
    if want.mark:
        return want
    noun = NOUNS[want.kind]
    rows = [r for r in _rows(survey, want.kind) if not is_dynamic(r) or want.kind.startswith("address")]
    if want.id:
        found = [r for r in rows if r.get(".id") == want.id]
    else:
        found = [r for r in rows if found_by_name(want.kind, r, want.name)]
    if not found:
        raise _refused(number, f"there is no {noun} {want.id or want.name!r}", "see what there is: executor net --help")
    if len(found) > 1:
        choices = ", ".join(f"{r['.id']} ({r.get('list') or r.get('comment') or r.get('interface', '')})" for r in found[:6])
        raise _refused(number, f"several {noun}s are called {want.name!r}: say which id", choices)
    mark = mark_in(found[0])
    if mark:
        return want.model_copy(update={"mark": mark, "id": "", "name": "", "foreign": False})
    if not want.foreign:
        comment = "".join(c if c.isprintable() else " " for c in found[0].get("comment", "") or found[0].get("name", ""))
        hint = "only a person can mean it all the same, with: --foreign"
        raise _refused(number, f"{noun} {found[0]['.id']} ({comment or 'no comment'}) is not Executor's", hint)
    return want.model_copy(update={"id": found[0][".id"], "name": ""})
