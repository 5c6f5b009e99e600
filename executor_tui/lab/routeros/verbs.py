"""The commands nearly every menu has: print, add, set, remove, move and their kin."""

from collections.abc import Callable, Mapping

from executor_tui.lab.routeros.call import Answer, Call, missing
from executor_tui.lab.routeros.durations import parse_interval_ms
from executor_tui.lab.routeros.errors import failure, no_such_item, unknown_parameter
from executor_tui.lab.routeros.items import cut_down, find_one, printed, selected
from executor_tui.lab.routeros.schema import Field, Menu
from executor_tui.lab.routeros.table import Row

Verb = Callable[[Call, Menu], Answer]

_PRINT_ARGUMENTS = frozenset(
    {
        ".proplist",
        "proplist",
        "detail",
        "brief",
        "terse",
        "count-only",
        "follow",
        "follow-only",
        "without-paging",
        "value-list",
        "as-value",
    }
    | {
        "show-ids",
        "show-sensitive",
        "comments",
        "from",
        "file",
        "interval",
        "append",
        "group-by",
        "order-by",
        "timestamp",
    }
)
_IDENTITY = frozenset({".id", "numbers"})


def print_(call: Call, menu: Menu) -> Answer:
    for name in call.arguments:
        if name not in _PRINT_ARGUMENTS and name not in menu.print_arguments:
            raise unknown_parameter(name)
    items = printed(call, menu)
    if call.flag("count-only") or call.arguments.get("count-only") == "":
        return Answer(ret={"ret": str(len(items))})
    return Answer(cut_down(items, call), prints=True)


def get(call: Call, menu: Menu) -> Answer:
    call.allow("number", "value-name", ".id", "as-string")
    if not menu.singleton:
        row = find_one(call.router, menu, call.argument("number", call.arguments.get(".id")))
        if row is None:
            raise no_such_item()
    items = printed(call, menu)
    if not menu.singleton:
        items = [item for item in items if row is not None and item[".id"] == row.id]
    name = call.argument("value-name")
    return Answer(ret={"ret": items[0].get(name, "")})


def find(call: Call, menu: Menu) -> Answer:
    return Answer(ret={"ret": ";".join(item[".id"] for item in printed(call, menu))})


def add(call: Call, menu: Menu) -> Answer:
    router, arguments = call.router, dict(call.arguments)
    table = router.table(menu.path)
    before = _place(call, menu, arguments)
    values = _copied(call, menu, arguments)
    for name, text in arguments.items():
        _assign(call, menu, values, name, text, adding=True)
    for field in menu.fields.values():
        if field.default is not None:
            values.setdefault(field.name, field.default)
        if field.required and not values.get(field.name):
            raise missing(field.name)
    if menu.check:
        menu.check(values, router)
    _refuse_duplicate(call, menu, values, None)
    timed, dynamic = _timeout(call, menu, values)
    facts = {"creation-time": router.clock.now().strftime("%Y-%m-%d %H:%M:%S"), "owner": call.caller.user.name} | timed
    row = table.add(values, before=before, dynamic=dynamic, facts=facts)
    _changed(call, menu, row, "added")
    return Answer(ret={"ret": row.id})


def set_(call: Call, menu: Menu) -> Answer:
    if menu.singleton:
        return _set_settings(call, menu)
    changes = {name: text for name, text in call.arguments.items() if name not in _IDENTITY}
    rows = selected(call, menu)
    prepared = [(row, _altered(call, menu, row, changes)) for row in rows]
    for row, values in prepared:
        timed, dynamic = _timeout(call, menu, values)
        row.facts.update(timed)
        row.dynamic = dynamic
        row.values.clear()
        row.values.update(values)
        _changed(call, menu, row, "changed")
    return Answer()


def remove(call: Call, menu: Menu) -> Answer:
    call.allow(*_IDENTITY)
    rows = selected(call, menu)
    for row in rows:
        if row.dynamic and "expires_s" not in row.facts and menu.path not in _DYNAMIC_REMOVABLE:
            raise failure(f"can not remove dynamic {menu.noun}")
    for row in rows:
        call.router.table(menu.path).remove(row)
        call.router.announce(menu.path, row, gone=True)
        call.router.log("system,info", f"{menu.noun} removed by {call.caller.user.name}")
    return Answer()


def move(call: Call, menu: Menu) -> Answer:
    """An unknown destination puts the rows at the end and says nothing, as 7.x was seen to do."""
    call.allow(*_IDENTITY, "destination")
    rows = selected(call, menu)
    destination = call.arguments.get("destination")
    before = find_one(call.router, menu, destination) if destination else None
    if any(row is before for row in rows):
        raise failure("can not move object before itself")
    for row in rows:
        _refuse_dynamic(menu, row)
    call.router.table(menu.path).move(rows, before)
    for row in rows:
        _changed(call, menu, row, "moved")
    return Answer()


def switch(disabled: str) -> Verb:
    def verb(call: Call, menu: Menu) -> Answer:
        call.allow(*_IDENTITY)
        for row in selected(call, menu):
            values = _altered(call, menu, row, {"disabled": disabled})
            row.values.update(values)
            _changed(call, menu, row, "changed")
        return Answer()

    return verb


def comment(call: Call, menu: Menu) -> Answer:
    call.allow(*_IDENTITY, "comment")
    text = call.argument("comment", "")
    for row in selected(call, menu):
        values = _altered(call, menu, row, {"comment": text})
        row.values.clear()
        row.values.update(values)
        _changed(call, menu, row, "changed")
    return Answer()


