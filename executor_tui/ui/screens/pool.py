"""One quota pool: its keys, its parks, what is known of its limits, and what was spent on which model."""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from executor_tui.ui.data import hydra
from executor_tui.ui.data.hydra import PoolView
from executor_tui.ui.form import age, clock, count, duration_ms, left, money
from executor_tui.ui.screens.base import style_path
from executor_tui.ui.screens.text import TextScreen
from executor_tui.ui.states import Cell, Tone, look
from executor_tui.ui.widgets.spans import Line, heading, line, table

if TYPE_CHECKING:
    from executor_tui.store.store import Store


class PoolScreen(TextScreen[PoolView]):
    SECTION = "hydra"
    TOPICS = hydra.TOPICS
    CSS_PATH = style_path("pool")

    def __init__(self, pool_id: str) -> None:
        super().__init__()
        self.pool_id = pool_id

    async def fetch(self, store: "Store", at: datetime | None) -> PoolView:
        return await hydra.fetch_pool(store, self.pool_id, at)

    def crumbs(self) -> Sequence[str]:
        return ("Hydra", self.pool_id)

    def present(self, view: PoolView) -> None:
        parts = (self._keys(view), self._parks(view), self._limits(view), self._models(view), self._calls(view))
        self.text.set_lines([row for part in parts if part for row in [*part, line("")]])

    def _keys(self, view: PoolView) -> list[Line]:
        now = self.now()
        rows = [
            (Cell(f"…{k.tail}", "strong"), look(k.state).cell, Cell(k.tier.value, "dim"), Cell(count(k.calls)), Cell(count(k.failures)),
             Cell(age(k.last_used_at, now), "dim"), Cell(money(k.cost_usd)), Cell(k.state_reason or k.label, "dim"))
            for k in view.keys
        ]  # fmt: skip
        head = ("Key", "State", "Tier", "Calls", "Fail", "Used", "Spent", "")
        return [heading("Keys", "they share this pool's quota"), *table(head, rows, (6, 12, 8, -6, -5, -5, -8, 0), self.room)]

    def _parks(self, view: PoolView) -> list[Line]:
        now, zone = self.now(), self.console.zone
        rows = [
            (Cell(p.model_id or p.scope.value, "strong"), Cell(f"◷ {left(p.ends_at, now)}", "warn"), Cell(clock(p.ends_at, zone), "dim"),
             Cell(str(p.reason).replace("_", " ")), Cell(p.source.value, "dim"), Cell(p.detail, "dim"))
            for p in view.parks
        ]  # fmt: skip
        return (
            [heading("Parks"), *table(("What", "Left", "Until", "Reason", "Known from", ""), rows, (20, 9, 8, 15, 10, 0), self.room)]
            if rows
            else []
        )

    def _limits(self, view: PoolView) -> list[Line]:
        rows = [
            (Cell(limit.model_id, "strong"), Cell(limit.kind), Cell(_gauge(limit.used, limit.value), _full(limit.used, limit.value)),
             Cell(f"{count(limit.used)} of {count(limit.value)}"), Cell(clock(limit.resets_at, self.console.zone), "dim"),
             Cell(limit.source, "dim"))
            for limit in view.limits
        ]  # fmt: skip
        head = ("Model", "Limit", "Used", "", "Resets", "Known from")
        return [heading("Limits"), *table(head, rows, (20, 5, 10, 14, 8, 0), self.room)] if rows else []

    def _models(self, view: PoolView) -> list[Line]:
        rows = [
            (Cell(name or "unknown", "strong"), Cell(count(s.calls)), Cell(count(s.failed), "bad" if s.failed else "dim"),
             Cell(count(s.input_tokens)), Cell(count(s.output_tokens)), Cell(money(s.cost_usd)))
            for name, s in sorted(view.by_model.items(), key=lambda item: -item[1].cost_usd)
        ]  # fmt: skip
        head = ("Model", "Calls", "Fail", "In", "Out", "Spent")
        return [heading("Spend", "last 24 hours"), *table(head, rows, (22, -6, -5, -7, -7, -9), self.room)] if rows else []

    def _calls(self, view: PoolView) -> list[Line]:
        rows = [
            (Cell(clock(c.started_at, self.console.zone), "dim"), look(c.status).cell, Cell(c.model_id or c.requested_model),
             Cell(c.agent_id, "dim"), Cell(duration_ms(c.duration_ms), "dim"), Cell(money(c.cost_usd or c.estimate_usd)),
             Cell(c.failure, "bad"))
            for c in view.calls
        ]  # fmt: skip
        head = ("At", "", "Model", "Agent", "Took", "Cost", "")
        return [heading("Calls", "latest first"), *table(head, rows, (8, 10, 14, 14, -6, -7, 0), self.room)] if rows else []


def _gauge(used: float, value: float) -> str:
    """Ten cells, filled by how much of a limit is used."""
    part = min(1.0, used / value) if value > 0 else 0.0
    return "█" * round(part * 10) + "░" * (10 - round(part * 10))


def _full(used: float, value: float) -> Tone:
    part = used / value if value > 0 else 0.0
    return "bad" if part >= 0.95 else "warn" if part >= 0.75 else "good"
