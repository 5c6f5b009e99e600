"""OpenAI's Responses API, as much as a pass-through needs (platform.openai.com/docs/api-reference/responses)."""

import json
from collections.abc import Iterator
from typing import Any

from executor_tui.lab.upstreams.chat_wire import pieces
from executor_tui.lab.upstreams.script import Answer, Tokens, arguments_text


def as_chat(request: dict[str, Any]) -> dict[str, Any]:
    """The request in the shape scripts see."""
    given = request.get("input", "")
    items = [{"role": "user", "content": given}] if isinstance(given, str) else given
    messages: list[dict[str, Any]] = []
    if request.get("instructions"):
        messages.append({"role": "system", "content": request["instructions"]})
    for item in items:
        if item.get("type") == "function_call_output":
            messages.append({"role": "tool", "tool_call_id": item.get("call_id", ""), "content": item.get("output", "")})
        elif "role" in item:
            messages.append({"role": item["role"], "content": item.get("content", "")})
    tools = [{"type": "function", "function": t} for t in request.get("tools", []) if t.get("type") == "function"]
    return {**request, "messages": messages, **({"tools": tools} if tools else {})}


def reply(request: dict[str, Any], answer: Answer, tokens: Tokens, reply_id: str, created: int) -> dict[str, Any]:
    """A whole answer."""
    return {
        "id": reply_id, "object": "response", "created_at": created, "status": "completed", "model": request.get("model", ""),
        "output": _output(answer, reply_id), "usage": usage(tokens), "error": None, "incomplete_details": None,
        "parallel_tool_calls": True, "tool_choice": "auto", "tools": request.get("tools", []), **answer.extra,
    }  # fmt: skip


def stream(request: dict[str, Any], answer: Answer, tokens: Tokens, reply_id: str, created: int) -> Iterator[tuple[str, str]]:
    """(event, data) pairs of a streamed answer."""
    whole = reply(request, answer, tokens, reply_id, created)
    opening = {**whole, "status": "in_progress", "output": [], "usage": None}
    sequence = iter(range(1_000_000))

    def event(name: str, **fields: Any) -> tuple[str, str]:
        return name, json.dumps({"type": name, "sequence_number": next(sequence), **fields}, separators=(",", ":"))

    yield event("response.created", response=opening)
    for index, item in enumerate(whole["output"]):
        yield event("response.output_item.added", output_index=index, item={**item, "status": "in_progress"})
        if item["type"] == "message":
            for piece in pieces(answer.text):
                yield event("response.output_text.delta", item_id=item["id"], output_index=index, content_index=0, delta=piece)
        yield event("response.output_item.done", output_index=index, item=item)
    yield event("response.completed", response=whole)


def usage(tokens: Tokens) -> dict[str, Any]:
    return {
        "input_tokens": tokens.input, "input_tokens_details": {"cached_tokens": tokens.cached}, "output_tokens": tokens.output,
        "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": tokens.input + tokens.output,
    }  # fmt: skip


def _output(answer: Answer, reply_id: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    if answer.text or not answer.tool_calls:
        content = [{"type": "output_text", "text": answer.text, "annotations": []}]
        items.append({"type": "message", "id": f"msg_{reply_id[-8:]}", "role": "assistant", "status": "completed", "content": content})
    for i, call in enumerate(answer.tool_calls):
        call_id = call.id or f"call_{reply_id[-8:]}_{i}"
        items.append({"type": "function_call", "id": f"fc_{reply_id[-8:]}_{i}", "call_id": call_id, "name": call.name,
                      "arguments": arguments_text(call), "status": "completed"})  # fmt: skip
    return items
