"""A plan while it is made: the menus as they will be after the calls so far, and what each call means for diff, risk and undo.

Everything is addressed by `.id`; a row this plan adds has none yet, so nothing is ever placed before one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from executor_tui.agents.device import Call, Json, PlanRefusedError, vaulted
from executor_tui.agents.drafting import PlanDraft
from executor_tui.agents.routers.marks import change_of, comment_for, mark_in
from executor_tui.agents.routers.operations import MENUS
from executor_tui.agents.routers.state import State, facts, is_dynamic
from executor_tui.infra.routeros.compare import Value, as_text, differences
from executor_tui.infra.routeros.connection import Row
from executor_tui.infra.routeros.schema import SECRETS

ADD, SET, REMOVE, MOVE = "add", "set", "remove", "move"
"""What a call does to a row of its menu."""


@dataclass
class Draft(PlanDraft):
    """`tables` follow what the calls so far will have brought about."""

    state: State
    device: str
    change_id: str
    tables: dict[str, list[Row]] = field(default_factory=dict)
    touched: dict[str, object] = field(default_factory=dict)
    menus: dict[str, None] = field(default_factory=dict)
    new: int = 0

    # -- looking -------------------------------------------------------------------------------------------------------------------

    def rows(self, kind: str) -> list[Row]:
        """The rows of a menu as they will be; naming a menu here makes the consent depend on what is in it."""
        menu = MENUS[kind]
        self.menus[menu] = None
        if menu not in self.tables:
            self.tables[menu] = list(self.state.rows(menu))
        return self.tables[menu]

    def by_mark(self, kind: str, mark: str) -> Row | None:
        return next((row for row in self.rows(kind) if mark and mark_in(row) == mark), None)

    def by_id(self, kind: str, identity: str) -> Row | None:
        return next((row for row in self.rows(kind) if row.get(".id") == identity), None)

    def of_this_change(self, row: Row) -> bool:
        return change_of(mark_in(row)) == self.change_id

    def saw(self, label: str, row: Row | None) -> None:
        """Make a row as it was part of what the consent is bound to."""
        self.touched.setdefault(label, facts(row))

    # -- calling -------------------------------------------------------------------------------------------------------------------

    def add(self, number: int, kind: str, values: Mapping[str, Value], about: str, *, before: str = "", part: str = "",
            secrets: Mapping[str, str] | None = None) -> None:  # fmt: skip
        """`secrets` are properties whose value is in the vault, by reference."""
        given: Json = {name: value for name, value in values.items() if value is not None}
        given.update({name: vaulted(ref) for name, ref in (secrets or {}).items()})
        self._call(number, ADD, kind, about, part, values=given, before=before)
        self.new += 1
        row = {".id": f"new-{self.new}", **{name: as_text(value) for name, value in values.items() if value is not None}}
        rows = self.rows(kind)
        place = next((n for n, other in enumerate(rows) if other.get(".id") == before), len(rows)) if before else len(rows)
        rows.insert(place, row)

    def set(self, number: int, kind: str, row: Row, values: Mapping[str, Value], about: str, part: str = "") -> None:
        self._call(number, SET, kind, about, part, id=row[".id"], values=dict(values))
        changed = {**row, **{name: as_text(value) for name, value in values.items()}}
        rows = self.rows(kind)
        rows[rows.index(row)] = {name: text for name, text in changed.items() if values.get(name, "") is not None}

    def remove(self, number: int, kind: str, row: Row, about: str, part: str = "") -> None:
        self._call(number, REMOVE, kind, about, part, id=row[".id"])
        self.rows(kind).remove(row)

    def move(self, number: int, kind: str, row: Row, before: str, about: str, part: str = "") -> None:
        self._call(number, MOVE, kind, about, part, id=row[".id"], before=before)
        rows = self.rows(kind)
        rows.remove(row)
        place = next((n for n, other in enumerate(rows) if other.get(".id") == before), len(rows)) if before else len(rows)
        rows.insert(place, row)

    def _call(self, number: int, what: str, kind: str, about: str, part: str, **arguments: object) -> None:
        identity = f"{number}{part}.{what}"
        same = sum(call.id == identity or call.id.startswith(f"{identity}-") for call in self.calls)
        identity += f"-{same + 1}" if same else ""
        given = {name: value for name, value in arguments.items() if value not in ("", None)}
        self.calls.append(Call(identity, what, {"menu": MENUS[kind], **given}, about))

    # -- bringing a row about --------------------------------------------------------------------------------------------------------

    def ensure(self, number: int, kind: str, mark: str, values: Mapping[str, Value], label: str, risk: str, *, note: str = "",
               before: str = "", part: str = "", secrets: Mapping[str, str] | None = None) -> Row | None:  # fmt: skip
        """See that the row of this mark is there with these values; gives the row when it was there before."""
        mark += part
        row = self.by_mark(kind, mark)
        self.saw(f"{kind} {mark}", row)
        comment = comment_for(mark, note)
        if row is None:
            self.add(number, kind, {**values, "comment": comment}, f"add {label}", before=before, part=part, secrets=secrets)
            self.changed(risk, f"+ {label}", {"op": "net.remove", "kind": kind, "mark": mark})
            return None
        self.adjust(number, kind, row, values, label, risk, part=part)
        return row

    def adjust(self, number: int, kind: str, row: Row, values: Mapping[str, Value], label: str, risk: str, part: str = "") -> None:
        """Set those properties of a row that are not as wanted."""
        differing = differences(MENUS[kind], values, row)
        if not differing:
            return
        names = {d.name for d in differing}
        self.set(number, kind, row, {name: value for name, value in values.items() if name in names}, f"set {label}", part)
        shown = ", ".join(f"{d.name} {d.have or 'none'} → {d.want or 'none'}" for d in differing)
        back: Json = {"op": "net.put", "kind": kind, "values": {name: row.get(name) for name in sorted(names)}}
        self.changed(risk, f"~ {label}: {shown}", {**back, **_address_of(row)})

    def take_away(self, number: int, kind: str, row: Row, label: str, risk: str) -> None:
        """Remove a row; undoing puts it back as it was, where it was, unless it holds a secret that nobody has kept."""
        followers = self.rows(kind)[self.rows(kind).index(row) + 1 :]
        follower = next((other.get(".id", "") for other in followers if not is_dynamic(other)), "")
        self.saw(f"{kind} {mark_in(row) or row['.id']}", row)
        mark = mark_in(row)
        lost = sorted(name for name in SECRETS & set(row) if row[name] not in ("", "none")) if not mark else []
        self.remove(number, kind, row, f"remove {label}")
        if lost or is_dynamic(row):
            what = f"nobody but the router has its {' and '.join(lost)}" if lost else "it is one that goes away by itself"
            self.warnings.append(f"{label} cannot be put back: {what}")
            self.changed(risk, f"- {label}")
            return
        derived = {"public-key"} if kind == "wireguard" else set()
        values = {name: text for name, text in (facts(row) or {}).items() if name not in SECRETS and name not in derived}
        back: Json = {"op": "net.put", "kind": kind, "values": values}
        kept = sorted(name for name in SECRETS & set(row) if row[name] not in ("", "none"))
        back |= {"mark": mark} if mark else {}
        back |= {"secrets": kept} if kept else {}
        if follower.startswith("*") and kind in _PLACED:
            back["before"] = follower
        self.changed(risk, f"- {label}", back)

    # -- refusing --------------------------------------------------------------------------------------------------------------------

    def refuse(self, number: int, problem: str, hint: str = "") -> PlanRefusedError:
        return PlanRefusedError(f"operation {number}: {problem}", hint=hint)


_PLACED = frozenset({"rule", "rule6", "nat", "nat6", "queue"})


def _address_of(row: Row) -> Json:
    mark = mark_in(row)
    return {"mark": mark} if mark else {"id": row[".id"]}


def words_of(rule: Mapping[str, str], leave_out: Sequence[str] = ()) -> str:
    """A row's configuration in one line for people."""
    hidden = {".id", "chain", "action", "comment", "disabled", *leave_out}
    shown = facts({name: text for name, text in rule.items() if name not in hidden and name not in SECRETS}) or {}
    return " ".join(f"{name}={text}" for name, text in shown.items() if text != "")
