"""Planning what is done to rows that exist: removing, switching, moving, putting back. Only ours, unless a person named another's. Pure."""

from executor_tui.agents.device import Json
from executor_tui.agents.routers import operations as ops
from executor_tui.agents.routers.draft import Draft, words_of
from executor_tui.agents.routers.firewall import move as move_row
from executor_tui.agents.routers.marks import key_ref, mark_in, preshared_ref
from executor_tui.agents.routers.operations import MENUS, ORDERED
from executor_tui.agents.routers.state import is_dynamic
from executor_tui.infra.routeros.compare import same
from executor_tui.infra.routeros.connection import Row

NOUNS = {
    "rule": "filter rule", "rule6": "IPv6 filter rule", "nat": "NAT rule", "nat6": "IPv6 NAT rule", "address": "address list entry",
    "address6": "IPv6 address list entry", "queue": "limit", "tree": "queue of the tree", "wireguard": "WireGuard interface",
    "peer": "WireGuard peer", "ip": "address", "member": "member of an interface list",
}  # fmt: skip
_PARTS: dict[str, tuple[tuple[str, str], ...]] = {
    "wireguard": (("rule", "f"), ("ip", "a"), ("member", "m")),
    "nat": (("rule", "f"),),
}
"""What an operation made besides its row, and what goes with it."""


def found_by_name(kind: str, row: Row, name: str) -> bool:
    """Whether a person who says this name means this row: its name, address, `LIST ADDRESS`, target or whole comment."""
    if name in (row.get("name"), row.get("comment")):
        return True
    if "list" in row and name.startswith(row["list"] + " "):
        name = name.removeprefix(row["list"] + " ")
    matcher = {"address": "address", "address6": "address", "queue": "target", "ip": "address"}.get(kind)
    return bool(matcher) and same(MENUS[kind], str(matcher), row.get(str(matcher)), name)


def find(draft: Draft, want: ops.OnRow) -> Row | None:
    """The row an operation is about."""
    return draft.by_mark(want.kind, want.mark) if want.mark else draft.by_id(want.kind, want.id)


def label_of(kind: str, row: Row) -> str:
    """A row in a few words."""
    name = row.get("name") or (f"{row.get('address')} on {row.get('list')}" if "list" in row else "")
    head = f"{NOUNS[kind]} {name or row['.id']}"
    return f"{head} ({row.get('chain')} {row.get('action', 'accept')} {words_of(row)})" if "chain" in row else head


def remove(draft: Draft, number: int, want: ops.Remove) -> None:
    """Remove a row, and what was made with it."""
    row = find(draft, want)
    if row is None:
        draft.saw(f"{want.kind} {want.mark or want.id}", None)
        return
    if want.kind == "wireguard":
        left = [p.get("name") or p[".id"] for p in draft.rows("peer") if p.get("interface") == row.get("name")]
        if left:
            raise draft.refuse(number, f"{row.get('name')} has peers still: {', '.join(left[:5])}", "remove them first")
    for kind, part in _PARTS.get(want.kind, ()):
        made_too = draft.by_mark(kind, mark_in(row) + part) if mark_in(row) else None
        if made_too is not None:
            draft.take_away(number, kind, made_too, label_of(kind, made_too), "net.remove.own")
    label = label_of(want.kind, row)
    if mark_in(row):
        draft.take_away(number, want.kind, row, label, "net.remove.own")
        return
    draft.take_away(number, want.kind, row, f"{label}, not Executor's", "net.remove.foreign")
    draft.words.append(row.get("name") or row[".id"])


def switch(draft: Draft, number: int, want: ops.Switch) -> None:
    """Set a row on or off."""
    row = find(draft, want)
    if row is None:
        raise draft.refuse(number, f"there is no {NOUNS[want.kind]} {want.mark or want.id}")
    draft.saw(f"{want.kind} {want.mark or want.id}", row)
    if (row.get("disabled") != "true") == want.on:
        return
    label, word = label_of(want.kind, row), "on" if want.on else "off"
    draft.set(number, want.kind, row, {"disabled": not want.on}, f"switch {word} {label}")
    back: Json = {"op": "net.switch", "kind": want.kind, "on": not want.on, **_address(row)}
    draft.changed("net.remove.own" if mark_in(row) else "net.set.foreign", f"~ {label}: switched {word}", back)


def move(draft: Draft, number: int, want: ops.Move) -> None:
    """Move a row before another."""
    if want.kind not in ORDERED:
        raise draft.refuse(number, f"the place of a {NOUNS[want.kind]} means nothing")
    row = find(draft, want)
    if row is None:
        raise draft.refuse(number, f"there is no {NOUNS[want.kind]} {want.mark or want.id}")
    anchor = draft.by_id(want.kind, want.before)
    if want.before and (anchor is None or is_dynamic(anchor)):
        raise draft.refuse(number, f"there is no {NOUNS[want.kind]} {want.before} to put it before")
    draft.saw(f"{want.kind} {want.mark or want.id}", row)
    if want.before != row[".id"]:
        move_row(draft, number, want.kind, row, want.before, label_of(want.kind, row))


def put(draft: Draft, number: int, want: ops.Put) -> None:
    """Put a row back as it was."""
    row = draft.by_mark(want.kind, want.mark) if want.mark else draft.by_id(want.kind, want.id) if want.id else None
    if row is None and not want.mark:
        row = next((r for r in draft.rows(want.kind) if _is_it(want, r)), None)
    draft.saw(f"{want.kind} {want.mark or want.id or number}", row)
    risk = _risk(want.kind, want.values, ours=bool(want.mark))
    if row is not None:
        draft.adjust(number, want.kind, row, want.values, label_of(want.kind, row), risk)
        return
    if want.id:
        raise draft.refuse(number, f"there is no {NOUNS[want.kind]} {want.id} any more")
    before = want.before if draft.by_id(want.kind, want.before) is not None else ""
    if want.before and not before:
        draft.warnings.append(f"the row it stood before, {want.before}, is gone; it goes to the end")
    values = {name: text for name, text in want.values.items() if text is not None}
    refs: dict[str, str] = {"private-key": key_ref(draft.device, want.mark), "preshared-key": preshared_ref(draft.device, want.mark)}
    label = label_of(want.kind, {".id": "", **values})
    secrets: dict[str, str] = {name: refs[name] for name in want.secrets} if want.mark else {}
    draft.add(number, want.kind, values, f"put back {label}", before=before, secrets=secrets)
    mark = mark_in(values)
    back: list[Json] = [{"op": "net.remove", "kind": want.kind, "mark": mark}] if mark else []
    draft.changed(risk, f"+ {label}, as it was", *back)


def _is_it(want: ops.Put, row: Row) -> bool:
    """Whether a row that is there is the one that was to be put back."""
    return all(same(MENUS[want.kind], name, row.get(name), text) for name, text in want.values.items())


def _risk(kind: str, values: dict[str, str | None], *, ours: bool) -> str:
    if not ours:
        return "net.set.foreign"
    if kind in ("rule", "rule6"):
        return f"net.filter.{values.get('action') or 'move'}"
    if kind in ("nat", "nat6"):
        return "net.nat.forward"
    listed, queued = dict.fromkeys(("address", "address6"), "net.address_list"), dict.fromkeys(("queue", "tree"), "net.queue")
    return {**listed, **queued}.get(kind, "net.wireguard")


def _address(row: Row) -> Json:
    mark = mark_in(row)
    return {"mark": mark} if mark else {"id": row[".id"], "foreign": True}
