"""In which order things of equal right take their turn: round robin, random, least loaded. Each step costs the same at 10 and at 10,000.

`order()` yields members, best first, and may be left at any point; `took` and `gave_back` tell what became of it. Members are not changed
while an `order()` is being walked.
"""

from collections import OrderedDict
from collections.abc import Iterator
from typing import Literal, Protocol

from executor_tui.domain.ids import Rng

Strategy = Literal["round_robin", "random", "least_loaded"]


class Rotation(Protocol):
    """Who is next."""

    def add(self, name: str) -> None: ...

    def discard(self, name: str) -> None: ...

    def order(self) -> Iterator[str]: ...

    def took(self, name: str) -> None: ...

    def gave_back(self, name: str) -> None: ...

    def __len__(self) -> int: ...

    def __contains__(self, name: str) -> bool: ...


def rotation(strategy: Strategy, rng: Rng) -> Rotation:
    """A new, empty rotation of this kind; `rng` is used by `random` only."""
    if strategy == "least_loaded":
        return LeastLoaded()
    return RoundRobin() if strategy == "round_robin" else Random(rng)


class _Members:
    """A list with its index: add, remove and look up in constant time. Removal moves the last member into the gap."""

    def __init__(self) -> None:
        self._names: list[str] = []
        self._at: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._names)

    def __contains__(self, name: str) -> bool:
        return name in self._at

    def add(self, name: str) -> None:
        if name not in self._at:
            self._at[name] = len(self._names)
            self._names.append(name)

    def discard(self, name: str) -> None:
        at = self._at.pop(name, None)
        if at is None:
            return
        last = self._names.pop()
        if last != name:
            self._names[at], self._at[last] = last, at

    def gave_back(self, name: str) -> None:
        """Nothing to remember."""


class RoundRobin(_Members):
    """Each in turn."""

    def __init__(self) -> None:
        super().__init__()
        self._next = 0

    def order(self) -> Iterator[str]:
        count = len(self._names)
        for step in range(count):
            yield self._names[(self._next + step) % count]

    def took(self, name: str) -> None:
        if name in self._at:
            self._next = self._at[name] + 1


class Random(_Members):
    """Each with the same chance. The draw stands until somebody takes it, so that looking does not change what comes next."""

    def __init__(self, rng: Rng) -> None:
        super().__init__()
        self._rng = rng
        self._drawn: int | None = None

    def order(self) -> Iterator[str]:
        count = len(self._names)
        if not count:
            return
        if self._drawn is None or self._drawn >= count:
            self._drawn = self._rng(count)
        start = self._drawn
        for step in range(count):
            yield self._names[(start + step) % count]

    def took(self, name: str) -> None:
        self._drawn = None


class LeastLoaded:
    """Fewest in flight first; among equals, the one that has waited longest. Members sit in one queue per number in flight."""

    def __init__(self) -> None:
        self._load: dict[str, int] = {}
        self._away: dict[str, int] = {}
        self._queues: dict[int, OrderedDict[str, None]] = {}

    def __len__(self) -> int:
        return len(self._load)

    def __contains__(self, name: str) -> bool:
        return name in self._load

    def add(self, name: str) -> None:
        if name not in self._load:
            self._place(name, self._away.pop(name, 0))

    def discard(self, name: str) -> None:
        load = self._load.pop(name, None)
        if load is None:
            return
        self._leave(name, load)
        if load:
            self._away[name] = load

    def order(self) -> Iterator[str]:
        for load in sorted(self._queues):
            yield from self._queues[load]

    def took(self, name: str) -> None:
        self._move(name, +1)

    def gave_back(self, name: str) -> None:
        self._move(name, -1)

    def _move(self, name: str, by: int) -> None:
        load = self._load.get(name)
        if load is None:
            if (left := self._away.get(name, 0) + by) > 0:
                self._away[name] = left
            else:
                self._away.pop(name, None)
            return
        self._leave(name, load)
        self._place(name, max(0, load + by))

    def _place(self, name: str, load: int) -> None:
        self._load[name] = load
        self._queues.setdefault(load, OrderedDict())[name] = None

    def _leave(self, name: str, load: int) -> None:
        queue = self._queues[load]
        del queue[name]
        if not queue:
            del self._queues[load]
