"""What brings the node down: work that was in progress, at the same place, at each of several crashes in a row.

Work that moved on between two crashes is not the culprit of both, so its count starts again; a power cut is nobody's fault.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from executor_tui.domain.recovery import OutageKind

QUARANTINE_AFTER = 3


@dataclass(frozen=True, slots=True)
class Suspect:
    """`work` is `project:<id>` or `change:<id>`, `at` where it stood, `crashes` how many times running the node went down with it there."""

    work: str
    at: str
    crashes: int


def count(before: Sequence[Suspect], in_progress: Mapping[str, str], kind: OutageKind) -> tuple[Suspect, ...]:
    """The suspects after an outage, given those before it and the work in progress (work → where it stands)."""
    if kind in (OutageKind.FIRST_START, OutageKind.CLEAN_STOP):
        return ()
    known = {s.work: s for s in before}
    after = []
    for work, at in sorted(in_progress.items()):
        old = known.get(work)
        crashes = old.crashes if old is not None and old.at == at else 0
        if kind is OutageKind.CRASH:
            crashes += 1
        if crashes:
            after.append(Suspect(work, at, crashes))
    return tuple(after)


def guilty(suspects: Sequence[Suspect], limit: int = QUARANTINE_AFTER) -> tuple[str, ...]:
    """Work to be quarantined; none when `limit` is 0."""
    return tuple(s.work for s in suspects if limit and s.crashes >= limit)
