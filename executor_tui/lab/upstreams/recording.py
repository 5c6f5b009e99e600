"""What arrived, for tests that count effects: every request, how it ended, and who waits for one."""

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(slots=True)
class Recorded:
    """One request as the provider saw it. `outcome`: "ok", a refusal's or fault's kind, or "client_gone"."""

    provider: str
    path: str
    account: str
    key: str
    model: str
    body: Mapping[str, Any]
    headers: Mapping[str, str]
    at: datetime
    status: int = 0
    outcome: str = ""


@dataclass(slots=True)
class Recording:
    """The newest `keep` requests and counts of all."""

    keep: int = 20_000
    outcomes: Counter[str] = field(default_factory=Counter)
    by_provider: Counter[tuple[str, str]] = field(default_factory=Counter)
    open: int = 0
    _requests: deque[Recorded] = field(default_factory=deque)
    _waiters: list[tuple[Callable[["Recording"], bool], asyncio.Event]] = field(default_factory=list)

    def begin(self, request: Recorded) -> None:
        self._requests.append(request)
        while len(self._requests) > self.keep:
            self._requests.popleft()
        self.open += 1
        self._tell()

    def end(self, request: Recorded, outcome: str, status: int) -> None:
        """The request is over; the first outcome stands."""
        if not request.outcome:
            request.outcome, request.status = outcome, status
            self.outcomes[outcome] += 1
            self.by_provider[(request.provider, outcome)] += 1
            self.open -= 1
            self._tell()

    def requests(self, provider: str = "", model: str = "", path: str = "") -> list[Recorded]:
        """Matching requests, oldest first."""
        given = (("provider", provider), ("model", model), ("path", path))
        return [r for r in self._requests if all(not value or getattr(r, name) == value for name, value in given)]

    def refused(self, provider: str = "") -> int:
        """How many calls came back as a limit or a lack of credit: calls that should not have been sent."""
        kinds = ("rate_limited", "daily_quota", "credit")
        return sum(n for (name, outcome), n in self.by_provider.items() if outcome in kinds and provider in ("", name))

    async def until(self, seen: Callable[["Recording"], bool]) -> None:
        """Wait until `seen(recording)` holds; wrap it in a timeout of your own."""
        if seen(self):
            return
        event = asyncio.Event()
        self._waiters.append((seen, event))
        await event.wait()

    def _tell(self) -> None:
        for waiter in [w for w in self._waiters if w[0](self)]:
            self._waiters.remove(waiter)
            waiter[1].set()
