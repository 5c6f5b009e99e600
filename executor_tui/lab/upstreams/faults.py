"""What goes wrong, and when: a schedule of faults that the simulated providers consult for every request."""

import random
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

FaultKind = Literal[
    # answered with an error of the provider's own shape
    "overloaded", "server", "rate_limited", "daily_quota", "credit", "auth", "forbidden_model", "context_length", "content_filter",
    "bad_request", "monthly", "free_tier",
    # before an answer
    "silent", "reset", "latency", "redirect", "oversized", "not_json", "echo_key",
    # inside a stream; those marked * also work on a whole answer
    "error_first", "error_midway", "truncated", "malformed", "stalled", "reset_midway", "no_done", "empty",
]  # fmt: skip

REFUSALS = frozenset(
    ("overloaded", "server", "rate_limited", "daily_quota", "credit", "auth", "forbidden_model", "context_length", "content_filter",
     "bad_request", "monthly", "free_tier")
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong. It holds from `from_s` to `until_s` after the start, for `share` of the requests that match.

    `provider`, `model` and `account` empty match all; `times` bounds how often it strikes. `after_chunks` is how much of a stream comes
    through first, `delay_s` the pause of "latency", `retry_after_s` what a refusal says.
    """

    kind: FaultKind
    provider: str = ""
    model: str = ""
    account: str = ""
    from_s: float = 0.0
    until_s: float = float("inf")
    share: float = 1.0
    times: int | None = None
    after_chunks: int = 2
    delay_s: float = 0.0
    retry_after_s: float | None = None
    limit: str = ""
    limit_value: int = 10
    """What a refusal says the limit is; 0 as a provider says it of a model the account has no quota for at all."""


class Faults:
    """The schedule. `take` is asked once a request."""

    def __init__(self, faults: Iterable[Fault] = (), rng: random.Random | None = None) -> None:
        self._rng = rng or random.Random(0)
        self._entries: list[list[Fault | int]] = []
        for fault in faults:
            self.add(fault)

    def add(self, fault: Fault) -> None:
        """From now on, this too."""
        self._entries.append([fault, 0])

    def clear(self) -> None:
        """Everything works again."""
        self._entries.clear()

    def take(self, provider: str, model: str, account: str, elapsed_s: float) -> Fault | None:
        """The fault that strikes this request, the first that matches."""
        for entry in self._entries:
            fault, struck = entry
            assert isinstance(fault, Fault) and isinstance(struck, int)
            if fault.times is not None and struck >= fault.times:
                continue
            given = ((fault.provider, provider), (fault.model, model), (fault.account, account))
            if any(wanted and wanted != found for wanted, found in given) or not fault.from_s <= elapsed_s < fault.until_s:
                continue
            if fault.share < 1.0 and self._rng.random() >= fault.share:
                continue
            entry[1] = struck + 1
            return fault
        return None
