"""From a request to an answer: keys in turn, the next model when one fails, and never a dearer tier."""

import asyncio
from typing import Any

import pytest

from executor_tui.domain.call import CallStatus
from executor_tui.domain.clock import ManualClock
from executor_tui.domain.errors import UsageError
from executor_tui.domain.key import FailureClass, KeyState, ParkScope, ParkSource
from executor_tui.domain.model import Capability, Complexity
from executor_tui.hydra.providers.base import Facts, Usage
from executor_tui.hydra.request import NothingServedError, RequestRefused, RouteRequest


def names(served: Any) -> list[tuple[str, str]]:
    return [(a.model_id, a.outcome) for a in served.trail]


def refusal(http: int, message: str = "no", **error: str) -> Any:
    return http, {}, {"error": {"message": message, **error}}


async def two_models(bench: Any) -> Any:
    """A dear model at one provider, a cheap one at another."""
    dear, cheap = await bench.upstream("alpha"), await bench.upstream("beta")
    bench.model("big", "premium", "alpha")
    bench.model("small", "standard", "beta")
    await bench.key("alpha")
    await bench.key("beta")
    return dear, cheap


async def test_the_first_model_answers_and_its_row_is_settled(bench: Any) -> None:
    await two_models(bench)
    router = await bench.router()
    served = await bench.ask(router, "big", agent_id="coder-1", project_id="prj-1")
    await router.flush()
    [call] = await bench.store.calls.recent()
    assert names(served) == [("big", "ok")]
    assert (call.status, call.model_id, call.provider, call.pool_id) == (CallStatus.OK, "big", "alpha", "alpha/acme")
    assert (call.input_tokens, call.output_tokens, call.cost_usd) == (100, 50, pytest.approx(0.0002))
    assert (call.agent_id, call.project_id, call.requested_model) == ("coder-1", "prj-1", "big")
    [key] = [k for k in await bench.store.keys.list() if k.provider == "alpha"]
    assert (key.calls, key.cost_usd) == (1, pytest.approx(0.0002))


async def test_keys_of_a_provider_take_turns(bench: Any) -> None:
    upstream = await bench.upstream("alpha")
    bench.model("m", "standard", "alpha")
    for account in ("a", "b", "c"):
        await bench.key("alpha", account)
    router = await bench.router()
    for _ in range(6):
        await bench.ask(router, "m")
    assert [key for key, _ in upstream.calls] == ["a-1", "b-1", "c-1"] * 2


async def test_a_503_goes_to_the_next_model_at_once(bench: Any, clock: ManualClock) -> None:
    dear, cheap = await two_models(bench)
    dear.script[""] = [refusal(503, "No capacity available", status="UNAVAILABLE")]
    router = await bench.router()
    served = await bench.ask(router, "big")
    assert names(served) == [("big", "overloaded"), ("small", "ok")]
    assert (dear.sent(), cheap.sent()) == (1, 1)
    assert clock.monotonic_s() == 1000.0, "nobody waited"


async def test_a_model_that_stays_overloaded_is_left_alone_then_probed_by_one_call(bench: Any, clock: ManualClock) -> None:
    dear, _ = await two_models(bench)
    dear.script[""] = [*[refusal(503)] * 3, bench.ok]
    router = await bench.router()
    for _ in range(6):
        await bench.ask(router, "big")
    assert dear.sent() == 2, "after two in a row it is parked"
    await clock.advance(6)
    await bench.ask(router, "big")
    await bench.ask(router, "big")
    assert dear.sent() == 3, "one probe, and the park begins anew, longer"
    await clock.advance(6)
    await bench.ask(router, "big")
    assert dear.sent() == 3
    await clock.advance(6)
    served = await bench.ask(router, "big")
    assert names(served) == [("big", "ok")]
    assert router.parks() == ()


async def test_a_429_goes_to_the_next_account_and_parks_the_first(bench: Any) -> None:
    upstream = await bench.upstream("alpha")
    bench.model("m", "standard", "alpha")
    await bench.key("alpha", "a")
    await bench.key("alpha", "b")
    upstream.script["a-1"] = [(429, {"retry-after": "20"}, {"error": {"message": "slow down"}})]
    router = await bench.router()
    served = await bench.ask(router, "m")
    assert names(served) == [("m", "rate_limited"), ("m", "ok")]
    for _ in range(4):
        await bench.ask(router, "m")
    assert upstream.sent("a-1") == 1
    [park] = await bench.store.parks.open()
    assert (park.scope, park.pool_id, park.model_id, park.source) == (ParkScope.POOL_MODEL, "alpha/a", "m", ParkSource.PROVIDER)
    assert (park.ends_at - park.started_at).total_seconds() == 20


