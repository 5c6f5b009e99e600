"""Pulse: calls, errors, tokens, spend and parks over time, in equal slices."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from executor_tui.domain.key import Park

if TYPE_CHECKING:
    from executor_tui.store.store import Store

TOPICS = frozenset({"calls", "parks"})


@dataclass(frozen=True, slots=True)
class Range:
    """A span to look back over."""

    name: str
    seconds: int


STEPS = (30, 60, 120, 300, 600, 900, 1200, 1800, 3600, 7200, 10_800, 14_400, 21_600, 43_200, 86_400)
"""Lengths of a slice in seconds that divide a day, and read well."""

RANGES = (Range("hour", 3600), Range("6 hours", 6 * 3600), Range("24 hours", 86_400), Range("7 days", 7 * 86_400))


@dataclass(frozen=True, slots=True)
class PulseView:
    """Each series has one value a slice, oldest first; the last slice is still filling."""

    step_s: int
    since: datetime
    calls: tuple[float, ...]
    errors: tuple[float, ...]
    tokens: tuple[float, ...]
    spend_usd: tuple[float, ...]
    parks: tuple[float, ...]

    @property
    def quiet(self) -> bool:
        return not any(self.calls) and not any(self.parks)


async def fetch(store: "Store", span_s: int, slices: int, at: datetime | None = None) -> PulseView:
    """Slices begin at whole multiples of their length, so that a picture only moves when a slice is over."""
    now = at or store.clock.now()
    step = min(STEPS, key=lambda s: abs(s - span_s / max(1, slices)))
    slices = min(slices, -(-span_s // step))
    last = int(now.timestamp()) // step * step
    since = datetime.fromtimestamp(last - step * (slices - 1), UTC)
    until = since + timedelta(seconds=step * slices)
    found = await store.calls.spend_per(step, since, min(until, now) if at is not None else until)
    spends = [found.get(i) for i in range(slices)]
    parks = in_force(await store.parks.since(since), since, step, slices, now)
    spent = tuple(s.cost_usd if s else 0.0 for s in spends)
    return PulseView(
        step, since,
        tuple(float(s.calls) if s else 0.0 for s in spends), tuple(float(s.failed) if s else 0.0 for s in spends),
        tuple(float(s.input_tokens + s.output_tokens) if s else 0.0 for s in spends), spent, parks,
    )  # fmt: skip


def in_force(parks: tuple[Park, ...], since: datetime, step_s: int, slices: int, now: datetime) -> tuple[float, ...]:
    """How many parks stood in each slice."""
    counts = []
    for index in range(slices):
        start = since + timedelta(seconds=step_s * index)
        end = start + timedelta(seconds=step_s)
        counts.append(float(sum(p.started_at < end and _ended(p, now) > start for p in parks)) if start <= now else 0.0)
    return tuple(counts)


def _ended(park: Park, now: datetime) -> datetime:
    ends = [moment for moment in (park.ends_at, park.cleared_at) if moment is not None]
    return min([*ends, now + timedelta(seconds=1)])
