"""Windows in which providers count: the day where they say it starts, and the month."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

DailyReset = Literal["utc", "pacific", "rolling"]

PACIFIC = ZoneInfo("America/Los_Angeles")
"""Google's daily quotas start anew at midnight Pacific time, daylight saving included (ai.google.dev/gemini-api/docs/rate-limits)."""

DAY_S = 86_400.0
MINUTE_S = 60.0


@dataclass(frozen=True, slots=True)
class Window:
    """From `start` up to, not including, `end`; both UTC."""

    start: datetime
    end: datetime

    def holds(self, at: datetime) -> bool:
        return self.start <= at < self.end


def day_of(reset: DailyReset, at: datetime) -> Window:
    """The day that `at` falls in. A rolling day begins at `at`: call this with the moment of its first request.

    A Pacific day is 23 or 25 hours long when daylight saving begins or ends.
    """
    if reset == "rolling":
        return Window(at, at + timedelta(days=1))
    zone = PACIFIC if reset == "pacific" else UTC
    local = at.astimezone(zone)
    midnight = local.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    following = midnight + timedelta(days=1)  # wall arithmetic within the zone: the next local midnight, however long the day
    return Window(midnight.astimezone(UTC), following.astimezone(UTC))


def month_end(at: datetime) -> datetime:
    """Midnight UTC of the first of next month."""
    first = at.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return first.replace(year=first.year + 1, month=1) if first.month == 12 else first.replace(month=first.month + 1)
