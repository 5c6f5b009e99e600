"""Planning filter rules, address lists, masquerading and port forwards: where a rule goes, and whether one does it already. Pure."""

from collections.abc import Mapping, Sequence

from executor_tui.agents.routers import operations as ops
from executor_tui.agents.routers.draft import Draft, words_of
from executor_tui.agents.routers.marks import comment_for, mark_in
from executor_tui.agents.routers.operations import MENUS
from executor_tui.agents.routers.packets import STOPS, Packet, Verdict, covers, matchers_of, verdict
from executor_tui.agents.routers.state import is_dynamic, is_enabled
from executor_tui.infra.routeros.compare import Value, matches, same
from executor_tui.infra.routeros.connection import Row

_TERMINAL = STOPS | {"accept"}
_PLAIN = (
    "protocol", "src_address", "dst_address", "src_address_list", "dst_address_list", "src_port", "dst_port", "in_interface",
    "out_interface", "in_interface_list", "out_interface_list", "connection_state", "src_mac_address",
)  # fmt: skip


def rule(draft: Draft, number: int, want: ops.Rule) -> None:
    """A filter rule: there already, ours in the wrong place, or to be added."""
    kind = "rule" if want.family == "ipv4" else "rule6"
    values = rule_values(want)
    label = f"filter {want.chain} {want.action} {words_of(_texts(values), ('log', 'log-prefix'))}".rstrip()
    rows = draft.rows(kind)
    own = draft.by_mark(kind, want.mark)
    equal = [own] if own is not None else [r for r in rows if is_same_rule(MENUS[kind], values, r)]
    before = _anchor(draft, number, kind, want)
    placed = next((r for r in equal if _stands_right(rows, r, want, before)), None)
    draft.saw(f"{kind} {want.mark}", own if own is not None else placed)
    risk = f"net.filter.{want.action}"
    if own is not None:
        draft.adjust(number, kind, own, values, label, risk)
    if placed is not None:
        return
    if own is None and not any(mark_in(r) for r in equal):
        draft.add(number, kind, {**values, "comment": comment_for(want.mark, want.note)}, f"add {label}", before=before)
        draft.changed(risk, f"+ {label}, {_where(draft, kind, before)}", {"op": "net.remove", "kind": kind, "mark": want.mark})
        _warn_of_shadow(draft, kind, want, values, before)
        return
    ours = own if own is not None else next(r for r in equal if mark_in(r))
    move(draft, number, kind, draft.by_id(kind, ours[".id"]) or ours, before, label)


def rule_values(want: ops.Rule) -> dict[str, Value]:
    """The operation as the router's properties."""
    values: dict[str, Value] = {"chain": want.chain, "action": want.action}
    values.update({name.replace("_", "-"): getattr(want, name) for name in _PLAIN if getattr(want, name)})
    if want.family == "ipv6" and values.get("protocol") == "icmp":
        values["protocol"] = "icmpv6"
    if want.log or want.log_prefix:
        values["log"] = True
    if want.log_prefix:
        values["log-prefix"] = want.log_prefix
    return values


def _texts(values: Mapping[str, Value]) -> dict[str, str]:
    return {name: str(value) for name, value in values.items() if value is not None}


def is_same_rule(menu: str, values: Mapping[str, Value], row: Row) -> bool:
    """Whether a rule that acts does exactly this: the same action on the same traffic, and on no less."""
    if row.get("chain") != values["chain"] or row.get("action", "accept") != values["action"] or is_dynamic(row) or not is_enabled(row):
        return False
    return set(matchers_of(row)) <= set(values) and matches(menu, values, row)


# -- where a rule goes --------------------------------------------------------------------------------------------------------------------


def _anchor(draft: Draft, number: int, kind: str, want: ops.Rule) -> str:
    """The `.id` of the rule the new one goes before; empty for the end."""
    rows = draft.rows(kind)
    if want.before:
        found = draft.by_id(kind, want.before)
        if found is None or is_dynamic(found):
            raise draft.refuse(number, f"there is no rule {want.before} to put one before", "see the rules: executor net rules")
        return want.before
    if want.place == "last":
        return ""
    for row in rows:
        if row.get("chain") != want.chain or is_dynamic(row) or draft.of_this_change(row):
            continue
        if want.place == "first" or (is_enabled(row) and stops_somebody(rows, row)):
            return row.get(".id", "")
    return ""


