"""One change to a machine: what it is, how risky, who consented, what it does line by line, and the receipt it left."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar

from textual.binding import BindingType

from executor_tui.domain.approval import Approval
from executor_tui.domain.change import ChangeStatus, Receipt
from executor_tui.ui.data import infra
from executor_tui.ui.data.infra import ChangeView
from executor_tui.ui.form import clock
from executor_tui.ui.keys import bind
from executor_tui.ui.screens.base import style_path
from executor_tui.ui.screens.text import TextScreen
from executor_tui.ui.states import Cell, Tone, look
from executor_tui.ui.widgets.spans import Line, fact, heading, line, lines

if TYPE_CHECKING:
    from executor_tui.store.store import Store


class ChangeScreen(TextScreen[ChangeView]):
    SECTION = "infra"
    TOPICS = frozenset({"changes", "approvals"})
    CSS_PATH = style_path("change")

    BINDINGS: ClassVar[list[BindingType]] = [bind("u", "undo", "Undo", "change.undo", changes=True)]

    def __init__(self, change_id: str) -> None:
        super().__init__()
        self.change_id = change_id

    async def fetch(self, store: "Store", at: datetime | None) -> ChangeView:
        return await infra.fetch_change(store, self.change_id, at)

    def crumbs(self) -> Sequence[str]:
        return ("Infra", self.change_id)

    def present(self, view: ChangeView) -> None:
        change = view.change
        parts = (
            self._facts(view), [heading("What changes"), *(_diff(row) for row in change.diff)] if change.diff else [],
            _json("Operations", change.operations), _json("Calls to the device", change.plan), self._receipt(view.receipt),
        )  # fmt: skip
        self.text.set_lines([row for part in parts if part for row in [*part, line("")]])

    def action_undo(self) -> None:
        """Take the change back: a change like any other, planned, shown and consented to."""
        receipt = self.view.receipt if self.view is not None else None
        if receipt is None or receipt.outcome is not ChangeStatus.DONE:
            self.console.say(Cell("nothing was changed, so there is nothing to take back", "dim"))
        elif not receipt.undo:
            self.console.say(Cell("nothing can take this change back", "warn"))
        else:
            consequence = "It is planned against the device as it is now, and needs the consent that any such change needs."
            self.console.confirm(f"Take back {self.change_id}?", consequence, lambda: [self.console.operations.take_back(self.change_id)])

    def _facts(self, view: ChangeView) -> list[Line]:
        c, zone = view.change, self.console.zone
        asked = " for ".join(part for part in (c.requested_by or c.agent_id, c.project_id) if part)
        approval = view.approval
        consent = _consent(approval) if approval is not None else "by policy"
        return [
            line(c.summary, "strong"), line(""),
            (Cell(f"{'State':<12} ", "dim"), look(c.status).cell), *([fact("Because", c.detail)] if c.detail else []),
            (Cell(f"{'Risk':<12} ", "dim"), look(c.risk).cell), fact("Device", f"{c.device} ({c.kind})"),
            fact("Asked", f"{clock(c.created_at, zone)} by {asked}"), fact("Consent", consent),
        ]  # fmt: skip

    def _receipt(self, receipt: Receipt | None) -> list[Line]:
        if receipt is None:
            return []
        return [
            heading("Receipt", f"number {receipt.seq} of the chain"),
            (Cell(f"{'Outcome':<12} ", "dim"), look(receipt.outcome).cell),
            fact("Written", f"{clock(receipt.created_at, self.console.zone)}, consent: {receipt.consented_by or 'none'}"),
            fact("Digest", receipt.digest[:32], "dim"),
            *_json("Before", receipt.before), *_json("After", receipt.after), *_json("To undo it", receipt.undo),
        ]  # fmt: skip


def _diff(row: str) -> Line:
    tone: Tone = "good" if row.startswith("+") else "bad" if row.startswith(("-", "!")) else "warn" if row.startswith("~") else "plain"
    return line(f"  {row}", tone)


def _json(title: str, value: object) -> list[Line]:
    return [heading(title), *lines(json.dumps(value, indent=2, ensure_ascii=False, default=str), "dim", "  ")] if value else []


def _consent(approval: Approval) -> str:
    word = look(approval.status).word
    return f"{word} by {approval.decided_by}" if approval.decided_by else word
