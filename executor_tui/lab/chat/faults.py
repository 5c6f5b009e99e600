"""Bad days on request: the next answers of a fake server, in order."""

from collections import deque
from dataclasses import dataclass
from enum import StrEnum


class Fault(StrEnum):
    """`offline` drops the connection without an answer; `lost_answer` does the work, then drops it."""

    RATE_LIMITED = "rate_limited"
    CONFLICT = "conflict"
    UNAUTHORIZED = "unauthorized"
    GONE = "gone"
    SERVER_ERROR = "server_error"
    OFFLINE = "offline"
    LOST_ANSWER = "lost_answer"
    MIGRATED = "migrated"
    FORBIDDEN = "forbidden"


@dataclass(frozen=True, slots=True)
class Trouble:
    """One fault; `method` limits it to one method of the API, `value` is seconds for rate_limited, the new chat for migrated."""

    fault: Fault
    method: str = ""
    value: float = 0.0


class Troubles:
    """A queue of them, and one that may stand until it is lifted."""

    def __init__(self) -> None:
        self._next: deque[Trouble] = deque()
        self.standing: Trouble | None = None

    def add(self, fault: Fault, *, method: str = "", value: float = 0.0, times: int = 1) -> None:
        """The next `times` requests (of `method`, when given) meet this."""
        self._next.extend([Trouble(fault, method, value)] * times)

    def take(self, method: str) -> Trouble | None:
        """What this request meets."""
        if self.standing is not None and self.standing.method in ("", method):
            return self.standing
        for trouble in self._next:
            if trouble.method in ("", method):
                self._next.remove(trouble)
                return trouble
        return None
