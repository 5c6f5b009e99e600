"""A limit is not met: what is bound to be refused is not sent, in any number of calls at once, across windows, days and restarts."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from executor_tui.domain.clock import ManualClock
from executor_tui.domain.key import ParkSource
from executor_tui.hydra.request import NothingServedError, RouteRequest

PER_DAY = {"quotaId": "GenerateRequestsPerDayPerProjectPerModel-FreeTier", "quotaMetric": "generate_requests", "quotaValue": "50"}
DAILY_429 = (
    429, {},
    {"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "You exceeded your current quota", "details": [
        {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [PER_DAY]},
        {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "36s"}]}},
)  # fmt: skip


async def drive(clock: ManualClock, *tasks: "asyncio.Task[Any]", step_s: float = 1.0) -> None:
    """Let time pass until these are done."""
    while not all(task.done() for task in tasks):
        await clock.leap(step_s)
        await asyncio.sleep(0.002)


async def test_sixty_calls_at_once_over_two_pools_of_ten_a_minute_meet_no_429(bench: Any, clock: ManualClock) -> None:
    upstream = await bench.upstream("alpha", limits={"*": {"rpm": 10}})
    upstream.per_window = 10
    bench.model("m", "standard", "alpha")
    await bench.key("alpha", "a")
    await bench.key("alpha", "b")
    router = await bench.router()
    calls = [asyncio.create_task(bench.ask(router, "m", may_wait=True)) for _ in range(60)]
    await drive(clock, *calls)
    assert upstream.limited == 0
    assert len(upstream.calls) == 60
    assert upstream.sent("a-1") == upstream.sent("b-1") == 30
    assert clock.monotonic_s() - 1000 < 4 * 60, "three windows' worth of waiting, no more"
    assert all(load.in_flight == 0 for load in router.loads())
    assert router.waiting() == 0


async def test_what_may_not_wait_falls_back_at_once_instead(bench: Any, clock: ManualClock) -> None:
    upstream = await bench.upstream("alpha", limits={"*": {"rpm": 10}})
    spare = await bench.upstream("beta")
    upstream.per_window = 10
    bench.model("m", "standard", "alpha")
    bench.model("n", "standard", "beta")
    await bench.key("alpha", "a")
    await bench.key("alpha", "b")
    await bench.key("beta")
    router = await bench.router()
    await asyncio.gather(*(bench.ask(router, "m") for _ in range(60)))
    assert upstream.limited == 0
    assert (len(upstream.calls), len(spare.calls)) == (20, 40)
    assert clock.monotonic_s() == 1000.0


async def test_those_who_wait_are_served_in_the_order_they_came(bench: Any, clock: ManualClock) -> None:
    await bench.upstream("alpha", limits={"*": {"rpm": 1}})
    bench.model("m", "standard", "alpha")
    await bench.key("alpha")
    router = await bench.router()
    served: list[int] = []

    async def one(number: int) -> None:
        await bench.ask(router, "m", may_wait=True)
        served.append(number)

    tasks = []
    for number in range(5):
        tasks.append(asyncio.create_task(one(number)))
        await asyncio.sleep(0.01)
    await drive(clock, *tasks)
    assert served == [0, 1, 2, 3, 4]


async def test_a_newcomer_does_not_go_before_those_who_wait(bench: Any, clock: ManualClock) -> None:
    upstream = await bench.upstream("alpha", limits={"*": {"concurrent": 1}})
    upstream.gate = asyncio.Event()
    bench.model("m", "standard", "alpha", chain=False)
    await bench.key("alpha")
    router = await bench.router()
    first = asyncio.create_task(bench.ask(router, "m", may_wait=True))
    while not upstream.busy:
        await asyncio.sleep(0.005)
    second = asyncio.create_task(bench.ask(router, "m", may_wait=True))
    while router.waiting() != 1:
        await asyncio.sleep(0.005)
    with pytest.raises(NothingServedError, match="1 calls wait for it already"):
        await bench.ask(router, "m")
    upstream.gate.set()
    await asyncio.gather(first, second)
    assert upstream.most_at_once == 1


async def test_waiting_has_an_end(bench: Any, clock: ManualClock) -> None:
    await bench.upstream("alpha", limits={"*": {"rpm": 1}})
    bench.model("m", "standard", "alpha")
    await bench.key("alpha")
    router = await bench.router()
    await bench.ask(router, "m")
    with pytest.raises(NothingServedError) as caught:
        await bench.ask(router, "m", may_wait=True, max_wait_s=30)
    assert caught.value.available_at is not None, "a wait that cannot help is not begun"
    assert (caught.value.available_at - clock.now()).total_seconds() == pytest.approx(60, abs=1)
    assert clock.monotonic_s() == 1000.0


async def test_a_waiting_client_that_leaves_lets_the_next_move_up(bench: Any, clock: ManualClock) -> None:
    await bench.upstream("alpha", limits={"*": {"rpm": 1}})
    bench.model("m", "standard", "alpha")
    await bench.key("alpha")
    router = await bench.router()
    await bench.ask(router, "m")
    leaving, staying = (asyncio.create_task(bench.ask(router, "m", may_wait=True)) for _ in range(2))
    while router.waiting() != 2:
        await asyncio.sleep(0.005)
    leaving.cancel()
    await drive(clock, staying)
    assert leaving.cancelled() and router.waiting() == 0


async def test_the_token_limit_of_a_minute_is_kept_and_corrected_by_what_was_used(bench: Any) -> None:
    upstream = await bench.upstream("alpha", limits={"*": {"tpm": 1_000}})
    bench.model("m", "standard", "alpha")
    await bench.key("alpha")
    router = await bench.router()
    await bench.ask(router, "m", input_tokens=600, max_output_tokens=100)  # reckoned 700, really 150
    await bench.ask(router, "m", input_tokens=600, max_output_tokens=100)
    served = await router.select_with_fallback(RouteRequest("m", input_tokens=600, max_output_tokens=100), bench.send)
    with pytest.raises(NothingServedError, match="tokens per minute reached"):
        await bench.ask(router, "m", input_tokens=600, max_output_tokens=100)
    await served.settle(served.value.usage)
    with pytest.raises(NothingServedError, match="5,000 tokens are more than the 1,000 a minute allowed"):
        await bench.ask(router, "m", input_tokens=5_000)
    assert len(upstream.calls) == 3


async def test_limits_are_learned_from_headers_and_outlive_a_restart(bench: Any, clock: ManualClock) -> None:
    upstream = await bench.upstream("alpha")
    bench.model("m", "standard", "alpha")
    await bench.key("alpha")
    told = {"x-ratelimit-limit-requests": "3", "x-ratelimit-remaining-requests": "2", "x-ratelimit-reset-requests": "20s"}
    upstream.script[""] = [(200, told, bench.ok[2]), bench.ok]
    router = await bench.router()
    for _ in range(3):
        await bench.ask(router, "m")
    with pytest.raises(NothingServedError):
        await bench.ask(router, "m")
    await router.flush()
    assert ("rpm", 3.0, "learned") in {(row.kind, row.value, row.source) for row in await bench.store.limits.list()}
    await clock.leap(61)
    again = await bench.router()
    for _ in range(3):
        await bench.ask(again, "m")
    with pytest.raises(NothingServedError, match="3 requests per minute reached"):
        await bench.ask(again, "m")
    assert len(upstream.calls) == 6


async def test_what_the_provider_says_is_left_is_not_overdrawn(bench: Any, clock: ManualClock) -> None:
    upstream = await bench.upstream("alpha")
    bench.model("m", "standard", "alpha")
    await bench.key("alpha")
    headers = {"x-ratelimit-limit": "20", "x-ratelimit-remaining": "1", "x-ratelimit-reset": "15"}
    upstream.script[""] = [(200, headers, bench.ok[2]), bench.ok]
    router = await bench.router()
    await bench.ask(router, "m")
    await bench.ask(router, "m")
    with pytest.raises(NothingServedError, match="the provider said 0 requests are left"):
        await bench.ask(router, "m")
    await clock.advance(16)
    await bench.ask(router, "m")


async def test_a_park_cleared_by_hand_lets_calls_through_whatever_was_said_with_it(bench: Any, clock: ManualClock) -> None:
    upstream = await bench.upstream("alpha")
    bench.model("m", "standard", "alpha")
    await bench.key("alpha")
    said = {"retry-after": "600", "x-ratelimit-limit-requests": "50", "x-ratelimit-remaining-requests": "0",
            "x-ratelimit-reset-requests": "10m0s"}  # fmt: skip
    upstream.script[""] = [(429, said, {"error": {"message": "no"}}), bench.ok]
    router = await bench.router()
    with pytest.raises(NothingServedError):
        await bench.ask(router, "m")
    [park] = await bench.store.parks.open()
    await bench.store.parks.clear(park.id, "ada")
    await router.refresh()
    await bench.ask(router, "m")
    assert len(upstream.calls) == 2


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(datetime(2026, 10, 31, 20, 0, tzinfo=UTC))
    # Noon in Los Angeles; the night of 1 November 2026 is 25 hours' worth of day there.


async def test_a_daily_429_parks_the_project_not_the_key_until_midnight_in_los_angeles_across_dst(bench: Any, clock: ManualClock) -> None:
    upstream = await bench.upstream("google", daily_reset="pacific")
    bench.model("gem", "standard", "google")
    for account, number in (("one", 1), ("one", 2), ("two", 1)):
        await bench.key("google", account, number)
    upstream.script["one-1"] = upstream.script["one-2"] = [DAILY_429, bench.ok]
    router = await bench.router()
    served = await bench.ask(router, "gem")
    assert [a.outcome for a in served.trail] == ["quota_exhausted", "ok"]
    assert (upstream.sent("one-1"), upstream.sent("one-2"), upstream.sent("two-1")) == (1, 0, 1)
    upstream.script["two-1"] = [DAILY_429, bench.ok]
    with pytest.raises(NothingServedError) as caught:
        await bench.ask(router, "gem")
    assert caught.value.available_at == datetime(2026, 11, 1, 7, 0, tzinfo=UTC), "midnight is still summer time"
    sent = len(upstream.calls)
    assert {p.source for p in await bench.store.parks.open()} == {ParkSource.COMPUTED}
    await clock.leap(10 * 3600)
    with pytest.raises(NothingServedError):
        await bench.ask(router, "gem")
    assert len(upstream.calls) == sent
    await clock.leap(3600)
    for _ in range(2):
        await bench.ask(router, "gem")
    assert {key.rpartition("-")[0] for key, _ in upstream.calls[sent:]} == {"one", "two"}, "both are back"


async def test_the_day_after_the_change_ends_at_winter_midnight(bench: Any, clock: ManualClock) -> None:
    upstream = await bench.upstream("google", daily_reset="pacific", limits={"*": {"rpd": 2}})
    bench.model("gem", "standard", "google")
    await bench.key("google")
    router = await bench.router()
    await clock.leap(24 * 3600)  # 1 November, 13:00 in Los Angeles
    await bench.ask(router, "gem")
    await bench.ask(router, "gem")
    with pytest.raises(NothingServedError) as caught:
        await bench.ask(router, "gem")
    assert caught.value.available_at == datetime(2026, 11, 2, 8, 0, tzinfo=UTC)
    await clock.leap(12 * 3600)
    await bench.ask(router, "gem")
    assert len(upstream.calls) == 3


async def test_parks_counters_and_spend_are_as_they_were_after_a_kill(bench: Any, clock: ManualClock) -> None:
    bench.general = {"budgets": {"day_usd": 0.0008}}
    upstream = await bench.upstream("alpha", limits={"counted": {"rpd": 3}})
    bench.model("counted", "standard", "alpha", chain=False)
    bench.model("refused", "standard", "alpha", chain=False)
    await bench.key("alpha")
    router = await bench.router(node_id="node-1")
    await bench.ask(router, "counted")
    upstream.script[""] = [(429, {"retry-after": "3600"}, {"error": {"message": "no"}})]
    with pytest.raises(NothingServedError):
        await bench.ask(router, "refused")
    upstream.script[""] = [bench.ok]
    in_flight = await router.select_with_fallback(RouteRequest("counted", input_tokens=100, max_output_tokens=50), bench.send)
    await clock.advance(1)
    # Nothing is closed or flushed: the next router is another process that opens the same database.
    await bench.reopened()
    again = await bench.router(node_id="node-1")
    assert [(p.pool_id, p.model_id) for p in again.parks()] == [("alpha/acme", "refused")]
    with pytest.raises(NothingServedError, match="parked until"):
        await bench.ask(again, "refused")
    lost = [c for c in await bench.store.calls.recent() if c.id == in_flight.grant.call_id]
    assert [str(c.status) for c in lost] == ["lost"]
    await bench.ask(again, "counted")
    with pytest.raises(NothingServedError, match="3 requests per day reached"):
        await bench.ask(again, "counted")
    await again.flush()
    assert (await bench.store.calls.spend()).cost_usd == pytest.approx(0.0006), "two answered, one in flight counted by its estimate"


async def test_an_end_told_twice_is_charged_once(bench: Any) -> None:
    await bench.upstream("alpha")
    bench.model("m", "standard", "alpha")
    key = await bench.key("alpha")
    router = await bench.router()
    served = await router.select_with_fallback(RouteRequest("m", input_tokens=100), bench.send)
    await asyncio.gather(*(served.settle(served.value.usage) for _ in range(3)), served.cancel(), return_exceptions=True)
    await router.flush()
    stored = await bench.store.keys.get(key.id)
    assert (stored.calls, stored.cost_usd) == (1, pytest.approx(0.0002))
    assert all(load.in_flight == 0 for load in router.loads())


@pytest.mark.parametrize("jump_s", [-86_400.0, -3_600.0, 3_600.0, 86_400.0])
async def test_a_jump_of_the_clock_neither_frees_nor_freezes_for_long(bench: Any, clock: ManualClock, jump_s: float) -> None:
    upstream = await bench.upstream("alpha")
    bench.model("m", "standard", "alpha")
    await bench.key("alpha")
    upstream.script[""] = [(429, {"retry-after": "120"}, {"error": {"message": "no"}}), bench.ok]
    router = await bench.router()
    with pytest.raises(NothingServedError):
        await bench.ask(router, "m")
    clock.jump_wall(jump_s)
    await router.refresh()
    await clock.leap(60)
    with pytest.raises(NothingServedError):
        await bench.ask(router, "m")
    await clock.leap(61)
    await bench.ask(router, "m")
    assert len(upstream.calls) == 2


@pytest.mark.parametrize("jump_s", [-43_200.0, 86_400.0])
async def test_after_a_jump_the_end_of_a_day_is_found_by_single_probes(bench: Any, clock: ManualClock, jump_s: float) -> None:
    upstream = await bench.upstream("google", daily_reset="pacific")
    bench.model("gem", "standard", "google")
    await bench.key("google")
    upstream.script[""] = [DAILY_429]
    router = await bench.router()
    with pytest.raises(NothingServedError):
        await bench.ask(router, "gem")
    clock.jump_wall(jump_s)
    for _ in range(5):
        with pytest.raises(NothingServedError):
            await bench.ask(router, "gem")
    assert len(upstream.calls) <= 2, "the clock said midnight had passed; one call went to see"
    await clock.leap(12 * 3600)
    upstream.script[""] = [bench.ok]
    await clock.leap(14 * 3600)
    await bench.ask(router, "gem")


async def test_a_daily_429_just_after_the_reset_is_two_clocks_out_of_step_not_a_day_lost(bench: Any, clock: ManualClock) -> None:
    upstream = await bench.upstream("google", daily_reset="pacific")
    bench.model("gem", "standard", "google")
    await bench.key("google")
    await clock.leap(11 * 3600 + 2)  # two seconds past midnight in Los Angeles
    upstream.script[""] = [DAILY_429, bench.ok]
    router = await bench.router()
    with pytest.raises(NothingServedError) as caught:
        await bench.ask(router, "gem")
    assert caught.value.available_at is not None and caught.value.available_at - clock.now() < timedelta(minutes=2)
    await clock.leap(120)
    await bench.ask(router, "gem")
