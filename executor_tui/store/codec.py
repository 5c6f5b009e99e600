"""Domain dataclass ↔ row. Columns carry the names of the fields; enums and tuples are the only things converted here."""

import types
import typing
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import fields
from enum import Enum
from functools import cache
from typing import Any, TypeVar, cast

from sqlalchemy import RowMapping

T = TypeVar("T")


def to_row(item: object) -> dict[str, Any]:
    """All fields of a dataclass as column values."""
    return {f.name: _out(getattr(item, f.name)) for f in fields(item)}  # type: ignore[arg-type]


def out_values(values: Mapping[str, object]) -> dict[str, Any]:
    """Column values for a partial update, converted as `to_row` does."""
    return {name: _out(value) for name, value in values.items()}


def from_row(cls: type[T], row: "Mapping[str, Any] | RowMapping") -> T:
    """A row as its dataclass. Columns the class does not know are left aside, so an older program reads a newer table."""
    return cls(**{name: convert(row[name]) for name, convert in _converters(cast(Hashable, cls)).items() if name in row})


def from_rows(cls: type[T], rows: Sequence["Mapping[str, Any] | RowMapping"]) -> tuple[T, ...]:
    """Many rows of one query: which columns there are is looked up once."""
    if not rows:
        return ()
    there = [(name, convert) for name, convert in _converters(cast(Hashable, cls)).items() if name in rows[0]]
    return tuple(cls(**{name: convert(row[name]) for name, convert in there}) for row in rows)


def _out(value: object) -> object:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, tuple):
        return [_out(v) for v in value]
    return value


@cache
def _converters(cls: Hashable) -> dict[str, Callable[[Any], Any]]:
    assert isinstance(cls, type)
    hints = typing.get_type_hints(cls)
    return {f.name: _converter(hints[f.name]) for f in fields(cls)}


def _converter(hint: Any) -> Callable[[Any], Any]:
    options = typing.get_args(hint) if typing.get_origin(hint) in (typing.Union, types.UnionType) else (hint,)
    enum = next((o for o in options if isinstance(o, type) and issubclass(o, Enum)), None)
    if enum is not None:
        return lambda value: _to_enum(enum, value, str in options)
    if any(typing.get_origin(o) is tuple for o in options):
        return lambda value: None if value is None else tuple(value)
    return lambda value: value


def _to_enum(enum: type[Enum], value: Any, also_text: bool) -> Any:
    if value is None:
        return None
    try:
        return enum(value)
    except ValueError:
        if also_text:
            return value
        raise