async def test_a_second_key_of_the_same_account_is_not_tried_after_a_429(bench: Any) -> None:
    upstream = await bench.upstream("alpha")
    bench.model("m", "standard", "alpha")
    await bench.key("alpha", "a", 1)
    await bench.key("alpha", "a", 2)
    upstream.script[""] = [(429, {"retry-after": "20"}, {"error": {"message": "slow down"}})]
    router = await bench.router()
    with pytest.raises(NothingServedError) as caught:
        await bench.ask(router, "m")
    assert upstream.sent() == 1
    assert caught.value.available_at is not None
    assert (caught.value.available_at - bench.clock.now()).total_seconds() == pytest.approx(20, abs=0.01)


async def test_a_refused_key_is_parked_and_its_neighbour_of_the_same_account_used(bench: Any, clock: ManualClock) -> None:
    upstream = await bench.upstream("alpha")
    bench.model("m", "standard", "alpha")
    bad = await bench.key("alpha", "a", 1)
    await bench.key("alpha", "a", 2)
    upstream.script["a-1"] = [refusal(401, "Incorrect API key provided", code="invalid_api_key")]
    router = await bench.router()
    served = await bench.ask(router, "m")
    assert names(served) == [("m", "auth"), ("m", "ok")]
    await clock.leap(700)
    for _ in range(3):
        await bench.ask(router, "m")
    assert upstream.sent("a-1") == 2, "asked once more after its park"
    assert (await bench.store.keys.get(bad.id)).state is KeyState.INVALID


async def test_the_network_is_tried_three_times_then_the_next_model(bench: Any, clock: ManualClock) -> None:
    dear, cheap = await two_models(bench)
    dear.script[""] = ["drop"]
    router = await bench.router()
    asked = asyncio.create_task(bench.ask(router, "big"))
    while not asked.done():
        await clock.advance(0.05)
        await asyncio.sleep(0.005)
    served = asked.result()
    assert names(served) == [("big", "network")] * 3 + [("small", "ok")]
    assert clock.monotonic_s() - 1000 < 2.0
    assert (dear.sent(), cheap.sent()) == (3, 1)


async def test_one_request_that_met_a_bad_moment_takes_no_route_away_from_the_others(bench: Any, clock: ManualClock) -> None:
    dear, _ = await two_models(bench)
    router = await bench.router()

    async def ask() -> str:
        asked = asyncio.create_task(bench.ask(router, "big"))
        while not asked.done():
            await clock.leap(0.2)
            await asyncio.sleep(0.002)
        return names(asked.result())[-1][0]

    dear.script[""] = [*["drop"] * 3, bench.ok]
    assert (await ask(), await ask()) == ("small", "big")
    dear.script[""] = ["drop"]
    assert (await ask(), await ask()) == ("small", "small")
    sent = dear.sent()
    assert await ask() == "small" and dear.sent() == sent, "two in a row: it is left alone"


async def test_a_refused_connection_answers_from_the_next_model_within_two_seconds(bench: Any, clock: ManualClock) -> None:
    await two_models(bench)
    bench.document["providers"]["alpha"]["base_url"] = "http://127.0.0.1:9/v1"
    router = await bench.router()
    asked = asyncio.create_task(bench.ask(router, "big"))
    while not asked.done():
        await clock.advance(0.05)
        await asyncio.sleep(0.005)
    assert names(asked.result())[-1] == ("small", "ok")
    assert clock.monotonic_s() - 1000 < 2.0


async def test_a_silent_upstream_is_given_up_and_left_alone(bench: Any) -> None:
    dear, _ = await two_models(bench)
    dear.script[""] = ["hang"]
    bench.general = {"gateway": {"first_token_s": 0.2}}
    router = await bench.router()
    served = await bench.ask(router, "big", max_output_tokens=1, is_stream=True)
    assert names(served) == [("big", "timeout"), ("small", "ok")]
    assert names(await bench.ask(router, "big")) == [("small", "ok")]
    assert dear.sent() == 1


async def test_falling_back_never_enters_a_dearer_tier(bench: Any) -> None:
    dear, cheap = await two_models(bench)
    cheap.script[""] = [refusal(503)]
    router = await bench.router()
    with pytest.raises(NothingServedError):
        await bench.ask(router, "small")
    with pytest.raises(NothingServedError):
        await bench.ask(router, "small", chain=("big",))
    assert dear.sent() == 0


async def test_a_tier_is_walked_downwards(bench: Any) -> None:
    dear, _ = await two_models(bench)
    dear.script[""] = [refusal(503)]
    router = await bench.router()
    assert names(await bench.ask(router, "executor/premium"))[-1] == ("small", "ok")
    assert names(await bench.ask(router, "executor/auto", complexity=Complexity.MODERATE)) == [("small", "ok")]
    with pytest.raises(NothingServedError):
        await bench.ask(router, "executor/free")


