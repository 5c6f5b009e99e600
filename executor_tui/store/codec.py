"""Domain dataclass ↔ row. Columns carry the names of the fields; enums and tuples are the only things converted here."""

import types
import typing
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import fields
from enum import Enum
from functools import cache
from typing import Any, TypeVar, cast

from sqlalchemy import RowMapping

T = TypeVar("T")
Convert = Callable[[Any], Any]
_UNKNOWN = object()


def to_row(item: object) -> dict[str, Any]:
    """All fields of a dataclass as column values."""
    return {f.name: _out(getattr(item, f.name)) for f in fields(item)}  # type: ignore[arg-type]


def out_values(values: Mapping[str, object]) -> dict[str, Any]:
    """Column values for a partial update, converted as `to_row` does."""
    return {name: _out(value) for name, value in values.items()}


def from_row(cls: type[T], row: "Mapping[str, Any] | RowMapping") -> T:
    """A row as its dataclass. Columns the class does not know are left aside, so an older program reads a newer table."""
    there = [(name, convert) for name, convert in _converters(cast(Hashable, cls)).items() if name in row]
    return cls(**{name: row[name] if convert is None else convert(row[name]) for name, convert in there})


def from_rows(cls: type[T], columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> tuple[T, ...]:
    """Many rows of one query: where its columns are is looked up once, and a column that needs no conversion is taken as it is."""
    places = {name: place for place, name in enumerate(columns)}
    there = [(name, places[name], convert) for name, convert in _converters(cast(Hashable, cls)).items() if name in places]
    names, taken = [name for name, _, _ in there], [(place, convert) for _, place, convert in there]
    made = ([row[place] if convert is None else convert(row[place]) for place, convert in taken] for row in rows)
    if names == [f.name for f in fields(cls)]:  # type: ignore[arg-type]
        return tuple(cls(*values) for values in made)
    return tuple(cls(**dict(zip(names, values, strict=True))) for values in made)


def _out(value: object) -> object:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, tuple):
        return [_out(v) for v in value]
    return value


@cache
def _converters(cls: Hashable) -> dict[str, Convert | None]:
    assert isinstance(cls, type)
    hints = typing.get_type_hints(cls)
    return {f.name: _converter(hints[f.name]) for f in fields(cls)}


def _converter(hint: Any) -> Convert | None:
    options = typing.get_args(hint) if typing.get_origin(hint) in (typing.Union, types.UnionType) else (hint,)
    enum = next((o for o in options if isinstance(o, type) and issubclass(o, Enum)), None)
    if enum is not None:
        return _to_enum(enum, str in options)
    if any(typing.get_origin(o) is tuple for o in options):
        return lambda value: None if value is None else tuple(value)
    return None


def _to_enum(enum: type[Enum], also_text: bool) -> Convert:
    known: dict[Any, Any] = {None: None, **{member.value: member for member in enum}}

    def convert(value: Any) -> Any:
        found = known.get(value, _UNKNOWN)
        if found is not _UNKNOWN:
            return found
        return value if also_text else enum(value)  # which raises ValueError, naming it

    return convert
