"""The Anthropic surface through the door."""

import json
from typing import TYPE_CHECKING, Any

from executor_tui.lab.upstreams.faults import Fault
from executor_tui.lab.upstreams.script import Answer, ToolCall

if TYPE_CHECKING:
    from conftest import Build, World

TOOL = {"name": "read", "description": "Read.", "input_schema": {"type": "object", "properties": {"path": {"type": "string"}}}}


async def test_a_native_provider_gets_the_request_as_it_came(world: "World") -> None:
    headers = {"anthropic-beta": "interleaved-thinking-2025-05-14", "anthropic-version": "2023-06-01", "x-secret-header": "stays here"}
    reply = await world.messages(headers=headers, context_management={"edits": []}, top_k=5)
    assert reply.status == 200 and reply.json["content"][0]["text"] == "echo: hello there" and reply.json["type"] == "message"
    (sent,) = world.upstreams.recording.requests("anthropic")
    assert sent.body["context_management"] == {"edits": []} and sent.body["top_k"] == 5 and sent.body["model"] == "claude-sonnet-4-6"
    got = {k.lower(): v for k, v in sent.headers.items()}
    assert got["anthropic-beta"] == "interleaved-thinking-2025-05-14" and "x-secret-header" not in got
    assert got["x-api-key"] == world.upstreams.keys["anthropic"][0] and "authorization" not in got


async def test_a_native_stream_is_passed_on_event_by_event(world: "World") -> None:
    reply = await world.messages(stream=True)
    kinds = [e["type"] for e in reply.events()]
    assert kinds[0] == "message_start" and kinds[-1] == "message_stop" and "event: content_block_delta\n" in reply.text


async def test_a_model_that_speaks_only_chat_answers_in_messages_all_the_same(world: "World") -> None:
    whole = await world.messages("gemini-flash")
    assert whole.json["content"] == [{"type": "text", "text": "echo: hello there"}] and whole.json["stop_reason"] == "end_turn"
    assert whole.json["model"] == "gemini-flash" and whole.json["usage"]["output_tokens"] > 0
    streamed = await world.messages("gemini-flash", stream=True)
    events = streamed.events()
    assert "".join(e["delta"]["text"] for e in events if e["type"] == "content_block_delta") == "echo: hello there"
    assert [e["type"] for e in events[-2:]] == ["message_delta", "message_stop"] and events[-2]["usage"]["output_tokens"] > 0