def stops_somebody(rows: Sequence[Row], row: Row, depth: int = 0) -> bool:
    """Whether traffic may end at this rule: it drops, or jumps to a chain that does."""
    action = row.get("action", "accept")
    if action in STOPS:
        return True
    target = row.get("jump-target", "")
    return action == "jump" and depth < 4 and any(
        stops_somebody(rows, r, depth + 1) for r in rows if r.get("chain") == target and is_enabled(r)
    )  # fmt: skip


def _stands_right(rows: Sequence[Row], row: Row, want: ops.Rule, before: str) -> bool:
    """Whether a rule stands where the operation wants it."""
    if want.place == "last" and not want.before:
        return not any(r.get("chain") == want.chain for r in rows[rows.index(row) + 1 :])
    if not before or row.get(".id") == before:
        return True
    return rows.index(row) < next((n for n, r in enumerate(rows) if r.get(".id") == before), len(rows))


def _where(draft: Draft, kind: str, before: str) -> str:
    anchor = draft.by_id(kind, before) if before else None
    if anchor is None:
        return "at the end"
    comment = "".join(c if c.isprintable() else " " for c in anchor.get("comment", ""))[:48]
    return f"before {before} ({anchor.get('action', 'accept')}{': ' + comment if comment else ''})"


def _warn_of_shadow(draft: Draft, kind: str, want: ops.Rule, values: Mapping[str, Value], before: str) -> None:
    mine = _texts(values)
    for row in draft.rows(kind):
        if row.get(".id") == before or row.get("comment", "").startswith(comment_for(want.mark)):
            return
        action = row.get("action", "accept")
        contrary = action in _TERMINAL and (action == "accept") != (want.action == "accept")
        if contrary and row.get("chain") == want.chain and is_enabled(row) and not is_dynamic(row) and covers(row, mine):
            draft.warnings.append(f"the rule has no effect: {row['.id']} ({action} {words_of(row)}) stands before it and takes it all")
            return


def move(draft: Draft, number: int, kind: str, row: Row, before: str, label: str) -> None:
    """Move a row; undoing moves it back to before the row that follows it now."""
    rows = draft.rows(kind)
    follower = next((r.get(".id", "") for r in rows[rows.index(row) + 1 :] if not is_dynamic(r)), "")
    if follower == before:
        return
    draft.move(number, kind, row, before, f"move {label}")
    mark = mark_in(row)
    back = {"op": "net.move", "kind": kind, "before": follower, **({"mark": mark} if mark else {"id": row[".id"], "foreign": True})}
    draft.changed("net.filter.move", f"~ {label}: moved {_where(draft, kind, before)}", back)


# -- address lists, NAT -------------------------------------------------------------------------------------------------------------------


def list_address(draft: Draft, number: int, want: ops.ListAddress) -> None:
    """An entry of an address list; one that is there already, whoever made it, is enough."""
    kind = "address6" if want.family == "ipv6" else "address"
    menu = MENUS[kind]
    listed = (r for r in draft.rows(kind) if r.get("list") == want.list and is_enabled(r))
    there = draft.by_mark(kind, want.mark) or next((r for r in listed if same(menu, "address", r.get("address"), want.address)), None)
    draft.saw(f"{kind} {want.mark}", there)
    if there is not None:
        return
    values: dict[str, Value] = {"list": want.list, "address": want.address, "timeout": want.timeout or None}
    label = f"address {want.address} on list {want.list}" + (f" for {want.timeout}" if want.timeout else "")
    draft.add(number, kind, {**values, "comment": comment_for(want.mark, want.note)}, f"add {label}")
    draft.changed("net.address_list", f"+ {label}", {"op": "net.remove", "kind": kind, "mark": want.mark})


