"""Chat Completions ⇄ Messages, as pure functions."""

import json
from typing import Any

import pytest

from executor_tui.gateway.translate.chat_stream import ChatToMessages
from executor_tui.gateway.translate.chat_to_messages import messages_request
from executor_tui.gateway.translate.messages_stream import MessagesToChat
from executor_tui.gateway.translate.messages_to_chat import chat_request
from executor_tui.gateway.translate.replies import chat_reply, message_reply
from executor_tui.gateway.translate.thinking import for_model, marked_event, marked_reply, signed, unsigned
from executor_tui.hydra.providers.base import Chunk, Usage

PNG = "iVBORw0KGgo="
SCHEMA = {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]}

MESSAGES: dict[str, Any] = {
    "model": "claude-sonnet",
    "max_tokens": 500,
    "system": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}, {"type": "text", "text": "Be kind."}],
    "messages": [
        {"role": "user", "content": [{"type": "text", "text": "What is this?"},
                                     {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}]},
        {"role": "assistant", "content": [{"type": "thinking", "thinking": "hm", "signature": "s"}, {"type": "text", "text": "I look."},
                                          {"type": "tool_use", "id": "t1", "name": "read", "input": {"path": "a"}},
                                          {"type": "tool_use", "id": "t2", "name": "read", "input": {"path": "b"}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": [{"type": "text", "text": "one"}]},
                                     {"type": "tool_result", "tool_use_id": "t2", "content": "no such file", "is_error": True},
                                     {"type": "text", "text": "Go on."}]},
    ],
    "tools": [{"name": "read", "description": "Read.", "input_schema": SCHEMA}, {"type": "web_search_20250305", "name": "web_search"}],
    "tool_choice": {"type": "any", "disable_parallel_tool_use": True},
    "stop_sequences": ["END"],
    "metadata": {"user_id": "u1"},
    "top_k": 5,
    "thinking": {"type": "enabled", "budget_tokens": 1000},
}  # fmt: skip


def test_a_messages_request_becomes_a_chat_request_that_says_the_same() -> None:
    request = chat_request(MESSAGES, "gpt-4o")
    assert request["model"] == "gpt-4o" and request["max_tokens"] == 500 and request["stop"] == ["END"] and request["user"] == "u1"
    assert [m["role"] for m in request["messages"]] == ["system", "user", "assistant", "tool", "tool", "user"]
    assert request["messages"][0]["content"] == "Be brief.\n\nBe kind."
    assert request["messages"][1]["content"][1] == {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}
    assistant = request["messages"][2]
    assert assistant["content"] == "I look." and [c["id"] for c in assistant["tool_calls"]] == ["t1", "t2"]
    assert json.loads(assistant["tool_calls"][0]["function"]["arguments"]) == {"path": "a"}
    assert request["messages"][3] == {"role": "tool", "tool_call_id": "t1", "content": "one"}
    assert request["messages"][4]["content"] == "Error: no such file"
    assert [t["function"]["name"] for t in request["tools"]] == ["read"] and request["tools"][0]["function"]["parameters"] == SCHEMA
    assert request["tool_choice"] == "required" and request["parallel_tool_calls"] is False
    assert "top_k" not in request and "thinking" not in request


@pytest.mark.parametrize(
    ("model", "field"), [("gpt-4o", "max_tokens"), ("o3-mini", "max_completion_tokens"), ("openai/gpt-5", "max_completion_tokens")]
)
def test_the_limit_has_the_name_the_model_takes(model: str, field: str) -> None:
    assert chat_request(MESSAGES, model)[field] == 500


