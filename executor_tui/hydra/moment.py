"""One reading of both clocks: wall time for what providers and people name, monotonic time for how long ago and how much longer."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from executor_tui.domain.clock import Clock


@dataclass(frozen=True, slots=True)
class Moment:
    """`wall` is aware UTC; `mono_s` are seconds since an arbitrary point that never goes back."""

    wall: datetime
    mono_s: float

    @staticmethod
    def of(clock: Clock) -> "Moment":
        return Moment(clock.now(), clock.monotonic_s())

    def wall_at(self, mono_s: float) -> datetime:
        """The wall time at which the monotonic clock will show `mono_s`, if nobody sets the clock until then."""
        return self.wall + timedelta(seconds=mono_s - self.mono_s)
