"""Rows of one menu: ordered, addressed by `.id`, and an `.id` is never given twice."""

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field


@dataclass(slots=True)
class Row:
    """`values` hold what was configured, already normalised; properties the router makes up are derived when it is shown."""

    number: int
    values: dict[str, str]
    dynamic: bool = False
    facts: dict[str, str] = field(default_factory=dict)
    """Fixed facts of this row which nobody configures: a MAC address, a host name, a state."""

    @property
    def id(self) -> str:
        return f"*{self.number:X}"

    def copy(self) -> "Row":
        return Row(self.number, dict(self.values), self.dynamic, dict(self.facts))


@dataclass(frozen=True, slots=True)
class TableImage:
    """A table as it was, for rolling back."""

    rows: tuple[Row, ...]


class Table:
    """The rows of one menu in their order."""

    def __init__(self, numbers: Iterator[int] | None = None) -> None:
        self._rows: list[Row] = []
        self._by_number: dict[int, Row] = {}
        self._numbers = numbers or itertools.count(1)

    def __iter__(self) -> Iterator[Row]:
        return iter(tuple(self._rows))

    def __len__(self) -> int:
        return len(self._rows)

    def add(
        self,
        values: Mapping[str, str],
        *,
        before: Row | None = None,
        dynamic: bool = False,
        facts: Mapping[str, str] | None = None,
    ) -> Row:
        row = Row(next(self._numbers), dict(values), dynamic, dict(facts or {}))
        self._rows.insert(len(self._rows) if before is None else self._rows.index(before), row)
        self._by_number[row.number] = row
        return row

    def by_id(self, identity: str) -> Row | None:
        """The row with this `.id`, or none."""
        if not identity.startswith("*"):
            return None
        try:
            return self._by_number.get(int(identity[1:], 16))
        except ValueError:
            return None

    def by_value(self, name: str, value: str) -> Row | None:
        return next((row for row in self._rows if row.values.get(name) == value), None)

    def at(self, position: int) -> Row | None:
        return self._rows[position] if 0 <= position < len(self._rows) else None

    def remove(self, row: Row) -> None:
        self._rows.remove(row)
        del self._by_number[row.number]

    def move(self, rows: list[Row], before: Row | None) -> None:
        """Move the rows as a block, in the order given, to just before another; to the end when there is none."""
        for row in rows:
            self._rows.remove(row)
        place = len(self._rows) if before is None else self._rows.index(before)
        self._rows[place:place] = rows

    def image(self) -> TableImage:
        return TableImage(tuple(row.copy() for row in self._rows))

    def restore(self, image: TableImage) -> bool:
        """Make the rows what they were; says whether anything differed. Numbers given since stay used up."""
        same = [(row.number, row.values) for row in self._rows] == [(row.number, row.values) for row in image.rows]
        self._rows = [row.copy() for row in image.rows]
        self._by_number = {row.number: row for row in self._rows}
        return not same
