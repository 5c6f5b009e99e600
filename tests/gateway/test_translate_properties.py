"""Whatever is said on one surface is said on the other: requests there and back, and streams however they are cut."""

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from executor_tui.gateway.translate.chat_stream import ChatToMessages
from executor_tui.gateway.translate.chat_to_messages import messages_request
from executor_tui.gateway.translate.messages_stream import MessagesToChat
from executor_tui.gateway.translate.messages_to_chat import chat_request
from executor_tui.gateway.translate.replies import chat_reply, message_reply
from executor_tui.hydra.providers.base import Chunk, Usage
from executor_tui.hydra.providers.dialects import MessagesDialect
from executor_tui.hydra.providers.sse import SseParser

calm = settings(max_examples=60, deadline=None)
words = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1, max_size=40)
inputs = st.dictionaries(
    st.text("abcdef", min_size=1, max_size=5), words | st.integers() | st.booleans() | st.lists(words, max_size=2), max_size=3
)
names = st.text("abcdefgh_", min_size=1, max_size=10)
calls = st.lists(st.tuples(names, inputs), max_size=3)
turns = st.lists(st.tuples(words, words, calls), min_size=1, max_size=4)


def chat_history(given_turns: list[tuple[str, str, list[tuple[str, dict[str, Any]]]]]) -> list[dict[str, Any]]:
    """A conversation as a chat client sends it: each call answered right after it."""
    messages: list[dict[str, Any]] = [{"role": "system", "content": "Be brief."}]
    for number, (asked, said, used) in enumerate(given_turns):
        messages.append({"role": "user", "content": asked})
        tool_calls = [
            {"id": f"t{number}-{i}", "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}
            for i, (name, arguments) in enumerate(used)
        ]
        messages.append({"role": "assistant", "content": said, **({"tool_calls": tool_calls} if tool_calls else {})})
        messages += [{"role": "tool", "tool_call_id": call["id"], "content": "done"} for call in tool_calls]
    return messages


@calm
@given(turns, st.integers(1, 10_000), st.booleans())
def test_a_chat_request_says_the_same_after_going_there_and_back(given_turns: Any, limit: int, stream: bool) -> None:
    messages = chat_history(given_turns)
    there = messages_request({"messages": messages, "max_tokens": limit, "stream": stream}, "claude", 4096)
    assert [m["role"] for m in there["messages"]] == ["user", "assistant"] * (len(there["messages"]) // 2) + ["user"] * (
        len(there["messages"]) % 2
    ), "turns alternate, as Anthropic wants them"
    back = chat_request(there, "gpt")
    assert back["max_tokens"] == limit and bool(back.get("stream")) is stream
    assert _spoken(back["messages"]) == _spoken(messages)


def _spoken(messages: list[dict[str, Any]]) -> list[Any]:
    """Who said what and called what, with arguments by meaning."""
    found: list[Any] = []
    for message in messages:
        used = [(c["id"], c["function"]["name"], json.loads(c["function"]["arguments"])) for c in message.get("tool_calls") or []]
        found.append((message["role"], message.get("content"), message.get("tool_call_id"), used))
    return found


@calm
@given(words, calls)
def test_an_answer_says_the_same_after_going_there_and_back(text: str, used: list[tuple[str, dict[str, Any]]]) -> None:
    blocks = [{"type": "tool_use", "id": f"t{i}", "name": name, "input": arguments} for i, (name, arguments) in enumerate(used)]
    message = {"id": "msg_1", "content": [{"type": "text", "text": text}, *blocks], "stop_reason": "tool_use" if used else "end_turn"}
    back = message_reply(chat_reply(message, Usage(3, 4), "claude", 0), Usage(3, 4), "claude")
    assert (back["content"], back["stop_reason"]) == (message["content"], message["stop_reason"])


def cut(text: str, sizes: list[int]) -> list[str]:
    """`text` in pieces of these sizes, the rest last."""
    pieces, at = [], 0
    for size in sizes:
        pieces.append(text[at : at + size])
        at += size
    return [p for p in [*pieces, text[at:]] if p]


@calm
@given(words, calls, st.lists(st.integers(1, 9), max_size=20), st.randoms(use_true_random=False))
def test_a_stream_retold_twice_is_the_answer_it_was(text: str, used: Any, sizes: list[int], rng: Any) -> None:
    """Chat pieces, of parallel calls in any order among each other → messages events → chat pieces again."""
    pieces = [{"content": piece} for piece in cut(text, sizes)]
    queues = []
    for i, (name, arguments) in enumerate(used):
        head = {"tool_calls": [{"index": i, "id": f"t{i}", "type": "function", "function": {"name": name, "arguments": ""}}]}
        parts = cut(json.dumps(arguments), sizes)
        queues.append([head, *({"tool_calls": [{"index": i, "function": {"arguments": part}}]} for part in parts)])
    while queues := [q for q in queues if q]:
        pieces.append(rng.choice(queues).pop(0))
    finish = "tool_calls" if used else "stop"
    chunks = [Chunk({"id": "c", "choices": [{"index": 0, "delta": d, "finish_reason": None}]}) for d in pieces]
    chunks += [Chunk({"id": "c", "choices": [{"index": 0, "delta": {}, "finish_reason": finish}]}), Chunk({}, last=True)]
    there = ChatToMessages("m", 7)
    raw = b"".join(piece for chunk in chunks for piece in there.feed(chunk))
    back, reader = MessagesToChat("m", 0, wants_usage=True), MessagesDialect().reader({})
    retold: list[bytes] = []
    for event in SseParser().feed(raw):
        data = json.loads(event.data)
        seen = reader.look(event.name, data)
        retold += back.feed(Chunk(data, event.name, event.raw, seen.usage, seen.last))
    said, arguments_of, ids, ended = "", {}, {}, ""
    for line in b"".join(retold).decode().split("\n\n"):
        if not line or line == "data: [DONE]":
            continue
        for choice in json.loads(line.removeprefix("data: "))["choices"]:
            said += choice["delta"].get("content") or ""
            for call in choice["delta"].get("tool_calls") or []:
                ids.setdefault(call["index"], (call.get("id"), call["function"].get("name")))
                arguments_of[call["index"]] = arguments_of.get(call["index"], "") + call["function"].get("arguments", "")
            ended = choice["finish_reason"] or ended
    assert said == text and ended == finish
    by_id = {ids[i]: json.loads(arguments_of[i] or "{}") for i in ids}
    assert by_id == {(f"t{i}", name): arguments for i, (name, arguments) in enumerate(used)}
    assert retold[-1] == b"data: [DONE]\n\n"
