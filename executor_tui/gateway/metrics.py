"""What Prometheus reads at /metrics. Labels are models, providers and quota pools: no key, no token, nothing a client sent."""

from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from executor_tui.domain.call import Attempt
from executor_tui.domain.key import FailureClass, Park
from executor_tui.hydra.providers.base import Usage
from executor_tui.hydra.request import Grant

_LATENCY_S = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)
_LIMITS_MET = frozenset({FailureClass.RATE_LIMITED.value, FailureClass.QUOTA_EXHAUSTED.value})


class _Route:
    """The figures of one model at one quota pool, looked up once instead of at every call."""

    def __init__(self, calls: Callable[[str], Counter], tokens: tuple[Counter, ...], cost: Counter, latency: Histogram) -> None:
        self._calls, self._by_outcome = calls, dict[str, Counter]()
        self.tokens, self.cost, self.latency = tokens, cost, latency

    def ended(self, outcome: str) -> Counter:
        found = self._by_outcome.get(outcome)
        if found is None:
            found = self._by_outcome[outcome] = self._calls(outcome)
        return found


class Metrics:
    """One registry per gateway, so that several can live in one process."""

    def __init__(self) -> None:
        self.registry = r = CollectorRegistry()
        self._routes: dict[tuple[str, str, str], _Route] = {}
        self._tried: dict[tuple[str, ...], Counter] = {}
        by_route = ("model", "provider", "pool")
        self._calls = Counter("executor_calls", "Requests by how they ended.", ("model", "provider", "pool", "outcome"), registry=r)
        self._attempts = Counter("executor_attempts", "Attempts at one route each.", (*by_route, "outcome"), registry=r)
        self._limits = Counter("executor_limits_met", "Attempts refused for a limit (429).", by_route, registry=r)
        self._fallbacks = Counter(
            "executor_fallbacks", "Requests served by another model than the first tried.", ("wanted", "served"), registry=r
        )
        self._tokens = Counter("executor_tokens", "Tokens by kind.", (*by_route, "kind"), registry=r)
        self._cost = Counter("executor_cost_usd", "What calls cost.", by_route, registry=r)
        self._latency = Histogram("executor_latency_seconds", "Whole requests.", ("model", "pool"), buckets=_LATENCY_S, registry=r)
        self._first = Histogram(
            "executor_first_token_seconds", "Until the first content of a stream.", ("model",), buckets=_LATENCY_S, registry=r
        )
        self._in_flight = Gauge("executor_in_flight", "Requests being served.", registry=r)
        self._parks = Gauge("executor_parks", "Parks in force.", ("pool", "model", "reason"), registry=r)

    def began(self) -> None:
        self._in_flight.inc()

    def ended(self) -> None:
        self._in_flight.dec()

    def served(self, grant: Grant, trail: tuple[Attempt, ...], outcome: str, usage: Usage, cost_usd: float, duration_s: float) -> None:
        """A request that was answered, wholly or in part."""
        at = (grant.model.id, grant.route.provider, grant.key.pool_id)
        route = self._routes.get(at) or self._route(at)
        route.ended(outcome).inc()
        self._attempted(trail)
        wanted = trail[0].model_id if trail else grant.model.id
        if wanted != grant.model.id:
            self._fallbacks.labels(wanted, grant.model.id).inc()
        kinds = (usage.input_tokens, usage.output_tokens, usage.cache_read_tokens, usage.cache_write_tokens)
        for counter, amount in zip(route.tokens, kinds, strict=True):
            if amount:
                counter.inc(amount)
        if cost_usd > 0:
            route.cost.inc(cost_usd)
        route.latency.observe(duration_s)

    def _route(self, at: tuple[str, str, str]) -> "_Route":
        tokens = tuple(self._tokens.labels(*at, kind) for kind in ("input", "output", "cache_read", "cache_write"))
        latency = self._latency.labels(at[0], at[2])
        made = self._routes[at] = _Route(lambda outcome: self._calls.labels(*at, outcome), tokens, self._cost.labels(*at), latency)
        return made

    def first_token(self, grant: Grant, seconds: float) -> None:
        self._first.labels(grant.model.id).observe(seconds)

    def unserved(self, trail: tuple[Attempt, ...], code: str) -> None:
        """A request that nothing answered."""
        last = trail[-1] if trail else None
        self._calls.labels(last.model_id if last else "", last.provider if last else "", "", code).inc()
        self._attempted(trail)

    def parked(self, parks: Iterable[Park]) -> None:
        """The parks in force now."""
        self._parks.clear()
        for park in parks:
            self._parks.labels(park.pool_id, park.model_id, str(park.reason)).set(1)

    def render(self) -> tuple[bytes, str]:
        """The text and its content type."""
        return generate_latest(self.registry), CONTENT_TYPE_LATEST

    def _attempted(self, trail: tuple[Attempt, ...]) -> None:
        for attempt in trail:
            at = (attempt.model_id, attempt.provider, attempt.pool_id, attempt.outcome)
            counter = self._tried.get(at)
            if counter is None:
                counter = self._tried[at] = self._attempts.labels(*at)
            counter.inc()
            if attempt.outcome in _LIMITS_MET:
                self._limits.labels(attempt.model_id, attempt.provider, attempt.pool_id).inc()
