"""One decided approval: what was asked, who said what, and how far it reaches."""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from executor_tui.ui.data import approvals
from executor_tui.ui.data.approvals import ApprovalView
from executor_tui.ui.form import money, stamp
from executor_tui.ui.screens.base import style_path
from executor_tui.ui.screens.text import TextScreen
from executor_tui.ui.states import Cell, look
from executor_tui.ui.widgets.spans import Line, fact, heading, line

if TYPE_CHECKING:
    from executor_tui.store.store import Store


class ApprovalScreen(TextScreen[ApprovalView]):
    SECTION = "approvals"
    TOPICS = approvals.TOPICS
    CSS_PATH = style_path("approvals")

    def __init__(self, approval_id: str) -> None:
        super().__init__()
        self.approval_id = approval_id

    async def fetch(self, store: "Store", at: datetime | None) -> ApprovalView:
        return await approvals.fetch_one(store, self.approval_id, at=at)

    def crumbs(self) -> Sequence[str]:
        return ("Approvals", self.approval_id)

    def present(self, view: ApprovalView) -> None:
        a, now, zone = view.approval, self.now(), self.console.zone
        via = f", {a.decided_via}" if a.decided_via else ""
        rows: list[Line] = [
            line(a.subject, "strong"), line(""),
            (Cell(f"{'State':<12} ", "dim"), look(a.status).cell),
            fact("Decided", f"{stamp(a.decided_at, now, zone)} by {a.decided_by or 'nobody'}{via}"),
            fact("Asked", f"{stamp(a.created_at, now, zone)} by {a.agent_id or 'an operator'}"),
            *([fact("Project", a.project_id)] if a.project_id else []), *([fact("Model", a.model_id)] if a.model_id else []),
            *([fact("Risk", a.risk)] if a.risk else []), fact("Why", a.why or "not said"), fact("On no", a.if_denied or "not said"),
            fact("Estimate", money(a.estimate_usd)),
            fact("Reach", a.scope.value + (f", up to {money(a.limit_usd)}" if a.limit_usd is not None else "")),
            *([fact("Spent", money(a.spent_usd))] if a.spent_usd else []),
            *([fact("Until", stamp(a.valid_until, now, zone))] if a.valid_until else []),
        ]  # fmt: skip
        diff = a.details.get("diff")
        if isinstance(diff, list | tuple) and diff:
            warnings = a.details.get("warnings")
            told = [f"▲ {w}" for w in warnings if f"! {w}" not in diff] if isinstance(warnings, list | tuple) else []
            rows += [line(""), heading("Change"), *(line(f"  {row}") for row in diff), *(line(f"  {row}", "warn") for row in told)]
        self.text.set_lines(rows)
