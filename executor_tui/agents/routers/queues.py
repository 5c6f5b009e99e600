"""Planning limits: simple queues and the queue tree. Pure."""

from executor_tui.agents.routers import operations as ops
from executor_tui.agents.routers.draft import Draft
from executor_tui.agents.routers.marks import mark_in
from executor_tui.agents.routers.operations import MENUS
from executor_tui.agents.routers.state import FASTTRACK, is_dynamic, is_enabled
from executor_tui.infra.routeros.compare import Value, same
from executor_tui.infra.routeros.connection import Row
from executor_tui.infra.routeros.values import meaning, parse_amount

UNLIMITED = "0"


def limit(draft: Draft, number: int, want: ops.Limit) -> None:
    """A simple queue of ours for a target; one that is there is changed."""
    named = next((row for row in draft.rows("queue") if row.get("name") == want.name), None)
    if named is not None and mark_in(named) != want.mark:
        raise draft.refuse(number, f"there is a queue {want.name} already, not for this target or not Executor's", "give another name")
    rates = f"{want.up or UNLIMITED}/{want.down or UNLIMITED}"
    values: dict[str, Value] = {"name": want.name, "target": want.target, "max-limit": rates}
    if want.parent:
        values["parent"] = want.parent
    values["priority"] = f"{want.priority}/{want.priority}"
    label = f"limit {want.target}: down {told(want.down)}, up {told(want.up)}"
    before = _first_for(draft, want)
    was = draft.ensure(number, "queue", want.mark, values, label, "net.queue", note=want.note, before=before)
    if was is None:
        _warn(draft)


def told(rate: str) -> str:
    """`20000000` → `20M`; an empty rate is no limit."""
    bits = parse_amount(rate) if rate else 0
    if not bits:
        return "unlimited"
    for factor, letter in ((10**9, "G"), (10**6, "M"), (10**3, "k")):
        if bits % factor == 0:
            return f"{bits // factor}{letter}"
    return str(bits)


def is_for(row: Row, target: str) -> bool:
    """Whether a queue is for exactly this target."""
    return same(MENUS["queue"], "target", row.get("target"), target)


def _first_for(draft: Draft, want: ops.Limit) -> str:
    """The first queue that would take the traffic before ours: the first match wins, so ours goes before it."""
    if want.parent:
        return ""
    for row in draft.rows("queue"):
        if is_enabled(row) and not is_dynamic(row) and row.get("parent", "none") in ("", "none") and _takes(row, want.target):
            return row[".id"] if not draft.of_this_change(row) else ""
    return ""


def _takes(row: Row, target: str) -> bool:
    """Whether a queue's target holds all of another."""
    outer, inner = meaning("targets", row.get("target", "")), meaning("targets", target)
    if not isinstance(outer, frozenset) or not isinstance(inner, frozenset):
        return False
    return bool(inner) and all(any(_within(small, big) for big in outer) for small in inner)


def _within(small: object, big: object) -> bool:
    if isinstance(small, tuple) and isinstance(big, tuple):
        return bool(small[0] == big[0] and big[1] <= small[1] and small[2] <= big[2])
    return small == big


def _warn(draft: Draft) -> None:
    fast = [row[".id"] for row in draft.state.rows(FASTTRACK) if is_enabled(row) and not is_dynamic(row)]
    if fast:
        said = f"connections that rule {', '.join(fast)} fasttracks pass every queue by"
        remedy = f"executor net off rule --id {fast[0]} --foreign"
        draft.warnings.append(f"{said}; the limit holds only for what is not fasttracked (switch that off: {remedy})")


def tree(draft: Draft, number: int, want: ops.Tree) -> None:
    """A queue of the tree."""
    named = next((row for row in draft.rows("tree") if row.get("name") == want.name), None)
    if named is not None and mark_in(named) != want.mark:
        raise draft.refuse(number, f"there is a queue {want.name} in the tree already, not Executor's", "give another name")
    values: dict[str, Value] = {
        "name": want.name, "parent": want.parent, "packet-mark": want.packet_mark, "max-limit": want.limit or UNLIMITED,
        "limit-at": want.guaranteed or UNLIMITED, "priority": want.priority,
    }  # fmt: skip
    if not want.packet_mark:
        del values["packet-mark"]
    marked = f" packets marked {want.packet_mark}" if want.packet_mark else ""
    label = f"queue {want.name} at {want.parent}{marked}: at most {told(want.limit)}, at least {told(want.guaranteed)}"
    draft.ensure(number, "tree", want.mark, values, label, "net.queue", note=want.note)
