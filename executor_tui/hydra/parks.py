"""What is set aside, for how long and how surely.

A park is never shortened by a shorter one. When a guess ends, one call is let through to see (half-open) and the next guess is longer. A
length of time that a provider named, or that we guessed, runs on the monotonic clock. The end of a provider's window (midnight) is a
wall-clock time: should the two clocks disagree about it because one was set, neither is believed and a single probe decides.
"""

from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass
from math import inf
from typing import NamedTuple

from executor_tui.domain.ids import Rng
from executor_tui.domain.key import Park, ParkScope, ParkSource
from executor_tui.hydra.blocked import Blocked
from executor_tui.hydra.moment import Moment

CLOCK_SLACK_S = 2.0
"""Two clocks this close agree."""
FIRST_RECHECK_S, LONGEST_RECHECK_S = 60.0, 3_600.0
REMEMBERED = 10_000
"""Ended parks remembered, so that the store, read by a clock that was set back, does not bring them to life again."""
FORGET_AFTER = 4.0
"""Strikes are forgotten when nothing happened for this many times the last park."""


class ParkKey(NamedTuple):
    """What is parked. `pool_id` may be `provider/*`: every quota pool of a provider."""

    scope: ParkScope
    pool_id: str
    model_id: str
    key_id: str

    @staticmethod
    def of(park: Park) -> "ParkKey":
        return ParkKey(park.scope, park.pool_id, park.model_id, park.key_id)


@dataclass(slots=True)
class _Standing:
    park: Park
    ends_s: float
    blocked: Blocked
    saved: bool = False
    probing: bool = False
    recheck_s: float = FIRST_RECHECK_S
    recheck_at_s: float = -inf


@dataclass(slots=True)
class _Strikes:
    count: int
    last_s: float
    length_s: float


Found = Blocked | ParkKey | None
"""Held, or free to be probed by one call (the key to tell the outcome under), or free."""


