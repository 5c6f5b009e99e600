"""Consent to critical models: asked once, waited for within bounds, kept as far as it reaches; silence and no go on down the chain."""

import asyncio
from typing import Any

import pytest

from executor_tui.domain.approval import Approval, ApprovalScope, ApprovalStatus, Decision
from executor_tui.domain.call import CallStatus, VirtualKey
from executor_tui.domain.clock import ManualClock
from executor_tui.hydra.request import NothingServedError, RouteRequest

YES = Decision(True, "ada", "console")
NO = Decision(False, "ada", "console")


async def bench_with_critical(bench: Any, **general: Any) -> Any:
    bench.general = general
    upstream = await bench.upstream("alpha")
    bench.model("opus", "critical", "alpha", price={"input_usd_per_mtok": 1_000, "output_usd_per_mtok": 1_000})
    bench.model("sonnet", "premium", "alpha")
    await bench.key("alpha")
    return upstream


async def pending(bench: Any, clock: ManualClock) -> Approval:
    """The question, once it is asked."""
    while not (found := await bench.store.approvals.pending()):
        await asyncio.sleep(0.005)
    assert isinstance(found[0], Approval)
    return found[0]


async def finish(clock: ManualClock, *tasks: "asyncio.Task[Any]", step_s: float = 0.05) -> None:
    while not all(task.done() for task in tasks):
        await clock.leap(step_s)
        await asyncio.sleep(0.003)


def names(served: Any) -> list[tuple[str, str]]:
    return [(a.model_id, a.outcome) for a in served.trail]


async def test_nothing_is_sent_to_a_critical_model_before_a_yes(bench: Any, clock: ManualClock) -> None:
    upstream = await bench_with_critical(bench)
    router = await bench.router()
    asked = asyncio.create_task(bench.ask(router, "opus", agent_id="architect-1", project_id="prj-1", why="the design of the parser"))
    approval = await pending(bench, clock)
    assert (approval.model_id, approval.agent_id, approval.project_id) == ("opus", "architect-1", "prj-1")
    assert (approval.why, approval.if_denied) == ("the design of the parser", "the call goes on with sonnet")
    assert approval.estimate_usd == pytest.approx(0.15)
    await clock.advance(5)
    assert upstream.calls == []
    await bench.store.approvals.decide(approval.id, YES)
    await finish(clock, asked)
    assert names(asked.result()) == [("opus", "ok")]
    await router.flush()
    [call] = await bench.store.calls.recent()
    assert (call.approval_id, call.status) == (approval.id, CallStatus.OK)
    assert (await bench.store.approvals.get(approval.id)).spent_usd == pytest.approx(0.15)


async def test_a_no_goes_on_down_the_chain_and_says_so(bench: Any, clock: ManualClock) -> None:
    await bench_with_critical(bench)
    router = await bench.router()
    asked = asyncio.create_task(bench.ask(router, "opus", agent_id="a"))
    await bench.store.approvals.decide((await pending(bench, clock)).id, NO)
    await finish(clock, asked)
    assert names(asked.result()) == [("opus", "approval denied"), ("sonnet", "ok")]
    assert names(await bench.ask(router, "opus", agent_id="a")) == [("opus", "approval denied"), ("sonnet", "ok")], (
        "not asked again at once"
    )
    assert await bench.store.approvals.pending() == ()
    await clock.leap(16 * 60)
    again = asyncio.create_task(bench.ask(router, "opus", agent_id="a", approval_wait_s=0))
    await finish(clock, again)
    assert len(await bench.store.approvals.pending()) == 1


async def test_silence_ends_the_wait_and_later_means_no(bench: Any, clock: ManualClock) -> None:
    await bench_with_critical(bench, gateway={"approval_wait_s": 30}, approvals={"expire_minutes": 2})
    router = await bench.router()
    asked = asyncio.create_task(bench.ask(router, "opus", agent_id="a"))
    await pending(bench, clock)
    await finish(clock, asked, step_s=1)
    assert names(asked.result()) == [("opus", "approval pending"), ("sonnet", "ok")]
    at_once = asyncio.create_task(bench.ask(router, "opus", agent_id="a"))
    before = clock.monotonic_s()
    await finish(clock, at_once, step_s=0.01)
    assert clock.monotonic_s() - before < 5, "it was waited for once; the next call does not wait again"
    assert len(await bench.store.approvals.list()) == 1
    await clock.leap(120)
    last = asyncio.create_task(bench.ask(router, "opus", agent_id="a"))
    await finish(clock, last)
    assert names(last.result()) == [("opus", "approval expired"), ("sonnet", "ok")]


async def test_a_yes_for_once_serves_one_call_though_several_wait(bench: Any, clock: ManualClock) -> None:
    await bench_with_critical(bench, gateway={"approval_wait_s": 20})
    router = await bench.router()
    calls = [asyncio.create_task(bench.ask(router, "opus", agent_id="a")) for _ in range(3)]
    first = await pending(bench, clock)
    await asyncio.sleep(0.1)
    assert len(await bench.store.approvals.pending()) == 1, "one question for all of them"
    await bench.store.approvals.decide(first.id, YES)
    await finish(clock, *calls, step_s=0.5)
    answers = sorted(names(c.result())[0] for c in calls)
    assert answers == [("opus", "approval pending"), ("opus", "approval pending"), ("opus", "ok")]


