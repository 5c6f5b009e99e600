"""Receipts as a chain: each carries the digest of the one before it, so that one altered, added or taken away later shows."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

from executor_tui.agents.device import digest_of
from executor_tui.domain.change import ChangeStatus, Receipt
from executor_tui.domain.event import Event, Level
from executor_tui.store.store import Store


def digest(receipt: Receipt) -> str:
    """SHA-256 over everything a receipt says but its own digest; the digest before it is part of that."""
    content: dict[str, object] = {}
    for field in fields(receipt):
        value = getattr(receipt, field.name)
        if field.name == "created_at":
            value = value.isoformat() if value is not None else ""
        if field.name != "digest":
            content[field.name] = value
    return digest_of(content)


def sealed(receipt: Receipt, last: Receipt | None) -> Receipt:
    """The receipt with its place in the chain."""
    placed = replace(receipt, seq=last.seq + 1 if last else 1, previous_digest=last.digest if last else "", digest="")
    return replace(placed, digest=digest(placed))


async def append(store: Store, receipt: Receipt) -> Receipt:
    """Write a receipt to the end of the chain, once; the event that tells of it repeats its digest, as a second witness."""

    def event(written: Receipt) -> Event:
        bad = written.outcome in (ChangeStatus.FAILED, ChangeStatus.ROLLED_BACK)
        message = f"change {written.change_id} {written.outcome.replace('_', ' ')}: {written.summary}"
        data: dict[str, object] = {"receipt": written.id, "seq": written.seq, "digest": written.digest, "outcome": str(written.outcome)}
        return Event(f"change.{written.outcome}", message, Level.WARNING if bad else Level.INFO, subject_id=written.change_id, data=data)

    return await store.receipts.append(receipt, sealed, event)


@dataclass(frozen=True, slots=True)
class ChainCheck:
    """What `verify_chain` found: how many receipts hold together, and each place where they do not."""

    receipts: int
    faults: tuple[str, ...] = ()

    @property
    def whole(self) -> bool:
        return not self.faults


def verify_chain(receipts: Sequence[Receipt], witnessed: Sequence[tuple[int, str]] = ()) -> ChainCheck:
    """Check every digest and every link. `witnessed` are (seq, digest) pairs of the event log: they show a chain cut off or made anew."""
    faults: list[str] = []
    previous: Receipt | None = None
    for receipt in receipts:
        expected = previous.seq + 1 if previous else 1
        if receipt.seq != expected:
            faults.append(f"receipt {receipt.id} stands at place {receipt.seq} where {expected} is expected: one is missing")
        if receipt.digest != digest(replace(receipt, digest="")):
            faults.append(f"receipt {receipt.id} (place {receipt.seq}) was altered after it was written")
        if receipt.previous_digest != (previous.digest if previous else ""):
            faults.append(f"receipt {receipt.id} (place {receipt.seq}) does not continue the one before it")
        previous = receipt
    standing = {receipt.seq: receipt.digest for receipt in receipts}
    for seq, seen in witnessed:
        if standing.get(seq) != seen:
            what = "is gone" if seq not in standing else "is not the one that was written"
            faults.append(f"the receipt at place {seq} {what}: the event log holds another digest")
    return ChainCheck(len(receipts), tuple(faults))


async def check_store(store: Store) -> ChainCheck:
    """Check the chain in the store against itself and against the event log."""
    witnessed: list[tuple[int, str]] = []
    events = await store.events.tail(100_000, kinds=("change.",))
    for event in events:
        seq, seen = event.data.get("seq"), event.data.get("digest")
        if isinstance(seq, int) and isinstance(seen, str) and event.data.get("receipt"):
            witnessed.append((seq, seen))
    return verify_chain(await store.receipts.list(), witnessed)
