"""Fleet: every agent, how it is, what it does, what it cost."""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType

from executor_tui.ui.form import age, duration_ms, money
from executor_tui.ui.keys import bind
from executor_tui.ui.screens.base import ConsoleScreen, style_path
from executor_tui.ui.states import Cell, agent_look
from executor_tui.ui.widgets.columns import Column
from executor_tui.ui.widgets.rows import Rows

if TYPE_CHECKING:
    from executor_tui.domain.agent import Agent
    from executor_tui.store.store import Store
    from executor_tui.ui.data.fleet import FleetView

_URGENCY = {"offline": 0, "degraded": 1, "waiting": 2, "busy": 3, "online": 4}


def _doing(agent: "Agent", _now: datetime) -> Cell:
    """What it does, or why it does not."""
    unwell = agent.state in ("degraded", "offline", "waiting") and agent.reason
    return Cell(agent.reason if unwell else agent.task or agent.reason, agent_look(agent).tone if unwell else "plain")


COLUMNS: "tuple[Column[Agent], ...]" = (
    Column("agent", "Agent", 16, lambda a, _: Cell(a.id, "strong"), lambda a: a.id),
    Column("state", "State", 11, lambda a, _: agent_look(a).cell, lambda a: _URGENCY.get(a.state.value, 9)),
    Column("role", "Role", 11, lambda a, _: Cell(a.role.value.replace("_", " "), "dim"), lambda a: a.role.value, from_width=100),
    Column("task", "Doing", 0, _doing, lambda a: a.task or None),
    Column("project", "Project", 13, lambda a, _: Cell(a.project_id or "", "dim"), lambda a: a.project_id, from_width=120),
    Column("device", "Device", 14, lambda a, _: Cell(a.device, "dim"), lambda a: a.device or None, from_width=140),
    Column("model", "Model", 14, lambda a, _: Cell(a.model, "dim"), lambda a: a.model or None, from_width=92),
    Column("ping", "Ping", 6, lambda a, _: Cell(duration_ms(a.latency_ms), "dim"), lambda a: a.latency_ms, right=True, from_width=110),
    Column("cost", "Cost", 8, lambda a, _: Cell(money(a.cost_usd)), lambda a: a.cost_usd, right=True),
    Column("age", "For", 4, lambda a, now: Cell(age(a.state_since, now), "dim"), lambda a: a.state_since, right=True),
)  # fmt: skip


class FleetScreen(ConsoleScreen["FleetView"]):
    SECTION = "fleet"
    TOPICS = frozenset({"fleet"})
    TICKS = True
    CSS_PATH = style_path("fleet")
    BINDINGS: ClassVar[list[BindingType]] = [
        bind("p", "pause", "Pause", "fleet.pause", changes=True),
        bind("r", "resume", "Resume", "fleet.resume", changes=True),
        bind("l", "logs", "Logs", "fleet.logs"),
    ]

    def compose_body(self) -> ComposeResult:
        yield Rows(COLUMNS, lambda a: a.id, self.now, fresh=lambda a: self.console.is_fresh("fleet", a.state_since), id="agents")

    async def fetch(self, store: "Store", at: datetime | None) -> "FleetView":
        from executor_tui.ui.data import fleet

        return await fleet.fetch(store, at)

    def nothing_in(self, view: "FleetView") -> bool:
        return not view.agents

    def empty(self) -> Sequence[Cell]:
        return (
            Cell("No agents yet", "strong"), Cell(""),
            Cell("Agents come from config/fleet_registry.json; the node adds them when it starts."),
            Cell("executor fleet add FILE  takes in another registry.", "info"),
        )  # fmt: skip

    def summary(self) -> str:
        return self.view.summary() if self.view else ""

    def present(self, view: "FleetView") -> None:
        self.agents.set_items(view.agents)

    @property
    def agents(self) -> "Rows[Agent]":
        return self.query_one("#agents", Rows)

    @on(Rows.Opened)
    def _open(self, message: Rows.Opened) -> None:
        from executor_tui.ui.screens.agent import AgentScreen

        self.console.drill(AgentScreen(message.item.id))

    def action_pause(self) -> None:
        self.console.act(*(self.console.operations.pause(a.id) for a in self.agents.chosen()))
        self.agents.clear_marks()

    def action_resume(self) -> None:
        self.console.act(*(self.console.operations.resume(a.id) for a in self.agents.chosen()))
        self.agents.clear_marks()

    async def action_logs(self) -> None:
        if self.agents.current is not None:
            await self.console.open_logs(agent_id=self.agents.current.id)
