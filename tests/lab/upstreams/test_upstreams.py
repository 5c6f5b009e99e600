"""The simulated providers are what the product's tests stand on, so they are held to the real ones' shapes here."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import aiohttp
import pytest

from executor_tui.domain.clock import ManualClock
from executor_tui.lab.upstreams.accounts import Account, Quota
from executor_tui.lab.upstreams.faults import Fault
from executor_tui.lab.upstreams.flavours import Gemini, OpenAI, go_duration
from executor_tui.lab.upstreams.provider import Spec, SseStyle
from executor_tui.lab.upstreams.script import Answer, ToolCall
from executor_tui.lab.upstreams.upstreams import Upstreams

ASK = {"model": "m", "messages": [{"role": "user", "content": "hello there"}]}


class World:
    """Upstreams, their clock, and a client."""

    def __init__(self, upstreams: Upstreams, urls: dict[str, str], clock: ManualClock, http: aiohttp.ClientSession) -> None:
        self.upstreams, self.urls, self.clock, self.http = upstreams, urls, clock, http

    async def post(
        self, provider: str, body: dict[str, object], key: str | None = None, path: str = "/chat/completions"
    ) -> tuple[int, dict, str]:  # type: ignore[type-arg]
        given = self.upstreams.keys[provider][0] if key is None else key
        headers = {"x-api-key": given} if provider == "anthropic" else {"Authorization": f"Bearer {given}"}
        async with self.http.post(self.urls[provider] + path, json=body, headers=headers, allow_redirects=False) as response:
            return response.status, dict(response.headers), await response.text()


@pytest.fixture
async def world() -> AsyncIterator[World]:
    clock = ManualClock(datetime(2026, 11, 22, 12, 0, tzinfo=UTC))
    upstreams = Upstreams(clock)
    urls = await upstreams.start()
    async with aiohttp.ClientSession() as http:
        yield World(upstreams, urls, clock, http)
    await upstreams.stop()


async def test_the_default_model_repeats_what_it_was_told(world: World) -> None:
    status, _, text = await world.post("openai", ASK)
    assert status == 200
    assert json.loads(text)["choices"][0]["message"]["content"] == "echo: hello there"


async def test_a_stream_adds_up_to_the_whole_answer_and_ends_with_its_marker(world: World) -> None:
    _, _, text = await world.post("openai", {**ASK, "stream": True, "stream_options": {"include_usage": True}})
    events = [line.removeprefix("data: ") for line in text.split("\n") if line]
    assert events[-1] == "[DONE]"
    chunks = [json.loads(e) for e in events[:-1]]
    assert "".join(c["choices"][0]["delta"].get("content") or "" for c in chunks if c["choices"]) == "echo: hello there"
    assert chunks[-1]["usage"]["completion_tokens"] > 0 and chunks[-1]["choices"] == []


async def test_an_unknown_key_is_refused_as_each_provider_refuses_it(world: World) -> None:
    expected = {"google": 400, "anthropic": 401, "openai": 401, "openrouter": 401, "opencode-zen": 401, "perplexity": 401}
    for provider, status in expected.items():
        path = "/messages" if provider == "anthropic" else "/chat/completions"
        assert (await world.post(provider, ASK, key="wrong", path=path))[0] == status, provider
    async with world.http.get(world.urls["openai"] + "/models", headers={"Authorization": "Bearer wrong"}) as response:
        assert response.status == 401


async def test_ten_requests_a_minute_are_ten_and_the_next_minute_brings_ten_more(world: World) -> None:
    answers = [(await world.post("google", ASK))[0] for _ in range(11)]
    assert answers == [200] * 10 + [429]
    await world.clock.advance(60)
    assert (await world.post("google", ASK))[0] == 200


async def test_a_second_key_of_the_same_project_shares_its_quota_and_another_project_does_not(world: World) -> None:
    first, second, other = world.upstreams.keys["google"]
    for _ in range(10):
        await world.post("google", ASK, first)
    assert (await world.post("google", ASK, second))[0] == 429
    assert (await world.post("google", ASK, other))[0] == 200


async def test_gemini_says_in_an_array_which_quota_it_was_and_sends_no_retry_after(world: World) -> None:
    world.upstreams.account("google").exhaust("m", "rpd", world.clock.now())
    status, headers, text = await world.post("google", ASK)
    error = json.loads(text)[0]["error"]
    assert status == 429 and error["status"] == "RESOURCE_EXHAUSTED"
    assert error["details"][0]["violations"][0]["quotaId"] == "GenerateRequestsPerDayPerProjectPerModel-FreeTier"
    assert error["details"][2]["retryDelay"] == "36s"
    assert "Retry-After" not in headers


async def test_a_gemini_day_ends_at_midnight_in_los_angeles_even_when_the_day_has_25_hours() -> None:
    clock = ManualClock(datetime(2026, 11, 1, 6, 59, tzinfo=UTC))  # 23:59 on 31 October in Los Angeles; the clocks go back that night
    account = Account("p", ("k",), {"*": Quota(rpd=1)}, day="pacific")
    assert account.admit("m", 1, clock.now()) is None
    await clock.advance(60)
    assert account.admit("m", 1, clock.now()) is None
    refusal = account.admit("m", 1, clock.now())
    assert refusal is not None and refusal.resets_at == datetime(2026, 11, 2, 8, 0, tzinfo=UTC)


async def test_openai_counts_down_in_its_headers(world: World) -> None:
    _, headers, _ = await world.post("openai", ASK)
    assert headers["x-ratelimit-limit-requests"] == "500"
    assert headers["x-ratelimit-remaining-requests"] == "499"
    assert headers["x-ratelimit-reset-requests"] == "1m0s"


async def test_anthropic_reports_overload_as_529_and_a_limit_with_rfc3339_resets(world: World) -> None:
    body = {**ASK, "max_tokens": 10}
    world.upstreams.faults.add(Fault("overloaded", provider="anthropic", times=1))
    status, _, text = await world.post("anthropic", body, path="/messages")
    assert status == 529 and json.loads(text)["error"]["type"] == "overloaded_error"
    _, headers, _ = await world.post("anthropic", body, path="/messages")
    assert headers["anthropic-ratelimit-requests-reset"] == "2026-11-22T12:01:00Z"


async def test_the_free_models_of_zen_answer_only_the_opencode_program(world: World) -> None:
    status, _, text = await world.post("opencode-zen", {**ASK, "model": "big-pickle"})
    assert status == 403 and json.loads(text)["error"]["type"] == "FreeTierError"


async def test_openrouter_without_credit_is_402(world: World) -> None:
    world.upstreams.account("openrouter").balance_usd = -0.01
    status, _, text = await world.post("openrouter", ASK)
    assert status == 402 and json.loads(text)["error"]["code"] == 402


@pytest.mark.parametrize("kind", ["truncated", "malformed", "error_midway", "empty"])
async def test_a_broken_stream_never_carries_the_end_marker(world: World, kind: str) -> None:
    world.upstreams.faults.add(Fault(kind))  # type: ignore[arg-type]
    status, _, text = await world.post("openrouter", {**ASK, "stream": True})
    assert status == 200 and "[DONE]" not in text and '"finish_reason":"stop"' not in text


async def test_a_provider_that_is_down_refuses_connections_and_comes_back_at_the_same_address(world: World) -> None:
    await world.upstreams.down("openai")
    with pytest.raises(aiohttp.ClientConnectorError):
        await world.post("openai", ASK)
    await world.upstreams.up("openai")
    assert (await world.post("openai", ASK))[0] == 200


async def test_a_client_that_leaves_is_noticed(world: World) -> None:
    world.upstreams.faults.add(Fault("stalled"))
    recording = world.upstreams.recording
    call = asyncio.create_task(world.post("openai", {**ASK, "stream": True}))
    await recording.until(lambda r: len(r.requests("openai")) == 1)
    call.cancel()
    async with asyncio.timeout(10):
        await recording.until(lambda r: r.open == 0)
    assert recording.requests("openai")[0].outcome in ("stalled", "client_gone")


async def test_every_request_is_recorded_with_its_account_and_outcome(world: World) -> None:
    await world.post("openai", ASK)
    await world.post("openai", ASK, key="nobody")
    seen = world.upstreams.recording.requests("openai")
    assert [(r.account, r.outcome, r.status) for r in seen] == [("org", "ok", 200), ("", "auth", 401)]


async def test_a_fault_strikes_only_in_its_time_and_as_often_as_it_says(world: World) -> None:
    world.upstreams.faults.add(Fault("server", provider="openai", from_s=10, until_s=20, times=1))
    statuses = []
    for seconds in (0, 11, 0, 10):
        await world.clock.advance(seconds)
        statuses.append((await world.post("openai", ASK))[0])
    assert statuses == [200, 500, 200, 200]


async def test_styles_of_writing_a_stream_change_its_bytes_and_not_its_meaning() -> None:
    clock = ManualClock()
    style = SseStyle(newline="\r\n", space=False, comments=True, split=5)
    upstreams = Upstreams(clock, specs=[Spec("openai", OpenAI(), [Account("a", ("k",))], style=style)])
    urls = await upstreams.start()
    async with aiohttp.ClientSession() as http:
        head = {"Authorization": "Bearer k"}
        async with http.post(urls["openai"] + "/chat/completions", json={**ASK, "stream": True}, headers=head) as response:
            text = await response.text()
    await upstreams.stop()
    assert ": keep-alive\r\ndata:{" in text and text.endswith("data:[DONE]\r\n\r\n")


async def test_a_script_answers_tools_on_the_messages_wire_as_tool_use_blocks() -> None:
    def script(request: dict) -> Answer:  # type: ignore[type-arg]
        assert request["messages"][0] == {"role": "system", "content": "be brief"}
        return Answer(text="looking", tool_calls=(ToolCall("read", {"path": "a.py"}),))

    clock = ManualClock()
    upstreams = Upstreams(clock, script)
    urls = await upstreams.start()
    async with aiohttp.ClientSession() as http:
        world = World(upstreams, urls, clock, http)
        body = {"model": "m", "system": "be brief", "messages": [{"role": "user", "content": "x"}], "max_tokens": 9}
        _, _, text = await world.post("anthropic", body, path="/messages")
    await upstreams.stop()
    reply = json.loads(text)
    assert reply["stop_reason"] == "tool_use"
    assert [b["type"] for b in reply["content"]] == ["text", "tool_use"]
    assert reply["content"][1]["input"] == {"path": "a.py"}


def test_durations_are_written_as_go_writes_them() -> None:
    assert [go_duration(s) for s in (0.012, 1.5, 72.5, 360, 3603)] == ["12ms", "1.5s", "1m12.5s", "6m0s", "1h0m3s"]


def test_gemini_words_no_daily_quota_as_a_short_delay_that_must_not_be_believed() -> None:
    from executor_tui.lab.upstreams.accounts import Refusal

    body = Gemini().refuse(Refusal("daily_quota", "rpd", 250, None, "m"), datetime(2026, 11, 22, tzinfo=UTC)).body
    assert body[0]["error"]["details"][2]["retryDelay"] == "36s"
