"""Finding items of a menu and showing them."""

from collections.abc import Iterable, Mapping

from executor_tui.lab.routeros.call import Call, missing
from executor_tui.lab.routeros.errors import TrapError, no_such_item
from executor_tui.lab.routeros.query import matches
from executor_tui.lab.routeros.schema import Menu
from executor_tui.lab.routeros.state import Router
from executor_tui.lab.routeros.table import Row

# /interface lists what other menus configure.
_SUBMENUS: Mapping[str, tuple[str, ...]] = {"/interface": ("/interface/wireguard",)}


def expire(router: Router, path: str) -> None:
    """Drop timed entries whose time is over."""
    now_s = router.clock.monotonic_s()
    table = router.table(path)
    for row in table:
        if float(row.facts.get("expires_s", "inf")) <= now_s:
            table.remove(row)
            router.announce(path, row, gone=True)


def rows_of(router: Router, path: str) -> Iterable[Row]:
    for part in (path, *_SUBMENUS.get(path, ())):
        yield from router.table(part)


def show(router: Router, menu: Menu, row: Row) -> dict[str, str]:
    """Every property print gives for a row."""
    shown = {".id": row.id} | {name: value for name, value in row.values.items() if name not in menu.hidden}
    if menu.derive:
        for name, value in menu.derive(row, router).items():
            shown.setdefault(name, value)
    if "disabled" in menu.fields or row.dynamic:
        shown["dynamic"] = str(row.dynamic).lower()
    return shown


def show_settings(router: Router, menu: Menu) -> dict[str, str]:
    """A singleton menu's one row; it has no `.id`."""
    values = router.settings[menu.path]
    shown = {name: value for name, value in values.items() if name not in menu.hidden}
    if menu.derive:
        shown = menu.derive(Row(0, values), router) | shown
    return shown


def printed(call: Call, menu: Menu) -> list[dict[str, str]]:
    """The rows a print gives after its query words, not yet cut down to `.proplist`."""
    router = call.router
    if menu.singleton:
        items = [show_settings(router, menu)]
    elif menu.path == "/log":
        items = router.log_lines()
    else:
        expire(router, menu.path)
        items = [show(router, menu, row) for row in rows_of(router, menu.path)]

    def normalise(name: str, text: str) -> str:
        field = menu.fields.get(name)
        if field is None:
            return {"yes": "true", "no": "false"}.get(text, text)
        try:
            return field.normalise(text, name, router)
        except TrapError:
            return text

    return [item for item in items if matches(item, call.command.queries, normalise)]


def cut_down(items: Iterable[Mapping[str, str]], call: Call) -> tuple[Mapping[str, str], ...]:
    """Only what `.proplist` names; what an item does not have is left out."""
    proplist = call.arguments.get(".proplist", call.arguments.get("proplist", ""))
    if not proplist:
        return tuple(items)
    wanted = proplist.split(",")
    return tuple({name: item[name] for name in wanted if name in item} for item in items)


def find_one(router: Router, menu: Menu, token: str) -> Row | None:
    """A row by `.id`, by name where the menu has one, or by position."""
    for path in (menu.path, *_SUBMENUS.get(menu.path, ())):
        table = router.table(path)
        row = table.by_id(token)
        if row is None and menu.name_key:
            row = table.by_value(menu.name_key, token)
        if row is None and token.isdigit():
            row = table.at(int(token))
        if row is not None:
            return row
    return None


def selected(call: Call, menu: Menu) -> list[Row]:
    """The rows `.id` or `numbers` name; raises `no such item` when one of them is not there."""
    text = call.arguments.get(".id", call.arguments.get("numbers"))
    if text is None:
        raise missing(".id")
    expire(call.router, menu.path)
    rows: list[Row] = []
    for token in text.split(",") if text else []:
        row = find_one(call.router, menu, token)
        if row is None:
            raise no_such_item()
        rows.append(row)
    return rows
