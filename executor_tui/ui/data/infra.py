"""Infra: the devices, the containers Executor made or changed, the changes and their receipts."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from executor_tui.domain.agent import Agent, Role
from executor_tui.domain.approval import Approval
from executor_tui.domain.change import Change, ChangeStatus, Receipt
from executor_tui.domain.errors import NotFoundError
from executor_tui.ui.data import past
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
    receipts = await store.receipts.list()
    if at is not None:
        known = await past.fleet_then(store, at)
        receipts = tuple(r for r in receipts if past.was(r.created_at, at))
        return InfraView(things(_devices(known), receipts), await past.changes_then(store, at))
    return InfraView(things(_devices(await store.agents.list()), receipts), await store.changes.list())


def _devices(agents: Sequence[Agent]) -> list[Agent]:
    return [a for a in agents if a.role in DEVICE_ROLES]


async def fetch_change(store: "Store", change_id: str, at: datetime | None = None) -> ChangeView:
    """Raises NotFoundError, also for a change that was not asked for yet."""
    change = await store.changes.get(change_id)
    approval = await store.approvals.find(change.approval_id) if change.approval_id else None
    receipt = await store.receipts.of_change(change_id)
    if at is None:
        return ChangeView(change, receipt, approval)
    then = next((c for c in await past.changes_then(store, at) if c.id == change_id), None)
    if then is None:
        raise NotFoundError(f"{change_id} was not asked for yet", hint="] goes on in time, :now returns to the present")
    asked = past.approval_then(approval, at) if approval is not None and past.was(approval.created_at, at) else None
    return ChangeView(then, receipt if receipt is not None and past.was(receipt.created_at, at) else None, asked)


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
    cores = facts.get("cores", "?")
    size = f"{cores} {'core' if cores == 1 else 'cores'}, {facts.get('memory_mb', '?')} MB, {facts.get('disk_gb', '?')} GB"
    name = str(facts.get("hostname", "")) or f"CT {number}"
    return Thing(f"{receipt.device}/{number}", name, f"CT {number}", None, str(facts.get("power", "")), size, receipt.created_at)
