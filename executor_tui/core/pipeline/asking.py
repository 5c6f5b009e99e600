"""Asking the user, durably: the question is a row, the workflow is put aside, and goes on when the row is answered."""

from typing import Any

from executor_tui.agents.client import Json
from executor_tui.agents.tools import one_line
from executor_tui.core.alerts import question_alert, raise_alert
from executor_tui.core.pipeline.answers import HOW, OPTIONS, Answer, budget_after, read_answer, rounds_after
from executor_tui.core.pipeline.parts import Parts, WaitError, text_in
from executor_tui.core.pipeline.work import Work
from executor_tui.domain.crash import crash_point
from executor_tui.domain.project import Project, ProjectStatus, Question


async def ask(work: Work, kind: str, text: str, details: Json | None = None) -> Answer:
    """Ask once and return what was answered, however often the node falls over in between."""

    async def body(step_id: str) -> Json:
        parts = work.parts
        project = await parts.store.projects.get(work.project_id)
        facts: Json = {"max_rounds": project.max_rounds, "budget_usd": project.budget_usd, "round": project.round, **(details or {})}
        wanted = Question(f"{step_id}.q", project.id, kind, f"{one_line(text, 600)} {HOW[kind]}", OPTIONS[kind], details=facts)
        question = await parts.store.questions.ask(wanted)
        crash_point("pipeline.asked")
        if question.answered_at is None:
            await raise_alert(parts.store, parts.config.notification, question_alert(question))
            raise WaitError("answer", question.text, question_id=question.id)
        await _apply(parts, project, question)
        return {"answer": question.answer}

    return read_answer(kind, text_in(await work.journal.step("ask", body), "answer"))


async def _apply(parts: Parts, project: Project, question: Question) -> None:
    """Write down what the answer changes. From the figures at the time of asking, so that doing it twice changes nothing more."""
    answer = read_answer(question.kind, question.answer)
    values: dict[str, Any] = {"status": ProjectStatus.RUNNING, "detail": "", "wake_at": None}
    if question.kind == "rounds" and not answer.stop:
        allowed = _whole(question.details.get("max_rounds"))
        values["max_rounds"] = rounds_after(answer, allowed, _whole(question.details.get("first_rounds")) or allowed)
    budget = question.details.get("budget_usd")
    if question.kind == "budget" and not answer.stop and isinstance(budget, int | float):
        values["budget_usd"] = budget_after(answer, float(budget), project.cost_usd)
    await parts.store.projects.update(project.id, **values)


def _whole(value: object) -> int:
    return int(value) if isinstance(value, int | float) else 0
