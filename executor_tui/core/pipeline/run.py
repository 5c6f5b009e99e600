"""The walk of one project: requirements, design, then code and tests in rounds until the tests pass, then delivery."""

from pathlib import Path
from typing import Any

from executor_tui.agents.base import DESIGN, PRD, text_of
from executor_tui.agents.client import Json
from executor_tui.agents.roster import PROJECT_AGENTS
from executor_tui.core.alerts import project_alert, raise_alert
from executor_tui.core.pipeline import records
from executor_tui.core.pipeline.asking import ask
from executor_tui.core.pipeline.journal import Journal
from executor_tui.core.pipeline.parts import Parts, ProjectFailedError, StoppedError, text_in
from executor_tui.core.pipeline.stage import run_stage
from executor_tui.core.pipeline.verify import Tested, keep_evidence, rounds_allowed, run_tests
from executor_tui.core.pipeline.work import Prepared, Work
from executor_tui.domain.agent import Role
from executor_tui.domain.crash import crash_point
from executor_tui.domain.event import Event, Level
from executor_tui.domain.project import ProjectStatus, Stage, Step

QA_REVIEWS = 2
"""In how many rounds QA may add tests; after that only the runner judges, so that the end does not move away for ever."""


async def run_project(parts: Parts, journal: Journal, project_id: str) -> str:
    """Take a project to its end and say which: "delivered", "failed" or "cancelled"."""
    try:
        work = await _prepare(parts, journal, project_id)
        await _document(work, Role.PM, PRD)
        await _document(work, Role.ARCHITECT, DESIGN)
        await _build(work)
        await _deliver(work)
    except StoppedError:
        await records.release_agents(parts, project_id)
        return "cancelled"
    except ProjectFailedError as exc:
        await fail(parts, project_id, exc.message, exc.hint)
        return "failed"
    return "delivered"


async def fail(parts: Parts, project_id: str, reason: str, hint: str = "") -> None:
    """The project ends here, with the reason in its row. Doing it twice changes nothing."""
    await records.release_agents(parts, project_id)
    detail = f"{reason}. {hint}" if hint else reason
    event = Event("project.failed", f"project {project_id} failed: {reason}", Level.ERROR, project_id=project_id)
    source = tuple(s for s in ProjectStatus if not s.final)
    values = {"detail": detail, "finished_at": parts.clock.now(), "wake_at": None}
    if await parts.store.projects.move(project_id, source, ProjectStatus.FAILED, event, **values):
        await _announce(parts, project_id)


async def _announce(parts: Parts, project_id: str) -> None:
    alert = project_alert(await parts.store.projects.get(project_id))
    if alert is not None:
        await raise_alert(parts.store, parts.config.notification, alert)


# -- the way ----------------------------------------------------------------------------------------------------------------------------


async def _prepare(parts: Parts, journal: Journal, project_id: str) -> Work:
    """The workspace is there, the row says where, and what the sandbox has is known."""

    async def body(step_id: str) -> Json:
        project = await parts.store.projects.get(project_id)
        workspace = await parts.workspace(project)
        tools = await workspace.toolchain()
        head = await workspace.head()
        branch = project.branch or (f"executor/{project.id}" if project.source_repo else "main")
        crash_point("pipeline.prepared")
        values: dict[str, Any] = {"repo_path": str(workspace.root), "branch": branch, "head": head}
        values |= {"workflow_id": project.id, "node_id": parts.node_id}
        event = Event("project.prepared", workspace.describe(), project_id=project.id)
        await parts.store.projects.update(project_id, event, None, **values)
        return {
            "goal": project.goal, "head": head, "toolchain": tools.describe(), "python_tests": tools.test_command,
            "has_pytest": tools.has_pytest, "existing": bool(await workspace.list_files()),
        }  # fmt: skip

    found = await journal.step("prepare", body)
    prepared = Prepared.from_json(found)
    return Work(parts, journal, project_id, text_in(found, "goal"), prepared, prepared.head)