async def test_a_tool_is_called_and_answered_through_a_chat_model(world: "World") -> None:
    first = await world.messages("gemini-flash", tools=[TOOL])
    used = first.json["content"][-1]
    assert first.json["stop_reason"] == "tool_use" and used["name"] == "read" and used["input"] == {"path": "hello there"}
    history = [
        {"role": "user", "content": "hello there"},
        {"role": "assistant", "content": first.json["content"]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": used["id"], "content": "x = 1"}]},
    ]
    second = await world.messages("gemini-flash", tools=[TOOL], messages=history)
    assert second.json["stop_reason"] == "end_turn"
    sent = world.upstreams.recording.requests("google")[-1].body
    assert sent["messages"][-1] == {"role": "tool", "tool_call_id": used["id"], "content": "x = 1"}


async def test_a_chat_client_reaches_a_model_that_speaks_only_messages(world: "World") -> None:
    whole = await world.chat("claude-sonnet")
    assert whole.json["choices"][0]["message"]["content"] == "echo: hello there" and whole.json["object"] == "chat.completion"
    streamed = await world.chat("claude-sonnet", stream=True)
    assert streamed.said() == "echo: hello there" and streamed.events()[-1] == "[DONE]"
    (first, _) = world.upstreams.recording.requests("anthropic")
    assert first.path == "messages" and first.body["max_tokens"] == 32000


async def test_a_tool_call_streams_to_a_chat_client_from_a_messages_model(world: "World") -> None:
    tool = {"type": "function", "function": {"name": "read", "parameters": TOOL["input_schema"]}}
    reply = await world.chat("claude-sonnet", stream=True, tools=[tool])
    calls = [c for e in reply.events() if isinstance(e, dict) for ch in e["choices"] for c in ch["delta"].get("tool_calls", [])]
    assert calls[0]["function"]["name"] == "read"
    assert json.loads("".join(c["function"]["arguments"] for c in calls)) == {"path": "hello there"}


async def test_thinking_goes_back_to_its_maker_and_to_nobody_else(build: "Build") -> None:
    def script(request: dict[str, Any]) -> Answer:
        return Answer(text="done", reasoning="let me think")

    world = await build(script)
    first = await world.messages(thinking={"type": "enabled", "budget_tokens": 1024})
    thought = first.json["content"][0]
    assert thought["type"] == "thinking" and thought["signature"].startswith("executor.")
    history = [{"role": "user", "content": "x"}, {"role": "assistant", "content": first.json["content"]}, {"role": "user", "content": "y"}]
    await world.messages(messages=history)
    sent = world.upstreams.recording.requests("anthropic")[-1].body["messages"][1]["content"]
    assert sent[0]["signature"] == "lab-signature"
    streamed = await world.messages(stream=True)
    marks = [e["delta"]["signature"] for e in streamed.events() if (e.get("delta") or {}).get("type") == "signature_delta"]
    assert marks and all(m.startswith("executor.") for m in marks)
    world.upstreams.faults.add(Fault("overloaded", provider="anthropic"))
    world.upstreams.faults.add(Fault("overloaded", provider="openrouter"))
    reply = await world.messages(messages=history)
    assert reply.headers["x-executor-model"] == "gemini-pro"
    assert "signature" not in json.dumps(world.upstreams.recording.requests("google")[-1].body)


async def test_errors_have_anthropics_shape(world: "World") -> None:
    refused = await world.messages(headers={"authorization": "", "x-api-key": "nobody"})
    assert refused.status == 401 and refused.json["type"] == "error" and refused.json["error"]["type"] == "authentication_error"
    for provider in ("anthropic", "openrouter"):
        world.upstreams.faults.add(Fault("rate_limited", provider=provider, retry_after_s=40.0))
    parked = await world.messages(headers={"x-executor-chain": ""})
    assert parked.status == 429 and parked.json["error"]["type"] == "rate_limit_error" and int(parked.headers["retry-after"]) <= 45


async def test_a_broken_stream_ends_with_an_error_event(world: "World") -> None:
    world.upstreams.faults.add(Fault("truncated", provider="anthropic"))
    reply = await world.messages(stream=True)
    assert reply.events()[-1]["type"] == "error" and "event: error\n" in reply.text
    assert "message_stop" not in reply.text


async def test_tokens_are_counted_without_a_call(world: "World") -> None:
    body = {"model": "claude-opus", "messages": [{"role": "user", "content": "word " * 400}]}
    reply = await world.post("/v1/messages/count_tokens", body)
    assert 300 < reply.json["input_tokens"] < 900 and world.upstreams.recording.requests() == []


async def test_a_virtual_key_is_taken_from_either_header(world: "World") -> None:
    reply = await world.messages(headers={"authorization": "", "x-api-key": world.secret})
    assert reply.status == 200


async def test_a_script_with_several_calls_at_once_keeps_them_apart(build: "Build") -> None:
    def script(request: dict[str, Any]) -> Answer:
        return Answer("two", (ToolCall("read", {"path": "a"}), ToolCall("read", {"path": "b"})))

    world = await build(script)
    reply = await world.messages("gemini-flash", tools=[TOOL], stream=True)
    starts = [e["content_block"] for e in reply.events() if e["type"] == "content_block_start"]
    assert [b["type"] for b in starts] == ["text", "tool_use", "tool_use"] and starts[1]["id"] != starts[2]["id"]
