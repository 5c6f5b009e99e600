"""Budgets against the store: which caps a request is under, their figures fetched when first needed."""

from collections.abc import Iterable
from datetime import UTC, datetime, time

from executor_tui.config.general import Budgets
from executor_tui.core.routing.state import RouterState
from executor_tui.domain.call import Call
from executor_tui.hydra.blocked import Blocked
from executor_tui.hydra.budgets import BudgetBook, Cap, Over, Scope, caps_of, day_name, key_cap
from executor_tui.hydra.moment import Moment
from executor_tui.hydra.request import RouteRequest
from executor_tui.hydra.windows import day_of
from executor_tui.store.calls import Spend

PROJECT_EVERY_S = 2.0
CAPS_KEPT = 1_000
_COLUMN = {"project": "project_id", "agent": "agent_id", "key": "key_id", "token": "token_id"}


class SpendKeeper:
    """Keeps the budget book in step with the store."""

    def __init__(self, state: RouterState) -> None:
        self._state = state
        self.book = BudgetBook()
        self._caps: dict[tuple[object, ...], tuple[Cap, ...]] = {}
        self._caps_for: tuple[Budgets, str] | None = None
        self._project_usd: dict[str, tuple[float | None, float]] = {}
        self._keys_of_day = ""

    async def prepare(self, request: RouteRequest) -> tuple[Cap, ...]:
        """The caps of a request, their figures known. Raises StoreError."""
        now = self._state.clock.now()
        await self._prepare_keys(now)
        project_usd = await self._budget_of(request.project_id) if request.project_id else None
        caps = self._caps_of(request, project_usd, now)
        for cap in caps:
            if not self.book.known(cap.scope):
                spend = await self._read(cap.scope)
                self.book.load(cap.scope, spend.cost_usd, spend.calls)
        return caps

    def _caps_of(self, request: RouteRequest, project_usd: float | None, now: datetime) -> tuple[Cap, ...]:
        """The caps, made once for all requests of the same agent, project and virtual key on one day."""
        budgets, token, day = self._state.config.executor.budgets, request.token, day_name(now)
        if self._caps_for is None or self._caps_for[0] is not budgets or self._caps_for[1] != day or len(self._caps) >= CAPS_KEPT:
            self._caps, self._caps_for = {}, (budgets, day)
            self.book.forget_days_before(day)
        own = (token.id, token.name, token.budget_usd, token.max_requests) if token is not None else None
        asked = (request.project_id, request.agent_id, own, project_usd)
        found = self._caps.get(asked)
        if found is None:
            found = self._caps[asked] = caps_of(request, budgets, project_usd, now)
        return found

    async def _prepare_keys(self, now: datetime) -> None:
        """Once a day, what each key has spent today: whether a key may be used is asked where nothing may be waited for."""
        day = day_name(now)
        if self._keys_of_day == day or key_cap("", self._state.config.executor.budgets, now) is None:
            return
        for key_id, spend in (await self._state.store.calls.spend_by("key_id", since=_midnight(day))).items():
            self.book.load(Scope("key", key_id, day), spend.cost_usd, spend.calls)
        self._keys_of_day = day

    async def _budget_of(self, project_id: str) -> float | None:
        """A project's own budget, read again after a while: the user may raise it."""
        now_s = self._state.clock.monotonic_s()
        known = self._project_usd.get(project_id)
        if known is None or now_s - known[1] > PROJECT_EVERY_S:
            project = await self._state.store.projects.find(project_id)
            known = self._project_usd[project_id] = (project.budget_usd if project else None, now_s)
        return known[0]

    def over(self, caps: Iterable[Cap], estimate_usd: float) -> Over | None:
        return self.book.over(caps, estimate_usd)

    def key_blocked(self, key_id: str, estimate_usd: float, now: Moment) -> Blocked | None:
        """Whether a key's own budget speaks against it."""
        cap = key_cap(key_id, self._state.config.executor.budgets, now.wall)
        over = self.book.over((cap,), estimate_usd) if cap is not None else None
        if over is None:
            return None
        left_s = (day_of("utc", now.wall).end - now.wall).total_seconds()
        return Blocked(over.message, now.mono_s + left_s, general=False)

    def key_scope(self, key_id: str, now: datetime) -> tuple[Scope, ...]:
        cap = key_cap(key_id, self._state.config.executor.budgets, now)
        return (cap.scope,) if cap is not None else ()

    async def resync(self) -> None:
        """Read every known figure again: other gateways spend too. Raises StoreError."""
        ledger = self._state.ledger
        async with ledger.quiet():
            scopes = self.book.scopes()
            sums = {scope: await self._read(scope) for scope in scopes}
            own = list(ledger.unwritten())
        for scope, spend in sums.items():
            usd = sum(u for call, u, _ in own if _in_scope(call, scope))
            requests = sum(n for call, _, n in own if _in_scope(call, scope))
            self.book.set(scope, spend.cost_usd + usd, spend.calls + requests)

    async def _read(self, scope: Scope) -> Spend:
        since = _midnight(scope.day) if scope.day else None
        who = {_COLUMN[scope.kind]: scope.id} if scope.kind in _COLUMN else {}
        return await self._state.store.calls.spend(since=since, **who)


def _midnight(day: str) -> datetime:
    return datetime.combine(datetime.fromisoformat(day).date(), time(), UTC)


def _in_scope(call: Call, scope: Scope) -> bool:
    if scope.day and (call.started_at is None or day_name(call.started_at) != scope.day):
        return False
    return scope.kind == "day" or getattr(call, _COLUMN[scope.kind]) == scope.id
