"""Chat Completions as the providers write it: whole answers and streams (platform.openai.com/docs/api-reference/chat)."""

import json
from collections.abc import Iterator
from typing import Any

from executor_tui.lab.upstreams.script import Answer, Tokens, ToolCall, arguments_text

PIECE_CHARS = 12


def reply(request: dict[str, Any], answer: Answer, tokens: Tokens, reply_id: str, created: int) -> dict[str, Any]:
    """A whole answer."""
    message: dict[str, Any] = {"role": "assistant", "content": answer.text or (None if answer.tool_calls else "")}
    if answer.reasoning:
        message["reasoning_content"] = answer.reasoning
    if answer.tool_calls:
        message["tool_calls"] = [tool_call(c, i, reply_id) for i, c in enumerate(answer.tool_calls)]
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": finish_reason(answer)}
    head = _head(request, reply_id, created, "chat.completion")
    return {**head, "choices": [choice], "usage": usage(tokens), **_citations(answer), **answer.extra}


def stream(request: dict[str, Any], answer: Answer, tokens: Tokens, reply_id: str, created: int) -> Iterator[str]:
    """The `data:` payloads of a streamed answer, `[DONE]` last."""
    head = _head(request, reply_id, created, "chat.completion.chunk")
    wants_usage = bool((request.get("stream_options") or {}).get("include_usage"))

    def chunk(delta: dict[str, Any], finish: str | None = None, **more: Any) -> str:
        body = {**head, "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}], **more}
        return json.dumps({**body, "usage": None} if wants_usage else body, separators=(",", ":"))

    yield chunk({"role": "assistant", "content": ""})
    for piece in pieces(answer.reasoning):
        yield chunk({"reasoning_content": piece})
    for piece in pieces(answer.text):
        yield chunk({"content": piece})
    for i, call in enumerate(answer.tool_calls):
        whole = tool_call(call, i, reply_id)
        whole["function"] = {"name": call.name, "arguments": ""}
        yield chunk({"tool_calls": [{"index": i, **whole}]})
        for piece in pieces(arguments_text(call)):
            yield chunk({"tool_calls": [{"index": i, "function": {"arguments": piece}}]})
    yield chunk({}, finish_reason(answer), **_citations(answer), **answer.extra)
    if wants_usage:
        yield json.dumps({**head, "choices": [], "usage": usage(tokens)}, separators=(",", ":"))
    yield "[DONE]"


def pieces(text: str) -> Iterator[str]:
    """Text as a model streams it, a few characters at a time."""
    for start in range(0, len(text), PIECE_CHARS):
        yield text[start : start + PIECE_CHARS]


def finish_reason(answer: Answer) -> str:
    return answer.finish_reason or ("tool_calls" if answer.tool_calls else "stop")


def tool_call(call: ToolCall, index: int, reply_id: str) -> dict[str, Any]:
    call_id = call.id or f"call_{reply_id[-8:]}_{index}"
    return {"id": call_id, "type": "function", "function": {"name": call.name, "arguments": arguments_text(call)}}


def usage(tokens: Tokens) -> dict[str, Any]:
    cost = {} if tokens.cost_usd is None else {"cost": {"total_cost": tokens.cost_usd}}
    return {
        "prompt_tokens": tokens.input, "completion_tokens": tokens.output, "total_tokens": tokens.input + tokens.output,
        "prompt_tokens_details": {"cached_tokens": tokens.cached}, **cost,
    }  # fmt: skip


def _head(request: dict[str, Any], reply_id: str, created: int, kind: str) -> dict[str, Any]:
    return {"id": reply_id, "object": kind, "created": created, "model": request.get("model", "")}


def _citations(answer: Answer) -> dict[str, Any]:
    """As Perplexity adds them: plain URLs, and the search results they come from."""
    if not answer.citations:
        return {}
    found = [dict(c) for c in answer.citations]
    return {"citations": [c.get("url", "") for c in found], "search_results": found}
