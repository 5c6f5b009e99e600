"""A stream of messages events retold as a chat stream."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from executor_tui.gateway.translate.reasons import finish_reason
from executor_tui.gateway.translate.replies import chat_usage
from executor_tui.hydra.providers.base import Chunk, Usage
from executor_tui.hydra.providers.sse import encode


class MessagesToChat:
    """Feed it the events of a messages stream, send on what comes out."""

    def __init__(self, model: str, created: int, wants_usage: bool) -> None:
        self._head = {"id": "chatcmpl", "object": "chat.completion.chunk", "created": created, "model": model}
        self._wants_usage = wants_usage
        self._usage = Usage(reported=False)
        self._tools: dict[int, int] = {}

    def feed(self, chunk: Chunk) -> Iterator[bytes]:
        """Chunks for one event."""
        data = chunk.data
        if chunk.usage is not None:
            self._usage = chunk.usage
        kind = data.get("type")
        if kind == "message_start":
            self._head["id"] = str((data.get("message") or {}).get("id") or self._head["id"])
            yield self._chunk({"role": "assistant", "content": ""})
        elif kind == "content_block_start":
            yield from self._block(int(data.get("index", 0)), data.get("content_block") or {})
        elif kind == "content_block_delta":
            yield from self._delta(int(data.get("index", 0)), data.get("delta") or {})
        elif kind == "message_delta" and (data.get("delta") or {}).get("stop_reason"):
            yield self._chunk({}, finish_reason(data["delta"]["stop_reason"]))
        elif kind == "message_stop":
            if self._wants_usage:
                yield _encoded({**self._head, "choices": [], "usage": chat_usage(self._usage)})
            yield encode("", b"[DONE]")

    def finish(self) -> Iterator[bytes]:
        """A messages stream always ends with its own marker."""
        yield from ()

    def _block(self, index: int, block: Mapping[str, Any]) -> Iterator[bytes]:
        if block.get("type") == "tool_use":
            number = self._tools[index] = len(self._tools)
            call = {"id": block.get("id"), "type": "function", "function": {"name": block.get("name"), "arguments": ""}}
            yield self._chunk({"tool_calls": [{"index": number, **call}]})
        elif block.get("type") == "text" and block.get("text"):
            yield self._chunk({"content": block["text"]})

    def _delta(self, index: int, delta: Mapping[str, Any]) -> Iterator[bytes]:
        kind = delta.get("type")
        if kind == "text_delta":
            yield self._chunk({"content": delta.get("text", "")})
        elif kind == "thinking_delta":
            yield self._chunk({"reasoning_content": delta.get("thinking", "")})
        elif kind == "input_json_delta" and index in self._tools:
            function = {"arguments": delta.get("partial_json", "")}
            yield self._chunk({"tool_calls": [{"index": self._tools[index], "function": function}]})

    def _chunk(self, delta: Mapping[str, Any], finish: str | None = None) -> bytes:
        return _encoded({**self._head, "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}]})


def _encoded(data: Mapping[str, Any]) -> bytes:
    return encode("", json.dumps(data, separators=(",", ":")).encode())
