"""Keeping a conversation within a model's context: old tool results are shortened first, then old turns are told in one line."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from executor_tui.agents.client import Message

CHARS_PER_TOKEN = 4
KEPT_WHOLE = 6
"""The newest messages, never shortened while older ones can be."""
STUB_CHARS = 240


@dataclass(frozen=True, slots=True)
class Room:
    """How much of a model's context a call may use. `skill_tokens` None means what the role's settings say."""

    context_tokens: int
    answer_tokens: int | None
    skill_tokens: int | None = None


ROOMS = (Room(60_000, None), Room(12_000, 4_096, 0), Room(2_600, 1_024, 0))
"""Tried in this order: the next smaller one after a server said that the conversation is too long for its model."""


def tokens_in(messages: Sequence[Message]) -> int:
    """An estimate: four characters a token, a handful per message for its frame."""
    return sum(len(json.dumps(m, ensure_ascii=False)) // CHARS_PER_TOKEN + 4 for m in messages)


def fitted(messages: Sequence[Message], limit_tokens: int) -> list[Message]:
    """`messages` within about `limit_tokens`, shape intact: every tool result still answers a call that is there.

    The first two (system prompt and task) and the newest stay longest. What is shortened says so, so that the model can read it again.
    """
    kept = list(messages)
    for protected in (KEPT_WHOLE, 2):
        kept = _shorten(kept, limit_tokens, protected)
    kept = _drop_turns(kept, limit_tokens)
    return _shorten(kept, limit_tokens, 0) if tokens_in(kept) > limit_tokens else kept


def _shorten(messages: list[Message], limit_tokens: int, protected: int) -> list[Message]:
    kept, size = list(messages), tokens_in(messages)
    for index in range(2, len(kept) - protected):
        if size <= limit_tokens:
            break
        before = tokens_in(kept[index : index + 1])
        kept[index] = _stub(kept[index])
        size += tokens_in(kept[index : index + 1]) - before
    return kept


def _stub(message: Message) -> Message:
    shorter = dict(message)
    content = message.get("content")
    if isinstance(content, str) and len(content) > STUB_CHARS:
        shorter["content"] = (
            f"{content[:STUB_CHARS]}\n[… {len(content) - STUB_CHARS} characters left out to save room; ask again if you need them]"
        )
    calls = message.get("tool_calls")
    if isinstance(calls, list):
        shorter["tool_calls"] = [_stub_call(c) for c in calls]
    return shorter


def _stub_call(call: object) -> object:
    """A call whose long arguments are replaced by a short valid object, as servers parse them."""
    if not isinstance(call, dict) or not isinstance(call.get("function"), dict):
        return call
    raw = str(call["function"].get("arguments", ""))
    if len(raw) <= STUB_CHARS:
        return call
    try:
        value = json.loads(raw)
        short = {k: (v if not isinstance(v, str) or len(v) <= 80 else v[:60] + " […]") for k, v in value.items()}
    except (ValueError, AttributeError):
        short = {"left_out": len(raw)}
    return {**call, "function": {**call["function"], "arguments": json.dumps(short)}}


def _drop_turns(messages: list[Message], limit_tokens: int) -> list[Message]:
    """Leave out whole old turns (an assistant message with the results that answer it), oldest first."""
    kept, dropped = list(messages), 0
    while tokens_in(kept) > limit_tokens and len(kept) > 4:
        end = next((i for i in range(3, len(kept)) if kept[i].get("role") == "assistant"), len(kept))
        if end >= len(kept) - 1:
            break
        dropped += end - 2
        del kept[2:end]
    if dropped:
        note: Message = {"role": "user", "content": f"[{dropped} earlier messages left out to save room; the files hold what was done]"}
        kept.insert(2, note)
    return kept
