"""Projects: the list, one of them with its steps, and what git holds of it."""

from collections import Counter
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from executor_tui.domain.event import Event
from executor_tui.domain.project import Project, ProjectStatus, Question, Stage, Step
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
    projects = await store.projects.list()
    if at is None:
        return ProjectsView(projects)
    told = await store.events.tail(20_000, kinds=("project.",), until=at)
    return ProjectsView(tuple(_then(p, told) for p in projects if p.created_at is not None and p.created_at <= at))


_STATUSES = {s.value: s for s in ProjectStatus}


def _then(project: Project, told: tuple[Event, ...]) -> Project:
    """A project as its last event up to a moment named it (`project.delivered`); running once anything was said after queued."""
    words = [e.kind.removeprefix("project.") for e in told if e.project_id == project.id]
    status = ProjectStatus.QUEUED
    for word in words:
        status = _STATUSES.get(word, ProjectStatus.RUNNING)
    return replace(project, status=status, finished_at=project.finished_at if status.final else None)


async def fetch_one(store: "Store", project_id: str, at: datetime | None = None) -> ProjectView:
    """Raises NotFoundError."""
    project = await store.projects.get(project_id)
    steps = await store.steps.of(project_id)
    if at is not None:
        steps = tuple(s for s in steps if s.started_at is None or s.started_at <= at)
    return ProjectView(project, steps, await store.questions.of(project_id))


async def fetch_step(store: "Store", step_id: str) -> Step:
    """Raises NotFoundError."""
    return await store.steps.get(step_id)


STAGES = (Stage.PM, Stage.ARCHITECT, Stage.CODER, Stage.QA, Stage.DELIVERED)
STAGE_NAMES = {
    Stage.PM: "PM", Stage.ARCHITECT: "Architect", Stage.CODER: "Coder", Stage.QA: "QA", Stage.DELIVERED: "Delivered",
}  # fmt: skip
