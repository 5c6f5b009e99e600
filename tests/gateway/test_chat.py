"""Chat Completions through the door."""

import asyncio
from typing import TYPE_CHECKING

import pytest

from executor_tui.domain.call import CallStatus
from executor_tui.lab.upstreams.faults import Fault

if TYPE_CHECKING:
    from conftest import Build, World

SAID = "echo: hello there"


async def test_an_answer_comes_with_what_it_took_to_give_it(world: "World") -> None:
    reply = await world.chat()
    assert reply.status == 200 and reply.json["choices"][0]["message"]["content"] == SAID
    assert reply.headers["x-executor-model"] == "gpt-4o" and reply.headers["x-executor-provider"] == "openai"
    assert float(reply.headers["x-executor-cost-usd"]) > 0
    assert reply.headers["x-executor-trail"].startswith("gpt-4o@openai/key-") and reply.headers["x-executor-trail"].endswith("=ok")
    await world.gateway.flush()
    call = await world.store.calls.get(reply.headers["x-executor-call-id"])
    assert call.status is CallStatus.OK and call.agent_id == "coder-001" and call.token_id == world.token_id
    assert call.cost_usd == pytest.approx(float(reply.headers["x-executor-cost-usd"]))


async def test_a_stream_is_passed_on_and_accounted_for_though_the_client_asked_for_no_usage(world: "World") -> None:
    reply = await world.chat(stream=True)
    assert reply.said() == SAID and reply.events()[-1] == "[DONE]"
    assert not any(e.get("usage") for e in reply.events() if isinstance(e, dict))
    (sent,) = world.upstreams.recording.requests("openai")
    assert sent.body["stream_options"] == {"include_usage": True}
    await world.gateway.flush()
    call = await world.store.calls.get(reply.headers["x-executor-call-id"])
    assert call.output_tokens > 0 and call.cost_usd > 0 and call.ttft_ms is not None


async def test_a_client_that_asks_for_usage_gets_it(world: "World") -> None:
    reply = await world.chat(stream=True, stream_options={"include_usage": True})
    assert reply.events()[-2]["usage"]["completion_tokens"] > 0


async def test_fields_we_do_not_know_reach_the_provider(world: "World") -> None:
    await world.chat(some_new_field={"a": [1]}, seed=7)
    (sent,) = world.upstreams.recording.requests("openai")
    assert sent.body["some_new_field"] == {"a": [1]} and sent.body["seed"] == 7


@pytest.mark.parametrize("stream", [False, True])
async def test_when_one_model_is_overloaded_the_next_of_the_chain_answers(world: "World", stream: bool) -> None:
    world.upstreams.faults.add(Fault("overloaded", provider="anthropic"))
    world.upstreams.faults.add(Fault("overloaded", provider="openrouter"))
    reply = await world.chat("claude-sonnet", stream=stream)
    assert reply.status == 200 and reply.headers["x-executor-model"] == "gemini-pro"
    assert (reply.said() if stream else reply.json["choices"][0]["message"]["content"]) == SAID
    assert "claude-sonnet@anthropic" in reply.headers["x-executor-trail"]


async def test_a_stream_that_breaks_ends_with_an_error_and_never_as_if_it_were_whole(world: "World") -> None:
    world.upstreams.faults.add(Fault("truncated", provider="openai"))
    reply = await world.chat(stream=True)
    events = reply.events()
    assert reply.said() == SAID[:24] or SAID.startswith(reply.said())
    assert events[-1]["error"]["code"] == "truncated" and "[DONE]" not in events
    assert not any(c.get("finish_reason") for e in events if isinstance(e, dict) for c in e.get("choices") or [])
    await world.gateway.flush()
    call = await world.store.calls.get(reply.headers["x-executor-call-id"])
    assert call.status is CallStatus.FAILED and call.output_tokens > 0


async def test_an_error_before_the_first_byte_is_hidden_by_another_route(world: "World") -> None:
    world.upstreams.faults.add(Fault("error_first", provider="openai"))
    reply = await world.chat(stream=True)
    assert reply.status == 200 and reply.said() == SAID and reply.headers["x-executor-provider"] == "openrouter"


async def test_a_client_that_leaves_is_noticed_upstream_and_pays_for_what_it_got(world: "World") -> None:
    world.upstreams.faults.add(Fault("stalled", provider="openai", after_chunks=2))
    recording = world.upstreams.recording
    body = {"model": "gpt-4o", "stream": True, "messages": [{"role": "user", "content": "hello there"}]}
    async with world.http.post(world.url + "/v1/chat/completions", json=body, headers=world.headers()) as response:
        await response.content.readany()
        call_id = response.headers["x-executor-call-id"]
        response.close()
    async with asyncio.timeout(5):
        await recording.until(lambda r: r.open == 0)
    for _ in range(500):
        await world.gateway.flush()
        call = await world.store.calls.get(call_id)
        if call.status is not CallStatus.IN_FLIGHT:
            break
        await asyncio.sleep(0.01)
    assert call.status is CallStatus.CANCELLED and call.output_tokens > 0 and call.cost_usd > 0


async def test_everything_parked_is_429_with_the_time_when_it_is_over(world: "World") -> None:
    for provider in ("openai", "openrouter"):
        world.upstreams.faults.add(Fault("rate_limited", provider=provider, retry_after_s=90.0))
    reply = await world.chat(headers={"x-executor-chain": ""})
    assert reply.status == 429
    assert 80 <= int(reply.headers["retry-after"]) <= 100 and reply.headers["x-should-retry"] == "false"
    assert reply.json["error"]["code"] == "nothing_available" and reply.json["error"]["available_at"].endswith("Z")
    sent = len(world.upstreams.recording.requests())
    assert (await world.chat(headers={"x-executor-chain": ""})).status == 429
    assert len(world.upstreams.recording.requests()) == sent


