"""Asking for changes, waiting for them, and taking them back."""

from collections.abc import Callable
from contextlib import aclosing
from dataclasses import replace

from executor_tui.agents.device import Asked, Device
from executor_tui.domain.change import Change, ChangeStatus, Receipt, Risk
from executor_tui.domain.errors import ConflictError, NotFoundError, UsageError
from executor_tui.domain.event import Event
from executor_tui.domain.ids import new_id
from executor_tui.store.store import Store

MAX_OPERATIONS = 200


async def submit(store: Store, device: Device, asked: Asked, change_id: str = "") -> Change:
    """Record what is asked for; on disk when this returns. Whoever holds the right works on it from there.

    With a `change_id` of one's own, asking again returns what stands. Raises PlanRefusedError for operations that make no sense.
    """
    change_id = change_id or new_id("chg")
    known = await store.changes.find(change_id)
    if known is not None:
        return known
    if len(asked.operations) > MAX_OPERATIONS:
        raise UsageError(f"{len(asked.operations)} operations are more than one change takes ({MAX_OPERATIONS})", hint="ask in parts")
    return await _record(store, device.kind, replace(asked, device=device.id, operations=device.check(asked.operations)), change_id)


async def _record(store: Store, kind: str, asked: Asked, change_id: str) -> Change:
    operations = tuple(asked.operations)
    change = Change(
        id=change_id, device=asked.device, kind=kind, summary=asked.summary, status=ChangeStatus.PLANNED, risk=Risk.READ,
        operations=operations, agent_id=asked.agent_id, project_id=asked.project_id, requested_by=asked.requested_by,
        journal={"why": asked.why, "asked": list(operations), **asked.data},
    )  # fmt: skip
    text = f"change {change.id} on {change.device} asked for by {asked.requested_by or 'somebody'}"
    event = Event("change.requested", text, agent_id=change.device, project_id=asked.project_id, subject_id=change.id)
    await store.changes.put(change, event)
    return await store.changes.get(change_id)


async def wait_for(
    store: Store, change_id: str, *, until: Callable[[Change], bool] | None = None, on_change: Callable[[Change], None] | None = None
) -> Change:
    """Follow a change until it has ended, or until `until` says so."""
    reached = until or (lambda change: change.status.final)
    async with aclosing(store.feed()) as feed:
        async for _ in feed:
            change = await store.changes.get(change_id)
            if on_change is not None:
                on_change(change)
            if reached(change):
                return change
    raise AssertionError("unreachable: the feed does not end by itself")


async def receipt_of(store: Store, name: str) -> Receipt:
    """A receipt by its own id or its change's. Raises NotFoundError."""
    receipt = await store.receipts.find(name) or await store.receipts.of_change(name)
    if receipt is None:
        raise NotFoundError(f"no receipt {name!r}", hint="see what there is with: executor changes list")
    return receipt


def undo_of(receipt: Receipt, requested_by: str) -> Asked:
    """What takes a change back: a change like any other. Raises ConflictError when there is nothing that could."""
    if receipt.outcome is not ChangeStatus.DONE:
        raise ConflictError(f"change {receipt.change_id} was not made ({receipt.outcome.replace('_', ' ')}), so there is nothing to undo")
    if not receipt.undo:
        raise ConflictError(f"nothing takes change {receipt.change_id} back: {receipt.summary}")
    return Asked(
        device=receipt.device, operations=receipt.undo, summary=f"undo {receipt.change_id}: {receipt.summary}",
        requested_by=requested_by, agent_id=receipt.device, why=f"takes back change {receipt.change_id}",
    )  # fmt: skip


async def take_back(store: Store, name: str, requested_by: str) -> Change:
    """Ask for a change to be taken back, by its id or its receipt's; the device is not asked before the plan is made.

    Raises NotFoundError, and ConflictError when there is nothing that could take it back.
    """
    receipt = await receipt_of(store, name)
    change = await store.changes.get(receipt.change_id)
    return await _record(store, change.kind, undo_of(receipt, requested_by), new_id("chg"))


def retry_of(change: Change, requested_by: str) -> Asked:
    """The same request once more, decided anew."""
    asked = change.journal.get("asked")
    operations = tuple(dict(op) for op in asked) if isinstance(asked, list | tuple) else change.operations
    return Asked(change.device, operations, change.summary, requested_by, change.agent_id, change.project_id, f"again: {change.id}")
