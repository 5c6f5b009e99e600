"""Columns of a table, and the arranging of its items: pure functions, so that long lists can be arranged on another thread."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

from executor_tui.ui.states import Cell
from executor_tui.ui.text import clean

T = TypeVar("T")


@dataclass(frozen=True)
class Column(Generic[T]):
    """`width` in terminal cells, 0 for the one column that takes what is left. Shown from a table width of `from_width` on.

    `sort` gives the value to sort by; a column without it is passed over by the sort key.
    """

    id: str
    title: str
    width: int
    cell: Callable[[T, datetime], Cell]
    sort: Callable[[T], Any] | None = None
    right: bool = False
    from_width: int = 0


@dataclass(frozen=True, slots=True)
class Query:
    """A filter: a regular expression, `!` in front for the rows that do not match. Lower case matches any case."""

    text: str = ""
    inverse: bool = False
    pattern: re.Pattern[str] | None = None
    problem: str = ""

    def keeps(self, text: str) -> bool:
        return self.pattern is None or (self.pattern.search(text) is None) is self.inverse


def parse_query(text: str) -> Query:
    """A broken expression is taken literally, and `problem` says why."""
    inverse, wanted = text.startswith("!"), text.removeprefix("!")
    if not wanted:
        return Query(text)
    flags = 0 if any(c.isupper() for c in wanted) else re.IGNORECASE
    try:
        return Query(text, inverse, re.compile(wanted, flags))
    except re.error as exc:
        return Query(text, inverse, re.compile(re.escape(wanted), flags), f"not a regular expression, taken literally: {exc}")


@dataclass(frozen=True, slots=True)
class Order:
    """Sorted by a column; empty for the order the data came in."""

    column: str = ""
    reverse: bool = False


def arrange(items: Sequence[T], columns: Sequence[Column[T]], query: Query, order: Order, now: datetime) -> list[T]:
    """Items that the filter keeps, in order. Values that are None come last whichever way the order runs."""
    kept = [i for i in items if query.keeps(row_text(i, columns, now))] if query.pattern is not None else list(items)
    sort = next((c.sort for c in columns if c.id == order.column), None)
    if sort is None:
        return kept
    known = [i for i in kept if sort(i) is not None]
    known.sort(key=sort, reverse=order.reverse)
    return known + [i for i in kept if sort(i) is None]


def row_text(item: T, columns: Sequence[Column[T]], now: datetime) -> str:
    """A row as one plain line: what filters match and what is copied."""
    return "  ".join(clean(c.cell(item, now).text) for c in columns)


def layout(columns: Sequence[Column[T]], total: int, gutter: int) -> list[tuple[Column[T], int, int]]:
    """(column, x, width) of the columns that fit. The free column takes the rest, but never less than a readable 10 cells."""
    shown = [c for c in columns if total >= c.from_width]
    fixed = sum(c.width + 1 for c in shown if c.width)
    rest = max(10, total - gutter - fixed)
    placed, x = [], gutter
    for column in shown:
        cells = column.width or rest
        if x + cells > total:
            cells = total - x
        if cells > 0:
            placed.append((column, x, cells))
        x += cells + 1
    return placed
