"""A chat request as one text for a program that takes text, and its text back as an answer with tool calls.

`opencode run` is asked one thing at a time: the conversation is told as a transcript, tools are described in words, and calls of them are
read out of the reply.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from executor_tui.hydra.providers.base import Body

_OPEN, _CLOSE = "<tool_call>", "</tool_call>"
_HOW_TO_CALL = f"""You can call tools. To call one, write nothing but a block like this, one per call:
{_OPEN}{{"name": "the tool", "arguments": {{"the": "arguments"}}}}{_CLOSE}
The result comes with the next message. The tools, with the JSON Schema of their arguments:"""
SYSTEM = "You continue the conversation you are given. Write the next message of the assistant and nothing around it."
"""The system prompt of the program's agent; the client's own system prompt stands in the transcript."""


@dataclass(frozen=True, slots=True)
class Said:
    """An answer taken apart."""

    text: str
    tool_calls: tuple[dict[str, Any], ...] = ()

    @property
    def finish_reason(self) -> str:
        return "tool_calls" if self.tool_calls else "stop"


def render(body: Body) -> str:
    """The request as text."""
    parts = [*_rules(body)]
    for message in body.get("messages") or []:
        if isinstance(message, Mapping):
            parts.append(_turn(message))
    parts.append("Now the next message of the assistant:")
    return "\n\n".join(parts)


def wants_tools(body: Body) -> bool:
    """Whether the answer may hold tool calls, so that it cannot be passed on before it is whole."""
    return bool(body.get("tools")) and body.get("tool_choice") != "none"


def parse(text: str, body: Body, call_id: str) -> Said:
    """The answer in `text`. Blocks that are no calls of the request's tools stay text."""
    if not wants_tools(body):
        return Said(text)
    names = {f.get("name") for f in _functions(body)}
    kept: list[str] = []
    calls: list[dict[str, Any]] = []
    at = 0
    while (start := text.find(_OPEN, at)) >= 0:
        end = text.find(_CLOSE, start)
        inside = text[start + len(_OPEN) : end if end >= 0 else len(text)]
        call = _call(inside, names)
        after = end + len(_CLOSE) if end >= 0 else len(text)
        kept.append(text[at:start] if call else text[at:after])
        if call:
            function = {"name": call[0], "arguments": json.dumps(call[1])}
            calls.append({"id": f"{call_id}_{len(calls)}", "type": "function", "function": function})
        at = after
    kept.append(text[at:])
    return Said("".join(kept).strip(), tuple(calls))


def _call(inside: str, names: set[Any]) -> tuple[str, dict[str, Any]] | None:
    try:
        found, _ = json.JSONDecoder().raw_decode(inside.strip().removeprefix("```json").removeprefix("```").strip())
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict) or found.get("name") not in names:
        return None
    arguments = found.get("arguments", {})
    return (str(found["name"]), arguments) if isinstance(arguments, dict) else None


def _rules(body: Body) -> Iterator[str]:
    if wants_tools(body):
        yield _HOW_TO_CALL
        for function in _functions(body):
            yield json.dumps(
                {"name": function.get("name"), "description": function.get("description"), "arguments": function.get("parameters")}
            )
        choice = body.get("tool_choice")
        if choice == "required" or isinstance(choice, Mapping):
            name = choice.get("function", {}).get("name") if isinstance(choice, Mapping) else ""
            yield f"This time you must call {f'the tool {name!r}' if name else 'a tool'}."
    response = body.get("response_format")
    if isinstance(response, Mapping) and response.get("type") in ("json_object", "json_schema"):
        schema = response.get("json_schema")
        yield "Answer with one JSON object and nothing else." + (f" Its schema: {json.dumps(schema)}" if schema else "")


def _functions(body: Body) -> list[Mapping[str, Any]]:
    return [t["function"] for t in body.get("tools") or [] if isinstance(t, Mapping) and isinstance(t.get("function"), Mapping)]


def _turn(message: Mapping[str, Any]) -> str:
    role = str(message.get("role", "user"))
    said = [_text(message.get("content"))]
    for call in message.get("tool_calls") or []:
        function = call.get("function", {})
        said.append(f'{_OPEN}{{"name": {json.dumps(function.get("name"))}, "arguments": {function.get("arguments") or "{}"}}}{_CLOSE}')
    if role == "tool":
        return f"[result of tool call {message.get('tool_call_id', '')}]\n{said[0]}"
    return f"[{role}]\n" + "\n".join(s for s in said if s)


def _text(content: object) -> str:
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    parts = [p.get("text") or f"[{p.get('type')} left out]" for p in content if isinstance(p, Mapping)]
    return "\n".join(str(p) for p in parts)
