"""Projects that cannot go on by themselves: limits, servers that are down, questions, a cancelled one, a paused agent."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiohttp import web
from dbos import DBOS

from executor_tui.core.pipeline.answers import Answer as Said
from executor_tui.core.pipeline.answers import budget_after, read_answer, rounds_after
from executor_tui.domain.agent import AgentState
from executor_tui.domain.errors import ConflictError
from executor_tui.lab.script.model import GOALS, ScriptedModel
from executor_tui.lab.upstreams.script import Answer, ToolCall, text_of

GOAL = GOALS[1]
ONE_ROUND = {"projects": {"max_rounds": 1}}


def first_then(script: Callable[[dict[str, Any]], Any], *first: Any) -> Callable[[dict[str, Any]], Any]:
    """These responses to begin with, whoever asks; then the script."""
    left = list(first)
    return lambda request: left.pop(0) if left else script(request)


def error(status: int, body: dict[str, Any] | None = None, **headers: str) -> web.Response:
    return web.json_response({"error": {"message": "not now", **(body or {})}}, status=status, headers=headers)


async def status_of(world: Any, project_id: str) -> str:
    return str((await world.store.projects.get(project_id)).status)


async def workflow_of(project_id: str) -> str:
    found = await DBOS.list_workflows_async(workflow_ids=[project_id])
    return found[0].status


async def test_a_project_that_nothing_can_serve_lets_go_of_its_place_until_the_time_named(open_world: Any) -> None:
    later = datetime.now(UTC).replace(microsecond=0) + timedelta(minutes=30)
    async with open_world(first_then(ScriptedModel(), error(429, {"available_at": later.isoformat()}))) as world:
        project = await world.begin(GOAL)

        async def aside() -> Any:
            row = await world.store.projects.get(project.id)
            return row if row.wake_at is not None and await workflow_of(project.id) == "CANCELLED" else None

        row = await world.until(aside)
        assert (row.status, row.detail, row.wake_at) == ("running", "not now", later)
        agent = await world.store.agents.get("pm-001")
        assert (agent.state, agent.reason) == ("waiting", "not now")
        await world.pipeline.start(row)
        assert await workflow_of(project.id) == "CANCELLED"
        await world.store.projects.update(project.id, wake_at=datetime.now(UTC))
        done = await world.final(project.id)
        assert (done.status, done.wake_at, done.detail) == ("delivered", None, "")


async def test_without_any_key_the_project_goes_back_to_the_queue_so_that_keys_are_asked_for(open_world: Any) -> None:
    async with open_world(first_then(ScriptedModel(), error(429))) as world:
        project = await world.begin(GOAL)

        async def queued() -> bool:
            return await status_of(world, project.id) == "queued" and await workflow_of(project.id) == "CANCELLED"

        await world.until(queued)
        from executor_tui.domain.project import ProjectStatus

        await world.store.projects.move(project.id, (ProjectStatus.QUEUED,), ProjectStatus.RUNNING)
        await world.pipeline.start(await world.store.projects.get(project.id))
        assert (await world.final(project.id)).status == "delivered"


async def test_a_server_that_breaks_is_tried_again_after_a_while_that_grows(open_world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("executor_tui.core.pipeline.waits.BACK_OFF_S", (0.1, 0.2, 60.0))
    async with open_world(first_then(ScriptedModel(), error(500), error(502))) as world:
        project = await world.begin(GOAL)
        assert (await world.final(project.id)).status == "delivered"
        waits = [e.message for e in await world.store.events.tail(300) if e.kind == "project.waiting"]
        assert len(waits) == 2 and "answered 500" in waits[0] and "answered 502" in waits[1]
        assert await world.store.notes.get(f"pipeline.waits.{project.id}") is None


async def test_a_question_puts_the_workflow_aside_and_an_answer_brings_it_back(open_world: Any) -> None:
    def script(request: dict[str, Any]) -> Answer:
        opening = text_of(request["messages"][1])
        if "You are the PM" in text_of(request["messages"][0]) and "please be brief" not in opening:
            return Answer(text="hm")
        return ScriptedModel()(request)

    async with open_world(script) as world:
        project = await world.begin(GOAL)
        assert (await world.final(project.id)).status == "asking"

        async def aside() -> bool:
            return await workflow_of(project.id) == "CANCELLED" and not world.pipeline._runs

        await world.until(aside)
        question = (await world.store.questions.of(project.id))[0]
        assert question.options == ("try again", "hint", "stop")
        answered = await world.pipeline.answer(project.id, "hint: please be brief", "ana")
        assert (answered.id, answered.answered_by) == (question.id, "ana")
        with pytest.raises(ConflictError):
            await world.pipeline.answer(question.id, "stop", "bob")

        async def over() -> Any:
            row = await world.store.projects.get(project.id)
            return row if row.status.final else None

        assert (await world.until(over)).status == "delivered"
        assert any(a.dedupe_key == f"question:{question.id}" for a in await world.store.alerts.list())


async def test_after_the_last_round_more_rounds_are_granted_and_used(open_world: Any) -> None:
    async with open_world(ScriptedModel(), **ONE_ROUND) as world:
        project = await world.begin(GOALS[0])
        row = await world.final(project.id)
        assert (row.status, row.round, row.max_rounds) == ("asking", 1, 1)
        assert (await world.store.questions.of(project.id))[0].text.startswith("1 rounds and the tests do not pass: the tests failed with")
        await world.pipeline.answer(project.id, "more rounds: 2")

        async def over() -> Any:
            found = await world.store.projects.get(project.id)
            return found if found.status.final else None

        done = await world.until(over)
        assert (done.status, done.round, done.max_rounds) == ("delivered", 2, 3)


async def test_stop_is_taken_as_the_end(open_world: Any) -> None:
    async with open_world(ScriptedModel(), **ONE_ROUND) as world:
        project = await world.begin(GOALS[0])
        await world.final(project.id)
        await world.pipeline.answer(project.id, "stop")

        async def over() -> Any:
            found = await world.store.projects.get(project.id)
            return found if found.status.final else None

        done = await world.until(over)
        assert (done.status, done.detail) == ("failed", "stopped by the user after 1 rounds: the tests failed with exit code 1")


async def test_a_budget_that_is_used_up_is_asked_about_before_more_is_spent(open_world: Any) -> None:
    async with open_world(first_then(ScriptedModel(), error(402, {"message": "project budget of $1.00 used up"}))) as world:
        project = await world.begin(GOAL)
        assert (await world.final(project.id)).status == "asking"
        question = (await world.store.questions.of(project.id))[0]
        assert question.kind == "budget" and "project budget of $1.00 used up" in question.text
        asked = len(world.server.requests)
        await world.pipeline.answer(project.id, "raise the budget: 3")

        async def over() -> Any:
            found = await world.store.projects.get(project.id)
            return found if found.status.final else None

        assert (await world.until(over)).status == "delivered"
        assert asked == 1


@pytest.mark.parametrize("moment", ["model", "command"])
async def test_cancelling_ends_a_model_call_and_a_command_at_once(open_world: Any, moment: str) -> None:
    began, gone = asyncio.Event(), asyncio.Event()
    scripted = ScriptedModel()

    async def hanging() -> Answer:
        began.set()
        try:
            await asyncio.sleep(600)
        finally:
            gone.set()
        return Answer()

    def script(request: dict[str, Any]) -> Any:
        if "You are the Coder" not in text_of(request["messages"][0]):
            return scripted(request)
        return hanging() if moment == "model" else Answer(tool_calls=(ToolCall("run", {"command": "echo on > marker; sleep 600"}),))

    async with open_world(script, sandbox={"time_s": 600}) as world:
        project = await world.begin(GOAL)
        if moment == "model":
            await began.wait()
        else:
            root = world.places.projects_dir / project.id / "repo"
            while not (root / "marker").exists():
                await asyncio.sleep(0.02)
        # As the command line does it, from another process: only the row is written.
        from executor_tui.core.pipeline.requests import cancel_project

        await cancel_project(world.store, project.id, "ana")
        async with asyncio.timeout(10):
            while world.pipeline._runs:
                await asyncio.sleep(0.02)
            if moment == "model":
                await gone.wait()
        row = await world.store.projects.get(project.id)
        assert (row.status, row.detail) == ("cancelled", "cancelled by ana")
        assert all(a.state is AgentState.ONLINE for a in await world.store.agents.list())
        async with asyncio.timeout(10):
            while await workflow_of(project.id) != "SUCCESS":
                await asyncio.sleep(0.02)


async def test_a_project_whose_agents_all_pause_waits_and_says_for_whom(open_world: Any) -> None:
    from executor_tui.domain.agent import Agent, AgentType, Role

    async with open_world(ScriptedModel()) as world:
        await world.store.agents.put(Agent("pm-007", "PM", AgentType.PROJECT, Role.PM, paused=True))
        project = await world.begin(GOAL)

        async def waits() -> Any:
            row = await world.store.projects.get(project.id)
            return row if row.wake_at is not None else None

        assert "executor fleet resume pm-007" in (await world.until(waits)).detail
        await world.store.agents.update("pm-007", paused=False)
        await world.store.projects.update(project.id, wake_at=datetime.now(UTC))
        assert (await world.final(project.id)).status == "delivered"


async def test_an_agent_whose_call_waits_for_consent_is_shown_waiting(open_world: Any) -> None:
    from executor_tui.domain.approval import Approval, ApprovalKind, Decision

    decided = asyncio.Event()
    scripted = ScriptedModel()

    async def held(request: dict[str, Any]) -> Answer:
        await decided.wait()
        return scripted(request)

    def script(request: dict[str, Any]) -> Any:
        return held(request) if request["model"] == "executor/critical" else scripted(request)

    async with open_world(script) as world:
        project = await world.begin(GOALS[0])

        async def architect_busy() -> bool:
            agent = await world.store.agents.find("architect-001")
            return agent is not None and agent.state is AgentState.BUSY and agent.model == "executor/critical"

        await world.until(architect_busy)
        approval = Approval("apr-1", ApprovalKind.CRITICAL_MODEL, "claude-opus", agent_id="architect-001", project_id=project.id)
        await world.store.approvals.request(approval)

        async def waiting() -> bool:
            agent = await world.store.agents.get("architect-001")
            return agent.state is AgentState.WAITING and "apr-1" in agent.reason

        await world.until(waiting)
        await world.store.approvals.decide("apr-1", Decision(True, "ana", "console"))

        async def busy_again() -> bool:
            return (await world.store.agents.get("architect-001")).state is AgentState.BUSY

        await world.until(busy_again)
        decided.set()
        assert (await world.final(project.id)).status == "delivered"


# -- reading answers --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "text", "answer"),
    [
        ("rounds", "more rounds", Said()), ("rounds", "More rounds: 3", Said(number=3)), ("rounds", "more rounds 3", Said(number=3)),
        ("rounds", "5", Said(number=5)), ("rounds", "stop", Said(stop=True)), ("rounds", " STOP ", Said(stop=True)),
        ("rounds", "hint: use a dict", Said(hint="use a dict")), ("rounds", "no dict: too slow", Said(hint="no dict: too slow")),
        ("budget", "raise the budget: 2,50", Said(number=2.5)), ("budget", "$4", Said(number=4)), ("budget", "raise by 3", Said(number=3)),
        ("refused", "try again", Said()), ("stuck", "7 colours, please", Said(hint="7 colours, please")), ("stuck", "12", Said(hint="12")),
    ],
)  # fmt: skip
def test_answers_are_read_as_people_write_them(kind: str, text: str, answer: Said) -> None:
    assert read_answer(kind, text) == answer


def test_rounds_and_budgets_grow_by_what_is_named_or_by_what_they_were() -> None:
    assert (rounds_after(Said(), 4, 4), rounds_after(Said(number=2), 4, 4), rounds_after(Said(number=900), 4, 4)) == (8, 6, 54)
    assert (budget_after(Said(), 5.0, 5.2), budget_after(Said(number=1), 5.0, 2.0), budget_after(Said(), 0.0, 0.0)) == (10.2, 6.0, 1.0)
