"""Members taking turns, some of them resting until a known time. Choosing costs the same however many there are or rest."""

import heapq
from collections.abc import Iterator
from math import inf

from executor_tui.hydra.rotation import Rotation


class Turnstile:
    """A rotation of those that may be tried, and a heap of those that may not, by when they may again; brought up to date lazily."""

    def __init__(self, rotation: Rotation) -> None:
        self._ready = rotation
        self._resting: dict[str, float] = {}
        self._due: list[tuple[float, str]] = []
        self.endless = 0
        """How many rest until an event wakes them."""

    def __len__(self) -> int:
        return len(self._ready) + len(self._resting)

    def __contains__(self, name: str) -> bool:
        return name in self._ready or name in self._resting

    def add(self, name: str) -> None:
        """A new member, ready."""
        if name not in self:
            self._ready.add(name)

    def remove(self, name: str) -> None:
        self._ready.discard(name)
        self._leave(name)

    def rest(self, name: str, until_s: float) -> None:
        """Not before `until_s` (monotonic; inf: not before `wake`)."""
        if name in self._ready:
            self._ready.discard(name)
        elif not self._leave(name):
            return
        self._resting[name] = until_s
        if until_s < inf:
            heapq.heappush(self._due, (until_s, name))
        else:
            self.endless += 1

    def wake(self, name: str) -> bool:
        """Something changed: try this one again. True if it was resting."""
        if not self._leave(name):
            return False
        self._ready.add(name)
        return True

    def _leave(self, name: str) -> bool:
        until_s = self._resting.pop(name, None)
        if until_s == inf:
            self.endless -= 1
        return until_s is not None

    def order(self, now_s: float) -> Iterator[str]:
        """Those that may be tried now, best first. Do not change the turnstile while walking."""
        while self._due and self._due[0][0] <= now_s:
            until_s, name = heapq.heappop(self._due)
            if self._resting.get(name) == until_s:
                self.wake(name)
        return self._ready.order()

    def first_resting(self) -> tuple[str, float] | None:
        """The one that may be tried soonest and when (inf: only an event can tell), or None when nothing rests."""
        while self._due and self._resting.get(self._due[0][1]) != self._due[0][0]:
            heapq.heappop(self._due)
        if self._due:
            return self._due[0][1], self._due[0][0]
        name = next(iter(self._resting), None)
        return None if name is None else (name, inf)

    def took(self, name: str) -> None:
        self._ready.took(name)

    def gave_back(self, name: str) -> None:
        self._ready.gave_back(name)
