"""What one quota pool may still send to one model: requests and tokens per minute and per day, calls at once.

Reserved before a call, reconciled after. A minute is counted from the moment the provider answered, when it has surely counted the call, so
no 60 seconds of the provider's own clock can hold more than allowed, however long the call was on its way.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from math import inf

from executor_tui.hydra.blocked import Blocked
from executor_tui.hydra.learn import Learned
from executor_tui.hydra.moment import Moment
from executor_tui.hydra.windows import MINUTE_S, DailyReset, Window, day_of

KNOWN_FOR = timedelta(days=7)
"""A limit learned from a provider is believed for so long after it was last said: accounts are moved to other plans."""
WINDOW_SLACK_S = 0.05
"""Added to a minute, for the difference between the clocks' ticks."""


@dataclass(frozen=True, slots=True)
class Limits:
    """None: unknown, so not enforced until learned."""

    rpm: int | None = None
    tpm: int | None = None
    rpd: int | None = None
    tpd: int | None = None
    concurrent: int | None = None

    def with_learned(self, learned: Mapping[str, int]) -> "Limits":
        """These and what the provider said, the stricter of each."""
        lower: dict[str, int] = {}
        for kind, value in learned.items():
            configured: int | None = getattr(self, kind)
            lower[kind] = value if configured is None else min(configured, value)
        return replace(self, **lower)


@dataclass(frozen=True, slots=True)
class Need:
    """What one call will count as: `tokens` input and the output reckoned with, `input_tokens` the input alone."""

    tokens: int = 0
    input_tokens: int = 0


class Reservation:
    """One call's share of a bucket. Pending until the provider answers, then counted for a minute more."""

    __slots__ = ("day_end", "expires_s", "in_flight", "need", "pending", "tokens")

    def __init__(self, need: Need, day_end: datetime) -> None:
        self.need, self.tokens, self.day_end = need, need.tokens, day_end
        self.pending, self.in_flight, self.expires_s = True, True, inf


@dataclass(slots=True)
class Snapshot:
    """What the provider said is left in one dimension, less what we sent since. `refills`: it grows back steadily instead of at once."""

    limit: float | None
    remaining: float
    resets_s: float
    refills: bool
    at_s: float
    length_s: float = 0.0

    def available(self, now_s: float) -> float:
        if now_s >= self.resets_s:
            return inf
        if not self.refills or self.limit is None or self.resets_s <= self.at_s:
            return self.remaining
        return self.remaining + (self.limit - self.remaining) * (now_s - self.at_s) / (self.resets_s - self.at_s)

    def take(self, amount: float, now_s: float) -> None:
        """One more call of this amount is on its way."""
        available = self.available(now_s)
        if available != inf:
            self.remaining, self.at_s = available - amount, now_s if self.refills else self.at_s

    def ready_s(self, amount: float) -> float:
        """When `amount` will be available."""
        if not self.refills or self.limit is None or self.limit <= self.remaining:
            return self.resets_s
        share = (min(amount, self.limit) - self.remaining) / (self.limit - self.remaining)
        return self.at_s + max(0.0, share) * (self.resets_s - self.at_s)


