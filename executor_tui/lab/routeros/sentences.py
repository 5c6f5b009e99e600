"""A command sentence taken apart, and replies put together."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from executor_tui.lab.routeros.errors import API, TrapError, no_such_command

Words = list[str]


@dataclass(frozen=True, slots=True)
class Command:
    """`path` is the menu (`/ip/firewall/filter`), `verb` what to do in it; `queries` keep their order, `arguments` need none."""

    path: str
    verb: str
    arguments: Mapping[str, str]
    queries: tuple[str, ...] = ()
    tag: str | None = None

    @property
    def word(self) -> str:
        return f"{self.path}/{self.verb}"


def parse_command(words: Words) -> Command:
    """Raises `TrapError`; some clients send a first word that is no command just to see whether the router is there."""
    if not words[0].startswith("/"):
        raise no_such_command()
    path, _, verb = words[0].rstrip("/").rpartition("/")
    arguments: dict[str, str] = {}
    queries: list[str] = []
    tag: str | None = None
    for word in words[1:]:
        if word.startswith("="):
            name, _, value = word[1:].partition("=")
            arguments[name] = value
        elif word.startswith("?"):
            queries.append(word)
        elif word.startswith(".tag="):
            tag = word[len(".tag=") :] or None
        elif not word.startswith("."):
            raise TrapError(f"unknown word {word[:40]}", API)
    return Command(path, verb, arguments, tuple(queries), tag)


def tag_of(words: Words) -> str | None:
    """The tag of a sentence that may not parse otherwise."""
    return next((word[len(".tag=") :] or None for word in words if word.startswith(".tag=")), None)


def _tagged(words: Words, tag: str | None) -> Words:
    return words if tag is None else [*words, f".tag={tag}"]


def attributes(values: Mapping[str, str]) -> Words:
    return [f"={name}={value}" for name, value in values.items()]


def row(values: Mapping[str, str], tag: str | None) -> Words:
    return _tagged(["!re", *attributes(values)], tag)


def done(tag: str | None, values: Mapping[str, str] | None = None) -> Words:
    return _tagged(["!done", *attributes(values or {})], tag)


def empty(tag: str | None) -> Words:
    return _tagged(["!empty"], tag)


def trap(error: TrapError, tag: str | None) -> Words:
    category = {} if error.category is None else {"category": str(error.category)}
    return _tagged(["!trap", *attributes({**category, "message": error.message, **error.extra})], tag)


def fatal(reason: str, tag: str | None = None) -> Words:
    """The reason is a bare word, not an attribute."""
    return _tagged(["!fatal", reason], tag)


def rows(items: Iterable[Mapping[str, str]], tag: str | None, *, says_empty: bool) -> list[Words]:
    """The whole answer of a print: its rows, `!empty` when there is none and the version has it (7.18), then `!done`."""
    answer = [row(item, tag) for item in items]
    if not answer and says_empty:
        answer.append(empty(tag))
    answer.append(done(tag))
    return answer
