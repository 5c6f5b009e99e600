"""What every screen shows around its own data: who leads, how it is, who else is attached, today's spend, what waits."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from executor_tui.domain.approval import Approval
from executor_tui.domain.node import Lease, Node, Operator
from executor_tui.domain.project import Question
from executor_tui.ui.data import attention
from executor_tui.ui.data.attention import Attention
from executor_tui.ui.states import NO_NODE, Look

if TYPE_CHECKING:
    from executor_tui.store.store import Store

TOPICS = frozenset({"nodes", "operators", "approvals", "questions", "project", "fleet", "parks", "keys", "calls"})
STALE_HEARTBEAT_S = 15.0
BEFORE = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Chrome:
    lease: Lease | None = None
    nodes: tuple[Node, ...] = ()
    operators: tuple[Operator, ...] = ()
    attention: Attention = field(default_factory=Attention)
    pending: tuple[Approval, ...] = ()
    questions: tuple[Question, ...] = ()
    spent_today_usd: float = 0.0
    keys: int = 0
    read_at: datetime = BEFORE

    @property
    def leader(self) -> Node | None:
        return next((n for n in self.nodes if self.lease is not None and n.id == self.lease.holder), None)

    def node_look(self) -> Look:
        """How the node is, in one glyph and a few words."""
        if self.lease is None:
            return NO_NODE
        node = self.leader
        name = node.host if node is not None and node.host else self.lease.holder
        if node is not None and node.unwell:
            return Look("■", f"{name}: {node.unwell}", "warn")
        beat = node.heartbeat_at if node is not None else None
        if beat is not None and (self.read_at - beat).total_seconds() > STALE_HEARTBEAT_S:
            return Look("▲", f"{name} is silent", "warn")
        return Look("●", name, "good")


async def fetch(store: "Store") -> Chrome:
    now = store.clock.now()
    today = await store.calls.spend(since=now.replace(hour=0, minute=0, second=0, microsecond=0))
    return Chrome(
        lease=await store.leases.leader(), nodes=await store.nodes.list(), operators=await store.operators.present(),
        attention=await attention.fetch(store), pending=await store.approvals.pending(), questions=await store.questions.open(),
        spent_today_usd=today.cost_usd, keys=await store.keys.count(), read_at=now,
    )  # fmt: skip
