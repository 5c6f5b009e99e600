"""What a project's work is made of, and what it may end with."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime

import aiohttp

from executor_tui.agents.client import Json
from executor_tui.config.load import Config
from executor_tui.config.places import Places
from executor_tui.core.pipeline.travel import Travel
from executor_tui.core.skill_injector import SkillInjector
from executor_tui.domain.clock import Clock
from executor_tui.domain.errors import ExecutorError
from executor_tui.domain.project import Project
from executor_tui.store.store import Store
from executor_tui.workspaces.base import RunLimits, Workspace

ModelAccess = Callable[[str, str], Awaitable[tuple[str, str]]]
"""(agent id, project id) → (base URL with /v1, secret). The secret lives in memory only: never in a workflow's inputs or results."""

OpenWorkspace = Callable[[Project], Awaitable[Workspace]]
"""The workspace of a project, made if it is not there yet."""


@dataclass
class Parts:
    """Everything the pipeline stands on. `config` and `skills` are replaced on reload; the session is there while it is launched."""

    store: Store
    places: Places
    config: Config
    clock: Clock
    node_id: str
    model_access: ModelAccess
    open_workspace: OpenWorkspace
    skills: SkillInjector
    travel: Travel
    session: aiohttp.ClientSession | None = None
    workspaces: dict[str, Workspace] = field(default_factory=dict)
    """Open ones, by project id: commands of one workspace run one after the other."""

    @property
    def limits(self) -> RunLimits:
        """Bounds of one command of generated code."""
        box = self.config.executor.sandbox
        more = tuple(box.environment.items())
        return RunLimits(box.time_s, box.memory_mb * 1024 * 1024, box.processes, box.output_kb * 1024, environment=more)

    async def workspace(self, project: Project) -> Workspace:
        """The project's workspace, opened once in this process."""
        found = self.workspaces.get(project.id)
        if found is None:
            found = self.workspaces[project.id] = await self.open_workspace(project)
        return found


class StoppedError(Exception):
    """The project was cancelled: its workflow ends, whatever it was doing."""


class ProjectFailedError(ExecutorError):
    """The project cannot go on; the message says why and the hint what can be done."""


class WaitError(Exception):
    """Nothing can be done now. The workflow is put aside, holding nothing, until `wake_at`, an answer to `question_id`, or new keys.

    `wait` is one of "model" (limits, a server that is down), "keys" (none at all), "answer", "pause", "machine", "change" (consent to
    `change_id`, or the end of quiet hours).
    """

    def __init__(
        self, wait: str, detail: str, *, wake_at: datetime | None = None, question_id: str = "", agent_id: str = "", change_id: str = ""
    ) -> None:
        super().__init__(detail)
        self.change_id = change_id
        self.wait, self.detail, self.wake_at, self.question_id, self.agent_id = wait, detail, wake_at, question_id, agent_id


def text_in(data: Json, name: str) -> str:
    """A text out of a journal entry."""
    return str(data.get(name) or "")


def number_in(data: Json, name: str) -> int:
    """A whole number out of a journal entry."""
    value = data.get(name)
    return int(value) if isinstance(value, int | float) else 0
