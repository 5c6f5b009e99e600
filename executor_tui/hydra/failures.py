"""The failure table: what a provider's refusal means, what to set aside for how long, and what to do next.

`classify` walks RULES from the top; the first that fits decides. A rule is a row: when → class, what is parked, until when. ACTIONS is the
second table: class → what the router does. Nothing else in the program interprets a failure.

Sources: ai.google.dev/gemini-api/docs/rate-limits and google.rpc.QuotaFailure; docs.anthropic.com/en/api/errors;
platform.openai.com/docs/guides/error-codes; openrouter.ai/docs/api-reference/errors; opencode.ai/docs/zen; and answers as measured.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from executor_tui.domain.key import FailureClass, ParkSource
from executor_tui.hydra.durations import moment
from executor_tui.hydra.learn import Learned
from executor_tui.hydra.providers.base import Facts
from executor_tui.hydra.signals import Signals, read
from executor_tui.hydra.windows import DailyReset, day_of, month_end

F = FailureClass
HOUR_S, DAY_S = 3_600.0, 86_400.0
SHORTEST_S = 1.0
JUST_RESET_S = 300.0
"""A daily refusal this soon after the reset says that the provider's clock and ours differ, not that a day's quota is gone."""


class Reach(StrEnum):
    """What a park takes out: one key, a whole quota pool, one model of it, or one model at every pool of the provider."""

    KEY = "key"
    POOL = "pool"
    MODEL = "model"
    ROUTE = "route"


@dataclass(frozen=True, slots=True)
class ParkOrder:
    """What to set aside. `for_s` or `ends_at` when known; else a guess starting at `base_s`, doubling up to `cap_s`.

    `after`: only once this many such failures came in a row.
    """

    reach: Reach
    source: ParkSource
    for_s: float | None = None
    ends_at: datetime | None = None
    base_s: float = 0.0
    cap_s: float = 0.0
    after: int = 1


@dataclass(frozen=True, slots=True)
class Verdict:
    """A failure understood. `rule` names the row of the table; `message` is the provider's own sentence, shortened."""

    failure: FailureClass
    rule: str
    message: str
    park: ParkOrder | None = None
    learned: tuple[Learned, ...] = ()


# -- until when

Until = Callable[[Signals, datetime, DailyReset, Reach], ParkOrder | None]


def not_at_all(_s: Signals, _now: datetime, _reset: DailyReset, _reach: Reach) -> None:
    return None


def guess(base_s: float, cap_s: float, after: int = 1) -> Until:
    """Nobody said: try again after `base_s`, then twice that, up to `cap_s`."""
    return lambda s, now, reset, reach: ParkOrder(reach, ParkSource.GUESS, base_s=base_s, cap_s=cap_s, after=after)


def told_or(otherwise: Until) -> Until:
    """As long as the provider said, where it did."""

    def until(s: Signals, now: datetime, reset: DailyReset, reach: Reach) -> ParkOrder | None:
        if s.hint_s is None:
            return otherwise(s, now, reset, reach)
        return ParkOrder(reach, ParkSource.PROVIDER, for_s=max(s.hint_s, SHORTEST_S))

    return until


def next_day(zone: DailyReset | None = None) -> Until:
    """To the end of the provider's day (`zone` overrules its setting)."""

    def until(s: Signals, now: datetime, reset: DailyReset, reach: Reach) -> ParkOrder:
        day = zone or reset
        window = day_of(day, now)
        if day == "rolling" or (now - window.start).total_seconds() < JUST_RESET_S:
            return ParkOrder(reach, ParkSource.GUESS, base_s=HOUR_S if day == "rolling" else 60.0, cap_s=6 * HOUR_S)
        return ParkOrder(reach, ParkSource.COMPUTED, ends_at=window.end)

    return until


def next_month(_s: Signals, now: datetime, _reset: DailyReset, reach: Reach) -> ParkOrder:
    return ParkOrder(reach, ParkSource.COMPUTED, ends_at=month_end(now))


_REGAIN = re.compile(r"regain access on (\d{4}-\d\d-\d\d)(?: at (\d\d:\d\d))?")


def date_in_words(s: Signals, now: datetime, reset: DailyReset, reach: Reach) -> ParkOrder:
    """ "You will regain access on 2026-12-01 at 00:00 UTC": Anthropic's spend limit."""
    found = _REGAIN.search(s.words)
    at = moment(f"{found.group(1)}T{found.group(2) or '00:00'}:00+00:00") if found else None
    if at is None or at <= now:
        return next_month(s, now, reset, reach)
    return ParkOrder(reach, ParkSource.COMPUTED, ends_at=min(at, now + timedelta(days=366)))


# -- the table

When = Callable[[Signals], bool]


@dataclass(frozen=True, slots=True)
class Rule:
    name: str
    when: When
    failure: FailureClass
    reach: Reach | None = None
    until: Until = not_at_all


def status(*codes: int) -> When:
    return lambda s: s.status in codes


def named(*names: str) -> When:
    return lambda s: s.named(*names)


def says(*phrases: str) -> When:
    return lambda s: s.says(*phrases)


