"""The shape of a menu: which arguments it takes, which are needed, how each is checked, and what it shows beside them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from executor_tui.lab.routeros.values import Normaliser

if TYPE_CHECKING:
    from executor_tui.lab.routeros.state import Router
    from executor_tui.lab.routeros.table import Row

Values = Mapping[str, str]
Derive = Callable[["Row", "Router"], dict[str, str]]
"""Properties the router makes up for a row when it is shown: counters, states, computed addresses."""
Check = Callable[[dict[str, str], "Router"], None]
"""Raises `TrapError` when arguments that are fine one by one do not go together. May fill in what the router generates."""


@dataclass(frozen=True, slots=True)
class Field:
    """One argument. `default` is stored when the item is added without it; `console` is the export form of a stored value."""

    name: str
    normalise: Normaliser
    required: bool = False
    default: str | None = None
    add_only: bool = False
    sensitive: bool = False
    empty_unsets: bool = False
    always_exported: bool = False
    console: Callable[[str], str] | None = None


@dataclass(frozen=True, slots=True)
class Unique:
    """Enabled rows may not agree on all of `fields`; `message` is what the router then says after `failure: `."""

    fields: tuple[str, ...]
    message: str
    enabled_only: bool = False


CRUD = frozenset(
    {
        "print",
        "getall",
        "listen",
        "add",
        "set",
        "remove",
        "enable",
        "disable",
        "comment",
        "unset",
        "find",
        "get",
        "export",
    }
)
READ = frozenset({"print", "getall", "listen", "find", "get"})
ORDERED = CRUD | {"move"}
COUNTED = frozenset({"reset-counters", "reset-counters-all"})
SETTINGS = frozenset({"print", "getall", "get", "set", "export"})


@dataclass(frozen=True, slots=True)
class Menu:
    """`noun` is what the log calls an item. A `singleton` has one nameless row; `name_key` lets an item be named instead of its `.id`."""

    path: str
    noun: str
    fields: Mapping[str, Field]
    verbs: frozenset[str] = CRUD
    singleton: bool = False
    name_key: str | None = None
    uniques: tuple[Unique, ...] = ()
    check: Check | None = None
    derive: Derive | None = None
    hidden: frozenset[str] = frozenset()
    print_arguments: frozenset[str] = field(default_factory=frozenset)

    @property
    def ordered(self) -> bool:
        return "move" in self.verbs


def menu(path: str, noun: str, *fields: Field, **rest: object) -> Menu:
    """A `Menu` from its fields in the order they are exported."""
    return Menu(path, noun, {item.name: item for item in fields}, **rest)  # type: ignore[arg-type]