async def test_an_unknown_model_is_named_with_the_nearest(bench: Any) -> None:
    await two_models(bench)
    router = await bench.router()
    with pytest.raises(UsageError, match="no model 'smal'") as caught:
        await bench.ask(router, "smal")
    assert "'small'" in caught.value.hint


async def test_what_a_model_cannot_do_is_not_asked_of_it(bench: Any) -> None:
    blind, _ = await bench.upstream("alpha"), await bench.upstream("beta")
    bench.model("blind", "premium", "alpha", capabilities=["tools", "streaming"])
    bench.model("seeing", "standard", "beta", capabilities=["tools", "vision"])
    await bench.key("alpha")
    await bench.key("beta")
    router = await bench.router()
    assert names(await bench.ask(router, "blind", needs=frozenset({Capability.VISION}))) == [("seeing", "ok")]
    assert blind.sent() == 0


async def test_a_request_too_long_for_a_model_goes_to_a_larger_one_of_the_same_tier_or_below(bench: Any) -> None:
    upstream = await bench.upstream("alpha")
    bench.model("short", "standard", "alpha", context_tokens=8_000)
    bench.model("long", "standard", "alpha", context_tokens=100_000, chain=False)
    bench.model("longer-dearer", "premium", "alpha", context_tokens=1_000_000, chain=False)
    await bench.key("alpha")
    router = await bench.router()
    assert names(await bench.ask(router, "short", input_tokens=50_000)) == [("long", "ok")]
    with pytest.raises(RequestRefused) as caught:
        await bench.ask(router, "short", input_tokens=500_000)
    assert caught.value.failure is FailureClass.CONTEXT_LENGTH and caught.value.status == 400
    assert upstream.sent(model="longer-dearer") == 0


async def test_a_context_overflow_told_by_the_provider_goes_to_a_larger_model_or_back_to_the_client(bench: Any) -> None:
    upstream = await bench.upstream("alpha")
    bench.model("short", "standard", "alpha", context_tokens=8_000)
    bench.model("long", "standard", "alpha", context_tokens=100_000, chain=False)
    await bench.key("alpha")
    too_long = refusal(400, "This model's maximum context length is 8000 tokens", code="context_length_exceeded")
    upstream.script[""] = [too_long, bench.ok]
    router = await bench.router()
    assert names(await bench.ask(router, "short", input_tokens=7_900)) == [("short", "context_length"), ("long", "ok")]
    upstream.script[""] = [too_long]
    with pytest.raises(RequestRefused) as caught:
        await bench.ask(router, "short", input_tokens=7_900)
    assert "maximum context length" in caught.value.body
    assert router.parks() == ()


async def test_a_content_filter_refusal_is_not_retried_around(bench: Any) -> None:
    dear, cheap = await two_models(bench)
    dear.script[""] = [refusal(400, "blocked", code="content_filter")]
    router = await bench.router()
    with pytest.raises(RequestRefused) as caught:
        await bench.ask(router, "big")
    assert caught.value.failure is FailureClass.CONTENT_FILTER and "content_filter" in caught.value.body
    assert cheap.sent() == 0
    await router.flush()
    [call] = await bench.store.calls.recent()
    assert call.status is CallStatus.FAILED


async def test_a_bad_request_goes_back_to_the_client_as_the_provider_said_it(bench: Any) -> None:
    dear, cheap = await two_models(bench)
    dear.script[""] = [(422, {}, {"error": {"message": "temperature must be below 2", "param": "temperature"}})]
    router = await bench.router()
    with pytest.raises(RequestRefused) as caught:
        await bench.ask(router, "big")
    assert caught.value.status == 422 and '"param": "temperature"' in caught.value.body
    assert cheap.sent() == 0


async def test_a_fallback_that_cannot_read_the_request_is_passed_over(bench: Any) -> None:
    dear, cheap = await two_models(bench)
    dear.script[""] = [refusal(503)]
    cheap.script[""] = [refusal(400, "unknown field")]
    router = await bench.router()
    with pytest.raises(NothingServedError) as caught:
        await bench.ask(router, "big")
    assert [a.outcome for a in caught.value.trail] == ["overloaded", "bad_request"]


async def test_a_project_without_that_model_is_parked_and_another_project_asked(bench: Any) -> None:
    upstream = await bench.upstream("google", daily_reset="pacific")
    bench.model("gem", "standard", "google")
    await bench.key("google", "a")
    await bench.key("google", "b")
    nothing = [{"quotaId": "GenerateRequestsPerDayPerProjectPerModel-FreeTier", "quotaValue": "0"}]
    upstream.script["a-1"] = [
        (429, {}, {"error": {"status": "RESOURCE_EXHAUSTED", "details": [{"@type": "x/QuotaFailure", "violations": nothing}]}})
    ]
    router = await bench.router()
    assert names(await bench.ask(router, "gem")) == [("gem", "forbidden_model"), ("gem", "ok")]