def either(*whens: When) -> When:
    return lambda s: any(when(s) for when in whens)


def both(*whens: When) -> When:
    return lambda s: all(when(s) for when in whens)


def _kind(kind: str, *where: str) -> When:
    return lambda s: s.facts.kind == kind and (not where or s.facts.where in where)


def _google(test: Callable[[Signals], bool]) -> When:
    return lambda s: bool(s.violations) and test(s)


_refused_400 = status(400, 404, 413, 422)
_limit_429 = either(status(429), named("resource_exhausted", "rate_limit_error", "rate_limit_exceeded"))
_TOO_LONG = (
    "maximum context length", "context length exceeded", "context_length_exceeded", "context window", "prompt is too long",
    "input token count", "exceeds the maximum number of tokens", "exceed_context_size", "exceeds the available context size",
    "reduce the length of the messages", "input is too long", "too many input tokens", "maximum input length",
)  # fmt: skip
_FILTERED = (
    "content_filter", "content_policy_violation", "responsibleaipolicyviolation", "moderation_blocked", "prohibited_content",
    "content management policy", "flagged_input", "blocked by our safety", "data_inspection_failed",
)  # fmt: skip
_NO_SUCH_MODEL = (
    "model_not_found", "does not exist or you do not have access", "is not found for api version", "no endpoints found",
    "not a valid model id", "does not have access to model", "unknown model", "model not found", "is not supported for generatecontent",
)  # fmt: skip

RULES: tuple[Rule, ...] = (
    # What never became an answer
    Rule("no connection", _kind("network"), F.NETWORK, Reach.ROUTE, guess(5, 120, after=2)),
    Rule("no connection in time", _kind("timeout", "connect"), F.TIMEOUT, Reach.ROUTE, guess(10, 300)),
    Rule("silent before the first byte", _kind("timeout", "first_token"), F.TIMEOUT, Reach.ROUTE, guess(30, 600)),
    Rule("stalled or out of time", _kind("timeout"), F.TIMEOUT),
    Rule("ended without its end marker", _kind("stream", "truncated"), F.TRUNCATED),
    Rule("malformed stream", _kind("stream", "malformed"), F.SERVER),
    # OpenCode Zen's own error types
    Rule("free tier is for the opencode program only", says("freetiererror"), F.FORBIDDEN_MODEL, Reach.MODEL, guess(DAY_S, 7 * DAY_S)),
    Rule("free usage spent", says("freeusagelimiterror"), F.QUOTA_EXHAUSTED, Reach.MODEL, told_or(next_day("utc"))),
    Rule("monthly limit of the workspace", says("monthlylimiterror"), F.QUOTA_EXHAUSTED, Reach.POOL, told_or(next_month)),
    Rule("no credits", says("creditserror"), F.CREDIT, Reach.POOL, guess(HOUR_S, DAY_S)),
    # Google's quota details: the quotaId is to be trusted, the retryDelay of a daily one is not
    Rule("no quota of this kind at all", either(_google(lambda s: any(v.none_at_all for v in s.violations)),
         both(named("resource_exhausted"), says("limit: 0"))), F.FORBIDDEN_MODEL, Reach.MODEL, guess(DAY_S, 7 * DAY_S)),
    Rule("daily quota of the project", _google(lambda s: any(v.per_day for v in s.violations)),
         F.QUOTA_EXHAUSTED, Reach.MODEL, next_day("pacific")),
    Rule("minute quota of the project", _google(lambda s: True), F.RATE_LIMITED, Reach.MODEL, told_or(guess(30, 300))),
    # Money
    Rule("out of quota until paid", named("insufficient_quota", "billing_hard_limit_reached", "billing_not_active", "billing_error"),
         F.CREDIT, Reach.POOL, guess(HOUR_S, DAY_S)),
    Rule("spend limit of the organisation", says("regain access on"), F.QUOTA_EXHAUSTED, Reach.POOL, date_in_words),
    Rule("payment required", either(status(402), says("credit balance is too low", "insufficient credits", "insufficient balance")),
         F.CREDIT, Reach.POOL, guess(HOUR_S, DAY_S)),
    # The request itself
    Rule("larger than this account's minute", both(status(413), says("tokens per minute", "rate_limit_exceeded")), F.CONTEXT_LENGTH),
    Rule("too long for the model", either(named("context_length_exceeded", "exceed_context_size_error", "string_above_max_length"),
         both(_refused_400, says(*_TOO_LONG))), F.CONTEXT_LENGTH),
    Rule("content filter", either(named(*_FILTERED), both(status(400, 403, 451), says(*_FILTERED))), F.CONTENT_FILTER),
    # The key
    Rule("key not valid", either(status(401), named("authentication_error", "invalid_api_key", "api_key_invalid", "unauthenticated",
         "account_deactivated", "consumer_suspended"), says("api key not valid", "api key expired", "incorrect api key")),
         F.AUTH, Reach.KEY, guess(600, DAY_S)),
    # The model
    Rule("model not open to this project", either(named("permission_error", "permission_denied", "model_not_allowed", "service_disabled"),
         both(status(403), says(*_NO_SUCH_MODEL)), says("user location is not supported")),
         F.FORBIDDEN_MODEL, Reach.MODEL, guess(HOUR_S, DAY_S)),
    Rule("no such model here", either(status(404, 410), both(_refused_400, says(*_NO_SUCH_MODEL))),
         F.FORBIDDEN_MODEL, Reach.ROUTE, guess(300, 6 * HOUR_S)),
    Rule("forbidden", status(403), F.AUTH, Reach.KEY, guess(600, DAY_S)),
    # Capacity, which no other key of the provider cures
    Rule("overloaded", either(named("overloaded_error", "engine_overloaded", "server_overloaded", "slow_down", "unavailable"), status(529),
         both(status(429, 500, 502, 503), says("overloaded", "no capacity available", "temporarily rate-limited upstream",
              "unavailable\"", "at capacity")), both(_kind("stream"), says("overloaded"))),
         F.OVERLOADED, Reach.ROUTE, guess(5, 120, after=2)),
    # Limits
    Rule("daily limit", both(_limit_429, says("per day", "per-day", "(rpd)", "(tpd)", "daily")),
         F.QUOTA_EXHAUSTED, Reach.MODEL, told_or(next_day())),
    Rule("rate limit", _limit_429, F.RATE_LIMITED, Reach.MODEL, told_or(guess(10, 300))),
    Rule("rate limit of OpenCode Zen", says("ratelimiterror"), F.RATE_LIMITED, Reach.MODEL, told_or(guess(10, 300))),
    # The rest by status
    Rule("timed out at the provider", status(408, 504, 524), F.TIMEOUT),
    Rule("unavailable", status(503), F.OVERLOADED, Reach.ROUTE, guess(5, 120, after=2)),
    Rule("server error", lambda s: s.status >= 500, F.SERVER, Reach.ROUTE, guess(5, 120, after=4)),
    Rule("conflict", status(409, 425), F.SERVER),
    Rule("malformed request", lambda s: 400 <= s.status < 500, F.BAD_REQUEST),
    Rule("bad request told in a stream", named("invalid_request_error", "invalid_argument"), F.BAD_REQUEST),
    Rule("unknown", lambda s: True, F.SERVER, Reach.ROUTE, guess(5, 120, after=4)),
)  # fmt: skip


