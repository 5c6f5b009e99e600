"""Infra: the devices, the containers Executor made or changed, the changes and their receipts."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from executor_tui.domain.agent import Agent, Role
from executor_tui.domain.approval import Approval
from executor_tui.domain.change import Change, ChangeStatus, Receipt
from executor_tui.ui.text import plural

if TYPE_CHECKING:
    from executor_tui.store.store import Store

TOPICS = frozenset({"changes", "fleet"})
DEVICE_ROLES = (Role.NETWORK, Role.PROXMOX)


@dataclass(frozen=True, slots=True)
class Thing:
    """A device, or a container on one as its last receipt left it (`agent` None)."""

    id: str
    name: str
    kind: str
    agent: Agent | None = None
    power: str = ""
    detail: str = ""
    seen_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class InfraView:
    things: tuple[Thing, ...]
    changes: tuple[Change, ...]

    def summary(self) -> str:
        devices = sum(t.agent is not None for t in self.things)
        waiting = sum(c.status is ChangeStatus.WAITING for c in self.changes)
        parts = [plural(devices, "device"), plural(len(self.things) - devices, "container"), plural(len(self.changes), "change")]
        return " · ".join([*parts, *([f"{waiting} waiting"] if waiting else [])])


@dataclass(frozen=True, slots=True)
class ChangeView:
    change: Change
    receipt: Receipt | None
    approval: Approval | None


async def fetch(store: "Store", at: datetime | None = None) -> InfraView:
    agents = [a for a in await store.agents.list() if a.role in DEVICE_ROLES]
    receipts, changes = await store.receipts.list(), await store.changes.list()
    if at is not None:
        receipts = tuple(r for r in receipts if r.created_at is not None and r.created_at <= at)
        changes = tuple(c for c in changes if c.created_at is not None and c.created_at <= at)
    return InfraView(things(agents, receipts), changes)


async def fetch_change(store: "Store", change_id: str) -> ChangeView:
    """Raises NotFoundError."""
    change = await store.changes.get(change_id)
    approval = await store.approvals.find(change.approval_id) if change.approval_id else None
    return ChangeView(change, await store.receipts.of_change(change_id), approval)


def things(agents: Sequence[Agent], receipts: Sequence[Receipt]) -> tuple[Thing, ...]:
    """Each device, and under a hypervisor its containers."""
    by_device: dict[str, dict[str, Thing]] = {}
    for receipt in receipts:
        if receipt.outcome is ChangeStatus.DONE:
            held = by_device.setdefault(receipt.device, {})
            for number, facts in receipt.after.items():
                if number.isdigit() and isinstance(facts, dict):
                    held[number] = _container(number, facts, receipt)
                elif number.isdigit():
                    held.pop(number, None)
    found: list[Thing] = []
    for agent in agents:
        kind = "router" if agent.role is Role.NETWORK else "hypervisor"
        found.append(Thing(agent.id, agent.device or agent.name, kind, agent, seen_at=agent.last_seen_at))
        for name in dict.fromkeys((agent.id, agent.device)):
            found += by_device.pop(name, {}).values() if name else []
    for held in by_device.values():
        found += held.values()
    return tuple(found)


def _container(number: str, facts: dict[str, object], receipt: Receipt) -> Thing:
    size = f"{facts.get('cores', '?')} cores, {facts.get('memory_mb', '?')} MB, {facts.get('disk_gb', '?')} GB"
    name = str(facts.get("hostname", "")) or f"CT {number}"
    return Thing(f"{receipt.device}/{number}", name, f"CT {number}", None, str(facts.get("power", "")), size, receipt.created_at)
