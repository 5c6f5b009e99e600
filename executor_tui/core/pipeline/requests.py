"""What a user can ask for: a new project, stopping one, going back in one, an answer. Each is a write to the store and needs no node:
the node that leads sees it and does the rest.
"""

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from executor_tui.config.load import Config
from executor_tui.domain.errors import ConflictError, NotFoundError, UsageError
from executor_tui.domain.event import Event, Level
from executor_tui.domain.ids import Rng, new_id
from executor_tui.domain.project import Project, ProjectStatus, Question, Step, StepStatus, Where
from executor_tui.store.store import Store

MAX_GOAL_CHARS = 20_000


@dataclass(frozen=True, slots=True)
class Wish:
    """What a new project should be like; what is not given is taken from the settings."""

    goal: str
    budget_usd: float | None = None
    max_rounds: int | None = None
    repo: Path | None = None
    where: Where | None = None
    by: str = ""


def project_of(wish: Wish, config: Config, project_id: str) -> Project:
    """The project row a wish makes. Raises UsageError with what is wrong."""
    goal = wish.goal.strip()
    if not goal:
        raise UsageError("the goal is empty", hint='say what should be built: executor project new "a command that …"')
    if len(goal) > MAX_GOAL_CHARS:
        raise UsageError(f"the goal has {len(goal)} characters; at most {MAX_GOAL_CHARS} are taken")
    if "\0" in goal:
        raise UsageError("the goal holds a NUL character")
    settings = config.executor.projects
    where = wish.where or (Where.UNSAFE_LOCAL if config.executor.sandbox.unsafe_local else Where(settings.where))
    if where is Where.LXC and not any(e.device is not None and e.device.kind == "proxmox" for e in config.fleet_registry.agents):
        raise UsageError("no Proxmox to make a container on", hint='give an agent of fleet_registry.json a "device" of kind proxmox')
    if wish.max_rounds is not None and not 1 <= wish.max_rounds <= 50:
        raise UsageError(f"{wish.max_rounds} rounds cannot be; 1 to 50 are allowed")
    if wish.budget_usd is not None and wish.budget_usd < 0:
        raise UsageError("a budget cannot be negative")
    budget = settings.budget_usd if wish.budget_usd is None else wish.budget_usd
    repo = str(repository(wish.repo)) if wish.repo is not None else ""
    branch = f"executor/{project_id}" if repo else "main"
    rounds = wish.max_rounds or settings.max_rounds
    return Project(
        project_id, goal, max_rounds=rounds, budget_usd=budget, where=where, source_repo=repo, branch=branch, created_by=wish.by
    )  # fmt: skip


def repository(path: Path) -> Path:
    """The top of the git repository at a path. Raises UsageError when there is none."""
    place = path.expanduser().absolute()
    if not place.is_dir():
        raise UsageError(f"--repo {path}: there is no such directory")
    for folder in (place, *place.parents):
        if os.path.lexists(folder / ".git"):
            return folder
    if (place / "HEAD").is_file() and (place / "objects").is_dir():
        return place
    raise UsageError(f"--repo {path}: not a git repository", hint=f"make it one: git init {path}")


async def create_project(store: Store, config: Config, wish: Wish) -> Project:
    """Write a new project down. On disk when this returns."""
    return await store.projects.create(project_of(wish, config, new_id("prj")))


async def cancel_project(store: Store, project_id: str, by: str) -> Project:
    """Stop a project. What runs for it ends within moments; what was committed stays. Raises NotFoundError, ConflictError."""
    project = await store.projects.get(project_id)
    source = tuple(s for s in ProjectStatus if not s.final)
    event = Event("project.cancelled", f"project {project_id} cancelled by {by}", Level.WARNING, project_id=project_id)
    values: dict[str, Any] = {"detail": f"cancelled by {by}", "finished_at": store.clock.now(), "wake_at": None}
    if not await store.projects.move(project_id, source, ProjectStatus.CANCELLED, event, **values):
        raise ConflictError(f"project {project_id} is {project.status} already")
    return await store.projects.get(project_id)


async def answer_project(store: Store, item_id: str, text: str, by: str) -> Question:
    """Answer the oldest open question of a project, or a question by its own id. Raises NotFoundError, ConflictError, UsageError."""
    if not text.strip():
        raise UsageError("the answer is empty")
    question = await store.questions.find(item_id)
    if question is None:
        project = await store.projects.get(item_id)
        asked = [q for q in await store.questions.open() if q.project_id == project.id]
        if not asked:
            raise NotFoundError(f"project {project.id} has asked nothing", hint=f"see where it is: executor project show {project.id}")
        question = asked[0]
    await store.questions.answer(question.id, text.strip(), by)
    return await store.questions.get(question.id)


async def fork_project(store: Store, project_id: str, step: str, by: str, rng: Rng | None = None) -> Project:
    """A new project that goes on from a step of an old one, which stays as it is. `step` is its number or id; 0 is the beginning."""
    origin = await store.projects.get(project_id)
    found = await step_named(store, origin, step)
    forked_from = found.id if found is not None else f"{origin.id}.0"
    fork_id = new_id("prj", rng) if rng else new_id("prj")
    project = Project(
        fork_id, origin.goal, max_rounds=max(origin.max_rounds, origin.round + 1), budget_usd=origin.budget_usd, where=origin.where,
        source_repo=origin.source_repo, branch=f"executor/{fork_id}" if origin.source_repo else origin.branch or "main",
        forked_from=forked_from, created_by=by,
    )  # fmt: skip
    return await store.projects.create(project)


async def step_named(store: Store, project: Project, name: str) -> Step | None:
    """The step meant by a number or an id; None for 0. Raises UsageError for one that does not exist or is not done."""
    if name == "0":
        return None
    steps = await store.steps.of(project.id)
    found = next((s for s in steps if name in (str(s.seq), s.id)), None)
    if found is None:
        there = f"1 to {steps[-1].seq}" if steps else "none yet"
        hint = f"see them: executor project show {project.id}"
        raise UsageError(f"project {project.id} has no step {name!r}; there are: {there}", hint=hint)
    if found.status is StepStatus.RUNNING:
        raise UsageError(f"step {name} of project {project.id} is not done; fork from an earlier one")
    return found


def origin_of(project: Project) -> tuple[str, int]:
    """(id of the project it was forked from, number of the step in that project's journal); ("", 0) for one that was not."""
    origin, _, number = project.forked_from.rpartition(".")
    return (origin, int(number)) if origin and number.isdigit() else ("", 0)


async def copy_steps(store: Store, origin: Project, fork: Project, up_to: int) -> None:
    """The rows of the steps a fork shares with its origin, as its own. Doing it twice changes nothing."""
    for step in await store.steps.of(origin.id):
        number = step.id.rpartition(".")[2]
        if step.id.startswith(f"{origin.id}.") and number.isdigit() and int(number) <= up_to:
            await store.steps.put(replace(step, id=f"{fork.id}.{number}", project_id=fork.id, seq=step.seq))