async def test_a_spent_budget_is_402_and_says_which(build: "Build") -> None:
    world = await build(settings={"budgets": {"day_usd": 0.0}})
    reply = await world.chat()
    assert reply.status == 402 and reply.json["error"]["code"] == "budget_exceeded"
    assert "day" in reply.json["error"]["message"]
    assert world.upstreams.recording.requests() == []


async def test_a_critical_model_nobody_approves_falls_down_the_chain_and_says_so(world: "World") -> None:
    reply = await world.chat("claude-opus")
    assert reply.headers["x-executor-model"] == "claude-sonnet" and "approval" in reply.headers["x-executor-trail"]
    assert len(await world.store.approvals.pending()) == 1


async def test_a_stream_that_waits_for_consent_is_kept_alive_and_then_answered(build: "Build") -> None:
    from executor_tui.domain.approval import Decision

    world = await build(settings={"gateway": {"approval_wait_s": 60}})
    world.gateway.door.keep_alive_s = 0.02
    body = {"model": "claude-opus", "stream": True, "messages": [{"role": "user", "content": "hello there"}]}
    async with world.http.post(world.url + "/v1/chat/completions", json=body, headers=world.headers()) as response:
        first = await response.content.readany()
        assert first.startswith(b": waiting")
        async with asyncio.timeout(10):
            while not (pending := await world.store.approvals.pending()):
                await asyncio.sleep(0.01)
        (asked,) = pending
        await world.store.approvals.decide(asked.id, Decision(True, "me", "test"))
        rest = await response.text()
    assert "[DONE]" in rest and SAID[:12] in rest
    assert "\n: x-executor-model claude-opus\n" in rest and ": x-executor-trail claude-opus@anthropic/" in rest, "headers were out before"


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"{", 400, "invalid_json"),
        (b"[]", 400, "invalid_json"),
        (b'{"messages": [{}]}', 400, "missing_model"),
        (b'{"model": "gpt-4o"}', 400, "missing_messages"),
        (b'{"model": "gpt-4o", "messages": ["x"]}', 400, "missing_messages"),
        (b'{"model": "nobody", "messages": [{"role": "user", "content": "x"}]}', 404, "model_not_found"),
    ],
)
async def test_bad_requests_are_told_what_is_wrong(world: "World", body: bytes, status: int, code: str) -> None:
    async with world.http.post(world.url + "/v1/chat/completions", data=body, headers=world.headers()) as response:
        assert response.status == status and (await response.json())["error"]["code"] == code


async def test_a_request_the_provider_finds_bad_is_passed_on_as_that(world: "World") -> None:
    world.upstreams.faults.add(Fault("bad_request"))
    reply = await world.chat()
    assert reply.status == 400 and "Invalid type for 'messages'" in reply.json["error"]["message"]
    assert len(world.upstreams.recording.requests()) == 1


async def test_without_a_key_the_door_stays_shut(world: "World") -> None:
    for headers in ({"authorization": ""}, {"authorization": "Bearer sk-executor-guess"}, {"authorization": "Bearer x", "x-api-key": "y"}):
        reply = await world.chat(headers=headers)
        assert reply.status == 401 and reply.json["error"]["code"] == "invalid_api_key"
    assert world.upstreams.recording.requests() == []


async def test_a_revoked_key_stops_working(world: "World") -> None:
    assert (await world.chat()).status == 200
    await world.store.tokens.revoke("test")
    async with asyncio.timeout(10):
        while (await world.chat()).status != 401:
            await asyncio.sleep(0.02)


async def test_models_are_listed_for_either_kind_of_client(world: "World") -> None:
    async with world.http.get(world.url + "/v1/models", headers=world.headers()) as response:
        ids = [m["id"] for m in (await response.json())["data"]]
    assert "executor/auto" in ids and "claude-opus" in ids
    async with world.http.get(world.url + "/v1/models", headers=world.headers(anthropic_version="2023-06-01")) as response:
        assert (await response.json())["data"][0]["type"] == "model"
    async with world.http.get(world.url + "/v1/models/executor/auto", headers=world.headers()) as response:
        assert (await response.json())["id"] == "executor/auto"


async def test_responses_pass_through_where_the_provider_has_them(world: "World") -> None:
    reply = await world.post("/v1/responses", {"model": "gpt-4o", "input": "hello there"})
    assert reply.status == 200 and reply.json["output"][0]["content"][0]["text"] == SAID
    streamed = await world.post("/v1/responses", {"model": "gpt-4o", "input": "hello there", "stream": True})
    assert streamed.events()[-1]["type"] == "response.completed"
    (sent, _) = world.upstreams.recording.requests("openai", path="responses")
    assert sent.body["input"] == "hello there"


async def test_metrics_count_calls_tokens_fallbacks_and_limits_met(world: "World") -> None:
    world.upstreams.faults.add(Fault("rate_limited", provider="openai", times=1, retry_after_s=30.0))
    await world.chat()
    async with world.http.get(world.url + "/metrics") as response:
        text = await response.text()
    assert 'executor_calls_total{model="gpt-4o",outcome="ok",pool="openrouter/me",provider="openrouter"} 1.0' in text
    assert 'executor_limits_met_total{model="gpt-4o",pool="openai/org",provider="openai"} 1.0' in text
    assert "executor_tokens_total" in text and "executor_latency_seconds_bucket" in text


async def test_what_is_not_there_is_told_in_the_clients_shape(world: "World") -> None:
    reply = await world.post("/v1/embeddings", {})
    assert reply.status == 404 and reply.json["error"]["message"] == "there is nothing at /v1/embeddings"