def unset(call: Call, menu: Menu) -> Answer:
    call.allow(*_IDENTITY, "value-name")
    name = call.argument("value-name")
    for row in selected(call, menu):
        values = _altered(call, menu, row, {f"!{name}": ""})
        row.values.clear()
        row.values.update(values)
        _changed(call, menu, row, "changed")
    return Answer()


def reset_counters(call: Call, menu: Menu) -> Answer:
    call.allow(*_IDENTITY)
    rows = list(call.router.table(menu.path)) if call.command.verb == "reset-counters-all" else selected(call, menu)
    prefix = "interface" if menu.path == "/interface" else menu.path
    for row in rows:
        call.router.traffic.reset(f"{prefix}/{row.id}", call.router.clock.monotonic_s())
    return Answer()


def make_static(call: Call, menu: Menu) -> Answer:
    call.allow(*_IDENTITY)
    for row in selected(call, menu):
        row.dynamic = False
        row.facts.pop("expires_s", None)
        _changed(call, menu, row, "changed")
    return Answer()


VERBS: Mapping[str, Verb] = {
    "print": print_,
    "getall": print_,
    "get": get,
    "find": find,
    "add": add,
    "set": set_,
    "remove": remove,
    "move": move,
    "enable": switch("no"),
    "disable": switch("yes"),
    "comment": comment,
    "unset": unset,
    "reset-counters": reset_counters,
    "reset-counters-all": reset_counters,
    "make-static": make_static,
}
WRITES = frozenset({"add", "set", "remove", "move", "enable", "disable", "comment", "unset", "make-static"})

# Dynamic rows here are learned, not generated from other configuration, and may be thrown away.
_DYNAMIC_REMOVABLE = frozenset({"/ip/dhcp-server/lease", "/ip/firewall/address-list", "/ipv6/firewall/address-list", "/ppp/active"})


def _place(call: Call, menu: Menu, arguments: dict[str, str]) -> Row | None:
    token = arguments.pop("place-before", None)
    if token is None:
        return None
    if not menu.ordered:
        raise unknown_parameter("place-before")
    before = find_one(call.router, menu, token)
    if before is None:
        raise no_such_item()
    _refuse_dynamic(menu, before)
    return before


def _copied(call: Call, menu: Menu, arguments: dict[str, str]) -> dict[str, str]:
    token = arguments.pop("copy-from", None)
    if token is None:
        return {}
    source = find_one(call.router, menu, token)
    if source is None:
        raise no_such_item()
    return dict(source.values)


def _assign(call: Call, menu: Menu, values: dict[str, str], name: str, text: str, *, adding: bool) -> None:
    """Put one argument into `values`, or take it out for `!name` and for an empty text where that means none."""
    clears = name.startswith("!")
    field: Field | None = menu.fields.get(name.removeprefix("!"))
    if field is None or (field.add_only and not adding):
        raise unknown_parameter(name.removeprefix("!"))
    if clears or (text == "" and field.empty_unsets):
        values.pop(field.name, None)
        if field.default is not None:
            values[field.name] = field.default
        return
    values[field.name] = field.normalise(text, field.name, call.router)


def _altered(call: Call, menu: Menu, row: Row, changes: Mapping[str, str]) -> dict[str, str]:
    _refuse_dynamic(menu, row)
    values = dict(row.values)
    for name, text in changes.items():
        _assign(call, menu, values, name, text, adding=False)
    for field in menu.fields.values():
        if field.required and not values.get(field.name):
            raise missing(field.name)
    if menu.check:
        menu.check(values, call.router)
    _refuse_duplicate(call, menu, values, row)
    return values


def _set_settings(call: Call, menu: Menu) -> Answer:
    values = dict(call.router.settings[menu.path])
    for name, text in call.arguments.items():
        _assign(call, menu, values, name, text, adding=False)
    call.router.settings[menu.path] = values
    call.router.log("system,info", f"{menu.noun} changed by {call.caller.user.name}")
    return Answer()


def _refuse_dynamic(menu: Menu, row: Row) -> None:
    if row.dynamic:
        raise failure(f"can not change dynamic {menu.noun}")


def _refuse_duplicate(call: Call, menu: Menu, values: Mapping[str, str], own: Row | None) -> None:
    if menu.name_key and menu.path.startswith("/interface") and own is None and call.router.has("interface", values.get("name", "")):
        raise failure(f"already have interface with name {values['name']}")
    for unique in menu.uniques:
        if unique.enabled_only and values.get("disabled") == "true":
            continue
        key = [values.get(name) for name in unique.fields]
        if key[0] is None:
            continue
        for row in call.router.table(menu.path):
            if row is own or (unique.enabled_only and row.values.get("disabled") == "true"):
                continue
            if [row.values.get(name) for name in unique.fields] == key:
                raise failure(unique.message)


def _timeout(call: Call, menu: Menu, values: dict[str, str]) -> tuple[dict[str, str], bool]:
    """An address list entry with a timeout is dynamic and goes away by itself."""
    dynamic = values.pop("dynamic", "false") == "true"
    text = values.pop("timeout", None)
    if text is None:
        return {}, dynamic
    return {"expires_s": str(call.router.clock.monotonic_s() + parse_interval_ms(text) / 1_000)}, True


def _changed(call: Call, menu: Menu, row: Row, what: str) -> None:
    call.router.announce(menu.path, row, gone=False)
    call.router.log("system,info", f"{menu.noun} {what} by {call.caller.user.name}")