class Bucket:
    """The counters of one (quota pool, model), or of all models that share a limit."""

    def __init__(self, limits: Limits, reset: DailyReset) -> None:
        self.configured, self.limits, self.reset = limits, limits, reset
        self.learned: dict[str, int] = {}
        self._learned_at: dict[str, datetime] = {}
        self.in_flight = 0
        self._pending = 0
        self._pending_tokens = 0
        self._answered: deque[Reservation] = deque()
        self._answered_tokens = 0
        self.day: Window | None = None
        self._day_end_s = -inf
        self.day_requests = 0
        self.day_tokens = 0
        self.snapshots: dict[str, Snapshot] = {}

    # -- asking

    def blocked(self, need: Need, now: Moment) -> Blocked | None:
        """Why a call of this size would be refused now, or None."""
        self._age(now)
        limits = self.limits
        if limits.concurrent is not None and self.in_flight >= limits.concurrent:
            return Blocked(f"{self.in_flight} calls in flight, {limits.concurrent} allowed at once", on_release=True)
        if limits.rpm is not None and self._pending + len(self._answered) >= limits.rpm:
            ready_s = self._answered[0].expires_s if self._answered else inf
            return Blocked(f"{limits.rpm} requests per minute reached", ready_s, on_release=not self._answered)
        if limits.rpd is not None and self.day_requests >= limits.rpd:
            return Blocked(f"{limits.rpd} requests per day reached", self._day_end_s)
        return self._tokens_blocked(need) or self._told_blocked(need, now)

    def _tokens_blocked(self, need: Need) -> Blocked | None:
        limits = self.limits
        if limits.tpm is not None and (blocked := self._minute_tokens_blocked(need, limits.tpm)):
            return blocked
        if limits.tpd is not None and self.day_tokens + need.tokens > limits.tpd:
            if need.input_tokens > limits.tpd:
                return Blocked(f"{need.input_tokens:,} tokens are more than the {limits.tpd:,} a day allowed", general=False, never=True)
            if self.day_tokens:
                full = self.day_tokens >= limits.tpd
                return Blocked(f"{limits.tpd:,} tokens per day reached", self._day_end_s, general=full)
        return None

    def _minute_tokens_blocked(self, need: Need, tpm: int) -> Blocked | None:
        used = self._pending_tokens + self._answered_tokens
        if used + need.tokens <= tpm:
            return None
        if need.input_tokens > tpm:
            return Blocked(f"{need.input_tokens:,} tokens are more than the {tpm:,} a minute allowed", general=False, never=True)
        if not used and not self._pending:
            return None  # larger than the window only by its allowance for output: it goes alone
        over = min(used + need.tokens - tpm, used)
        ready_s = self._freed_at(over)
        return Blocked(f"{tpm:,} tokens per minute reached", ready_s, general=used >= tpm, on_release=ready_s == inf)

    def _freed_at(self, tokens: int) -> float:
        for reservation in self._answered:
            tokens -= reservation.tokens
            if tokens <= 0:
                return reservation.expires_s
        return inf

    def _told_blocked(self, need: Need, now: Moment) -> Blocked | None:
        for dimension, told in self.snapshots.items():
            amount = _amount(dimension, need)
            available = told.available(now.mono_s)
            if available >= amount or (told.limit is not None and available >= told.limit):
                continue
            if dimension != "requests" and told.limit is not None and need.input_tokens > told.limit:
                return Blocked(f"{need.input_tokens:,} tokens are more than the {told.limit:,.0f} allowed", general=False, never=True)
            reason = f"the provider said {max(0, int(available)):,} {dimension.replace('_', ' ')} are left"
            return Blocked(reason, told.ready_s(amount), general=available < 1)
        return None

    # -- counting

    def reserve(self, need: Need, now: Moment) -> Reservation:
        """Count a call that is about to be sent."""
        self._age(now)
        if self.day is None:
            self._open_day(now)
        assert self.day is not None
        reservation = Reservation(need, self.day.end)
        self.in_flight += 1
        self._pending += 1
        self._pending_tokens += need.tokens
        self.day_requests += 1
        self.day_tokens += need.tokens
        for dimension, told in self.snapshots.items():
            told.take(_amount(dimension, need), now.mono_s)
        return reservation

    def answered(self, reservation: Reservation, now: Moment) -> None:
        """The provider has answered, with whatever: from now the call counts for a minute more. Only the first time."""
        if not reservation.pending:
            return
        reservation.pending = False
        self._pending -= 1
        self._pending_tokens -= reservation.tokens
        reservation.expires_s = now.mono_s + MINUTE_S + WINDOW_SLACK_S
        self._answered.append(reservation)
        self._answered_tokens += reservation.tokens

    def release(self, reservation: Reservation, now: Moment, tokens: int | None = None) -> None:
        """The call has ended; `tokens` is what it really took. Only the first time."""
        if not reservation.in_flight:
            return
        self._age(now)
        self.answered(reservation, now)
        reservation.in_flight = False
        self.in_flight -= 1
        if tokens is not None:
            change = tokens - reservation.tokens
            reservation.tokens = tokens
            if reservation.expires_s > now.mono_s:
                self._answered_tokens += change
            if self.day is not None and self.day.end == reservation.day_end:
                self.day_tokens = max(0, self.day_tokens + change)

    def unsend(self, reservation: Reservation, now: Moment) -> None:
        """The call never reached the provider (refused connection): it counts for nothing. Only the first time."""
        if not reservation.in_flight:
            return
        if not reservation.pending:
            self.release(reservation, now)
            return
        reservation.pending = reservation.in_flight = False
        self.in_flight -= 1
        self._pending -= 1
        self._pending_tokens -= reservation.tokens
        if self.day is not None and self.day.end == reservation.day_end:
            self.day_requests = max(0, self.day_requests - 1)
            self.day_tokens = max(0, self.day_tokens - reservation.tokens)
        for dimension, told in self.snapshots.items():
            told.take(-_amount(dimension, reservation.need), now.mono_s)

    # -- learning and restoring

    def learn(self, told: Learned, now: Moment) -> bool:
        """Take in what the provider said. True when a limit of ours changed."""
        if told.remaining is not None and told.resets_in_s is not None and told.dimension:
            self._take_snapshot(told, now)
        if not told.kind or told.limit is None or told.limit < 1:
            return False
        value = int(told.limit)
        self._learned_at[told.kind] = now.wall
        if self.learned.get(told.kind) == value:
            return False
        self.learned[told.kind] = value
        self.limits = self.configured.with_learned(self.learned)
        return True

    def forget_told(self) -> None:
        """Somebody knows better than what the provider last said is left. What we counted ourselves stays."""
        self.snapshots.clear()

    def configure(self, limits: Limits, reset: DailyReset) -> None:
        """New settings; what is counted and learned stays."""
        self.configured, self.reset = limits, reset
        self.limits = limits.with_learned(self.learned)

    def _take_snapshot(self, told: Learned, now: Moment) -> None:
        assert told.remaining is not None and told.resets_in_s is not None
        others = float(self._pending) if told.dimension == "requests" else float(self._pending_tokens)
        remaining, resets_s = told.remaining - others, now.mono_s + told.resets_in_s
        standing = self.snapshots.get(told.dimension)
        same_window = standing is not None and now.mono_s < standing.resets_s and resets_s <= standing.resets_s + 1.0
        if standing is not None and same_window and not told.refills:
            remaining = min(remaining, standing.remaining)
        length_s = max(told.resets_in_s, standing.length_s if standing is not None and same_window else 0.0)
        self.snapshots[told.dimension] = Snapshot(told.limit, remaining, resets_s, told.refills, now.mono_s, length_s)

    def restore_day(self, started_at: datetime, requests: int, tokens: int, now: Moment) -> None:
        """Go on counting a day begun before a restart, unless it is over."""
        window = day_of(self.reset, started_at)
        if window.holds(now.wall):
            self._open_day(now, window)
            self.day_requests, self.day_tokens = max(self.day_requests, requests), max(self.day_tokens, tokens)

    def fill_day(self, now: Moment) -> datetime:
        """The provider says the day's quota is spent, whatever we counted. Returns when the day ends."""
        self._age(now)
        if self.day is None:
            self._open_day(now)
        assert self.day is not None
        return self.day.end

    def _age(self, now: Moment) -> None:
        answered = self._answered
        while answered and answered[0].expires_s <= now.mono_s:
            self._answered_tokens -= answered.popleft().tokens
        if self.snapshots:
            for dimension in [d for d, told in self.snapshots.items() if now.mono_s >= told.resets_s]:
                self._renew(dimension, now)
        if self.day is not None and self._day_over(now):
            if self.reset == "rolling" and not self._pending:
                self.day, self.day_requests, self.day_tokens = None, 0, 0
                return
            self._forget(now)
            self._open_day(now)
            self.day_requests, self.day_tokens = self._pending, self._pending_tokens  # on their way: may be counted in the new day

    def _forget(self, now: Moment) -> None:
        for kind in [k for k, at in self._learned_at.items() if now.wall - at >= KNOWN_FOR]:
            del self._learned_at[kind], self.learned[kind]
        self.limits = self.configured.with_learned(self.learned)

    def _renew(self, dimension: str, now: Moment) -> None:
        # A window has started anew. Until the provider says more, it holds what the last one held: no burst into the unknown.
        told = self.snapshots.pop(dimension)
        ends_s = told.resets_s + told.length_s
        if told.limit is not None and not told.refills and ends_s > now.mono_s:
            pending = self._pending if dimension == "requests" else self._pending_tokens
            self.snapshots[dimension] = replace(told, remaining=told.limit - pending, resets_s=ends_s, at_s=now.mono_s)

    def _day_over(self, now: Moment) -> bool:
        # A wall clock set back does not keep a day open for longer than it lasts; one set forward ends it, as midnight does.
        assert self.day is not None
        return now.wall >= self.day.end or now.mono_s >= self._day_end_s

    def _open_day(self, now: Moment, window: Window | None = None) -> None:
        self.day = window or day_of(self.reset, now.wall)
        self._day_end_s = now.mono_s + (self.day.end - now.wall).total_seconds()


def _amount(dimension: str, need: Need) -> float:
    if dimension == "requests":
        return 1.0
    if dimension == "input_tokens":
        return float(need.input_tokens)
    return float(need.tokens - need.input_tokens) if dimension == "output_tokens" else float(need.tokens)
