"""Why something cannot be used now, and when it can."""

from dataclasses import dataclass, replace
from math import inf


@dataclass(frozen=True, slots=True)
class Blocked:
    """`ready_s` is the monotonic time from which it is worth asking again; `inf` when only an event can tell (a call ending, an operator).

    `general` blocks hold for every request; others only for one of this size. `never`: no waiting helps this request here.
    `on_release`: the end of a call in flight frees it. `vague`: stands until there is something to say; any other account is better.
    """

    reason: str
    ready_s: float = inf
    general: bool = True
    never: bool = False
    on_release: bool = False
    vague: bool = False

    def or_else(self, other: "Blocked") -> "Blocked":
        """Both at once: the one that says more (waiting helps before it does not, sooner before later), and whatever frees either."""
        if self.vague or other.vague:
            return self if other.vague else other
        if self.never != other.never:
            return other if self.never else self
        first = other if other.ready_s < self.ready_s else self
        if (self.on_release or other.on_release) and not first.on_release:
            return replace(first, on_release=True)
        return first
