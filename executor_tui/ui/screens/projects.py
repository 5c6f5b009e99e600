"""Projects: each goal on its way to tested code."""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType

from executor_tui.domain.project import Project
from executor_tui.ui.data import projects
from executor_tui.ui.data.projects import STAGE_NAMES, ProjectsView
from executor_tui.ui.form import age, money
from executor_tui.ui.keys import bind
from executor_tui.ui.screens.base import ConsoleScreen, style_path
from executor_tui.ui.states import Cell, look
from executor_tui.ui.widgets.columns import Column
from executor_tui.ui.widgets.rows import Rows

if TYPE_CHECKING:
    from executor_tui.store.store import Store


def stage_of(project: Project) -> Cell:
    """`Coder 2/4` while it runs; where it stood when it ended."""
    if project.status.final and project.status == "delivered":
        return Cell(f"{project.round or 1} round{'s' if project.round > 1 else ''}", "dim")
    name = STAGE_NAMES[project.stage]
    return Cell(f"{name} {project.round}/{project.max_rounds}" if project.round else name, "plain")


def cost_of(project: Project) -> Cell:
    near = project.budget_usd is not None and project.cost_usd >= 0.8 * project.budget_usd > 0
    return Cell(money(project.cost_usd), "warn" if near and not project.status.final else "plain")


def where_of(project: Project) -> Cell:
    return Cell(project.where.value.replace("_", " "), "warn" if project.where == "unsafe_local" else "dim")


_ORDER = ("asking", "waiting_keys", "quarantined", "running", "queued", "failed", "delivered", "cancelled")

COLUMNS: tuple[Column[Project], ...] = (
    Column("id", "Project", 13, lambda p, _: Cell(p.id, "dim"), lambda p: p.id, from_width=100),
    Column("goal", "Goal", 0, lambda p, _: Cell(p.goal, "strong"), lambda p: p.goal.lower()),
    Column("state", "State", 13, lambda p, _: look(p.status).cell, lambda p: _ORDER.index(p.status.value)),
    Column("stage", "Stage", 13, lambda p, _: stage_of(p), lambda p: p.stage.value),
    Column("detail", "Detail", 30, lambda p, _: Cell(p.detail, "dim"), from_width=130),
    Column("where", "Where", 12, lambda p, _: where_of(p), from_width=110),
    Column("cost", "Cost", 7, lambda p, _: cost_of(p), lambda p: p.cost_usd, right=True),
    Column("budget", "Budget", 7, lambda p, _: Cell(money(p.budget_usd), "dim"), lambda p: p.budget_usd, right=True, from_width=96),
    Column("age", "Age", 4, lambda p, now: Cell(age(p.created_at, now), "dim"), lambda p: p.created_at, right=True),
)  # fmt: skip


class ProjectsScreen(ConsoleScreen[ProjectsView]):
    SECTION = "projects"
    TOPICS = projects.TOPICS
    TICKS = True
    CSS_PATH = style_path("projects")
    BINDINGS: ClassVar[list[BindingType]] = [
        bind("l", "logs", "Logs", "projects.logs"),
        bind("x", "cancel", "Cancel", "projects.cancel", changes=True),
    ]

    def compose_body(self) -> ComposeResult:
        yield Rows(COLUMNS, lambda p: p.id, self.now, fresh=lambda p: self.console.is_fresh("projects", p.updated_at), id="projects")

    async def fetch(self, store: "Store", at: datetime | None) -> ProjectsView:
        return await projects.fetch(store, at)

    def nothing_in(self, view: ProjectsView) -> bool:
        return not view.projects

    def empty(self) -> Sequence[Cell]:
        return (
            Cell("No projects yet", "strong"), Cell(""),
            Cell("Say in a sentence what you want built. PM, Architect, Coder and QA take it to tested code in a git repository."),
            Cell("n  ask for the first one", "info"),
        )  # fmt: skip

    def summary(self) -> str:
        return self.view.summary() if self.view else ""

    def present(self, view: ProjectsView) -> None:
        self.projects.set_items(view.projects)

    @property
    def projects(self) -> Rows[Project]:
        return self.query_one("#projects", Rows)

    @on(Rows.Opened)
    def _open(self, message: Rows.Opened) -> None:
        from executor_tui.ui.screens.project import ProjectScreen

        self.console.drill(ProjectScreen(message.item.id))

    async def action_logs(self) -> None:
        if self.projects.current is not None:
            await self.console.open_logs(project_id=self.projects.current.id)

    def action_cancel(self) -> None:
        chosen = [p for p in self.projects.chosen() if not p.status.final]
        if not chosen:
            self.console.say(Cell("nothing chosen is still going", "dim"))
            return
        what = chosen[0].id if len(chosen) == 1 else f"{len(chosen)} projects"
        self.console.confirm(
            f"Cancel {what}?", "Work in progress stops at its next step; what is committed stays in its repository.",
            lambda: [self.console.operations.cancel_project(p.id) for p in chosen],
        )  # fmt: skip
        self.projects.clear_marks()
