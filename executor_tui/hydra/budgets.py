"""Budgets in USD and requests: per project, agent, key, virtual key and day. The estimate is checked first, the real cost settled after.

Kept in memory and equal to what the store says: what was spent when a scope was first asked for, plus what this process began and settled
since. Days begin at midnight UTC.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from executor_tui.config.general import Budgets
from executor_tui.hydra.request import RouteRequest


class Scope(NamedTuple):
    """Whose spending: `kind` project, agent, key, token or day; `day` is an ISO date, empty for all time."""

    kind: str
    id: str
    day: str = ""


@dataclass(frozen=True, slots=True)
class Cap:
    """A limit on a scope; None: none of that sort."""

    scope: Scope
    usd: float | None
    requests: int | None
    name: str


@dataclass(slots=True)
class _Figures:
    usd: float
    requests: int


@dataclass(frozen=True, slots=True)
class Over:
    """Which budget does not allow a call, and by how much. `until_day_end`: it allows it again tomorrow."""

    message: str
    until_day_end: bool


def day_name(at: datetime) -> str:
    return at.date().isoformat()


def caps_of(request: RouteRequest, budgets: Budgets, project_usd: float | None, now: datetime) -> tuple[Cap, ...]:
    """Every cap a request is under, those of a key apart. `project_usd` is the project's own budget, if it has one."""
    day = day_name(now)
    caps = [Cap(Scope("day", "", day), budgets.day_usd, budgets.day_requests, "the budget of the day")]
    if request.project_id:
        usd = budgets.project_usd if project_usd is None else project_usd
        caps.append(Cap(Scope("project", request.project_id), usd, budgets.project_requests, f"the budget of project {request.project_id}"))
    if request.agent_id:
        name = f"the budget of agent {request.agent_id} for the day"
        caps.append(Cap(Scope("agent", request.agent_id, day), budgets.agent_day_usd, budgets.agent_day_requests, name))
    if (token := request.token) is not None:
        caps.append(Cap(Scope("token", token.id), token.budget_usd, token.max_requests, f"the budget of virtual key {token.name}"))
    return tuple(cap for cap in caps if cap.usd is not None or cap.requests is not None)


def key_cap(key_id: str, budgets: Budgets, now: datetime) -> Cap | None:
    """The cap of one provider key, if keys have one."""
    if budgets.key_day_usd is None and budgets.key_day_requests is None:
        return None
    name = f"the budget of key {key_id} for the day"
    return Cap(Scope("key", key_id, day_name(now)), budgets.key_day_usd, budgets.key_day_requests, name)


class BudgetBook:
    """Spent and on its way, by scope."""

    def __init__(self) -> None:
        self._figures: dict[Scope, _Figures] = {}

    def known(self, scope: Scope) -> bool:
        return scope in self._figures

    def load(self, scope: Scope, usd: float, requests: int) -> None:
        """What the store says of a scope not known before; does nothing for one that is."""
        self._figures.setdefault(scope, _Figures(usd, requests))

    def set(self, scope: Scope, usd: float, requests: int) -> None:
        """What the store says now, everything of ours already in it."""
        self._figures[scope] = _Figures(usd, requests)

    def scopes(self) -> tuple[Scope, ...]:
        return tuple(self._figures)

    def forget_days_before(self, day: str) -> None:
        for scope in [s for s in self._figures if s.day and s.day < day]:
            del self._figures[scope]

    def over(self, caps: Iterable[Cap], estimate_usd: float) -> Over | None:
        """The first cap that this estimate would break. A call that costs nothing breaks no budget in USD."""
        for cap in caps:
            figures = self._figures.get(cap.scope) or _Figures(0.0, 0)
            if cap.requests is not None and figures.requests + 1 > cap.requests:
                return Over(f"{cap.name} allows {cap.requests} requests, and {figures.requests} were made", bool(cap.scope.day))
            if cap.usd is not None and estimate_usd > 0 and (excess := figures.usd + estimate_usd - cap.usd) > 1e-9:
                spent = f"{_usd(figures.usd)} of {_usd(cap.usd)} is spent or on its way"
                message = f"{cap.name} would be exceeded by {_usd(excess)}: {spent}, this call is estimated at {_usd(estimate_usd)}"
                return Over(message, bool(cap.scope.day))
        return None

    def begin(self, scopes: Iterable[Scope], estimate_usd: float, *, requests: int = 1) -> None:
        """A call of this estimate is about to be sent (`requests` 0: the same call again, over another route)."""
        for scope in scopes:
            figures = self._figures.setdefault(scope, _Figures(0.0, 0))
            figures.usd += estimate_usd
            figures.requests += requests

    def change(self, scopes: Iterable[Scope], by_usd: float) -> None:
        """A call begun before turned out to cost so much more or less than counted for it."""
        for scope in scopes:
            if (figures := self._figures.get(scope)) is not None:
                figures.usd = max(0.0, figures.usd + by_usd)

    def spent_usd(self, scope: Scope) -> float:
        figures = self._figures.get(scope)
        return figures.usd if figures else 0.0


def _usd(amount: float) -> str:
    return f"${amount:.2f}" if round(amount, 2) == round(amount, 6) else f"${amount:.6f}".rstrip("0")
