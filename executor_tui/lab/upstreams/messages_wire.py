"""Anthropic's Messages API as Anthropic writes it (docs.anthropic.com/en/api/messages, /messages-streaming)."""

import json
from collections.abc import Iterator
from typing import Any

from executor_tui.lab.upstreams.chat_wire import pieces
from executor_tui.lab.upstreams.script import Answer, Tokens, arguments_text

SIGNATURE = "lab-signature"


def as_chat(request: dict[str, Any]) -> dict[str, Any]:
    """The request in the shape scripts see."""
    messages: list[dict[str, Any]] = []
    system = request.get("system")
    if system:
        text = system if isinstance(system, str) else "".join(b.get("text", "") for b in system)
        messages.append({"role": "system", "content": text})
    for message in request.get("messages", []):
        messages.extend(_message(message))
    tools = [
        {"type": "function", "function": {"name": t["name"], "description": t.get("description", ""), "parameters": t["input_schema"]}}
        for t in request.get("tools", [])
        if "input_schema" in t
    ]
    return {**request, "messages": messages, **({"tools": tools} if tools else {})}


def _message(message: dict[str, Any]) -> Iterator[dict[str, Any]]:
    content = message.get("content", "")
    if isinstance(content, str):
        yield {"role": message["role"], "content": content}
        return
    for block in content:
        if block.get("type") == "tool_result":
            said = block.get("content", "")
            text = said if isinstance(said, str) else "".join(b.get("text", "") for b in said)
            yield {"role": "tool", "tool_call_id": block.get("tool_use_id", ""), "content": text}
    calls = [
        {"id": b["id"], "type": "function", "function": {"name": b["name"], "arguments": json.dumps(b["input"])}}
        for b in content
        if b.get("type") == "tool_use"
    ]
    rest = [b for b in content if b.get("type") in ("text", "image")]
    if rest or calls:
        yield {"role": message["role"], "content": rest, **({"tool_calls": calls} if calls else {})}


def reply(request: dict[str, Any], answer: Answer, tokens: Tokens, reply_id: str) -> dict[str, Any]:
    """A whole answer."""
    content = [block for _, block, _ in _blocks(answer, reply_id)]
    head = _head(request, reply_id)
    return {**head, "content": content, "stop_reason": stop_reason(answer), "stop_sequence": None, "usage": usage(tokens), **answer.extra}


def stream(request: dict[str, Any], answer: Answer, tokens: Tokens, reply_id: str) -> Iterator[tuple[str, str]]:
    """(event, data) pairs of a streamed answer."""
    start = {**_head(request, reply_id), "content": [], "stop_reason": None, "stop_sequence": None}
    yield _event("message_start", message={**start, "usage": {**usage(tokens), "output_tokens": 1}})
    yield _event("ping")
    for index, (empty, block, deltas) in enumerate(_blocks(answer, reply_id)):
        del block
        yield _event("content_block_start", index=index, content_block=empty)
        for delta in deltas:
            yield _event("content_block_delta", index=index, delta=delta)
        yield _event("content_block_stop", index=index)
    delta = {"stop_reason": stop_reason(answer), "stop_sequence": None}
    yield _event("message_delta", delta=delta, usage={"output_tokens": tokens.output})
    yield _event("message_stop")


def _blocks(answer: Answer, reply_id: str) -> Iterator[tuple[dict[str, Any], dict[str, Any], list[dict[str, Any]]]]:
    """Each content block: as it starts, whole, and its deltas."""
    if answer.reasoning:
        thoughts = [{"type": "thinking_delta", "thinking": p} for p in pieces(answer.reasoning)]
        empty = {"type": "thinking", "thinking": "", "signature": ""}
        whole = {"type": "thinking", "thinking": answer.reasoning, "signature": SIGNATURE}
        yield empty, whole, [*thoughts, {"type": "signature_delta", "signature": SIGNATURE}]
    if answer.text or not answer.tool_calls:
        texts = [{"type": "text_delta", "text": p} for p in pieces(answer.text)]
        yield {"type": "text", "text": ""}, {"type": "text", "text": answer.text}, texts
    for i, call in enumerate(answer.tool_calls):
        text = arguments_text(call)
        head = {"type": "tool_use", "id": call.id or f"toolu_{reply_id[-8:]}_{i}", "name": call.name}
        deltas = [{"type": "input_json_delta", "partial_json": p} for p in pieces(text)]
        yield {**head, "input": {}}, {**head, "input": json.loads(text)}, deltas


def stop_reason(answer: Answer) -> str:
    names = {"length": "max_tokens", "stop": "end_turn", "tool_calls": "tool_use", "content_filter": "refusal"}
    return names.get(answer.finish_reason, answer.finish_reason) or ("tool_use" if answer.tool_calls else "end_turn")


def usage(tokens: Tokens) -> dict[str, int]:
    """Anthropic counts cached tokens apart from fresh input."""
    fresh = tokens.input - tokens.cached
    return {
        "input_tokens": fresh,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": tokens.cached,
        "output_tokens": tokens.output,
    }


def _head(request: dict[str, Any], reply_id: str) -> dict[str, Any]:
    return {"id": reply_id, "type": "message", "role": "assistant", "model": request.get("model", "")}


def _event(name: str, **fields: Any) -> tuple[str, str]:
    return name, json.dumps({"type": name, **fields}, separators=(",", ":"))