def masquerade(draft: Draft, number: int, want: ops.Masquerade) -> None:
    """Source NAT at an interface."""
    kind = "nat" if want.family == "ipv4" else "nat6"
    values: dict[str, Value] = {"chain": "srcnat", "action": "masquerade"}
    outward = {"out-interface": want.out_interface, "out-interface-list": want.out_interface_list, "src-address": want.src_address}
    values.update({name: text for name, text in outward.items() if text})
    label = f"masquerade {words_of(_texts(values))}"
    if draft.by_mark(kind, want.mark) is None:
        covering = next((r for r in draft.rows(kind) if _hides_already(r, _texts(values))), None)
        if covering is not None:
            draft.saw(f"{kind} {want.mark}", covering)
            return
    draft.ensure(number, kind, want.mark, values, label, "net.nat.masquerade", note=want.note)


def _hides_already(row: Row, wanted: Mapping[str, str]) -> bool:
    """Whether a masquerading rule hides all of this already; one that leaves IPsec out does, for what is not IPsec."""
    if row.get("chain") != "srcnat" or row.get("action") != "masquerade" or is_dynamic(row) or not is_enabled(row):
        return False
    return covers({name: text for name, text in row.items() if (name, text) != ("ipsec-policy", "out,none")}, wanted)


def forward(draft: Draft, number: int, want: ops.Forward) -> None:
    """Destination NAT of a port, and a filter rule where the filter would drop what is forwarded."""
    inward = {
        "in-interface": want.in_interface, "in-interface-list": want.in_interface_list, "src-address": want.src_address,
        "src-address-list": want.src_address_list,
    }  # fmt: skip
    matched: dict[str, Value] = {"chain": "dstnat", "protocol": want.protocol, "dst-port": want.port}
    matched.update({name: text for name, text in inward.items() if text})
    to_port = str(want.to_port) if want.to_port else None
    values: dict[str, Value] = {**matched, "action": "dst-nat", "to-addresses": want.to_address, "to-ports": to_port}
    label = f"forward {want.protocol} {want.port} to {want.to_address}" + (f":{want.to_port}" if want.to_port else "")
    if draft.by_mark("nat", want.mark) is None:
        _refuse_shadowed(draft, number, want, _texts(matched), values)
    same_rule = next((r for r in draft.rows("nat") if is_same_rule(MENUS["nat"], values, r)), None)
    if draft.by_mark("nat", want.mark) is None and same_rule is not None:
        draft.saw(f"nat {want.mark}", same_rule)
    else:
        draft.ensure(number, "nat", want.mark, values, label, "net.nat.forward", note=want.note)
    _let_through(draft, number, want, inward)


def _refuse_shadowed(draft: Draft, number: int, want: ops.Forward, matched: Mapping[str, str], values: Mapping[str, Value]) -> None:
    for row in draft.rows("nat"):
        ends = row.get("action") in ("dst-nat", "redirect", "netmap", "accept") and row.get("chain") == "dstnat"
        if not ends or not is_enabled(row) or is_dynamic(row) or not covers(row, matched):
            continue
        if is_same_rule(MENUS["nat"], values, row):
            return
        where = row.get("to-addresses", "elsewhere")
        hint = f"remove it first: executor net remove nat --id {row['.id']}" + ("" if mark_in(row) else " --foreign")
        raise draft.refuse(number, f"{want.protocol} {want.port} is forwarded to {where} already (nat rule {row['.id']})", hint)


def _let_through(draft: Draft, number: int, want: ops.Forward, inward: Mapping[str, str]) -> None:
    """Add a filter rule when the forward chain would stop what is forwarded."""
    port = want.to_port or int(want.port.replace("-", ",").split(",")[0])
    lists = frozenset({want.in_interface_list}) if want.in_interface_list else None
    source = "" if any(c in want.src_address for c in "!-/") else want.src_address
    packet = Packet(source, want.to_address, want.protocol, port, want.in_interface, lists, "new", "dstnat")
    own = draft.by_mark("rule", want.mark + "f")
    others = [row for row in draft.rows("rule") if row is not own]
    if own is None and verdict(others, "forward", packet) is not Verdict.DROP:
        draft.saw(f"rule {want.mark}f", None)
        return
    rule_of = ops.Rule(
        op="net.rule", chain="forward", action="accept", protocol=want.protocol, dst_address=want.to_address,
        dst_port=str(want.to_port) if want.to_port else want.port, note=want.note or "what is forwarded", mark=want.mark + "f",
    ).model_copy(update={name.replace("-", "_"): text for name, text in inward.items()})  # fmt: skip
    rule(draft, number, rule_of)
