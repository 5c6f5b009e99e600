"""Configuration as a script, the way `/export` writes it: console spelling, defaults and secrets left out unless asked for."""

import re
from collections.abc import Iterator

from executor_tui.lab.routeros.menus.registry import EXPORT_ORDER
from executor_tui.lab.routeros.schema import Field, Menu
from executor_tui.lab.routeros.state import Router

_BARE = re.compile(r"[A-Za-z0-9_.:/@*,!+%-]+")
_WIDTH = 79


def quote(text: str) -> str:
    """A console string: bare when it can be, else in quotes with the special characters escaped."""
    if _BARE.fullmatch(text):
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$").replace("\r", "\\r").replace("\n", "\\n")
    return f'"{escaped}"'


def _console(field: Field, stored: str) -> str:
    if field.console is not None:
        return field.console(stored)
    return {"true": "yes", "false": "no"}.get(stored, stored)


def _arguments(menu: Menu, values: dict[str, str], *, verbose: bool, show_sensitive: bool) -> Iterator[str]:
    for name in sorted(menu.fields):
        field = menu.fields[name]
        if name not in values or (field.sensitive and not show_sensitive):
            continue
        stored = values[name]
        if not verbose and ((stored == field.default and not field.always_exported) or (name == "disabled" and stored == "false")):
            continue
        yield f"{name}={quote(_console(field, stored))}"


def _wrapped(words: list[str], *, terse: bool) -> str:
    if terse:
        return " ".join(words)
    lines, current = [], words[0]
    for word in words[1:]:
        if len(current) + 1 + len(word) > _WIDTH:
            lines.append(current + " \\")
            current = "    " + word
        else:
            current += " " + word
    return "\n".join([*lines, current])


def _commands(router: Router, menu: Menu, *, verbose: bool, show_sensitive: bool) -> Iterator[list[str]]:
    if menu.singleton:
        words = list(_arguments(menu, router.settings[menu.path], verbose=verbose, show_sensitive=show_sensitive))
        if words:
            yield ["set", *words]
        return
    for row in router.table(menu.path):
        if not row.dynamic:
            yield ["add", *_arguments(menu, row.values, verbose=verbose, show_sensitive=show_sensitive)]


def export_text(router: Router, scope: str, *, verbose: bool, terse: bool, show_sensitive: bool) -> str:
    """The export of everything under `scope` (empty for all)."""
    now = router.clock.now().strftime("%Y-%m-%d %H:%M:%S")
    lines = [f"# {now} by RouterOS {router.device.version}", "# software id = LAB0-0001", "#"]
    for path in EXPORT_ORDER:
        if scope and path != scope and not path.startswith(scope + "/"):
            continue
        commands = list(_commands(router, router.menus[path], verbose=verbose, show_sensitive=show_sensitive))
        menu_line = "/" + path[1:].replace("/", " ")
        if terse:
            lines += [_wrapped([menu_line, *words], terse=True) for words in commands]
        elif commands:
            lines += [menu_line, *(_wrapped(words, terse=False) for words in commands)]
    return "\r\n".join("\n".join(lines).split("\n")) + "\r\n"
