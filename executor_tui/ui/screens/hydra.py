"""Hydra: keys by quota pool, and what is parked until when."""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType

from executor_tui.domain.key import Park
from executor_tui.ui.data import hydra
from executor_tui.ui.data.hydra import HydraView, KeyRow
from executor_tui.ui.form import age, count, left, money, stamp
from executor_tui.ui.keys import bind
from executor_tui.ui.screens.base import ConsoleScreen, style_path
from executor_tui.ui.states import Cell, look
from executor_tui.ui.widgets.bars import Bar
from executor_tui.ui.widgets.columns import Column
from executor_tui.ui.widgets.rows import Rows

if TYPE_CHECKING:
    from executor_tui.store.store import Store

_TIERS = {"free": "dim", "standard": "plain", "premium": "info", "critical": "warn"}


def _key_state(row: KeyRow, now: datetime) -> Cell:
    if row.park is not None and row.park.scope != "pool_model":
        return Cell(f"◷ parked {left(row.park.ends_at, now)}", "warn")
    if row.park is not None:
        return Cell(f"◷ {row.park.model_id} {left(row.park.ends_at, now)}", "warn")
    shown = look(row.key.state)
    return Cell(f"{shown.glyph} {row.key.state_reason or shown.word}", shown.tone)


def _failures(row: KeyRow) -> Cell:
    many = row.key.failures > max(2, row.key.calls // 10)
    return Cell(count(row.key.failures), "warn" if many else "dim")


def _used_at(row: KeyRow) -> datetime | None:
    return row.key.last_used_at


def _parked(park: Park) -> str:
    if park.scope == "key":
        return f"{park.pool_id} key"
    return f"{park.pool_id} {park.model_id}" if park.scope == "pool_model" else park.pool_id


KEYS: tuple[Column[KeyRow], ...] = (
    Column("pool", "Quota pool", 22, lambda r, _: Cell(r.key.pool_id, "strong"), lambda r: r.key.pool_id),
    Column("key", "Key", 6, lambda r, _: Cell(f"…{r.key.tail}")),
    Column("label", "Label", 14, lambda r, _: Cell(r.key.label, "dim"), lambda r: r.key.label or None, from_width=110),
    Column("tier", "Tier", 8, lambda r, _: Cell(r.key.tier.value, _TIERS[r.key.tier.value]), lambda r: r.key.tier.rank),  # type: ignore[arg-type]
    Column("state", "State", 0, _key_state, lambda r: r.key.state.value),
    Column("calls", "Calls", 6, lambda r, _: Cell(count(r.key.calls), "dim"), lambda r: r.key.calls, right=True),
    Column("fail", "Fail", 5, lambda r, _: _failures(r), lambda r: r.key.failures, right=True),
    Column("used", "Used", 5, lambda r, now: Cell(age(r.key.last_used_at, now), "dim"), _used_at, right=True, from_width=96),
    Column("today", "Today", 8, lambda r, _: Cell(money(r.today_usd)), lambda r: r.today_usd, right=True),
    Column("spent", "In all", 8, lambda r, _: Cell(money(r.key.cost_usd), "dim"), lambda r: r.key.cost_usd, right=True, from_width=96),
)  # fmt: skip

PARKS: tuple[Column[Park], ...] = (
    Column("what", "Parked", 30, lambda p, _: Cell(_parked(p), "strong"), lambda p: p.pool_id),
    Column("left", "Left", 13, lambda p, now: Cell(f"◷ {left(p.ends_at, now)}", "warn"), lambda p: p.ends_at),
    Column("until", "Until", 12, lambda p, _: Cell(stamp(p.ends_at, p.started_at), "dim"), from_width=100),
    Column("reason", "Reason", 17, lambda p, _: Cell(str(p.reason).replace("_", " ")), lambda p: str(p.reason)),
    Column("source", "Known from", 10, lambda p, _: Cell(p.source.value, "dim"), lambda p: p.source.value),
    Column("detail", "Detail", 0, lambda p, _: Cell(p.detail, "dim"), from_width=100),
)  # fmt: skip


class HydraScreen(ConsoleScreen[HydraView]):
    SECTION = "hydra"
    TOPICS = hydra.TOPICS
    TICKS = True
    CSS_PATH = style_path("hydra")
    BINDINGS: ClassVar[list[BindingType]] = [
        bind("e", "enter_keys", "Enter keys", "hydra.enter_keys", changes=True),
        bind("c", "clear_park", "Clear park", "hydra.clear_park", changes=True),
        bind("t", "test", "Test", "hydra.test", changes=True),
        bind("X", "remove", "Remove", "hydra.remove", changes=True),
    ]

    def compose_body(self) -> ComposeResult:
        yield Rows(KEYS, lambda r: r.key.id, self.now, fresh=lambda r: self.console.is_fresh("hydra", r.key.verified_at), id="keys-table")
        yield Bar(id="parks-title")
        yield Rows(PARKS, lambda p: p.id, self.now, fresh=lambda p: self.console.is_fresh("hydra", p.started_at), id="parks-table")

    async def fetch(self, store: "Store", at: datetime | None) -> HydraView:
        return await hydra.fetch(store, at)

    def nothing_in(self, view: HydraView) -> bool:
        return not view.keys and not view.parks

    def empty(self) -> Sequence[Cell]:
        return (
            Cell("No keys yet", "strong"), Cell(""),
            Cell("Hydra routes every model call over the keys you give it, and parks each before its limit is met twice."),
            Cell("e  paste API keys, as many as you have", "info"),
            Cell("executor lab  shows everything against simulated providers, without keys", "dim"),
        )  # fmt: skip

    def summary(self) -> str:
        return self.view.summary() if self.view else ""

    def present(self, view: HydraView) -> None:
        self.key_rows.set_items(view.keys)
        self.park_rows.set_items(view.parks)
        self.query_one("#parks-title", Bar).show([Cell("  Parks", "accent"), Cell(f"  {len(view.parks) or 'none'}", "dim")])
        self.set_class(bool(view.parks), "-parks")

    @property
    def key_rows(self) -> Rows[KeyRow]:
        return self.query_one("#keys-table", Rows)

    @property
    def park_rows(self) -> Rows[Park]:
        return self.query_one("#parks-table", Rows)

    @on(Rows.Opened)
    def _open(self, message: Rows.Opened) -> None:
        from executor_tui.ui.screens.pool import PoolScreen

        item = message.item
        self.console.drill(PoolScreen(item.pool_id if isinstance(item, Park) else item.key.pool_id))

    def action_enter_keys(self) -> None:
        self.console.action_enter_keys()

    def action_clear_park(self) -> None:
        if self.park_rows.has_focus:
            parks = self.park_rows.chosen()
        else:
            parks = [r.park for r in self.key_rows.chosen() if r.park is not None]
        if not parks:
            self.console.say(Cell("nothing chosen is parked", "dim"))
            return
        self.console.act(*(self.console.operations.clear_park(p.id) for p in parks))
        self.park_rows.clear_marks()

    def action_test(self) -> None:
        self.console.act(*(self.console.operations.verify_again(r.key.id) for r in self.key_rows.chosen()))
        self.key_rows.clear_marks()

    def action_remove(self) -> None:
        chosen = self.key_rows.chosen()
        if not chosen or not self.key_rows.has_focus:
            return
        what = f"key …{chosen[0].key.tail} of {chosen[0].key.provider}" if len(chosen) == 1 else f"{len(chosen)} keys"
        self.console.confirm(
            f"Remove {what}?", "The sealed secret is destroyed; calls that need it fall back to other keys.",
            lambda: [self.console.operations.remove_key(r.key.id) for r in chosen],
        )  # fmt: skip
        self.key_rows.clear_marks()
