"""The tools an agent may call: their arguments as types, their schemas for the model, and reading what the model sent.

A mistake comes back to the model as one clear line. No tool leaves the workspace or approves anything, and none reaches the network but
`deep_search`, whose question goes to a model that searches and whose answer comes back as data.
"""

import json
from dataclasses import dataclass
from typing import ClassVar

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError

Json = dict[str, object]

MAX_ARGUMENT_CHARS = 1_000_000
MAX_LINE_CHARS = 300


class Arguments(BaseModel):
    """Base of every tool's arguments: unknown names are mistakes, so that a typo is told rather than dropped."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, populate_by_name=True)
    tool: ClassVar[str]
    about: ClassVar[str]


class Read(Arguments):
    tool = "read"
    about = "Read a text file of the workspace, or some of its lines."
    path: str
    """Relative to the top of the workspace, e.g. src/app.py."""
    first_line: int = Field(default=1, ge=1)
    last_line: int | None = Field(default=None, ge=1)


class Write(Arguments):
    tool = "write"
    about = "Create a file, or replace all of it."
    path: str
    text: str = Field(validation_alias=AliasChoices("text", "content", "contents"))
    """The whole new content of the file."""


class Edit(Arguments):
    tool = "edit"
    about = "Replace a piece of a file. The old text must occur exactly once."
    path: str
    old: str = Field(validation_alias=AliasChoices("old", "old_text", "old_string"))
    new: str = Field(validation_alias=AliasChoices("new", "new_text", "new_string"))


class Search(Arguments):
    tool = "search"
    about = "Find the lines that match a regular expression (Python's re)."
    pattern: str
    glob: str = ""
    """Only files whose path matches, e.g. src/**/*.py."""


class ListFiles(Arguments):
    tool = "list"
    about = "List the files of the workspace."
    glob: str = ""


class Run(Arguments):
    tool = "run"
    about = "Run a shell command at the top of the workspace. No network; time, memory and output are limited."
    command: str
    time_s: float | None = Field(default=None, gt=0)
    """Stop it after this long, if the usual limit is too generous."""


class ReadSkill(Arguments):
    tool = "read_skill"
    about = "Read one of the skills of your catalogue in full."
    name: str


class Escalate(Arguments):
    tool = "escalate"
    about = (
        "Ask for a stronger model for your next turn, when the decision at hand is worth it. A critical model waits for a person's consent;"
        " without it the work goes on with the usual model."
    )
    tier: str = Field(pattern="^(premium|critical)$")
    why: str = Field(min_length=1, max_length=500)
    """What the decision is and why it is worth the price; the person who decides reads this."""


class DeepSearch(Arguments):
    tool = "deep_search"
    about = (
        "Ask the web one question that the work depends on and that you cannot know for sure: a current version, a limit of a"
        " service, a standard. You get an answer with numbered sources, as data. It costs money: ask rarely, and record what you"
        " rely on with its source."
    )
    question: str = Field(min_length=3, max_length=2_000)
    """One question, complete in itself; nothing private belongs in it."""
    depth: str = Field(default="quick", pattern="^(quick|thorough)$")


class Finish(Arguments):
    tool = "finish"
    about = "Say that your part is complete. What you wrote is then checked."
    summary: str = ""
    """What was done, in one or two sentences."""


TOOLS: dict[str, type[Arguments]] = {
    cls.tool: cls for cls in (Read, Write, Edit, Search, ListFiles, Run, ReadSkill, Escalate, DeepSearch, Finish)
}  # fmt: skip


class ToolMistakeError(Exception):
    """A call that cannot be carried out; the text is one line meant for the model."""


@dataclass(frozen=True, slots=True)
class Call:
    """A call understood: its typed arguments, and the id the answer must carry."""

    id: str
    name: str
    arguments: Arguments


def schema_of(name: str) -> Json:
    """One tool as the Chat Completions API describes it."""
    cls = TOOLS[name]
    parameters = cls.model_json_schema(by_alias=False)
    parameters.pop("title", None)
    parameters.pop("description", None)
    for entry in parameters.get("properties", {}).values():
        entry.pop("title", None)
    return {"type": "function", "function": {"name": name, "description": cls.about, "parameters": parameters}}


def parse_call(call_id: str, name: str, raw: str, allowed: tuple[str, ...]) -> Call:
    """A call as it came, as a typed one. Raises ToolMistakeError with the line to tell the model."""
    if name not in allowed:
        raise ToolMistakeError(f"there is no tool {one_line(name, 60)!r}; there are: {', '.join(allowed)}")
    if len(raw) > MAX_ARGUMENT_CHARS:
        raise ToolMistakeError(f"the arguments of {name} have {len(raw)} characters; at most {MAX_ARGUMENT_CHARS} are taken")
    return Call(call_id, name, _arguments(name, _decode(name, raw)))


def _decode(name: str, raw: str) -> Json:
    try:
        value = json.loads(raw or "{}", strict=False)
    except json.JSONDecodeError as exc:
        where = f"line {exc.lineno}, column {exc.colno}"
        raise ToolMistakeError(f"the arguments of {name} are not JSON: {exc.msg} at {where}; send one JSON object") from exc
    except RecursionError as exc:
        raise ToolMistakeError(f"the arguments of {name} are nested too deeply; send one flat JSON object") from exc
    if isinstance(value, str):
        return _decode(name, value) if value.lstrip().startswith("{") else _not_an_object(name)
    return value if isinstance(value, dict) else _not_an_object(name)


def _not_an_object(name: str) -> Json:
    raise ToolMistakeError(f"the arguments of {name} must be one JSON object such as {json.dumps(_example(name))}")


def _example(name: str) -> dict[str, str]:
    required = schema_of(name)["function"]["parameters"].get("required", [])  # type: ignore[index]
    return {str(field): "…" for field in required}


def _arguments(name: str, value: Json) -> Arguments:
    try:
        return TOOLS[name].model_validate(value)
    except ValidationError as exc:
        first = exc.errors(include_url=False, include_context=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "arguments"
        known = ", ".join(TOOLS[name].model_fields) or "none"
        reason = one_line(str(first["msg"]), 160)
        raise ToolMistakeError(f"{name}: {one_line(where, 60)}: {reason} (arguments of {name}: {known})") from exc


def one_line(text: str, limit: int = MAX_LINE_CHARS) -> str:
    """`text` on one printable line of at most `limit` characters."""
    flat = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return flat if len(flat) <= limit else flat[: limit - 1] + "…"


def canonical(name: str, raw: str) -> str:
    """A call as one string that is equal for equal calls, however their JSON was spaced or ordered."""
    try:
        return f"{name} {json.dumps(json.loads(raw or '{}'), sort_keys=True)}"
    except (ValueError, RecursionError):
        return f"{name} {raw}"


def told(name: str, arguments: str) -> str:
    """A call in a few words, for people: `write src/app.py`, `run python3 -m unittest`."""
    try:
        value = json.loads(arguments or "{}")
    except (ValueError, RecursionError):
        return one_line(name, 40)
    value = value if isinstance(value, dict) else {}
    names = ("path", "command", "pattern", "name", "tier", "question", "summary")
    what = next((value[key] for key in names if isinstance(value.get(key), str)), "")
    return one_line(f"{name} {what}".strip(), 80)
