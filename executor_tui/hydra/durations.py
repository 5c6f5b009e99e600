"""The ways in which providers write a length of time or a moment, as seconds."""

import math
import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

MAX_S = 32 * 86_400.0
"""Longer than any provider's window (a month): more is taken for a mistake and cut."""

_GO_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|us|µs|ns|h|m|s|d)")
_GO_UNIT_S = {"d": 86_400.0, "h": 3_600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}


def bounded(seconds: float) -> float | None:
    """Between 0 and a month; None for what is not a number."""
    if math.isnan(seconds):
        return None
    return min(max(0.0, seconds), MAX_S)


def number(text: str) -> float | None:
    """A plain finite decimal number, or None."""
    try:
        value = float(text.strip())
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def go_duration(text: str) -> float | None:
    """`12ms`, `6m0s`, `1m12.5s`, `1h2m`: OpenAI's and Groq's form (pkg.go.dev/time#ParseDuration)."""
    text = text.strip()
    parts = _GO_PART.findall(text)
    if not parts or "".join(n + u for n, u in parts) != text:
        return None
    return bounded(sum(float(n) * _GO_UNIT_S[u] for n, u in parts))


def moment(text: str) -> datetime | None:
    """An RFC 3339 time or an HTTP date, as aware UTC."""
    text = text.strip()
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        try:
            found = parsedate_to_datetime(text)
        except (ValueError, TypeError, IndexError):
            return None
    try:
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except OverflowError:
        return None


def until(text: str, now: datetime) -> float | None:
    """Seconds from `now` to whatever `text` names: a number of seconds, a Go duration, an epoch in s or ms, a date."""
    value = number(text)
    if value is not None:
        return _from_number(value, now)
    if (duration := go_duration(text)) is not None:
        return duration
    at = moment(text)
    return None if at is None else bounded((at - now).total_seconds())


def _from_number(value: float, now: datetime) -> float | None:
    if value > 1e11:  # milliseconds since 1970, as OpenRouter gives them
        return bounded(value / 1e3 - now.timestamp())
    if value > 1e9:
        return bounded(value - now.timestamp())
    return bounded(value)
