"""Which model, over which route, with which key: chosen from what is known now, with the reason for every candidate. No I/O."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from math import inf

from executor_tui.domain.key import Key
from executor_tui.domain.model import Complexity, Model, Route, Tier
from executor_tui.hydra.blocked import Blocked
from executor_tui.hydra.budgets import Over
from executor_tui.hydra.limits import Need
from executor_tui.hydra.moment import Moment
from executor_tui.hydra.pool import KeyPool
from executor_tui.hydra.registry import Registry
from executor_tui.hydra.request import RouteRequest
from executor_tui.hydra.search import KeyCheck, Pick

SURELY_TOO_LONG = 0.8
"""Our count of tokens may be a quarter too high; only what is too long even so is not sent."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One model over one route. `reason` says why it was chosen or passed over; `available_at` when it could serve, where that is known."""

    model: Model
    route: Route
    chosen: bool
    reason: str
    estimate_usd: float
    available_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Selection:
    """`model` is None when nothing can serve now. `needs_approval`: a person must consent before it is used."""

    model: Model | None
    route: Route | None
    key: Key | None
    estimate_usd: float
    needs_approval: bool
    candidates: tuple[Candidate, ...]


BudgetCheck = Callable[[float], Over | None]
"""Whether an estimate breaks a budget."""


class Selector:
    """Looks through the registry and the pool. Rebuilt when the configuration changes."""

    def __init__(self, registry: Registry, pool: KeyPool) -> None:
        self.registry, self.pool = registry, pool
        self._walks: dict[tuple[str, Complexity | None, tuple[str, ...] | None], tuple[Model, ...]] = {}

    def candidates(self, request: RouteRequest) -> tuple[Model, ...]:
        """The models this request may be served by, in order. Raises UsageError for a name nobody knows."""
        asked = (request.model, request.complexity, request.chain)
        found = self._walks.get(asked)
        if found is None:
            found = self.registry.candidates(*asked)
            if len(self._walks) < 10_000:
                self._walks[asked] = found
        return found

    def unfit(self, model: Model, request: RouteRequest, estimate_usd: float | None = None) -> str | None:
        """What this model lacks for this request, whatever its keys; None when it will do. `estimate_usd`: where it is known already."""
        if not request.needs <= model.capabilities:
            return "cannot do " + ", ".join(sorted(str(c) for c in request.needs - model.capabilities))
        if self.too_long(model, request):
            return f"too small: about {request.input_tokens:,} tokens asked, {model.context_tokens:,} fit"
        if request.budget_usd is not None:
            estimate = self.estimate_usd(model, request) if estimate_usd is None else estimate_usd
            if estimate > request.budget_usd:
                return f"estimated at ${estimate:.4f}, more than the ${request.budget_usd:.4f} allowed for this call"
        return None

    @staticmethod
    def too_long(model: Model, request: RouteRequest) -> bool:
        return request.input_tokens * SURELY_TOO_LONG > model.context_tokens

    @staticmethod
    def estimate_usd(model: Model, request: RouteRequest) -> float:
        """What the call will cost, by its own estimate of tokens."""
        return model.price.cost_usd(request.input_tokens, min(request.output_tokens, model.max_output_tokens))

    @staticmethod
    def need(model: Model, request: RouteRequest) -> Need:
        return Need(request.input_tokens + min(request.output_tokens, model.max_output_tokens), request.input_tokens)

    def routes(self, model: Model, request: RouteRequest) -> tuple[Route, ...]:
        if request.providers is None:
            return model.routes
        return tuple(route for route in model.routes if route.provider in request.providers)

    def find(
        self, model: Model, route: Route, request: RouteRequest, now: Moment, skip: frozenset[str] | set[str], key_check: KeyCheck | None
    ) -> Pick | Blocked:
        """A key for this model over this route, or why not."""
        return self.pool.find(
            route.provider, route.model_id, self.need(model, request), now,
            sticky=request.sticky, prefer_free=model.tier is Tier.FREE, skip=skip, key_check=key_check,
        )  # fmt: skip

    def select(
        self,
        request: RouteRequest,
        now: Moment,
        *,
        key_check: KeyCheck | None = None,
        over: BudgetCheck | None = None,
        explain: bool = False,
    ) -> Selection:
        """The first candidate that can serve. With `explain` those after it are looked at too, instead of being called not needed."""
        chosen: tuple[Model, Route, Key, float] | None = None
        found: list[Candidate] = []
        for model in self.candidates(request):
            estimate = self.estimate_usd(model, request)
            for route in self.routes(model, request):
                if chosen is not None and not explain:
                    found.append(Candidate(model, route, False, f"not needed, {chosen[0].id} comes first", estimate))
                    continue
                against = self._against(model, route, request, estimate, now, key_check, over)
                if isinstance(against, Pick) and chosen is None:
                    chosen = (model, route, against.key, estimate)
                    found.append(Candidate(model, route, True, _chosen_because(model), estimate))
                elif isinstance(against, Pick):
                    found.append(Candidate(model, route, False, f"ready, but {chosen[0].id if chosen else ''} comes first", estimate))
                else:
                    at = None if against.ready_s == inf else now.wall_at(against.ready_s)
                    found.append(Candidate(model, route, False, against.reason, estimate, at))
        if chosen is None:
            return Selection(None, None, None, 0.0, False, tuple(found))
        model, route, key, estimate = chosen
        return Selection(model, route, key, 0.0 if key.tier is Tier.FREE else estimate, model.tier is Tier.CRITICAL, tuple(found))

    def _against(
        self,
        model: Model,
        route: Route,
        request: RouteRequest,
        estimate: float,
        now: Moment,
        key_check: KeyCheck | None,
        over: BudgetCheck | None,
    ) -> Pick | Blocked:
        if (reason := self.unfit(model, request, estimate)) is not None:
            return Blocked(reason, never=True)
        if over is not None and (broken := over(estimate)) is not None:
            return Blocked(broken.message, never=True)
        return self.find(model, route, request, now, frozenset(), key_check)


def _chosen_because(model: Model) -> str:
    return "first that can serve; waits for your approval" if model.tier is Tier.CRITICAL else "first that can serve"
