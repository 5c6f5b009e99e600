"""A Messages request as a Chat Completions request, for providers that speak only that."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from executor_tui.gateway.translate.parts import Block, text_of, to_chat_part
from executor_tui.hydra.providers.base import Body

_NEW_LIMIT = re.compile(r"(^|/)(o\d|gpt-5)")
"""OpenAI models that refuse max_tokens and want max_completion_tokens."""
MAX_STOPS = 4


def chat_request(body: Body, model_id: str) -> Body:
    """`body` for the model called `model_id` there. Fields only Anthropic knows are left out."""
    messages = [*_system(body.get("system"))]
    for message in body.get("messages") or []:
        if isinstance(message, Mapping):
            messages.extend(_assistant(message) if message.get("role") == "assistant" else _user(message))
    request: Body = {"model": model_id, "messages": messages}
    limit = body.get("max_tokens")
    if isinstance(limit, int):
        request["max_completion_tokens" if _NEW_LIMIT.search(model_id) else "max_tokens"] = limit
    for name in ("temperature", "top_p", "stream"):
        if name in body:
            request[name] = body[name]
    if body.get("stop_sequences"):
        request["stop"] = list(body["stop_sequences"])[:MAX_STOPS]
    metadata = body.get("metadata")
    if isinstance(metadata, Mapping) and metadata.get("user_id"):
        request["user"] = str(metadata["user_id"])[:128]
    return request | _tools(body)


def _system(system: object) -> Iterator[Block]:
    text = system if isinstance(system, str) else "\n\n".join(text_of([b]) for b in system) if isinstance(system, list) else ""
    if text:
        yield {"role": "system", "content": text}


def _user(message: Mapping[str, Any]) -> Iterator[Block]:
    """Results of tools first, as chat wants them right behind the calls; then what the user says."""
    content = message.get("content")
    if isinstance(content, str):
        yield {"role": "user", "content": content}
        return
    parts: list[Block] = []
    for block in content or []:
        if not isinstance(block, Mapping):
            continue
        if block.get("type") == "tool_result":
            text, images = _result(block)
            yield {"role": "tool", "tool_call_id": str(block.get("tool_use_id", "")), "content": text}
            parts.extend(images)
        elif (part := to_chat_part(block)) is not None:
            parts.append(part)
    if parts:
        only_text = all(p["type"] == "text" for p in parts)
        yield {"role": "user", "content": "\n".join(p["text"] for p in parts) if only_text else parts}


def _result(block: Mapping[str, Any]) -> tuple[str, list[Block]]:
    """A tool's result as text, and the images in it, which a tool message cannot hold."""
    content = block.get("content")
    text = text_of(content)
    images = (
        [p for b in content if isinstance(b, Mapping) and b.get("type") == "image" and (p := to_chat_part(b))]
        if isinstance(content, list)
        else []
    )
    if block.get("is_error"):
        text = f"Error: {text}"
    return text or ("[see the image]" if images else "[no output]"), images


def _assistant(message: Mapping[str, Any]) -> Iterator[Block]:
    content = message.get("content")
    if isinstance(content, str):
        yield {"role": "assistant", "content": content}
        return
    blocks = [b for b in content or [] if isinstance(b, Mapping)]
    calls = [
        {
            "id": str(b.get("id", "")),
            "type": "function",
            "function": {"name": str(b.get("name", "")), "arguments": json.dumps(b.get("input") or {})},
        }
        for b in blocks
        if b.get("type") == "tool_use"
    ]
    text = "".join(str(b.get("text") or "") for b in blocks if b.get("type") == "text")
    if text or calls:
        yield {"role": "assistant", "content": text or None, **({"tool_calls": calls} if calls else {})}


def _tools(body: Body) -> Body:
    """Tools the client runs itself. Those Anthropic runs on its servers exist nowhere else and are left out."""
    tools = [
        {
            "type": "function",
            "function": {"name": t["name"], "description": str(t.get("description") or ""), "parameters": t["input_schema"]},
        }
        for t in body.get("tools") or []
        if isinstance(t, Mapping) and isinstance(t.get("input_schema"), Mapping) and t.get("name")
    ]
    if not tools:
        return {}
    found: Body = {"tools": tools}
    choice = body.get("tool_choice")
    if isinstance(choice, Mapping):
        kind = choice.get("type")
        one = {"type": "function", "function": {"name": choice.get("name")}}
        found["tool_choice"] = one if kind == "tool" else {"any": "required", "none": "none"}.get(str(kind), "auto")
        if choice.get("disable_parallel_tool_use"):
            found["parallel_tool_calls"] = False
    return found
