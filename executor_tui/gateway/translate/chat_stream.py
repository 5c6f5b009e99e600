"""A chat stream retold as a stream of messages events (docs.anthropic.com/en/docs/build-with-claude/streaming)."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from executor_tui.gateway.translate.reasons import stop_reason
from executor_tui.gateway.translate.replies import message_id, messages_usage
from executor_tui.hydra.providers.base import Body, Chunk, Usage
from executor_tui.hydra.providers.sse import encode


@dataclass(slots=True)
class _Call:
    """A tool call as it comes in. Blocks follow one another in messages, so a call that overlaps another waits its turn."""

    id: str
    name: str
    arguments: str = ""
    waiting: list[str] = field(default_factory=list)
    block: int | None = None

    @property
    def whole(self) -> bool:
        try:
            json.loads(self.arguments)
        except ValueError:
            return False
        return True


class ChatToMessages:
    """Feed it the chunks of a chat stream, send on what comes out."""

    def __init__(self, model: str, input_tokens: int) -> None:
        self._model, self._usage = model, Usage(input_tokens, reported=False)
        self._begun = False
        self._blocks = 0
        self._open: str | None = None
        self._calls: dict[int, _Call] = {}
        self._current: _Call | None = None
        self._late: list[str] = []
        self._reason = "stop"

    def feed(self, chunk: Chunk) -> Iterator[bytes]:
        """Events for one chunk."""
        if chunk.usage is not None:
            self._usage = chunk.usage
        if chunk.last:
            yield from self._end()
            return
        if not self._begun and chunk.data:
            self._begun = True
            yield from self._start(chunk.data)
        for choice in chunk.data.get("choices") or []:
            if choice.get("index", 0) == 0:
                yield from self._delta(choice.get("delta") or {})
                self._reason = choice.get("finish_reason") or self._reason

    def finish(self) -> Iterator[bytes]:
        """For a stream that ended with a finish reason and no marker."""
        yield from self._end()

    def _start(self, data: Body) -> Iterator[bytes]:
        message: Body = {
            "id": message_id(data.get("id")), "type": "message", "role": "assistant", "model": self._model, "content": [],
            "stop_reason": None, "stop_sequence": None, "usage": {**messages_usage(self._usage), "output_tokens": 1},
        }  # fmt: skip
        yield _event("message_start", message=message)
        yield _event("ping")

    def _delta(self, delta: Mapping[str, Any]) -> Iterator[bytes]:
        thoughts = delta.get("reasoning_content") or delta.get("reasoning")
        if isinstance(thoughts, str) and thoughts:
            yield from self._say(
                "thinking", {"type": "thinking", "thinking": "", "signature": ""}, {"type": "thinking_delta", "thinking": thoughts}
            )
        text = delta.get("content") or delta.get("refusal")
        if isinstance(text, str) and text and self._current is not None and not self._current.whole:
            self._late.append(text)  # said in the middle of a call's arguments; a block cannot be interrupted
        elif isinstance(text, str) and text:
            yield from self._say("text", {"type": "text", "text": ""}, {"type": "text_delta", "text": text})
        for part in delta.get("tool_calls") or []:
            if isinstance(part, Mapping):
                yield from self._tool(part)

    def _say(self, kind: str, empty: Body, delta: Body) -> Iterator[bytes]:
        if self._open != kind:
            yield from self._close()
            yield _event("content_block_start", index=self._blocks, content_block=empty)
            self._open = kind
        yield _event("content_block_delta", index=self._blocks, delta=delta)

    def _tool(self, part: Mapping[str, Any]) -> Iterator[bytes]:
        call = self._call_of(part)
        function = part.get("function") or {}
        piece = function.get("arguments") or ""
        piece = piece if isinstance(piece, str) else json.dumps(piece)
        call.arguments += piece
        if call.block is None and (self._current is None or self._current.whole):
            yield from self._open_call(call)
        if call is not self._current:
            call.waiting.append(piece)
        elif piece:
            yield _event("content_block_delta", index=self._blocks, delta={"type": "input_json_delta", "partial_json": piece})

    def _call_of(self, part: Mapping[str, Any]) -> _Call:
        """The call a piece belongs to. Some providers number every parallel call 0 and tell them apart by id only."""
        index, call_id = int(part.get("index") or 0), str(part.get("id") or "")
        known = self._calls.get(index)
        if known is not None and call_id and known.id != call_id:
            index = next((i for i, c in self._calls.items() if c.id == call_id), len(self._calls))
            known = self._calls.get(index)
        if known is None:
            name = str((part.get("function") or {}).get("name") or "")
            known = self._calls[index] = _Call(call_id or f"toolu_{index}", name)
        return known

    def _open_call(self, call: _Call) -> Iterator[bytes]:
        yield from self._close()
        block = {"type": "tool_use", "id": call.id, "name": call.name, "input": {}}
        yield _event("content_block_start", index=self._blocks, content_block=block)
        self._open, self._current, call.block = "tool_use", call, self._blocks
        waited = "".join(call.waiting)
        call.waiting.clear()
        if waited:
            yield _event("content_block_delta", index=self._blocks, delta={"type": "input_json_delta", "partial_json": waited})

    def _close(self) -> Iterator[bytes]:
        if self._open is not None:
            yield _event("content_block_stop", index=self._blocks)
            self._open, self._current = None, None
            self._blocks += 1

    def _end(self) -> Iterator[bytes]:
        for call in self._calls.values():
            if call.block is None:
                yield from self._open_call(call)
        if self._late:
            yield from self._close()
            yield from self._say("text", {"type": "text", "text": ""}, {"type": "text_delta", "text": "".join(self._late)})
        yield from self._close()
        delta = {"stop_reason": stop_reason(self._reason), "stop_sequence": None}
        yield _event("message_delta", delta=delta, usage=messages_usage(self._usage))
        yield _event("message_stop")


def _event(name: str, **fields: Any) -> bytes:
    return encode(name, json.dumps({"type": name, **fields}, separators=(",", ":")).encode())
