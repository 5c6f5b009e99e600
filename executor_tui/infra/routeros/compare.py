"""Comparing what is wanted with what a router shows, by meaning."""

from collections.abc import Mapping
from dataclasses import dataclass

from executor_tui.infra.routeros.schema import HIDDEN, SECRETS, absent_value, kind_of
from executor_tui.infra.routeros.values import meaning

Value = str | int | bool | None
"""What a caller may give for a property: text as the router takes it, a number, yes or no, or none to clear it."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One property that is not as wanted. Secrets show as `(hidden)`."""

    name: str
    have: str
    want: str


def as_text(value: Value) -> str:
    """The API's spelling; none is the empty text."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def same(menu: str, name: str, first: str | None, second: str | None) -> bool:
    """Whether two texts of one property mean the same; none means the property is absent."""
    absent = absent_value(name)
    left, right = (absent if text is None else text for text in (first, second))
    if left == right:
        return True
    if not left or not right:
        return False
    kind = kind_of(menu, name)
    return meaning(kind, left) == meaning(kind, right)


def differences(menu: str, wanted: Mapping[str, Value], shown: Mapping[str, str]) -> tuple[Difference, ...]:
    """The wanted properties which the shown item does not have; properties nobody asked for are not looked at.

    A secret that was read as `(hidden)` cannot be compared and counts as different.
    """
    found: list[Difference] = []
    for name, value in wanted.items():
        want, have = as_text(value), shown.get(name)
        if name in SECRETS and have == HIDDEN and value is not None:
            found.append(Difference(name, HIDDEN, HIDDEN))
        elif not same(menu, name, have, want if value is not None else absent_value(name)):
            hide = name in SECRETS
            found.append(Difference(name, HIDDEN if hide and have else have or "", HIDDEN if hide and want else want))
    return tuple(found)


def matches(menu: str, wanted: Mapping[str, Value], shown: Mapping[str, str]) -> bool:
    """Whether the shown item already is what is wanted."""
    return not differences(menu, wanted, shown)