def test_an_image_in_a_tools_result_is_shown_by_the_user() -> None:
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}
    body = {"messages": [{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": [image]}]}]}
    tool, user = chat_request(body, "m")["messages"]
    assert tool["content"] == "[see the image]" and user["content"][0]["type"] == "image_url"


def image(url: str) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url}}


def reading(call_id: str, arguments: str) -> dict[str, Any]:
    return {"id": call_id, "type": "function", "function": {"name": "read", "arguments": arguments}}


def test_a_chat_request_becomes_a_messages_request_that_says_the_same() -> None:
    body = {
        "model": "x", "stream": True, "temperature": 1.7, "top_p": 0.9, "stop": "END", "user": "u1",
        "response_format": {"type": "json_schema", "json_schema": {"schema": SCHEMA}},
        "messages": [
            {"role": "developer", "content": "Be brief."},
            {"role": "user", "content": [{"type": "text", "text": "Look"}, image(f"data:image/png;base64,{PNG}"), image("https://x/y.png")]},
            {"role": "assistant", "content": None, "tool_calls": [reading("t1", '{"path":"a"}'), reading("t2", "not json")]},
            {"role": "tool", "tool_call_id": "t1", "content": "one"},
            {"role": "tool", "tool_call_id": "t2", "content": ""},
            {"role": "user", "content": "go on"},
        ],
        "tools": [{"type": "function", "function": {"name": "read", "parameters": SCHEMA, "strict": True}}],
        "tool_choice": {"type": "function", "function": {"name": "read"}}, "parallel_tool_calls": False,
    }  # fmt: skip
    request = messages_request(body, "claude", 4096)
    assert request["max_tokens"] == 4096 and request["temperature"] == 1.0 and "top_p" not in request
    assert request["stop_sequences"] == ["END"] and request["metadata"] == {"user_id": "u1"} and request["stream"] is True
    assert request["system"][0] == {"type": "text", "text": "Be brief."} and "JSON Schema" in request["system"][1]["text"]
    assert [m["role"] for m in request["messages"]] == ["user", "assistant", "user"]
    assert request["messages"][0]["content"][1]["source"] == {"type": "base64", "media_type": "image/png", "data": PNG}
    assert request["messages"][0]["content"][2]["source"] == {"type": "url", "url": "https://x/y.png"}
    calls = request["messages"][1]["content"]
    assert calls[0] == {"type": "tool_use", "id": "t1", "name": "read", "input": {"path": "a"}} and calls[1]["input"] == {
        "arguments": "not json"
    }
    answers = request["messages"][2]["content"]
    assert [b["type"] for b in answers] == ["tool_result", "tool_result", "text"] and answers[0]["content"] == "one"
    assert request["tools"] == [{"name": "read", "description": "", "input_schema": SCHEMA}]
    assert request["tool_choice"] == {"type": "tool", "name": "read", "disable_parallel_tool_use": True}


def test_what_anthropic_would_refuse_is_not_sent() -> None:
    body = {
        "messages": [{"role": "assistant", "content": "hello"}, {"role": "user", "content": ""}, {"role": "user", "content": "x"}],
        "stop": ["  "],
    }
    request = messages_request(body, "claude", 10)
    assert [m["role"] for m in request["messages"]] == ["user", "assistant", "user"]
    assert all(b["text"] for m in request["messages"] for b in m["content"]) and "stop_sequences" not in request


def test_tool_calls_and_reasons_survive_there_and_back() -> None:
    message = {
        "content": [{"type": "text", "text": "I look."}, {"type": "tool_use", "id": "t1", "name": "read", "input": {"path": "a"}}],
        "stop_reason": "tool_use", "id": "msg_1",
    }  # fmt: skip
    usage = Usage(10, 5, 3, 2)
    chat = chat_reply(message, usage, "claude", 0)
    assert chat["choices"][0]["finish_reason"] == "tool_calls"
    assert chat["usage"] == {"prompt_tokens": 15, "completion_tokens": 5, "total_tokens": 20, "prompt_tokens_details": {"cached_tokens": 3}}
    back = message_reply(chat, usage, "claude")
    assert back["content"] == message["content"] and back["stop_reason"] == "tool_use" and back["id"] == "msg_1"
    assert back["usage"] == {"input_tokens": 10, "cache_creation_input_tokens": 2, "cache_read_input_tokens": 3, "output_tokens": 5}


@pytest.mark.parametrize(
    ("finish", "stop"),
    [("stop", "end_turn"), ("length", "max_tokens"), ("tool_calls", "tool_use"), ("content_filter", "refusal"), ("odd", "end_turn")],
)
def test_reasons_to_end(finish: str, stop: str) -> None:
    reply = {"id": "1", "choices": [{"message": {"content": "x"}, "finish_reason": finish}]}
    assert message_reply(reply, Usage(), "m")["stop_reason"] == stop


# -- streams


def chat_chunks(*deltas: dict[str, Any], finish: str = "stop", usage: Usage | None = None) -> list[Chunk]:
    made = [Chunk({"id": "c1", "choices": [{"index": 0, "delta": d, "finish_reason": None}]}) for d in deltas]
    made.append(Chunk({"id": "c1", "choices": [{"index": 0, "delta": {}, "finish_reason": finish}]}))
    if usage:
        made.append(Chunk({"id": "c1", "choices": []}, usage=usage))
    return [*made, Chunk({}, last=True)]


def retold(chunks: list[Chunk]) -> list[dict[str, Any]]:
    translator = ChatToMessages("m", 42)
    raw = b"".join(piece for chunk in chunks for piece in translator.feed(chunk))
    return [json.loads(line.removeprefix("data: ")) for line in raw.decode().split("\n") if line.startswith("data: ")]


def rebuilt(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The blocks a client builds from messages events, checking that blocks never overlap."""
    blocks: list[dict[str, Any]] = []
    open_at: int | None = None
    for event in events:
        if event["type"] == "content_block_start":
            assert open_at is None and event["index"] == len(blocks)
            open_at = event["index"]
            blocks.append({**event["content_block"], "json": ""})
        elif event["type"] == "content_block_delta":
            assert event["index"] == open_at
            delta, block = event["delta"], blocks[-1]
            for field, name in (("text", "text"), ("thinking", "thinking"), ("partial_json", "json")):
                block[name] = block.get(name, "") + delta.get(field, "")
        elif event["type"] == "content_block_stop":
            assert event["index"] == open_at
            open_at = None
    assert open_at is None
    return blocks


def call(index: int, *, call_id: str = "", name: str = "", arguments: str = "") -> dict[str, Any]:
    function = {k: v for k, v in (("name", name), ("arguments", arguments)) if v}
    return {"tool_calls": [{"index": index, **({"id": call_id} if call_id else {}), "function": function}]}


def test_a_chat_stream_is_retold_event_by_event() -> None:
    events = retold(chat_chunks({"role": "assistant", "content": ""}, {"reasoning_content": "hm"}, {"content": "Hi "}, {"content": "you"},
                                call(0, call_id="t1", name="read"), call(0, arguments='{"path":'), call(0, arguments='"a"}'),
                                finish="tool_calls", usage=Usage(7, 3)))  # fmt: skip
    assert [e["type"] for e in events[:2]] == ["message_start", "ping"] and events[-1]["type"] == "message_stop"
    thinking, text, tool = rebuilt(events)
    assert (
        thinking["thinking"] == "hm" and text["text"] == "Hi you" and tool["name"] == "read" and json.loads(tool["json"]) == {"path": "a"}
    )
    assert events[-2]["delta"]["stop_reason"] == "tool_use" and events[-2]["usage"]["output_tokens"] == 3


def test_parallel_calls_that_come_interleaved_are_told_one_after_the_other() -> None:
    events = retold(chat_chunks(call(0, call_id="a", name="f"), call(1, call_id="b", name="g"), call(0, arguments='{"x":'),
                                call(1, arguments='{"y":2}'), call(0, arguments="1}"), finish="tool_calls"))  # fmt: skip
    first, second = rebuilt(events)
    assert (first["id"], json.loads(first["json"])) == ("a", {"x": 1})
    assert (second["id"], json.loads(second["json"])) == ("b", {"y": 2})


def test_parallel_calls_all_numbered_zero_are_told_apart_by_id() -> None:
    events = retold(chat_chunks(call(0, call_id="a", name="f", arguments='{"x":1}'), call(0, call_id="b", name="f", arguments='{"x":2}')))
    assert [(b["id"], json.loads(b["json"])) for b in rebuilt(events)] == [("a", {"x": 1}), ("b", {"x": 2})]


def test_text_in_the_middle_of_a_calls_arguments_is_not_lost() -> None:
    events = retold(chat_chunks(call(0, call_id="a", name="f", arguments='{"x":'), {"content": "by the way"}, call(0, arguments="1}")))
    tool, text = rebuilt(events)
    assert json.loads(tool["json"]) == {"x": 1} and text["text"] == "by the way"


def test_a_messages_stream_is_retold_as_chunks() -> None:
    translator = MessagesToChat("m", 0, wants_usage=True)
    events: list[Chunk] = [
        Chunk({"type": "message_start", "message": {"id": "msg_1"}}, usage=Usage(9, 1)), Chunk({"type": "ping"}),
        Chunk({"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": ""}}),
        Chunk({"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "hm"}}),
        Chunk({"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}}),
        Chunk({"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "Hi"}}),
        Chunk({"type": "content_block_start", "index": 2, "content_block": {"type": "tool_use", "id": "t", "name": "read", "input": {}}}),
        Chunk({"type": "content_block_delta", "index": 2, "delta": {"type": "input_json_delta", "partial_json": '{"path":"a"}'}}),
        Chunk({"type": "message_delta", "delta": {"stop_reason": "tool_use"}}, usage=Usage(9, 5)),
        Chunk({"type": "message_stop"}, last=True),
    ]  # fmt: skip
    raw = b"".join(piece for event in events for piece in translator.feed(event)).decode()
    lines = [line.removeprefix("data: ") for line in raw.split("\n") if line]
    assert lines[-1] == "[DONE]"
    chunks = [json.loads(line) for line in lines[:-1]]
    deltas = [c["choices"][0]["delta"] for c in chunks if c["choices"]]
    assert deltas[0] == {"role": "assistant", "content": ""}
    assert "".join(d.get("content") or "" for d in deltas) == "Hi" and deltas[1] == {"reasoning_content": "hm"}
    assert deltas[3]["tool_calls"][0]["function"]["name"] == "read" and deltas[4]["tool_calls"][0]["index"] == 0
    assert chunks[-2]["choices"][0]["finish_reason"] == "tool_calls" and chunks[-1]["usage"]["total_tokens"] == 14


# -- thinking


def test_a_signature_comes_back_only_to_its_maker() -> None:
    mark = signed("abc", "claude-opus")
    assert unsigned(mark, "claude-opus") == "abc" and unsigned(mark, "claude-sonnet") is None and unsigned("abc", "claude-opus") is None
    assert signed(mark, "claude-sonnet") == mark and signed("", "m") == ""


def test_another_models_thinking_is_left_out_and_thinking_switched_off_where_a_tool_waits() -> None:
    mark = signed("abc", "claude-opus")
    turn = [{"type": "thinking", "thinking": "hm", "signature": mark}, {"type": "tool_use", "id": "t", "name": "f", "input": {}}]
    body = {"thinking": {"type": "enabled"}, "messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": turn}]}
    own = for_model(body, "claude-opus")
    assert own["messages"][1]["content"][0]["signature"] == "abc" and own["thinking"]
    other = for_model(body, "claude-sonnet")
    assert [b["type"] for b in other["messages"][1]["content"]] == ["tool_use"] and "thinking" not in other


def test_signatures_leave_with_their_makers_mark_whole_and_streamed() -> None:
    whole = marked_reply(
        {"content": [{"type": "thinking", "thinking": "hm", "signature": "abc"}, {"type": "redacted_thinking", "data": "xyz"}]}, "m"
    )
    assert [unsigned(b.get("signature") or b["data"], "m") for b in whole["content"]] == ["abc", "xyz"]
    event = marked_event({"type": "content_block_delta", "delta": {"type": "signature_delta", "signature": "abc"}}, "m")
    assert event is not None and unsigned(event["delta"]["signature"], "m") == "abc"
    assert marked_event({"type": "content_block_delta", "delta": {"type": "text_delta", "text": "x"}}, "m") is None
