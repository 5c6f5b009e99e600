"""Projects: a goal on its way to tested code."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class ProjectStatus(StrEnum):
    QUEUED = "queued"
    WAITING_KEYS = "waiting_keys"
    RUNNING = "running"
    ASKING = "asking"
    DELIVERED = "delivered"
    FAILED = "failed"
    CANCELLED = "cancelled"
    QUARANTINED = "quarantined"

    @property
    def final(self) -> bool:
        return self in (ProjectStatus.DELIVERED, ProjectStatus.FAILED, ProjectStatus.CANCELLED)


class Stage(StrEnum):
    PM = "pm"
    ARCHITECT = "architect"
    CODER = "coder"
    QA = "qa"
    DELIVERED = "delivered"


class StepStatus(StrEnum):
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


class Where(StrEnum):
    """Where generated code runs."""

    LOCAL = "local"
    UNSAFE_LOCAL = "unsafe_local"
    LXC = "lxc"


@dataclass(frozen=True, slots=True)
class Project:
    """A project row. `repo_path` is the delivered repository; `source_repo` an existing one it works on, if any.

    `forked_from` is the id of the step it was forked from. `wake_at` is when a project that can do nothing now tries again by itself.
    """

    id: str
    goal: str
    status: ProjectStatus = ProjectStatus.QUEUED
    stage: Stage = Stage.PM
    round: int = 0
    max_rounds: int = 4
    budget_usd: float | None = None
    cost_usd: float = 0.0
    where: Where = Where.LOCAL
    source_repo: str = ""
    repo_path: str = ""
    branch: str = ""
    head: str = ""
    workflow_id: str = ""
    node_id: str = ""
    detail: str = ""
    forked_from: str = ""
    created_by: str = ""
    created_at: datetime | None = None
    updated_at: datetime | None = None
    finished_at: datetime | None = None
    wake_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One accepted or attempted step of a project: a model turn, a tool call, a test run, a commit.

    `seq` orders the steps of a project. `prompt` and `reply` are bounded texts for the console; `tool_calls` lists
    {"name", "arguments", "result", "ok"}; `commit` is the sha it left, if any.
    """

    id: str
    project_id: str
    seq: int
    stage: Stage
    round: int
    kind: str
    summary: str
    status: StepStatus = StepStatus.DONE
    agent_id: str = ""
    model: str = ""
    prompt: str = ""
    reply: str = ""
    tool_calls: tuple[dict[str, object], ...] = ()
    commit: str = ""
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float = 0.0
    started_at: datetime | None = None
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Question:
    """Something only the user can decide. `options` are offered answers; free text is always possible. Kind `keys` asks for API keys."""

    id: str
    project_id: str | None
    kind: str
    text: str
    options: tuple[str, ...] = ()
    answer: str = ""
    created_at: datetime | None = None
    answered_at: datetime | None = None
    answered_by: str = ""
    details: dict[str, object] = field(default_factory=dict)
