"""Enough of the console language to run what export writes and what a scheduler job says: commands with arguments, `[find …]`, `:log`."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, replace

from executor_tui.lab.routeros.call import Call
from executor_tui.lab.routeros.errors import SCRIPT, TrapError
from executor_tui.lab.routeros.items import printed
from executor_tui.lab.routeros.sentences import Command

_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "_": " "}
_LOG_TOPICS = {"info": "script,info", "warning": "script,warning", "error": "script,error", "debug": "script,debug"}


@dataclass(frozen=True, slots=True)
class Token:
    """`kind` is word or find; `name` is set for `name=value`."""

    kind: str
    text: str
    line: int
    column: int
    name: str = ""


def _at(message: str, line: int, column: int) -> TrapError:
    return TrapError(f"{message} (line {line} column {column})", SCRIPT)


class _Reader:
    """Characters of a script with their place in it; a backslash before the end of a line joins it to the next."""

    def __init__(self, text: str) -> None:
        self._text = text.replace("\r\n", "\n").replace("\\\n", "  ")
        self._position = 0
        self.line, self.column = 1, 1

    def peek(self) -> str:
        return self._text[self._position] if self._position < len(self._text) else ""

    def next(self) -> str:
        character = self.peek()
        self._position += 1
        if character == "\n":
            self.line, self.column = self.line + 1, 1
        else:
            self.column += 1
        return character


def _quoted(reader: _Reader) -> str:
    line, column = reader.line, reader.column
    reader.next()
    out: list[str] = []
    while (character := reader.next()) != '"':
        if not character:
            raise _at("syntax error: missing closing quote", line, column)
        if character == "\\":
            escaped = reader.next()
            out.append(_ESCAPES.get(escaped, escaped))
        else:
            out.append(character)
    return "".join(out)


def _bracketed(reader: _Reader) -> str:
    line, column = reader.line, reader.column
    reader.next()
    out: list[str] = []
    while (character := reader.peek()) != "]":
        if not character:
            raise _at("syntax error: missing closing bracket", line, column)
        out.append('"' + _quoted(reader).replace("\\", "\\\\").replace('"', '\\"') + '"' if character == '"' else reader.next())
    reader.next()
    return "".join(out).strip()


def _token(reader: _Reader) -> Token:
    line, column = reader.line, reader.column
    if reader.peek() == "[":
        return Token("find", _bracketed(reader), line, column)
    if reader.peek() == '"':
        return Token("word", _quoted(reader), line, column)
    out: list[str] = []
    while (character := reader.peek()) and character not in ' \t\n;"[':
        reader.next()
        if character == "=" and out:
            return _value(reader, "".join(out), line, column)
        out.append(character)
    return Token("word", "".join(out), line, column)


def _value(reader: _Reader, name: str, line: int, column: int) -> Token:
    if reader.peek() == "[":
        return Token("find", _bracketed(reader), line, column, name)
    if reader.peek() == '"':
        return Token("word", _quoted(reader), line, column, name)
    out: list[str] = []
    while (character := reader.peek()) and character not in " \t\n;":
        out.append(reader.next())
    return Token("word", "".join(out), line, column, name)


def statements(text: str) -> Iterator[list[Token]]:
    """The script's statements, each a list of tokens. Raises `TrapError` on a syntax error."""
    reader = _Reader(text)
    current: list[Token] = []
    while character := reader.peek():
        if character == "#" and not current:
            while reader.peek() not in ("\n", ""):
                reader.next()
        elif character in "\n;":
            reader.next()
            if current:
                yield current
                current = []
        elif character in " \t":
            reader.next()
        else:
            current.append(_token(reader))
    if current:
        yield current


def run_script(call: Call, text: str, *, dry: bool = False) -> None:
    """Run a script as the caller. It stops at the first error, keeping what came before; `dry` keeps nothing."""
    with call.router.trial() if dry else contextlib.nullcontext():
        menu = ""
        for tokens in list(statements(text)):
            menu = _statement(call, tokens, menu)


def _statement(call: Call, tokens: list[Token], menu: str) -> str:
    """Run one statement; returns the menu the next one starts in."""
    first = tokens[0]
    if first.text.lstrip(":/") == "log" and len(tokens) >= 3:
        call.router.log(_LOG_TOPICS.get(tokens[1].text, "script"), tokens[2].text)
        return menu
    if first.text.startswith(":"):
        if first.text in (":delay", ":put", ":local", ":global"):
            return menu
        raise _at(f"bad command name {first.text[1:]}", first.line, first.column)
    path = [part for part in ("" if first.text.startswith("/") else menu).split("/") if part]
    rest = list(tokens)
    while rest and rest[0].kind == "word" and not rest[0].name:
        segments = [part for part in rest[0].text.split("/") if part]
        if not _leads_somewhere(call, [*path, *segments]):
            break
        path += segments
        rest.pop(0)
    if not rest and "/" + "/".join(path) in _directories(call):
        return "/" + "/".join(path)
    _run(call, path, rest, first)
    return menu


def _directories(call: Call) -> set[str]:
    """Every menu and every step on the way to one."""
    found: set[str] = set()
    for path in (*call.router.menus, "/system/backup", "/safe-mode"):
        parts = path[1:].split("/")
        found |= {"/" + "/".join(parts[: count + 1]) for count in range(len(parts))}
    return found


def _leads_somewhere(call: Call, path: list[str]) -> bool:
    joined = "/" + "/".join(path)
    return joined in _directories(call)


def _run(call: Call, path: list[str], rest: list[Token], first: Token) -> None:
    if not rest or rest[0].kind != "word" or rest[0].name:
        raise _at(f"bad command name {first.text}", first.line, first.column)
    verb = rest.pop(0)
    menu_path = "/" + "/".join(path) if path else ""
    arguments: dict[str, str] = {}
    for token in rest:
        name = token.name or ("numbers" if verb.text in ("set", "remove", "enable", "disable", "move", "comment", "unset") else token.text)
        value = _found(call, menu_path, token) if token.kind == "find" else token.text
        arguments[name] = value if token.name or name == "numbers" else "yes"
    if arguments.get("numbers") == "":
        return
    try:
        call.execute(replace(call, command=Command(menu_path, verb.text, arguments)))
    except TrapError as error:
        raise _at(_script_wording(error.message, verb), verb.line, verb.column) from error


def _script_wording(message: str, verb: Token) -> str:
    """The console words some traps differently from the API."""
    if message.startswith("missing ="):
        return f"missing value(s) of argument(s) {message.strip('=').removeprefix('missing =')}"
    if message == "no such command" or message.startswith("no such command or directory"):
        return f"bad command name {verb.text}"
    return message


def _found(call: Call, menu_path: str, token: Token) -> str:
    """The `.id`s a `[find name=value …]` names, comma-separated."""
    menu = call.router.menus.get(menu_path)
    words = token.text.split(None, 1)
    if menu is None or not words or words[0] != "find":
        raise _at("syntax error", token.line, token.column)
    conditions = [
        item
        for statement in statements(words[1] if len(words) > 1 else "")
        for item in statement
        if item.text not in ("where", "&&", "and")
    ]
    queries = tuple(f"?={item.name}={item.text}" for item in conditions)
    items = printed(replace(call, command=Command(menu_path, "find", {}, queries)), menu)
    return ",".join(item[".id"] for item in items)
