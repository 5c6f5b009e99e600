"""Approvals: what waits for a yes, and every decision made."""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType

from executor_tui.domain.approval import Approval, ApprovalStatus
from executor_tui.ui.data import approvals
from executor_tui.ui.data.approvals import ApprovalsView
from executor_tui.ui.form import left, money, stamp
from executor_tui.ui.keys import bind
from executor_tui.ui.screens.base import ConsoleScreen, style_path
from executor_tui.ui.states import Cell, look
from executor_tui.ui.widgets.columns import Column
from executor_tui.ui.widgets.rows import Rows

if TYPE_CHECKING:
    from executor_tui.store.store import Store


def _until(approval: Approval, now: datetime) -> Cell:
    """Time left while it waits; afterwards who decided, and how far a yes reaches."""
    if approval.status is ApprovalStatus.PENDING:
        return Cell(f"{left(approval.expires_at, now)} left" if approval.expires_at else "no deadline", "warn")
    return Cell(f"by {approval.decided_by}" if approval.decided_by else "", "dim")


def _scope(approval: Approval) -> str:
    if approval.status is not ApprovalStatus.APPROVED:
        return ""
    reach = {"once": "once", "project": "project", "minutes": "for a time"}[approval.scope.value]
    return reach + (f" ≤ {money(approval.limit_usd)}" if approval.limit_usd is not None else "")


COLUMNS: tuple[Column[Approval], ...] = (
    Column("state", "State", 11, lambda a, _: look(a.status).cell, lambda a: a.status.value),
    Column("subject", "What", 0, lambda a, _: Cell(a.subject, "strong" if a.status == "pending" else "plain"), lambda a: a.subject),
    Column("agent", "Asked by", 14, lambda a, _: Cell(a.agent_id, "dim"), lambda a: a.agent_id, from_width=90),
    Column("risk", "Risk", 11, lambda a, _: Cell(a.risk, "dim"), lambda a: a.risk, from_width=120),
    Column(
        "cost", "Cost", 8, lambda a, _: Cell(f"~{money(a.estimate_usd)}" if a.estimate_usd else ""), lambda a: a.estimate_usd, right=True
    ),
    Column("scope", "Reach", 16, lambda a, _: Cell(_scope(a), "dim"), from_width=110),
    Column("until", "Decided", 14, _until, lambda a: a.expires_at),
    Column("at", "Asked", 12, lambda a, now: Cell(stamp(a.created_at, now), "dim"), lambda a: a.created_at, right=True, from_width=96),
)


class ApprovalsScreen(ConsoleScreen[ApprovalsView]):
    SECTION = "approvals"
    TOPICS = approvals.TOPICS
    TICKS = True
    CSS_PATH = style_path("approvals")
    BINDINGS: ClassVar[list[BindingType]] = [bind("d", "deny", "Deny", "approvals.deny", changes=True)]

    def compose_body(self) -> ComposeResult:
        yield Rows(COLUMNS, lambda a: a.id, self.now, fresh=lambda a: self.console.is_fresh("approvals", a.decided_at), id="approvals")

    async def fetch(self, store: "Store", at: datetime | None) -> ApprovalsView:
        return await approvals.fetch(store, at)

    def nothing_in(self, view: ApprovalsView) -> bool:
        return not view.approvals

    def empty(self) -> Sequence[Cell]:
        return (
            Cell("Nothing was ever asked", "strong"), Cell(""),
            Cell("Critical models and changes that can break the network or a container wait here for one explicit yes. Silence means no."),
            Cell("n  ask for a project", "info"),
        )  # fmt: skip

    def summary(self) -> str:
        return self.view.summary() if self.view else ""

    def present(self, view: ApprovalsView) -> None:
        self.approvals.set_items(view.approvals)

    @property
    def approvals(self) -> Rows[Approval]:
        return self.query_one("#approvals", Rows)

    @on(Rows.Opened)
    def _open(self, message: Rows.Opened) -> None:
        if message.item.status is ApprovalStatus.PENDING and self.console.at is None:
            self.console.open_approval(message.item.id)
        else:
            from executor_tui.ui.screens.approval import ApprovalScreen

            self.console.drill(ApprovalScreen(message.item.id))

    def action_deny(self) -> None:
        from executor_tui.domain.approval import Decision

        waiting = [a for a in self.approvals.chosen() if a.status is ApprovalStatus.PENDING]
        if not waiting:
            self.console.say(Cell("nothing chosen waits", "dim"))
            return
        no = Decision(False, self.console.who.name, f"console {self.console.who.origin}")
        what = waiting[0].subject if len(waiting) == 1 else f"{len(waiting)} requests"
        self.console.confirm(
            f"Deny {what}?", "What asked goes on without it.", lambda: [self.console.operations.decide(a.id, no) for a in waiting],
        )  # fmt: skip
        self.approvals.clear_marks()