class ParkBook:
    """Every park in force in this process. `rng` spreads guesses a little, so that many do not end together."""

    def __init__(self, rng: Rng) -> None:
        self._standing: dict[ParkKey, _Standing] = {}
        self._strikes: dict[ParkKey, _Strikes] = {}
        self._misses: dict[ParkKey, tuple[int, float]] = {}
        self._ended: dict[str, None] = {}
        self._rng = rng

    def __len__(self) -> int:
        return len(self._standing)

    def find(self, key: ParkKey, now: Moment) -> Found:
        """Whether something is set aside now."""
        standing = self._standing.get(key)
        if standing is None:
            return None
        if standing.probing:
            return Blocked("one call is finding out whether it works again", on_release=True)
        park, mono_over = standing.park, now.mono_s >= standing.ends_s
        if park.source is ParkSource.GUESS:
            return key if mono_over else standing.blocked
        if park.source is ParkSource.COMPUTED and park.ends_at is not None:
            wall_left_s = (park.ends_at - now.wall).total_seconds()
            apart_s = abs(wall_left_s - (standing.ends_s - now.mono_s))
            if apart_s > CLOCK_SLACK_S and mono_over != (wall_left_s <= 0):
                return self._recheck(key, standing, now)
        if not mono_over:
            return standing.blocked
        self._end(key)
        return None

    def _end(self, key: ParkKey) -> Park:
        """It is over, whatever a clock that was set back may say of it later."""
        park = self._standing.pop(key).park
        self._ended[park.id] = None
        if len(self._ended) > REMEMBERED:
            del self._ended[next(iter(self._ended))]
        return park

    def _recheck(self, key: ParkKey, standing: _Standing, now: Moment) -> Found:
        if now.mono_s >= standing.recheck_at_s:
            return key
        return Blocked(standing.blocked.reason + " (the clocks disagree)", standing.recheck_at_s)

    # -- probing

    def begin_probe(self, key: ParkKey) -> None:
        """One call is on its way to see; others stay out until it is back."""
        if (standing := self._standing.get(key)) is not None:
            standing.probing = True

    def end_probe(self, key: ParkKey, now: Moment) -> None:
        """The probe is back without a verdict; `succeeded` or a new park come first if there was one."""
        if (standing := self._standing.get(key)) is not None and standing.probing:
            standing.probing = False
            standing.recheck_at_s = now.mono_s + standing.recheck_s
            standing.recheck_s = min(2 * standing.recheck_s, LONGEST_RECHECK_S)

    def succeeded(self, keys: Iterable[ParkKey]) -> tuple[Park, ...]:
        """A call went through all of these: what was only being probed is free. Returns the parks that ended."""
        if not (self._standing or self._strikes or self._misses):
            return ()
        ended = []
        for key in keys:
            self._misses.pop(key, None)
            standing = self._standing.get(key)
            if standing is None:
                self._strikes.pop(key, None)
            elif standing.probing:
                ended.append(self._end(key))
                self._strikes.pop(key, None)
        return tuple(ended)

    # -- parking

    def missed(self, key: ParkKey, enough: int, within_s: float, now: Moment) -> bool:
        """Count a failure that is not worth a park by itself. True once there were `enough` in a row, each `within_s` of the last."""
        count, last_s = self._misses.get(key, (0, now.mono_s))
        count = 1 if now.mono_s - last_s > within_s else count + 1
        self._misses[key] = (count, now.mono_s)
        return count >= enough

    def guess_s(self, key: ParkKey, base_s: float, cap_s: float, now: Moment) -> float:
        """How long to park without being told: twice as long each time in a row, ±10 %."""
        standing = self._standing.get(key)
        if standing is not None and not standing.probing and standing.ends_s > now.mono_s:
            return standing.ends_s - now.mono_s  # calls sent together fail together: one strike
        strikes = self._strikes.get(key)
        if strikes is None or now.mono_s - strikes.last_s > FORGET_AFTER * strikes.length_s + base_s:
            strikes = _Strikes(0, now.mono_s, base_s)
        length_s = min(base_s * 2.0**strikes.count, cap_s) * (0.9 + self._rng(2001) / 10_000)
        self._strikes[key] = _Strikes(strikes.count + 1, now.mono_s, length_s)
        return length_s

    def strikes(self, key: ParkKey) -> int:
        """How many times in a row this was parked on a guess."""
        strikes = self._strikes.get(key)
        return strikes.count if strikes else 0

    def add(self, park: Park, now: Moment, *, saved: bool = False) -> Park:
        """Park. Returns what now stands: the given one, or an earlier one that lasts longer."""
        key = ParkKey.of(park)
        standing = self._standing.get(key)
        if standing is not None and standing.park.id == park.id:
            standing.saved = standing.saved or saved
            return standing.park  # its end on the monotonic clock was set when it began
        ends_s = _ends_s(park, now)
        if standing is not None and standing.ends_s >= ends_s and standing.ends_s > now.mono_s and not standing.probing:
            return standing.park
        self._standing[key] = _Standing(park, ends_s, Blocked(describe(park), ends_s), saved)
        return park

    def clear(self, park_id: str) -> Park | None:
        """Forget a park and the strikes that led to it."""
        for key, standing in list(self._standing.items()):
            if standing.park.id == park_id:
                self._end(key)
                self._strikes.pop(key, None)
                self._misses.pop(key, None)
                return standing.park
        return None

    def sync(self, in_store: Iterable[Park], cleared: Container[str], now: Moment) -> tuple[Park, ...]:
        """Take in the parks in force in the store, other processes' and the operator's, and the ids cleared there. Returns what ended."""
        gone = [standing.park for standing in self._standing.values() if standing.saved and standing.park.id in cleared]
        for park in gone:
            self.clear(park.id)
        for park in in_store:
            if park.id not in self._ended:
                self.add(park, now, saved=True)
        return tuple(gone)

    def in_force(self) -> Iterator[Park]:
        """Every park that has not been found over yet."""
        return (standing.park for standing in self._standing.values())


def _ends_s(park: Park, now: Moment) -> float:
    if park.ends_at is None:
        return inf
    left_s = (park.ends_at - now.wall).total_seconds()
    return now.mono_s + max(0.0, min(left_s, (park.ends_at - park.started_at).total_seconds()))


def describe(park: Park) -> str:
    """One phrase: why, and until when."""
    until = "until an operator clears it" if park.ends_at is None else f"until {park.ends_at:%Y-%m-%d %H:%M:%S} UTC"
    sure = {ParkSource.GUESS: " (a guess)", ParkSource.OPERATOR: " (by an operator)"}.get(park.source, "")
    return f"parked {until}: {str(park.reason).replace('_', ' ')}{sure}"
