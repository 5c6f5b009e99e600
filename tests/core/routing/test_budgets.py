"""Budgets in USD and requests, for project, agent, key, virtual key and day: checked before, settled after, told by how much."""

import asyncio
from typing import Any

import pytest

from executor_tui.domain.call import VirtualKey
from executor_tui.domain.clock import ManualClock
from executor_tui.domain.errors import BudgetError
from executor_tui.domain.model import Tier
from executor_tui.hydra.request import NothingServedError, RouteRequest

COST = 0.0002
"""What one call of the bench costs, estimated and real: 100 tokens in at $1, 50 out at $2 a million."""
WHOSE: dict[str, dict[str, Any]] = {
    "day": {},
    "agent_day": {"agent_id": "coder-1"},
    "project": {"project_id": "prj-1"},
}


def token(**more: Any) -> VirtualKey:
    return VirtualKey("vk-1", "laptop", "digest", **more)


async def one_model(bench: Any, **budgets: Any) -> Any:
    bench.general = {"budgets": budgets}
    upstream = await bench.upstream("alpha")
    bench.model("m", "standard", "alpha")
    await bench.key("alpha")
    return upstream


@pytest.mark.parametrize("scope", list(WHOSE))
async def test_usd_of_every_scope_are_kept_and_the_refusal_says_which_and_by_how_much(bench: Any, scope: str) -> None:
    upstream = await one_model(bench, **{f"{scope}_usd": 2.5 * COST})
    router = await bench.router()
    for _ in range(2):
        await bench.ask(router, "m", **WHOSE[scope])
    name = {"day": "budget of the day", "agent_day": "budget of agent coder-1 for the day", "project": "budget of project prj-1"}[scope]
    with pytest.raises(BudgetError, match=rf"the {name} would be exceeded by \$0.0001: \$0.0004 of \$0.0005 is spent or on its way"):
        await bench.ask(router, "m", **WHOSE[scope])
    assert len(upstream.calls) == 2
    if scope != "day":
        await bench.ask(router, "m", agent_id="other", project_id="other")


@pytest.mark.parametrize("scope", list(WHOSE))
async def test_requests_of_every_scope_are_counted_and_a_retry_is_not_a_second_request(bench: Any, clock: ManualClock, scope: str) -> None:
    upstream = await one_model(bench, **{f"{scope}_requests": 2})
    upstream.script[""] = [(500, {}, {"error": {"message": "oops"}}), bench.ok]
    router = await bench.router()
    first = asyncio.create_task(bench.ask(router, "m", **WHOSE[scope]))
    while not first.done():
        await clock.leap(0.2)
        await asyncio.sleep(0.002)
    assert [a.outcome for a in first.result().trail] == ["server", "ok"]
    await bench.ask(router, "m", **WHOSE[scope])
    with pytest.raises(BudgetError, match="allows 2 requests, and 2 were made"):
        await bench.ask(router, "m", **WHOSE[scope])


async def test_a_virtual_key_has_a_budget_of_its_own_for_all_time(bench: Any, clock: ManualClock) -> None:
    await one_model(bench)
    router = await bench.router()
    await bench.ask(router, "m", token=token(budget_usd=1.5 * COST))
    await clock.leap(3 * 86_400)
    with pytest.raises(BudgetError, match="the budget of virtual key laptop would be exceeded by"):
        await bench.ask(router, "m", token=token(budget_usd=1.5 * COST))
    with pytest.raises(BudgetError, match="the budget of virtual key laptop allows 1 requests"):
        await bench.ask(router, "m", token=token(max_requests=1))


async def test_a_key_over_its_day_hands_over_to_the_next(bench: Any, clock: ManualClock) -> None:
    upstream = await one_model(bench, key_day_usd=1.5 * COST)
    await bench.key("alpha", "b")
    router = await bench.router()
    for _ in range(2):
        await bench.ask(router, "m")
    assert {key for key, _ in upstream.calls} == {"acme-1", "b-1"}
    with pytest.raises(NothingServedError, match="for the day would be exceeded") as caught:
        await bench.ask(router, "m")
    assert caught.value.available_at is not None and caught.value.available_at.hour == 0
    await clock.leap(86_400)
    await bench.ask(router, "m")


async def test_calls_on_their_way_count_so_that_many_at_once_cannot_overspend(bench: Any) -> None:
    upstream = await one_model(bench, day_usd=5.5 * COST)
    upstream.gate = asyncio.Event()
    router = await bench.router()
    calls = [asyncio.create_task(bench.ask(router, "m")) for _ in range(20)]
    while upstream.busy < 5:
        await asyncio.sleep(0.005)
    upstream.gate.set()
    answers = await asyncio.gather(*calls, return_exceptions=True)
    assert sum(isinstance(a, BudgetError) for a in answers) == 15
    assert (await bench.store.calls.spend()).cost_usd <= 5.5 * COST


async def test_what_a_call_really_cost_takes_the_place_of_its_estimate(bench: Any) -> None:
    await one_model(bench, day_usd=14 * COST)
    router = await bench.router()
    for _ in range(5):  # each reckoned at 9 times its cost, but only while it is on its way
        await bench.ask(router, "m", max_output_tokens=850)
    await router.flush()
    assert (await bench.store.calls.spend()).cost_usd == pytest.approx(5 * COST)


async def test_spend_is_known_again_after_a_restart_and_anew_the_next_day(bench: Any, clock: ManualClock) -> None:
    await one_model(bench, day_usd=1.5 * COST)
    router = await bench.router()
    await bench.ask(router, "m")
    await router.flush()
    await bench.reopened()
    again = await bench.router()
    with pytest.raises(BudgetError):
        await bench.ask(again, "m")
    await clock.leap(86_400)
    await bench.ask(again, "m")


async def test_a_free_key_costs_nothing_and_breaks_no_budget(bench: Any) -> None:
    bench.general = {"budgets": {"day_usd": 0.0}}
    await bench.upstream("alpha")
    bench.model("m", "standard", "alpha")
    await bench.key("alpha", tier=Tier.FREE)
    router = await bench.router()
    served = await router.select_with_fallback(RouteRequest("m", input_tokens=100, max_output_tokens=50), bench.send)
    assert served.grant.estimate_usd == 0 and await served.settle(served.value.usage) == 0


async def test_a_raised_budget_holds_from_the_next_call(bench: Any) -> None:
    await one_model(bench, day_usd=0.5 * COST)
    router = await bench.router()
    with pytest.raises(BudgetError):
        await bench.ask(router, "m")
    bench.general = {"budgets": {"day_usd": 1.5 * COST}}
    await router.reload(bench.config())
    await bench.ask(router, "m")
