"""From resolved operations and the live state to the calls that are still missing. Pure; a state that is as wanted gives no calls."""

from collections.abc import Sequence

from executor_tui.agents.device import Json, Plan, PlanRefusedError
from executor_tui.agents.routers import existing, firewall, queues, tunnels
from executor_tui.agents.routers import operations as ops
from executor_tui.agents.routers.draft import Draft
from executor_tui.agents.routers.lockout import shut_out
from executor_tui.agents.routers.operations import MENUS
from executor_tui.agents.routers.state import FASTTRACK, State, digest_of_rows

TARGET = "router"
"""Changes of one router go one after the other: safe mode takes back what anybody changed meanwhile."""
MAX_GUARDED_CALLS = 80
"""Past about 100 actions safe mode ends by itself and takes nothing back (vendor's manual)."""
LOCKOUT = "net.lockout"
_CONTEXT = ("/ip/address", "/interface/list/member")
_FILTERING = frozenset({"rule", "rule6", "nat", "nat6", "wireguard", "ip"})


def kinds_of(operation: ops.RouterOperation) -> tuple[str, ...]:
    """What an operation looks at or changes."""
    match operation:
        case ops.Rule():
            return ("rule" if operation.family == "ipv4" else "rule6",)
        case ops.ListAddress():
            return ("address6" if operation.family == "ipv6" else "address",)
        case ops.Masquerade():
            return ("nat" if operation.family == "ipv4" else "nat6",)
        case ops.Forward():
            return ("nat", "rule")
        case ops.Wireguard():
            return ("wireguard", "ip", "rule", "peer", *(("member",) if operation.list else ()))
        case ops.Peer():
            return ("peer", "wireguard", "ip")
        case ops.Limit():
            return ("queue",)
        case ops.Tree():
            return ("tree",)
        case _:
            more = {"wireguard": ("peer", "ip", "rule", "member"), "nat": ("rule",)}.get(operation.kind, ())
            return (operation.kind, *more)


def menus_of(operations: Sequence[ops.RouterOperation]) -> tuple[str, ...]:
    """The menus that must be read to plan these; the last may be FASTTRACK."""
    kinds = [kind for operation in operations for kind in kinds_of(operation)]
    context = _CONTEXT if _FILTERING & set(kinds) else ()
    limits = (FASTTRACK,) if any(isinstance(o, ops.Limit) for o in operations) else ()
    return tuple(dict.fromkeys([*(MENUS[kind] for kind in kinds), *context, *limits]))


def plan(operations: Sequence[ops.RouterOperation], state: State, device: str, change_id: str) -> Plan:
    """The plan. Raises PlanRefusedError when what is asked for is not possible."""
    draft = Draft(state, device, change_id)
    for number, operation in enumerate(operations, 1):
        _dispatch(draft, number, operation)
    if state.has_safe_mode and len(draft.calls) > MAX_GUARDED_CALLS:
        problem = f"{len(draft.calls)} calls are more than safe mode can take back ({MAX_GUARDED_CALLS})"
        raise PlanRefusedError(problem, hint="ask in parts")
    locked = shut_out(draft) if draft.calls else []
    if locked:
        draft.risks.append(LOCKOUT)
        draft.diff[0:0] = [f"! {line}" for line in locked]
        draft.warnings[0:0] = locked
        draft.words.append(device)
    elif not state.has_safe_mode and draft.calls:
        draft.warnings.append("this RouterOS has no safe mode for programs: if the change fails, the router restarts to go back")
    before: Json = {"menus": {menu: digest_of_rows(state.rows(menu)) for menu in draft.menus}, "rows": dict(draft.touched)}
    return Plan(
        operations=tuple(ops.dump(o) for o in operations), calls=tuple(draft.calls), diff=tuple(draft.diff), before=before,
        risks=tuple(draft.risks), summary=summary_of(draft.diff), targets=(TARGET,), undo=tuple(draft.undo),
        warnings=tuple(draft.warnings), confirm_word=" ".join(dict.fromkeys(draft.words)), guard=guard_of(state),
    )  # fmt: skip


def guard_of(state: State) -> str:
    """What takes a change back when it is not committed, in words."""
    if state.has_safe_mode:
        return "safe mode on the connection that makes the change: cut off, the router takes it back"
    return "a backup that the router loads by itself unless it is told in time that all is well; loading restarts it"


def summary_of(diff: Sequence[str]) -> str:
    """One line for lists: the first thing that changes, and how many more there are."""
    lines = [line for line in diff if not line.startswith("!")]
    if not lines:
        return "nothing to do"
    verb = {"+": "add ", "-": "remove "}.get(lines[0][:1], "")
    more = f", and {len(lines) - 1} more" if len(lines) > 1 else ""
    return f"{verb}{lines[0][2:]}{more}"


def _dispatch(draft: Draft, number: int, operation: ops.RouterOperation) -> None:
    match operation:
        case ops.Rule():
            firewall.rule(draft, number, operation)
        case ops.ListAddress():
            firewall.list_address(draft, number, operation)
        case ops.Masquerade():
            firewall.masquerade(draft, number, operation)
        case ops.Forward():
            firewall.forward(draft, number, operation)
        case ops.Wireguard():
            tunnels.wireguard(draft, number, operation)
        case ops.Peer():
            tunnels.peer(draft, number, operation)
        case ops.Limit():
            queues.limit(draft, number, operation)
        case ops.Tree():
            queues.tree(draft, number, operation)
        case ops.Remove():
            existing.remove(draft, number, operation)
        case ops.Switch():
            existing.switch(draft, number, operation)
        case ops.Move():
            existing.move(draft, number, operation)
        case ops.Put():
            existing.put(draft, number, operation)
