"""Infra: routers, hypervisors and their containers; below, every change to them."""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType

from executor_tui.domain.change import Change, ChangeStatus
from executor_tui.ui.data import infra
from executor_tui.ui.data.infra import InfraView, Thing
from executor_tui.ui.form import age, stamp
from executor_tui.ui.keys import bind
from executor_tui.ui.screens.base import ConsoleScreen, style_path
from executor_tui.ui.states import Cell, agent_look, look
from executor_tui.ui.widgets.bars import Bar
from executor_tui.ui.widgets.columns import Column
from executor_tui.ui.widgets.rows import Rows

if TYPE_CHECKING:
    from executor_tui.store.store import Store


def _name(thing: Thing, _: datetime) -> Cell:
    return Cell(thing.name, "strong") if thing.agent is not None else Cell(f"└ {thing.name}")


def _state(thing: Thing, _: datetime) -> Cell:
    if thing.agent is not None:
        return agent_look(thing.agent).cell
    return Cell(f"● {thing.power}", "good") if thing.power == "running" else Cell(f"○ {thing.power or 'unknown'}", "dim")


def _detail(thing: Thing, _: datetime) -> Cell:
    if thing.agent is not None:
        return Cell(thing.agent.reason or thing.agent.task, agent_look(thing.agent).tone if thing.agent.reason else "plain")
    return Cell(thing.detail, "dim")


THINGS: tuple[Column[Thing], ...] = (
    Column("name", "Device", 22, _name, lambda t: t.name),
    Column("kind", "Kind", 11, lambda t, _: Cell(t.kind, "dim"), lambda t: t.kind),
    Column("state", "State", 11, _state),
    Column("detail", "Detail", 0, _detail),
    Column("seen", "Seen", 5, lambda t, now: Cell(age(t.seen_at, now), "dim"), lambda t: t.seen_at, right=True),
)

CHANGES: tuple[Column[Change], ...] = (
    Column("at", "Asked", 12, lambda c, now: Cell(stamp(c.created_at, now), "dim"), lambda c: c.created_at),
    Column("state", "State", 13, lambda c, _: look(c.status).cell, lambda c: c.status.value),
    Column("risk", "Risk", 13, lambda c, _: look(c.risk).cell, lambda c: list(type(c.risk)).index(c.risk)),
    Column("device", "Device", 14, lambda c, _: Cell(c.device, "dim"), lambda c: c.device, from_width=96),
    Column("summary", "Change", 0, lambda c, _: Cell(c.summary), lambda c: c.summary),
    Column("by", "By", 10, lambda c, _: Cell(c.requested_by or c.agent_id, "dim"), lambda c: c.requested_by, from_width=96),
)


class InfraScreen(ConsoleScreen[InfraView]):
    SECTION = "infra"
    TOPICS = infra.TOPICS
    TICKS = True
    CSS_PATH = style_path("infra")
    BINDINGS: ClassVar[list[BindingType]] = [
        bind("w", "ask", "Ask in words", "infra.ask", changes=True),
        bind("v", "approval", "Approval", "infra.approval"),
    ]

    def compose_body(self) -> ComposeResult:
        yield Rows(THINGS, lambda t: t.id, self.now, id="things", placeholder="no device in fleet_registry.json")
        yield Bar(id="changes-title")
        yield Rows(
            CHANGES, lambda c: c.id, self.now, fresh=lambda c: self.console.is_fresh("infra", c.updated_at), id="changes",
            placeholder="no change was ever asked for",
        )  # fmt: skip

    async def fetch(self, store: "Store", at: datetime | None) -> InfraView:
        return await infra.fetch(store, at)

    def nothing_in(self, view: InfraView) -> bool:
        return not view.things and not view.changes

    def empty(self) -> Sequence[Cell]:
        return (
            Cell("No devices yet", "strong"), Cell(""),
            Cell("A MikroTik router or a Proxmox host becomes a device once fleet_registry.json says how to reach it."),
            Cell("executor fleet add FILE  takes in a registry", "info"), Cell("executor doctor  checks that a device answers", "info"),
        )  # fmt: skip

    def summary(self) -> str:
        return self.view.summary() if self.view else ""

    def present(self, view: InfraView) -> None:
        self.query_one("#things", Rows).set_items(view.things)
        self.changes.set_items(view.changes)
        self.query_one("#changes-title", Bar).show([Cell("  Changes", "accent"), Cell(f"  {len(view.changes) or 'none'}", "dim")])

    @property
    def changes(self) -> Rows[Change]:
        return self.query_one("#changes", Rows)

    @on(Rows.Opened)
    def _open(self, message: Rows.Opened) -> None:
        if isinstance(message.item, Change):
            from executor_tui.ui.screens.change import ChangeScreen

            self.console.drill(ChangeScreen(message.item.id))
        elif message.item.agent is not None:
            from executor_tui.ui.screens.agent import AgentScreen

            self.console.drill(AgentScreen(message.item.agent.id))

    async def action_ask(self) -> None:
        """Ask the agent of the device under the cursor for a change."""
        rows: Rows[Thing] = self.query_one("#things", Rows)
        devices = [t for t in rows.items[: rows.items.index(rows.current) + 1] if t.agent is not None] if rows.current else []
        if not devices:
            self.console.say(Cell("there is no device to ask", "dim"))
            return
        device = devices[-1]
        prompt = await self.prompt()
        prompt.open(f"{device.kind} {device.id}", f"ask {device.id} in words: ")

    async def answered(self, purpose: str, text: str) -> None:
        kind, _, device = purpose.partition(" ")
        if text:
            await self.console.try_to(self.console.ask_in_words("routeros" if kind == "router" else "proxmox", text, device))

    async def action_approval(self) -> None:
        """To the approval a change waits for, or had."""
        change = self.changes.current
        if change is None or not change.approval_id:
            self.console.say(Cell("this change needed no approval", "dim"))
        elif change.status is ChangeStatus.WAITING:
            self.console.open_approval(change.approval_id)
        else:
            from executor_tui.ui.screens.approval import ApprovalScreen

            self.console.drill(ApprovalScreen(change.approval_id))
