"""What typed operations of every kind of device have in common: their base, how a mistake reads, and how they are written down."""

from collections.abc import Sequence
from typing import Any, ClassVar, TypeVar

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from executor_tui.agents.device import Json, PlanRefusedError

T = TypeVar("T")


class Operation(BaseModel):
    """Base: unknown names are mistakes, values do not change, every field carries its docstring."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)
    INTERNAL: ClassVar[frozenset[str]] = frozenset()
    """Fields that Executor fills in itself, or that only a person may set: no model is offered them."""


def parse(adapter: "TypeAdapter[T]", raw: Sequence[Json], see: str) -> tuple[T, ...]:
    """Typed operations. Raises PlanRefusedError, one line a mistake; `see` is the command that explains what there is."""
    parsed: list[T] = []
    mistakes: list[str] = []
    for number, item in enumerate(raw, 1):
        try:
            parsed.append(adapter.validate_python(item))
        except ValidationError as exc:
            mistakes += [explained(number, dict(error)) for error in exc.errors(include_url=False, include_context=False)]
    if mistakes:
        raise PlanRefusedError("\n".join(mistakes), hint=f"see what each operation takes: {see}")
    if not parsed:
        raise PlanRefusedError("no operation is given")
    return tuple(parsed)


def explained(number: int, error: Json) -> str:
    """One mistake of pydantic's as a line: which operation, which field, what is wrong."""
    loc = error["loc"]
    path = ".".join(str(part) for part in loc[1:]) if isinstance(loc, tuple) else ""
    found = "".join(c if c.isprintable() else " " for c in repr(error.get("input")))[:60]
    where = f"operation {number}" + (f", {path}" if path else "")
    said = str(error["msg"]).removeprefix("Value error, ")
    return f"{where}: {said}" + ("" if error.get("type") in ("missing", "extra_forbidden") else f" (found {found})")


def dump(operation: Operation) -> Json:
    """An operation as JSON, without what is at its default."""
    return {"op": getattr(operation, "op", ""), **operation.model_dump(mode="json", exclude_defaults=True)}


def name_of(cls: type[Operation]) -> str:
    """The operation's name as it is written: `lxc.create`."""
    annotation: Any = cls.model_fields["op"].annotation
    return str(annotation.__args__[0])


def tool_schema(cls: type[Operation], about: str = "") -> Json:
    """One operation as a tool of the Chat Completions API, without the fields a model may not set. `.` is no letter of tool names."""
    parameters = cls.model_json_schema()
    properties = {k: v for k, v in parameters.get("properties", {}).items() if k != "op" and k not in cls.INTERNAL}
    for entry in properties.values():
        entry.pop("title", None)
    shown: Json = {"type": "object", "properties": properties, "additionalProperties": False}
    required = [name for name in parameters.get("required", []) if name in properties]
    if required:
        shown["required"] = required
    if "$defs" in parameters:
        shown["$defs"] = parameters["$defs"]
    description = about or " ".join(str(cls.__doc__ or "").split())
    return {"type": "function", "function": {"name": tool_name(name_of(cls)), "description": description, "parameters": shown}}


def tool_name(op: str) -> str:
    """`lxc.create` → `lxc_create`."""
    return op.replace(".", "_")
