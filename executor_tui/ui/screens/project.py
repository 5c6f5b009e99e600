"""One project: where it stands, its steps, what it asks, what git holds of it."""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType

from executor_tui.domain.project import Step, StepStatus
from executor_tui.ui.data import projects
from executor_tui.ui.data.projects import STAGE_NAMES, STAGES, ProjectView
from executor_tui.ui.form import money, span, stamp
from executor_tui.ui.keys import bind
from executor_tui.ui.screens.base import ConsoleScreen, style_path
from executor_tui.ui.states import Cell, look
from executor_tui.ui.widgets.bars import Bar
from executor_tui.ui.widgets.columns import Column
from executor_tui.ui.widgets.rows import Rows

if TYPE_CHECKING:
    from executor_tui.store.store import Store


def _took(step: Step, now: datetime) -> Cell:
    if step.started_at is None:
        return Cell("–", "dim")
    return Cell(span(((step.ended_at or now) - step.started_at).total_seconds()), "info" if step.status is StepStatus.RUNNING else "dim")


STEPS: tuple[Column[Step], ...] = (
    Column("seq", "#", 4, lambda s, _: Cell(str(s.seq), "dim"), lambda s: s.seq, right=True),
    Column("stage", "Stage", 9, lambda s, _: Cell(STAGE_NAMES[s.stage]), lambda s: STAGES.index(s.stage)),
    Column("round", "Rnd", 3, lambda s, _: Cell(str(s.round) if s.round else "", "dim"), lambda s: s.round, right=True),
    Column("state", "", 1, lambda s, _: Cell(look(s.status).glyph, look(s.status).tone)),
    Column("what", "Step", 0, lambda s, _: Cell(s.summary or s.kind, "bad" if s.status == "failed" else "plain"), lambda s: s.kind),
    Column("kind", "Kind", 12, lambda s, _: Cell(s.kind, "dim"), lambda s: s.kind, from_width=110),
    Column("model", "Model", 14, lambda s, _: Cell(s.model, "dim"), lambda s: s.model or None, from_width=90),
    Column("commit", "Commit", 7, lambda s, _: Cell(s.commit[:7], "accent"), lambda s: s.commit or None),
    Column("cost", "Cost", 7, lambda s, _: Cell(money(s.cost_usd) if s.cost_usd else "", "plain"), lambda s: s.cost_usd, right=True),
    Column("took", "Took", 6, _took, lambda s: s.started_at, right=True),
)  # fmt: skip


class ProjectScreen(ConsoleScreen[ProjectView]):
    SECTION = "projects"
    TOPICS = projects.ONE_TOPICS
    TICKS = True
    CSS_PATH = style_path("project")
    BINDINGS: ClassVar[list[BindingType]] = [
        bind("r", "answer", "Answer", "project.answer", changes=True),
        bind("f", "files", "Files", "project.files"),
        bind("l", "logs", "Logs", "project.logs"),
        bind("x", "cancel", "Cancel", "project.cancel", changes=True),
    ]

    def __init__(self, project_id: str) -> None:
        super().__init__()
        self.project_id = project_id

    def compose_body(self) -> ComposeResult:
        yield Bar(id="goal")
        yield Bar(id="stages")
        yield Bar(id="facts")
        yield Bar(id="question")
        yield Rows(STEPS, lambda s: s.id, self.now, id="steps", placeholder="no step yet: the PM begins once a node takes the project")

    async def fetch(self, store: "Store", at: datetime | None) -> ProjectView:
        return await projects.fetch_one(store, self.project_id, at)

    def crumbs(self) -> Sequence[str]:
        return ("Projects", self.project_id)

    def summary(self) -> str:
        return self.view.summary() if self.view else ""

    def looking_at(self) -> str:
        return self.project_id

    def present(self, view: ProjectView) -> None:
        p = view.project
        self.query_one("#goal", Bar).show([Cell(" " + p.goal, "strong")], [Cell("  "), look(p.status).cell, Cell(" ")])
        self.query_one("#stages", Bar).show(self._stages(view))
        self.query_one("#facts", Bar).show(self._facts(view))
        question = view.open_question
        bar = self.query_one("#question", Bar)
        bar.display = question is not None
        if question is not None:
            bar.show([Cell(f" ? {question.text}", "warn")], [Cell("  r", "accent"), Cell(" answer ", "dim")])
        self.steps.set_items(view.steps)

    def _stages(self, view: ProjectView) -> list[Cell]:
        """`✓ PM ─ ✓ Architect ─ ◆ Coder 2/4 ─ ○ QA ─ ○ Delivered`."""
        p = view.project
        here = len(STAGES) if p.status == "delivered" else STAGES.index(p.stage)
        cells = [Cell(" ")]
        for index, stage in enumerate(STAGES):
            rounds = f" {p.round}/{p.max_rounds}" if index == here and p.round else ""
            glyph, tone = ("✓", "good") if index < here else ("○", "dim")
            if index == here:
                glyph, tone = look(p.status).glyph, look(p.status).tone
            cells.append(Cell(f"{glyph} {STAGE_NAMES[stage]}{rounds}", tone))  # type: ignore[arg-type]
            cells.append(Cell(" ── " if index + 1 < len(STAGES) else "", "dim"))
        return cells

    def _facts(self, view: ProjectView) -> list[Cell]:
        p = view.project
        parts = [
            f"{money(p.cost_usd)} of {money(p.budget_usd)}" if p.budget_usd is not None else money(p.cost_usd),
            f"asked {stamp(p.created_at, self.now(), self.console.zone)}" + (f" by {p.created_by}" if p.created_by else ""),
            *([f"branch {p.branch}"] if p.branch else []), *([f"at {p.head[:7]}"] if p.head else []), *([p.detail] if p.detail else []),
            *([p.repo_path] if p.repo_path else []),
        ]  # fmt: skip
        unsafe = [Cell(" ▲ no sandbox ·", "warn")] if p.where == "unsafe_local" else []
        return [*unsafe, Cell(" " + " · ".join(parts), "dim")]

    @property
    def steps(self) -> Rows[Step]:
        return self.query_one("#steps", Rows)

    @on(Rows.Opened)
    def _open(self, message: Rows.Opened) -> None:
        from executor_tui.ui.screens.step import StepScreen

        repo = self.view.project.repo_path if self.view is not None else ""
        self.console.drill(StepScreen(self.project_id, message.item.id, repo))

    def action_answer(self) -> None:
        question = self.view.open_question if self.view is not None else None
        if question is None:
            self.console.say(Cell("this project asks nothing", "dim"))
        else:
            self.console.open_question(question.id)

    def action_files(self) -> None:
        from executor_tui.ui.screens.files import FilesScreen

        if self.view is not None:
            self.console.drill(FilesScreen(self.project_id, self.view.project.repo_path))

    async def action_logs(self) -> None:
        await self.console.open_logs(project_id=self.project_id)

    def action_cancel(self) -> None:
        self.console.confirm(
            f"Cancel {self.project_id}?", "Work in progress stops at its next step; what is committed stays in its repository.",
            lambda: [self.console.operations.cancel_project(self.project_id)],
        )  # fmt: skip
