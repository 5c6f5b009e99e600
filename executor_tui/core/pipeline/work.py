"""What one run of a project's workflow knows: fixed facts from the preparation, and where it stands. Rebuilt alike at each replay."""

from dataclasses import dataclass, field

from executor_tui.agents.client import Json
from executor_tui.core.pipeline.journal import Journal
from executor_tui.core.pipeline.parts import Parts, text_in
from executor_tui.workspaces.base import Workspace


@dataclass(frozen=True, slots=True)
class Prepared:
    """What the preparation found. `python_tests` is how Python tests are run in the sandbox."""

    head: str
    toolchain: str
    python_tests: str
    has_pytest: bool
    existing: bool

    @staticmethod
    def from_json(data: Json) -> "Prepared":
        texts = (text_in(data, "head"), text_in(data, "toolchain"), text_in(data, "python_tests"))
        return Prepared(*texts, bool(data.get("has_pytest")), bool(data.get("existing")))


@dataclass
class Work:
    """One run. `head` is the last accepted commit; every step begins from it."""

    parts: Parts
    journal: Journal
    project_id: str
    goal: str
    prepared: Prepared
    head: str
    round: int = 0
    hints: list[str] = field(default_factory=list)

    async def workspace(self) -> Workspace:
        """The project's workspace, as the last run left it."""
        return await self.parts.workspace(await self.parts.store.projects.get(self.project_id))

    async def clean_workspace(self) -> Workspace:
        """The workspace, put back to the last accepted commit: whatever an interrupted step left is gone."""
        workspace = await self.workspace()
        await workspace.reset_to(self.head)
        return workspace

    async def commit_made_by(self, step_id: str) -> str:
        """The commit an earlier try of this step made, if it came that far; empty otherwise."""
        workspace = await self.workspace()
        newest = await workspace.log(2)
        is_next = len(newest) == 2 and newest[1].sha == self.head
        return newest[0].sha if is_next and newest[0].step == step_id else ""


def message_for(subject: str, step_id: str) -> str:
    """A commit message with the trailer by which the commit of a step is found again."""
    return f"{subject}\n\nExecutor-Step: {step_id}"
