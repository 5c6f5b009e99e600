"""What can be read off a request before it is sent anywhere: its size, and what it needs of a model. Local and cheap; nothing is sent."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from executor_tui.domain.model import Capability
from executor_tui.hydra.providers.base import Body, Wire

CHARS_PER_TOKEN = 3.6
"""English and code run near 4, other languages lower; better to reckon a little too many."""
IMAGE_TOKENS = 1_200
MESSAGE_TOKENS = 4
_MAX_DEPTH = 12


@dataclass(frozen=True, slots=True)
class Features:
    """`input_tokens` is an estimate; `max_output_tokens` is None when the client set no limit; `text` is the latest user text."""

    input_tokens: int
    max_output_tokens: int | None
    needs: frozenset[Capability]
    is_stream: bool
    turns: int
    tools: int
    images: int
    text: str
    code_chars: int
    reasoning: bool


def read_features(wire: Wire, body: Body) -> Features:
    """Features of a request in any of the wires' shapes. Unknown fields count as text; nothing raises on odd shapes."""
    messages = _messages(body)
    system = body.get("system") or body.get("instructions") or ""
    parts = list(_parts([system, *messages]))
    tools = body.get("tools") or body.get("functions") or []
    chars = sum(len(text) for text in _texts(parts)) + (len(str(tools)) if tools else 0)
    images = sum(1 for part in parts if _is_image(part))
    tokens = int(chars / CHARS_PER_TOKEN) + images * IMAGE_TOKENS + MESSAGE_TOKENS * len(messages)
    text = _latest_user_text(messages)
    return Features(
        input_tokens=max(1, tokens),
        max_output_tokens=_limit(body),
        needs=_needs(body, bool(tools), bool(images)),
        is_stream=body.get("stream") is True,
        turns=len(messages),
        tools=len(tools) if isinstance(tools, list) else 1,
        images=images,
        text=text,
        code_chars=sum(len(block) for block in re.findall(r"```.*?(?:```|\Z)", text, re.DOTALL)),
        reasoning=_asks_reasoning(body),
    )


def _messages(body: Body) -> list[object]:
    for field in ("messages", "input", "prompt"):
        value = body.get(field)
        if isinstance(value, list):
            return list(value)
        if isinstance(value, str):
            return [{"role": "user", "content": value}]
    return []


def _parts(value: object, depth: int = 0) -> Iterator[object]:
    """Every string and content block below `value`."""
    if depth > _MAX_DEPTH:
        return
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _parts(item, depth + 1)
    elif isinstance(value, Mapping):
        if _is_image(value):
            yield value
            return
        for name, item in value.items():
            if name not in ("role", "type", "id", "cache_control", "signature"):
                yield from _parts(item, depth + 1)


def _texts(parts: list[object]) -> Iterator[str]:
    return (part for part in parts if isinstance(part, str))


def _is_image(part: object) -> bool:
    return isinstance(part, Mapping) and part.get("type") in ("image", "image_url", "input_image")


def _latest_user_text(messages: list[object]) -> str:
    for message in reversed(messages):
        if isinstance(message, Mapping) and message.get("role") == "user":
            found = "\n".join(_texts(list(_parts(message.get("content")))))
            if found.strip():
                return found
    return ""


def _limit(body: Body) -> int | None:
    for field in ("max_completion_tokens", "max_tokens", "max_output_tokens"):
        value = body.get(field)
        if isinstance(value, int) and not isinstance(value, bool) and value > 0:
            return value
    return None


def _asks_reasoning(body: Body) -> bool:
    thinking = body.get("thinking")
    effort = body.get("reasoning_effort") or (body.get("reasoning") if isinstance(body.get("reasoning"), str | dict) else None)
    return (isinstance(thinking, Mapping) and thinking.get("type") == "enabled") or bool(effort and effort != "none")


def _needs(body: Body, tools: bool, images: bool) -> frozenset[Capability]:
    found = set()
    if tools:
        found.add(Capability.TOOLS)
    if images:
        found.add(Capability.VISION)
    if body.get("stream") is True:
        found.add(Capability.STREAMING)
    return frozenset(found)
