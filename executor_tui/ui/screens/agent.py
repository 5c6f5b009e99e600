"""One agent: how it is and why, what it holds, its calls, and the last it said."""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar

from textual.binding import BindingType

from executor_tui.ui.data import agent
from executor_tui.ui.data.agent import AgentView
from executor_tui.ui.form import age, clock, count, duration_ms, money
from executor_tui.ui.keys import bind
from executor_tui.ui.screens.base import style_path
from executor_tui.ui.screens.text import TextScreen
from executor_tui.ui.states import Cell, agent_look, look
from executor_tui.ui.widgets.spans import Line, fact, heading, line, table

if TYPE_CHECKING:
    from executor_tui.store.store import Store


class AgentScreen(TextScreen[AgentView]):
    SECTION = "fleet"
    TOPICS = agent.TOPICS
    CSS_PATH = style_path("agent")
    BINDINGS: ClassVar[list[BindingType]] = [
        bind("p", "pause", "Pause", "agent.pause", changes=True),
        bind("r", "resume", "Resume", "agent.resume", changes=True),
        bind("l", "logs", "Logs", "agent.logs"),
    ]

    def __init__(self, agent_id: str) -> None:
        super().__init__()
        self.agent_id = agent_id

    async def fetch(self, store: "Store", at: datetime | None) -> AgentView:
        return await agent.fetch(store, self.agent_id, at)

    def crumbs(self) -> Sequence[str]:
        return ("Fleet", self.agent_id)

    def summary(self) -> str:
        return self.view.agent.name if self.view else ""

    def present(self, view: AgentView) -> None:
        self.text.set_lines([*self._facts(view), *self._calls(view), *self._said(view)])

    def _facts(self, view: AgentView) -> list[Line]:
        a, now = view.agent, self.now()
        state = agent_look(a)
        rows = [
            (Cell(f"{'State':<12} ", "dim"), state.cell, Cell(f"  for {age(a.state_since, now)}", "dim")),
            *([fact("Why", a.reason, state.tone)] if a.reason else []),
            fact("Doing", a.task or "nothing"),
            fact("Role", f"{a.role.value.replace('_', ' ')} ({a.type.value})"),
            *([fact("Project", a.project_id)] if a.project_id else []),
            *([fact("Device", a.device)] if a.device else []),
            *([fact("Model", a.model)] if a.model else []),
            fact("Cost", money(a.cost_usd)),
            fact("Last seen", f"{clock(a.last_seen_at, self.console.zone)}  answered in {duration_ms(a.latency_ms)}"),
        ]
        if view.checkpoint is not None:
            c = view.checkpoint
            rows.append(fact("Checkpoint", f"{c.task or c.state}, step {c.step}, saved {clock(c.saved_at, self.console.zone)}"))
            rows += [fact("Holds", ", ".join(c.holds))] if c.holds else []
        return rows

    def _calls(self, view: AgentView) -> list[Line]:
        if not view.calls:
            return []
        rows = [
            (Cell(clock(c.started_at, self.console.zone), "dim"), look(c.status).cell, Cell(c.model_id or c.requested_model),
             Cell(money(c.cost_usd or c.estimate_usd)), Cell(duration_ms(c.duration_ms), "dim"), Cell(count(c.input_tokens), "dim"),
             Cell(count(c.output_tokens), "dim"))
            for c in view.calls[:8]
        ]  # fmt: skip
        return [
            line(""),
            heading("Calls"),
            *table(("At", "", "Model", "Cost", "Took", "In", "Out"), rows, (8, 11, 18, -9, -7, -6, -6), self.room),
        ]

    def _said(self, view: AgentView) -> list[Line]:
        rows = [
            (Cell(f"{clock(e.at, self.console.zone)} {look(e.level).glyph} ", "dim"), *line(e.message, look(e.level).tone))
            for e in reversed(view.events)
        ]  # fmt: skip
        return [line(""), heading("Latest first"), *(rows or [line("nothing said yet", "dim")])]

    def action_pause(self) -> None:
        self.console.act(self.console.operations.pause(self.agent_id))

    def action_resume(self) -> None:
        self.console.act(self.console.operations.resume(self.agent_id))

    async def action_logs(self) -> None:
        await self.console.open_logs(agent_id=self.agent_id)