def classify(facts: Facts, now: datetime, daily_reset: DailyReset = "utc") -> Verdict:
    """What a failure means. `now` is wall time; `daily_reset` the provider's setting."""
    signals = read(facts, now)
    rule = next(r for r in RULES if r.when(signals))
    park = rule.until(signals, now, daily_reset, rule.reach) if rule.reach is not None else None
    return Verdict(rule.failure, rule.name, signals.message, park, (*signals.learned, *_quota_values(signals)))


def _quota_values(s: Signals) -> Iterator[Learned]:
    """The limits that Google names in its refusal."""
    for violation in s.violations:
        if violation.value.isdigit() and int(violation.value) > 0:
            about = (violation.quota_id + violation.metric).lower()
            yield Learned(kind=("t" if "token" in about else "r") + ("pd" if violation.per_day else "pm"), limit=float(violation.value))


# -- what follows


class Next(StrEnum):
    """SAME: the same route again after a pause; KEY: another key, then another route; ROUTE: another provider's route, then another model;
    LARGER: a model with more room; GIVE_UP: the client gets the provider's answer."""

    SAME = "same"
    KEY = "key"
    ROUTE = "route"
    LARGER = "larger"
    GIVE_UP = "give_up"


@dataclass(frozen=True, slots=True)
class Action:
    """`tries` of the same route altogether, with pauses between, before going on to another route."""

    next: Next
    tries: int = 1


ACTIONS: dict[FailureClass, Action] = {
    F.RATE_LIMITED: Action(Next.KEY),
    F.QUOTA_EXHAUSTED: Action(Next.KEY),
    F.CREDIT: Action(Next.KEY),
    F.AUTH: Action(Next.KEY),
    F.FORBIDDEN_MODEL: Action(Next.KEY),
    F.OVERLOADED: Action(Next.ROUTE),
    F.TIMEOUT: Action(Next.ROUTE),
    F.NETWORK: Action(Next.SAME, tries=3),
    F.SERVER: Action(Next.SAME, tries=2),
    F.TRUNCATED: Action(Next.SAME, tries=2),
    F.CONTEXT_LENGTH: Action(Next.LARGER),
    F.CONTENT_FILTER: Action(Next.GIVE_UP),
    F.BAD_REQUEST: Action(Next.GIVE_UP),
}

FIRST_PAUSE_S, PAUSE_GROWTH = 0.1, 3.0


def pause_s(tries_so_far: int, jitter: float) -> float:
    """Before the next try of the same route: 0.1 s, 0.3 s, … times 0.5 to 1.5 (`jitter` in [0, 1))."""
    return FIRST_PAUSE_S * float(PAUSE_GROWTH ** (tries_so_far - 1)) * (0.5 + jitter)