async def test_a_stream_that_breaks_later_is_charged_and_parked_as_it_deserves(bench: Any) -> None:
    await two_models(bench)
    router = await bench.router()
    served = await router.select_with_fallback(RouteRequest("big", input_tokens=100), bench.send)
    failure = await served.fail(Facts("alpha", "stream", where="truncated"), Usage(100, 20))
    assert failure is FailureClass.TRUNCATED
    assert await served.settle(Usage(100, 50)) == 0, "it has ended already"
    await router.flush()
    [call] = await bench.store.calls.recent()
    assert call.status is CallStatus.FAILED and call.cost_usd == pytest.approx(0.00014)
    assert call.trail[-1]["outcome"] == "truncated"


async def test_a_client_that_goes_away_releases_everything(bench: Any) -> None:
    dear, _ = await two_models(bench)
    dear.script[""] = ["hang"]
    router = await bench.router()
    asked = asyncio.create_task(bench.ask(router, "big"))
    while not dear.sent():
        await asyncio.sleep(0.005)
    asked.cancel()
    await asyncio.gather(asked, return_exceptions=True)
    assert all(load.in_flight == 0 for load in router.loads())
    await router.flush()
    [call] = await bench.store.calls.recent()
    assert call.status is CallStatus.CANCELLED and call.cost_usd == pytest.approx(0.0001), "the input was sent"


async def test_the_deadline_bounds_the_whole_request(bench: Any) -> None:
    dear, cheap = await two_models(bench)
    dear.script[""] = cheap.script[""] = ["hang"]
    router = await bench.router()
    with pytest.raises(NothingServedError) as caught:
        await bench.ask(router, "big", deadline_s=0.3, max_output_tokens=1)
    assert caught.value.trail[0].outcome == "timeout"


async def test_a_new_key_is_used_without_a_restart_and_a_removed_one_no_more(bench: Any, clock: ManualClock) -> None:
    upstream = await bench.upstream("alpha")
    bench.model("m", "standard", "alpha")
    router = await bench.router()
    with pytest.raises(NothingServedError, match="no key of alpha"):
        await bench.ask(router, "m")
    key = await bench.key("alpha")
    while router.select_model(model="m").key is None:
        await clock.advance(0.05)
        await asyncio.sleep(0.005)
    await bench.ask(router, "m")
    await bench.store.keys.remove(key.id)
    while router.select_model(model="m").key is not None:
        await clock.advance(0.05)
        await asyncio.sleep(0.005)
    assert upstream.sent() == 1


async def test_marking_a_key_rate_limited_parks_its_pool(bench: Any) -> None:
    await two_models(bench)
    router = await bench.router()
    [key] = [k for k in await bench.store.keys.list() if k.provider == "alpha"]
    park = await router.mark_rate_limited("alpha", "big", key.id, retry_after_s=60)
    assert park is not None and park.ends_at is not None
    assert names(await bench.ask(router, "big")) == [("small", "ok")]
    shorter = await router.mark_rate_limited("alpha", "big", key.id, retry_after_s=5)
    assert shorter is not None and shorter.ends_at == park.ends_at


async def test_the_secret_is_in_no_repr(bench: Any) -> None:
    await two_models(bench)
    router = await bench.router()
    served = await bench.ask(router, "big")
    assert served.grant.secret == "acme-1"
    assert "acme-1" not in repr(served.grant).replace("key-alpha-acme-1", "")


async def test_a_reloaded_configuration_keeps_parks_and_counts(bench: Any) -> None:
    upstream = await bench.upstream("alpha", limits={"*": {"rpd": 3}})
    bench.model("m", "standard", "alpha")
    await bench.key("alpha")
    router = await bench.router()
    await bench.ask(router, "m")
    bench.document["providers"]["alpha"]["limits"]["*"]["rpd"] = 2
    await router.reload(bench.config())
    await bench.ask(router, "m")
    with pytest.raises(NothingServedError, match="2 requests per day reached"):
        await bench.ask(router, "m")
    assert upstream.sent() == 2


async def test_a_model_that_is_silent_for_long_is_waited_for_longer(bench: Any) -> None:
    await bench.upstream("alpha")
    bench.model("quick", "standard", "alpha")
    bench.model("slow", "standard", "alpha", silence_s=500)
    await bench.key("alpha")
    router = await bench.router()
    for model in ("quick", "slow"):
        await (await router.select_with_fallback(RouteRequest(model, is_stream=True), bench.send)).cancel()
    assert [(g.first_token_s, g.stall_s) for g in bench.granted] == [(60.0, 60.0), (500.0, 500.0)]
