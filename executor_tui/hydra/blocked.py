"""Why something cannot be used now, and when it can."""

from dataclasses import dataclass
from math import inf


@dataclass(frozen=True, slots=True)
class Blocked:
    """`ready_s` is the monotonic time from which it is worth asking again; `inf` when only an event can tell (a call ending, an operator).

    `general` blocks hold for every request; others only for one of this size. `never`: no waiting helps this request here.
    `on_release`: the end of a call in flight frees it.
    """

    reason: str
    ready_s: float = inf
    general: bool = True
    never: bool = False
    on_release: bool = False