async def _document(work: Work, role: Role, path: str) -> None:
    """A stage whose work is one document. One its check does not accept is taken all the same if it is there; else the user decides."""
    while True:
        end = await run_stage(work, role)
        if end.accepted or await _is_there(work, role, path, end.reason):
            return
        said = f'; it said: "{end.said}"' if end.said else ""
        answer = await ask(work, "stuck", f"The {PROJECT_AGENTS[role].title} wrote no {path} ({end.reason}){said}.")
        if answer.stop:
            raise ProjectFailedError(f"stopped by the user: the {PROJECT_AGENTS[role].title} wrote no {path} ({end.reason})")
        if answer.hint:
            work.hints.append(answer.hint)


async def _is_there(work: Work, role: Role, path: str, reason: str) -> bool:
    async def body(step_id: str) -> Json:
        there = bool((await text_of(await work.clean_workspace(), path)).strip())
        if there:
            text = f"{path} is taken as it stands, though the {role} did not finish it: {reason}"
            await work.parts.store.events.add(
                Event("stage.incomplete", text, Level.WARNING, project_id=work.project_id, subject_id=step_id)
            )
        return {"there": there}

    return bool((await work.journal.step("look", body)).get("there"))


async def _build(work: Work) -> None:
    """Rounds of Coder and QA until the tests pass; when there are no more, the user decides."""
    allowed = first_allowed = await rounds_allowed(work)
    feedback, reviews = "", 0
    while True:
        work.round += 1
        end = await run_stage(work, Role.CODER, feedback=feedback)
        tested = await run_tests(work)
        if tested.passed and reviews < QA_REVIEWS:
            reviews += 1
            tested = await _reviewed(work, tested)
        await keep_evidence(work, tested)
        if tested.passed:
            return
        feedback = tested.feedback if end.accepted else f"(the Coder stopped: {end.reason})\n{tested.feedback}"
        if work.round >= allowed:
            await _ask_for_more(work, tested, first_allowed)
            allowed = await rounds_allowed(work)


async def _reviewed(work: Work, tested: Tested) -> Tested:
    """QA looks the tests over; when it adds some, they are run too."""
    before = work.head
    await run_stage(work, Role.QA, test_command=tested.command)
    return tested if work.head == before else await run_tests(work)


async def _ask_for_more(work: Work, tested: Tested, first_allowed: int) -> None:
    text = f"{work.round} rounds and the tests do not pass: {tested.reason}."
    answer = await ask(work, "rounds", text, {"first_rounds": first_allowed})
    if answer.stop:
        raise ProjectFailedError(f"stopped by the user after {work.round} rounds: {tested.reason}")
    if answer.hint:
        work.hints.append(answer.hint)


async def _deliver(work: Work) -> None:
    """The branch stands where the user can take it, and the row says so. Pushing again does nothing more."""

    async def body(step_id: str) -> Json:
        parts = work.parts
        project = await parts.store.projects.get(work.project_id)
        workspace = await work.clean_workspace()
        place = str(workspace.root)
        if project.source_repo:
            delivery = await workspace.deliver(Path(project.source_repo), project.branch)
            place = delivery.source
            crash_point("pipeline.pushed")
        text = f"project {project.id} delivered: branch {project.branch} in {place}"
        step = Step(step_id, project.id, 0, Stage.DELIVERED, work.round, "deliver", text, commit=work.head)
        await records.step_done(parts, step)
        await records.release_agents(parts, project.id)
        event = Event("project.delivered", text, project_id=project.id, data={"head": work.head, "rounds": work.round, "place": place})
        values = {"stage": Stage.DELIVERED, "head": work.head, "finished_at": parts.clock.now(), "detail": "", "wake_at": None}
        await parts.store.projects.move(project.id, (ProjectStatus.RUNNING,), ProjectStatus.DELIVERED, event, **values)
        crash_point("pipeline.delivered")
        await _announce(parts, project.id)
        return {"place": place}

    await work.journal.step("deliver", body)
