"""What reply headers say about limits, in one form.

Sources: docs.anthropic.com/en/api/rate-limits (anthropic-ratelimit-*), platform.openai.com/docs/guides/rate-limits (x-ratelimit-*-requests,
-tokens; Go durations), openrouter.ai/docs/api-reference/limits (X-RateLimit-*, epoch in ms), console.groq.com/docs/rate-limits,
the IETF draft ratelimit-headers.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from executor_tui.hydra.durations import moment, number, until
from executor_tui.hydra.windows import DAY_S, MINUTE_S

Headers = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Learned:
    """One dimension of what a provider counts. `dimension`: requests, tokens, input_tokens, output_tokens; "" when only the limit is known.

    `kind` names the limit of ours it tells (rpm, tpm, rpd, tpd), "" when its window cannot be told. `refills`: the allowance grows back
    steadily, so `resets_in_s` is when it is full again.
    """

    dimension: str = ""
    kind: str = ""
    limit: float | None = None
    remaining: float | None = None
    resets_in_s: float | None = None
    refills: bool = False


_ANTHROPIC = {"requests": ("requests", "rpm"), "tokens": ("tokens", ""), "input-tokens": ("input_tokens", ""),
              "output-tokens": ("output_tokens", "")}  # fmt: skip


def from_headers(headers: Headers, now: datetime) -> tuple[Learned, ...]:
    """Everything the headers (names in lower case) say. `now` is our wall clock; moments are read against the provider's own Date."""
    if not any("ratelimit" in name for name in headers):
        return ()
    server_now = moment(headers["date"]) if "date" in headers else None
    found = (*_anthropic(headers, server_now or now), *_named(headers, server_now or now), *_plain(headers, server_now or now))
    return tuple(learned for learned in found if learned.limit is not None or learned.remaining is not None)


def _anthropic(headers: Headers, now: datetime) -> Iterator[Learned]:
    for name, (dimension, kind) in _ANTHROPIC.items():
        limit, remaining, reset = (headers.get(f"anthropic-ratelimit-{name}-{part}", "") for part in ("limit", "remaining", "reset"))
        if limit or remaining:
            resets_in_s = until(reset, now) if reset else None
            yield Learned(dimension, kind, number(limit), number(remaining), resets_in_s, refills=True)


def _named(headers: Headers, now: datetime) -> Iterator[Learned]:
    for dimension in ("requests", "tokens"):
        for suffix, period_s in (("", None), ("-minute", MINUTE_S), ("-day", DAY_S)):
            part = {p: headers.get(f"x-ratelimit-{p}-{dimension}{suffix}", "") for p in ("limit", "remaining", "reset")}
            if not part["limit"] and not part["remaining"]:
                continue
            limit, remaining = number(part["limit"]), number(part["remaining"])
            resets_in_s = until(part["reset"], now) if part["reset"] else None
            kind = _kind(dimension, period_s or _period_s(limit, remaining, resets_in_s))
            yield Learned(dimension, kind, limit, remaining, resets_in_s)


def _plain(headers: Headers, now: datetime) -> Iterator[Learned]:
    for prefix in ("x-ratelimit-", "ratelimit-"):
        limit, remaining, reset = (headers.get(prefix + part, "") for part in ("limit", "remaining", "reset"))
        if limit or remaining:
            resets_in_s = until(reset, now) if reset else None
            left = number(remaining)
            total = number(limit.split(",")[0])
            kind = _kind("requests", _period_s(total, left, resets_in_s)) if prefix == "x-ratelimit-" else ""
            yield Learned("requests", kind, total, left, resets_in_s)


def _period_s(limit: float | None, remaining: float | None, resets_in_s: float | None) -> float | None:
    """How long the window is, where that can be told.

    A reset further away than an hour is a day's. An allowance that refills steadily gives its whole length away by how long the part
    already used takes; a window that resets at once can only look longer by that rule, never shorter, so a short one is never taken for
    a minute.
    """
    if resets_in_s is None:
        return None
    if resets_in_s > 3_600:
        return DAY_S
    if not limit or remaining is None or limit <= remaining:
        return None
    whole_s = resets_in_s * limit / (limit - remaining)
    if resets_in_s <= MINUTE_S:
        return MINUTE_S if whole_s >= 0.75 * MINUTE_S else None
    return DAY_S if 0.8 * DAY_S <= whole_s <= 1.2 * DAY_S else None


def _kind(dimension: str, period_s: float | None) -> str:
    if period_s is None:
        return ""
    return ("r" if dimension == "requests" else "t") + ("pm" if period_s == MINUTE_S else "pd")
