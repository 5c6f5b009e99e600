"""One step: what was asked, what came back, which tools ran with what result, and what it changed."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from executor_tui.domain.errors import ExecutorError
from executor_tui.domain.project import Step
from executor_tui.ui.data import projects
from executor_tui.ui.data.projects import STAGE_NAMES
from executor_tui.ui.form import clock, count, money, span
from executor_tui.ui.git import diff_of
from executor_tui.ui.screens.base import style_path
from executor_tui.ui.screens.text import TextScreen
from executor_tui.ui.states import Cell, Tone, look
from executor_tui.ui.text import clean
from executor_tui.ui.widgets.spans import Line, fact, heading, line, lines

if TYPE_CHECKING:
    from executor_tui.store.store import Store

MOST_CHARS = 20_000


@dataclass(frozen=True, slots=True)
class StepView:
    step: Step
    diff: str
    diff_problem: str


class StepScreen(TextScreen[StepView]):
    SECTION = "projects"
    TOPICS = frozenset({"step"})
    CSS_PATH = style_path("step")

    def __init__(self, project_id: str, step_id: str, repo: str) -> None:
        super().__init__()
        self.project_id, self.step_id, self.repo = project_id, step_id, repo

    async def fetch(self, store: "Store", at: datetime | None) -> StepView:
        step = await projects.fetch_step(store, self.step_id, at)
        if not step.commit:
            return StepView(step, "", "")
        try:
            return StepView(step, await asyncio.to_thread(diff_of, self.repo, step.commit), "")
        except ExecutorError as error:
            return StepView(step, "", error.message)

    def crumbs(self) -> Sequence[str]:
        return ("Projects", self.project_id, f"step {self.view.step.seq}" if self.view is not None else "step")

    def summary(self) -> str:
        return clean(self.view.step.summary) if self.view is not None else ""

    def present(self, view: StepView) -> None:
        step = view.step
        parts = (self._facts(step), _block("Prompt", step.prompt), _block("Reply", step.reply), _tools(step), _diff(view))
        self.text.set_lines([row for part in parts if part for row in [*part, line("")]])

    def _facts(self, step: Step) -> list[Line]:
        zone = self.console.zone
        took = f"took {span((step.ended_at - step.started_at).total_seconds())}" if step.started_at and step.ended_at else "still running"
        place = f"{STAGE_NAMES[step.stage]}, round {step.round}, {step.kind}"
        return [
            (Cell(f"{'State':<12} ", "dim"), look(step.status).cell, Cell(f"  {place}", "dim")),
            fact("When", f"{clock(step.started_at, zone)}, {took}"),
            *([fact("By", " · ".join(part for part in (step.agent_id, step.model) if part))] if step.agent_id or step.model else []),
            fact("Cost", f"{money(step.cost_usd)} · {count(step.input_tokens)} tokens in, {count(step.output_tokens)} out"),
            *([fact("Commit", step.commit, "accent")] if step.commit else []),
        ]  # fmt: skip


def _block(title: str, text: str) -> list[Line]:
    if not text:
        return []
    shown = lines(text[:MOST_CHARS], indent="  ")
    cut = [line(f"  … {len(text) - MOST_CHARS:,} characters more", "dim")] if len(text) > MOST_CHARS else []
    return [heading(title, f"{len(text):,} characters"), *shown, *cut]


def _tools(step: Step) -> list[Line]:
    if not step.tool_calls:
        return []
    rows = [heading("Tool calls", str(len(step.tool_calls)))]
    for call in step.tool_calls:
        good = bool(call.get("ok", True))
        glyph: tuple[str, Tone] = ("✓", "good") if good else ("✗", "bad")
        arguments = call.get("arguments", "")
        shown = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
        rows.append(
            (Cell(f"  {glyph[0]} ", glyph[1]), Cell(clean(str(call.get("name", "?"))), "strong"), Cell(f"  {clean(shown)[:400]}", "dim"))
        )
        rows += lines(str(call.get("result", ""))[:2000], "plain" if good else "bad", indent="      ")[:12]
    return rows


def _diff(view: StepView) -> list[Line]:
    if view.diff_problem:
        return [heading("Diff"), line(f"  {view.diff_problem}", "dim")]
    if not view.diff:
        return []
    return [heading("Diff", view.step.commit[:12]), *(_diff_line(row) for row in lines(view.diff))]


def _diff_line(row: Line) -> Line:
    text = row[0].text
    tones: tuple[tuple[str, Tone], ...] = (("+++", "dim"), ("---", "dim"), ("diff ", "strong"), ("@@", "info"), ("+", "good"), ("-", "bad"))
    tone: Tone = next((tone for start, tone in tones if text.startswith(start)), "plain")
    return (Cell(text, tone),)
