"""Projects: the list, one of them with its steps, and what git holds of it."""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from executor_tui.domain.errors import NotFoundError
from executor_tui.domain.project import Project, ProjectStatus, Question, Stage, Step
from executor_tui.ui.data import past
from executor_tui.ui.form import money
from executor_tui.ui.text import plural

if TYPE_CHECKING:
    from executor_tui.store.store import Store

TOPICS = frozenset({"project"})
ONE_TOPICS = frozenset({"project", "step", "questions"})


@dataclass(frozen=True, slots=True)
class ProjectsView:
    projects: tuple[Project, ...]

    def summary(self) -> str:
        counts = Counter(p.status.value for p in self.projects)
        named = [f"{counts[s]} {s.replace('_', ' ')}" for s in ProjectStatus if counts[s]]
        return " · ".join([plural(len(self.projects), "project"), *named[:4]])


@dataclass(frozen=True, slots=True)
class ProjectView:
    project: Project
    steps: tuple[Step, ...]
    questions: tuple[Question, ...]

    @property
    def open_question(self) -> Question | None:
        return next((q for q in self.questions if q.answered_at is None), None)

    def summary(self) -> str:
        p = self.project
        budget = f" of {money(p.budget_usd)}" if p.budget_usd is not None else ""
        return f"{plural(len(self.steps), 'step')} · {money(p.cost_usd)}{budget}"


async def fetch(store: "Store", at: datetime | None = None) -> ProjectsView:
    return ProjectsView(await store.projects.list() if at is None else await past.projects_then(store, at))


async def fetch_one(store: "Store", project_id: str, at: datetime | None = None) -> ProjectView:
    """Raises NotFoundError, also for a project that was not asked for yet."""
    project = await store.projects.get(project_id)
    steps, questions = await store.steps.of(project_id), await store.questions.of(project_id)
    if at is None:
        return ProjectView(project, steps, questions)
    found = next((p for p in await past.projects_then(store, at) if p.id == project_id), None)
    if found is None:
        raise NotFoundError(f"{project_id} was not asked for yet", hint="] goes on in time, :now returns to the present")
    return ProjectView(found, past.steps_then(steps, at), past.questions_then(questions, at))


async def fetch_step(store: "Store", step_id: str, at: datetime | None = None) -> Step:
    """Raises NotFoundError, also for a step that had not begun."""
    step = await store.steps.get(step_id)
    then = (step,) if at is None else past.steps_then((step,), at)
    if not then:
        raise NotFoundError("this step had not begun", hint="] goes on in time, :now returns to the present")
    return then[0]


STAGES = (Stage.PM, Stage.ARCHITECT, Stage.CODER, Stage.QA, Stage.DELIVERED)
STAGE_NAMES = {
    Stage.PM: "PM", Stage.ARCHITECT: "Architect", Stage.CODER: "Coder", Stage.QA: "QA", Stage.DELIVERED: "Delivered",
}  # fmt: skip
