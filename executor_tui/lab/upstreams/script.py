"""What a simulated model answers is pluggable: a `Script` is a function from the request to an `Answer`.

A script sees every request in the Chat Completions shape, whatever wire it came in on, so one script serves all providers.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call of one of the request's tools. `arguments` may be a string to answer with JSON that is broken on purpose."""

    name: str
    arguments: Mapping[str, Any] | str
    id: str = ""


@dataclass(frozen=True, slots=True)
class Tokens:
    """What the provider says was used; `cached` is part of `input`, as OpenAI counts it. `cost_usd` as Perplexity states it."""

    input: int
    output: int
    cached: int = 0
    cost_usd: float | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """One turn of the model: text, tool calls or both. `usage` None: counted from the lengths, four characters a token."""

    text: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    usage: Tokens | None = None
    finish_reason: str = ""
    reasoning: str = ""
    citations: tuple[Mapping[str, str], ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)
    """Fields added to the reply's body as they are."""


class Script(Protocol):
    """Decides what the model says. Called once per answered request, never for a refused one."""

    def __call__(self, request: dict[str, Any]) -> Answer: ...


def echo(request: dict[str, Any]) -> Answer:
    """The default: calls the first tool once with the last user text, and otherwise repeats that text."""
    messages = request.get("messages") or []
    text = text_of(next((m for m in reversed(messages) if m.get("role") == "user"), {}))
    tools = request.get("tools") or []
    answered = any(m.get("role") == "tool" for m in messages)
    if tools and not answered and request.get("tool_choice") != "none":
        function = tools[0].get("function", {})
        names = list(function.get("parameters", {}).get("properties", {})) or ["text"]
        return Answer(tool_calls=(ToolCall(str(function.get("name", "tool")), {names[0]: text}),))
    return Answer(text=f"echo: {text}")


def text_of(message: Mapping[str, Any]) -> str:
    """The text of a message, its parts joined."""
    content = message.get("content")
    if isinstance(content, str):
        return content
    return "".join(str(p.get("text", "")) for p in content or [] if isinstance(p, Mapping))


def count(request: Mapping[str, Any], answer: Answer) -> Tokens:
    """What this turn is said to have cost."""
    if answer.usage is not None:
        return answer.usage
    said = len(answer.text) + len(answer.reasoning) + sum(len(arguments_text(c)) + len(c.name) for c in answer.tool_calls)
    return Tokens(input_tokens(request), max(1, said // 4))


def input_tokens(request: Mapping[str, Any]) -> int:
    """Four characters a token, over messages and tools."""
    return max(1, len(json.dumps([request.get("messages", []), request.get("tools", [])])) // 4)


def arguments_text(call: ToolCall) -> str:
    """The arguments as the wire carries them."""
    return call.arguments if isinstance(call.arguments, str) else json.dumps(dict(call.arguments))
