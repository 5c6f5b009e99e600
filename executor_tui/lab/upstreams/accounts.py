"""Accounts and their quotas, as providers count them: per account and model, never per key."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

DayZone = Literal["utc", "pacific"]
_ZONES = {"utc": UTC, "pacific": ZoneInfo("America/Los_Angeles")}


@dataclass(frozen=True, slots=True)
class Quota:
    """Limits of one account and model; None is no limit."""

    rpm: int | None = None
    tpm: int | None = None
    rpd: int | None = None
    concurrent: int | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a provider says no. `kind` is a key of the flavour's table; `limit` the quota's kind; `resets_at` when it heals."""

    kind: str
    limit: str = ""
    value: int = 0
    resets_at: datetime | None = None
    model: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Standing:
    """What is left of one limit, for the rate-limit headers."""

    limit: int
    remaining: int
    resets_at: datetime


@dataclass(slots=True)
class _Window:
    ends_at: datetime
    used: int = 0


@dataclass(slots=True)
class Account:
    """One quota pool of a simulated provider. `models` lists what it may use; empty: everything."""

    name: str
    keys: tuple[str, ...]
    quotas: Mapping[str, Quota] = field(default_factory=dict)
    """By model id, `*` for the others."""
    balance_usd: float | None = None
    day: DayZone = "utc"
    models: tuple[str, ...] = ()
    _windows: dict[tuple[str, str], _Window] = field(default_factory=dict)
    _in_flight: dict[str, int] = field(default_factory=dict)

    def admit(self, model: str, tokens: int, now: datetime) -> Refusal | None:
        """Count a request, or say why not. A refused request uses nothing up."""
        if self.models and model not in self.models:
            return Refusal("forbidden_model", model=model)
        if self.balance_usd is not None and self.balance_usd <= 0:
            return Refusal("credit", model=model)
        quota = self.quota(model)
        if quota.concurrent is not None and self._in_flight.get(model, 0) >= quota.concurrent:
            return Refusal("rate_limited", "concurrent", quota.concurrent, now + timedelta(seconds=1), model)
        wanted = [("rpd", quota.rpd, 1), ("rpm", quota.rpm, 1), ("tpm", quota.tpm, tokens)]
        for kind, limit, amount in wanted:
            window = self._window(model, kind, now)
            if limit is not None and window.used + amount > limit:
                return Refusal("daily_quota" if kind == "rpd" else "rate_limited", kind, limit, window.ends_at, model)
        for kind, limit, amount in wanted:
            if limit is not None:
                self._window(model, kind, now).used += amount
        self._in_flight[model] = self._in_flight.get(model, 0) + 1
        return None

    def done(self, model: str) -> None:
        """A request that was admitted is over."""
        self._in_flight[model] = max(0, self._in_flight.get(model, 0) - 1)

    def exhaust(self, model: str, kind: str, now: datetime) -> None:
        """Use a window up, as if other programs of the account had."""
        limit = getattr(self.quota(model), kind)
        self._window(model, kind, now).used = limit if limit is not None else 0

    def quota(self, model: str) -> Quota:
        return self.quotas.get(model) or self.quotas.get("*") or Quota()

    def standing(self, model: str, now: datetime) -> dict[str, Standing]:
        """What is left, by kind, for the limits there are."""
        quota, found = self.quota(model), {}
        for kind in ("rpm", "tpm", "rpd"):
            limit = getattr(quota, kind)
            if limit is not None:
                window = self._window(model, kind, now)
                found[kind] = Standing(limit, max(0, limit - window.used), window.ends_at)
        return found

    def _window(self, model: str, kind: str, now: datetime) -> _Window:
        window = self._windows.get((model, kind))
        if window is None or now >= window.ends_at:
            ends_at = next_midnight(now, self.day) if kind == "rpd" else now + timedelta(seconds=60)
            window = self._windows[(model, kind)] = _Window(ends_at)
        return window


def next_midnight(now: datetime, day: DayZone) -> datetime:
    """The coming midnight of the provider's zone, in UTC; a day there may have 23 or 25 hours."""
    zone = _ZONES[day]
    tomorrow = now.astimezone(zone).date() + timedelta(days=1)
    return datetime.combine(tomorrow, time(), tzinfo=zone).astimezone(UTC)
