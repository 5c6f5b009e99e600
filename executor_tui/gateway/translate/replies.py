"""Whole answers in the other shape, and usage in both."""

import json
from collections.abc import Mapping
from typing import Any

from executor_tui.gateway.translate.chat_to_messages import arguments
from executor_tui.gateway.translate.parts import Block, text_of
from executor_tui.gateway.translate.reasons import finish_reason, stop_reason
from executor_tui.hydra.providers.base import Body, Usage


def message_reply(reply: Body, usage: Usage, model: str) -> Body:
    """A chat completion as a message."""
    choice = _first(reply.get("choices"))
    said = choice.get("message")
    message = said if isinstance(said, Mapping) else {}
    content: list[Block] = []
    thoughts = message.get("reasoning_content") or message.get("reasoning")
    if isinstance(thoughts, str) and thoughts:
        content.append({"type": "thinking", "thinking": thoughts, "signature": ""})
    text = text_of(message.get("content")) or str(message.get("refusal") or "")
    if text:
        content.append({"type": "text", "text": text})
    for number, call in enumerate(message.get("tool_calls") or []):
        function = call.get("function") or {} if isinstance(call, Mapping) else {}
        call_id = str(call.get("id") or f"toolu_{number}")
        content.append(
            {"type": "tool_use", "id": call_id, "name": str(function.get("name", "")), "input": arguments(function.get("arguments"))}
        )
    reason = "refusal" if message.get("refusal") else stop_reason(choice.get("finish_reason"))
    return {
        "id": message_id(reply.get("id")), "type": "message", "role": "assistant", "model": model, "content": content,
        "stop_reason": reason, "stop_sequence": None, "usage": messages_usage(usage),
    }  # fmt: skip


def chat_reply(reply: Body, usage: Usage, model: str, created: int) -> Body:
    """A message as a chat completion."""
    blocks = [b for b in reply.get("content") or [] if isinstance(b, Mapping)]
    text = "".join(str(b.get("text") or "") for b in blocks if b.get("type") == "text")
    thoughts = "".join(str(b.get("thinking") or "") for b in blocks if b.get("type") == "thinking")
    calls = [tool_call(b) for b in blocks if b.get("type") == "tool_use"]
    message: Block = {"role": "assistant", "content": text or (None if calls else "")}
    if thoughts:
        message["reasoning_content"] = thoughts
    if calls:
        message["tool_calls"] = calls
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": finish_reason(reply.get("stop_reason"))}
    head = {"id": str(reply.get("id") or "chatcmpl"), "object": "chat.completion", "created": created, "model": model}
    return {**head, "choices": [choice], "usage": chat_usage(usage)}


def tool_call(block: Mapping[str, Any]) -> Block:
    """A tool_use block as a tool call."""
    function = {"name": str(block.get("name", "")), "arguments": json.dumps(block.get("input") or {})}
    return {"id": str(block.get("id", "")), "type": "function", "function": function}


def messages_usage(usage: Usage) -> dict[str, int]:
    return {
        "input_tokens": usage.input_tokens,
        "cache_creation_input_tokens": usage.cache_write_tokens,
        "cache_read_input_tokens": usage.cache_read_tokens,
        "output_tokens": usage.output_tokens,
    }


def chat_usage(usage: Usage) -> dict[str, Any]:
    prompt = usage.input_tokens + usage.cache_read_tokens + usage.cache_write_tokens
    return {
        "prompt_tokens": prompt, "completion_tokens": usage.output_tokens, "total_tokens": prompt + usage.output_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cache_read_tokens},
    }  # fmt: skip


def message_id(reply_id: object) -> str:
    """An id that starts as Anthropic's do."""
    text = str(reply_id or "executor")
    return text if text.startswith("msg_") else f"msg_{text}"


def _first(choices: object) -> Mapping[str, Any]:
    return choices[0] if isinstance(choices, list) and choices and isinstance(choices[0], Mapping) else {}