async def test_a_yes_for_a_project_reaches_to_its_amount_and_no_further(bench: Any, clock: ManualClock) -> None:
    upstream = await bench_with_critical(bench, gateway={"approval_wait_s": 5})
    router = await bench.router()
    asked = asyncio.create_task(bench.ask(router, "opus", project_id="prj-1"))
    approval = await pending(bench, clock)
    await bench.store.approvals.decide(approval.id, Decision(True, "ada", "console", ApprovalScope.PROJECT, limit_usd=0.40))
    await finish(clock, asked)
    assert names(await bench.ask(router, "opus", project_id="prj-1")) == [("opus", "ok")]
    third = asyncio.create_task(bench.ask(router, "opus", project_id="prj-1"))
    await finish(clock, third)
    assert names(third.result()) == [("opus", "approval pending"), ("sonnet", "ok")], "0.15 three times is more than 0.40"
    other = asyncio.create_task(bench.ask(router, "opus", project_id="prj-2"))
    await finish(clock, other)
    assert names(other.result())[0] == ("opus", "approval pending")
    assert upstream.sent(model="opus") == 2


async def test_calls_on_their_way_count_against_the_amount(bench: Any, clock: ManualClock) -> None:
    await bench_with_critical(bench, gateway={"approval_wait_s": 5})
    router = await bench.router()
    asked = asyncio.create_task(bench.ask(router, "opus", project_id="prj-1"))
    approval = await pending(bench, clock)
    await bench.store.approvals.decide(approval.id, Decision(True, "ada", "console", ApprovalScope.PROJECT, limit_usd=0.40))
    await finish(clock, asked)
    request = RouteRequest("opus", input_tokens=100, max_output_tokens=50, project_id="prj-1")
    open_call = await router.select_with_fallback(request, bench.send)
    assert open_call.grant.approval_id == approval.id
    third = asyncio.create_task(bench.ask(router, "opus", project_id="prj-1"))
    await finish(clock, third)
    assert names(third.result())[0] == ("opus", "approval pending")
    await open_call.cancel()


async def test_a_yes_for_minutes_ends_by_itself(bench: Any, clock: ManualClock) -> None:
    await bench_with_critical(bench, gateway={"approval_wait_s": 5})
    router = await bench.router()
    asked = asyncio.create_task(bench.ask(router, "opus"))
    approval = await pending(bench, clock)
    await bench.store.approvals.decide(approval.id, Decision(True, "ada", "console", ApprovalScope.MINUTES, minutes=10))
    await finish(clock, asked)
    for agent in ("a", "b"):
        assert names(await bench.ask(router, "opus", agent_id=agent)) == [("opus", "ok")]
    await clock.leap(601)
    late = asyncio.create_task(bench.ask(router, "opus"))
    await finish(clock, late)
    assert names(late.result())[0] == ("opus", "approval pending")


async def test_a_request_asked_again_after_a_restart_finds_its_question(bench: Any, clock: ManualClock) -> None:
    await bench_with_critical(bench)
    router = await bench.router()
    asked = asyncio.create_task(bench.ask(router, "opus", request_id="step-7"))
    approval = await pending(bench, clock)
    asked.cancel()
    await asyncio.gather(asked, return_exceptions=True)
    await bench.reopened()
    again = await bench.router()
    repeated = asyncio.create_task(bench.ask(again, "opus", request_id="step-7"))
    await clock.advance(1)
    await bench.store.approvals.decide(approval.id, YES)
    await finish(clock, repeated)
    assert names(repeated.result()) == [("opus", "ok")]
    assert len(await bench.store.approvals.list()) == 1


async def test_an_answer_given_late_serves_the_next_such_call(bench: Any, clock: ManualClock) -> None:
    await bench_with_critical(bench, gateway={"approval_wait_s": 1})
    router = await bench.router()
    asked = asyncio.create_task(bench.ask(router, "opus", agent_id="a"))
    approval = await pending(bench, clock)
    await finish(clock, asked)
    await bench.store.approvals.decide(approval.id, YES)
    assert names(await bench.ask(router, "opus", agent_id="a")) == [("opus", "ok")]
    assert (await bench.store.approvals.get(approval.id)).status is ApprovalStatus.APPROVED


async def test_virtual_keys_have_questions_of_their_own(bench: Any, clock: ManualClock) -> None:
    await bench_with_critical(bench, gateway={"approval_wait_s": 1})
    router = await bench.router()
    tokens = [VirtualKey(f"tok-{n}", name, f"digest-{n}") for n, name in enumerate(("laptop", "ci"))]
    calls = [asyncio.create_task(bench.ask(router, "opus", token=token)) for token in tokens]
    await finish(clock, *calls)
    assert {a.details["virtual_key"] for a in await bench.store.approvals.list()} == {"laptop", "ci"}


async def test_no_consent_is_asked_for_where_the_call_could_not_be_made_anyway(bench: Any) -> None:
    upstream = await bench.upstream("alpha")
    bench.provider("beta", base_url=upstream.url)
    bench.general = {"budgets": {"day_usd": 0.10}}
    bench.model("opus", "critical", "alpha", price={"input_usd_per_mtok": 1_000, "output_usd_per_mtok": 1_000})
    bench.model("keyless", "critical", "beta", chain=False)
    await bench.key("alpha")
    router = await bench.router()
    with pytest.raises(NothingServedError):
        await bench.ask(router, "keyless", chain=())
    with pytest.raises(Exception, match=r"the budget of the day would be exceeded by \$0.05"):
        await bench.ask(router, "opus")
    assert await bench.store.approvals.list() == ()
    assert upstream.calls == []
