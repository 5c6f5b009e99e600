"""Approvals: what waits, what was decided, and what a decision stands against."""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from executor_tui.domain.approval import Approval, ApprovalStatus
from executor_tui.domain.node import Operator
from executor_tui.domain.project import Project
from executor_tui.ui.data import past

if TYPE_CHECKING:
    from executor_tui.store.store import Store

TOPICS = frozenset({"approvals"})


@dataclass(frozen=True, slots=True)
class ApprovalsView:
    approvals: tuple[Approval, ...]

    def summary(self) -> str:
        waiting = sum(a.status is ApprovalStatus.PENDING for a in self.approvals)
        return f"{waiting} waiting · {len(self.approvals) - waiting} decided"


@dataclass(frozen=True, slots=True)
class ApprovalView:
    """One approval, with the money it is asked against and who else has it open."""

    approval: Approval
    project: Project | None
    spent_today_usd: float
    lookers: tuple[Operator, ...]


async def fetch(store: "Store", at: datetime | None = None) -> ApprovalsView:
    approvals = await store.approvals.list()
    if at is not None:
        approvals = tuple(past.approval_then(a, at) for a in approvals if past.was(a.created_at, at))
    return ApprovalsView(tuple(sorted(approvals, key=lambda a: a.status is not ApprovalStatus.PENDING)))


async def fetch_one(store: "Store", approval_id: str, own_operator_id: str = "", at: datetime | None = None) -> ApprovalView:
    """Raises NotFoundError."""
    approval = await store.approvals.get(approval_id)
    if at is not None:
        approval = past.approval_then(approval, at)
    project = await store.projects.find(approval.project_id) if approval.project_id else None
    midnight = store.clock.now().replace(hour=0, minute=0, second=0, microsecond=0)
    present = await store.operators.present()
    lookers = tuple(o for o in present if o.looking_at == approval_id and o.id != own_operator_id)
    return ApprovalView(approval, project, (await store.calls.spend(since=midnight)).cost_usd, lookers)
