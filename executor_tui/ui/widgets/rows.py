"""A table that draws only the lines in view and sends only the cells that changed.

Ten thousand rows cost what twenty cost: nothing is measured, mounted or rendered before it is looked at. Data may be replaced as a whole
at any time; the cursor and the marks stay with their rows.
"""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar

from rich.segment import Segment
from textual import events, on
from textual.binding import BindingType
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip

from executor_tui.ui.keys import bind
from executor_tui.ui.states import Tone
from executor_tui.ui.text import clean, fit
from executor_tui.ui.widgets.columns import Column, Order, Query, arrange, layout, row_text
from executor_tui.ui.widgets.toned import Toned
from executor_tui.ui.workers import start

T = TypeVar("T")
GUTTER = 2
ARRANGE_ELSEWHERE = 2_000
"""Lists longer than this are filtered and sorted on another thread."""
JUMP_LABELS = "asdfghjklqwertyuiopzxcvbnm"


class Drawn(NamedTuple):
    """One line as it is on the screen: what the next drawing is compared with."""

    cursor: bool
    cells: tuple[tuple[int, str, Tone], ...]


class Rows(Toned, Generic[T], can_focus=True):
    """`row_id` names an item across refreshes; `fresh` says whether it changed since the operator last looked."""

    BINDINGS: ClassVar[list[BindingType]] = [
        bind("up,k", "move(-1)", "Up", "rows.up", show=False),
        bind("down,j", "move(1)", "Down", "rows.down", show=False),
        bind("pageup", "page(-1)", "Page up", "rows.page_up", show=False),
        bind("pagedown", "page(1)", "Page down", "rows.page_down", show=False),
        bind("home", "first", "First", "rows.first", show=False),
        bind("end,G", "last", "Last", "rows.last", show=False),
        bind("enter", "open", "Open", "rows.open"),
        bind("space", "mark", "Mark", "rows.mark", show=False),
        bind("s", "sort", "Sort", "rows.sort", show=False),
        bind("S", "reverse", "Reverse", "rows.reverse", show=False),
        bind("g", "jump", "Jump", "rows.jump", show=False),
    ]

    class Opened(Message):
        """Enter was pressed on a row."""

        def __init__(self, rows: "Rows[Any]", item: Any) -> None:
            super().__init__()
            self.rows, self.item = rows, item

        @property
        def control(self) -> "Rows[Any]":
            return self.rows

    class Arranged(Message):
        """A long list was filtered and sorted elsewhere."""

        def __init__(self, shown: list[Any], ticket: int) -> None:
            super().__init__()
            self.shown, self.ticket = shown, ticket

    def __init__(
        self, columns: Sequence[Column[T]], row_id: Callable[[T], str], now: Callable[[], datetime], *,
        fresh: Callable[[T], bool] | None = None, placeholder: str = "", id: str | None = None,
    ) -> None:  # fmt: skip
        super().__init__(id=id)
        self._columns, self._row_id, self._now, self._fresh = columns, row_id, now, fresh
        self._placeholder = placeholder
        self.items: Sequence[T] = ()
        self.shown: list[T] = []
        self.marked: set[str] = set()
        self.query_ = Query()
        self.order = Order()
        self._top = self._cursor = 0
        self._cursor_id = ""
        self._drawn: dict[int, Drawn] = {}
        self._ticket = 0
        self._jumping = False

    # -- data -------------------------------------------------------------------------------------------------

    def set_items(self, items: Sequence[T]) -> None:
        """Replace the data. The cursor stays on its row, or where it was when that row is gone."""
        self.items = items
        self.rearrange()

    def set_query(self, query: Query) -> None:
        self.query_ = query
        self.rearrange()

    def rearrange(self) -> None:
        self._ticket += 1
        if len(self.items) <= ARRANGE_ELSEWHERE:
            self._present(arrange(self.items, self._columns, self.query_, self.order, self._now()))
            return
        start(self, partial(self._arrange_elsewhere, self._ticket), "rows-arrange", exclusive=True)

    async def _arrange_elsewhere(self, ticket: int) -> None:
        items, columns, query, order, now = self.items, self._columns, self.query_, self.order, self._now()
        shown = await asyncio.to_thread(lambda: arrange(items, columns, query, order, now))
        self.post_message(self.Arranged(shown, ticket))

    @on(Arranged)
    def _take_arranged(self, message: Arranged) -> None:
        message.stop()
        if message.ticket == self._ticket:
            self._present(message.shown)

    def _present(self, shown: list[T]) -> None:
        self.shown = shown
        if self._cursor_id:
            at = next((i for i, item in enumerate(shown) if self._row_id(item) == self._cursor_id), None)
            self._cursor = self._cursor if at is None else at
        self._cursor = max(0, min(self._cursor, len(shown) - 1))
        self._follow_cursor()
        self.redraw()

    @property
    def current(self) -> T | None:
        """The item under the cursor."""
        return self.shown[self._cursor] if 0 <= self._cursor < len(self.shown) else None

    def chosen(self) -> list[T]:
        """The marked items, or the one under the cursor when none is marked: what an action works on."""
        if self.marked:
            return [item for item in self.items if self._row_id(item) in self.marked]
        return [] if self.current is None else [self.current]

    def clear_marks(self) -> None:
        self.marked.clear()
        self.redraw()

    def put_cursor(self, row_id: str) -> bool:
        """Move to a row by its id; says whether it is shown."""
        for index, item in enumerate(self.shown):
            if self._row_id(item) == row_id:
                self._go(index)
                return True
        self._cursor_id = row_id
        return False

    def current_text(self) -> str:
        """The row under the cursor, or the marked rows, as plain lines."""
        return "\n".join(row_text(item, self._columns, self._now()) for item in self.chosen())

    def all_text(self) -> str:
        """Every row shown, as plain lines."""
        return "\n".join(row_text(item, self._columns, self._now()) for item in self.shown)

    # -- drawing ----------------------------------------------------------------------------------------------

    @property
    def _page(self) -> int:
        return max(1, self.size.height - 1)

    def redraw(self) -> None:
        """Send what differs from what is on the screen, cell by cell."""
        for y in range(self.size.height):
            old, new = self._drawn.get(y), self._line(y)
            if old == new:
                continue
            if old is None or old.cursor != new.cursor or len(old.cells) != len(new.cells):
                self.refresh(Region(0, y, self.size.width, 1))
                continue
            for before, after in zip(old.cells, new.cells, strict=True):
                if before != after:
                    self.refresh(Region(after[0], y, len(after[1]) if after[1].isascii() else self.size.width - after[0], 1))

    def _line(self, y: int) -> Drawn:
        total = self.size.width
        if y == 0:
            return Drawn(False, (*self._header(total), self._bar(y)))
        index = self._top + y - 1
        if y == 1 and not self.shown:
            return Drawn(False, ((0, fit("  " + self._nothing(), total - 1), "dim"), self._bar(y)))
        if index >= len(self.shown):
            return Drawn(False, ((0, " " * (total - 1), "plain"), self._bar(y)))
        item, now = self.shown[index], self._now()
        cells: list[tuple[int, str, Tone]] = [self._gutter(item, y)]
        for column, x, width in layout(self._columns, total - 1, GUTTER):
            text, tone = column.cell(item, now)
            cells.append((x, fit(clean(text), width, column.right), tone))
        return Drawn(index == self._cursor and self.has_focus, (*cells, self._bar(y)))

    def _nothing(self) -> str:
        """Why there is no row."""
        return f"nothing matches {self.query_.text}" if self.items and self.query_.text else self._placeholder

    def _header(self, total: int) -> list[tuple[int, str, Tone]]:
        cells: list[tuple[int, str, Tone]] = [(0, " " * GUTTER, "dim")]
        for column, x, width in layout(self._columns, total - 1, GUTTER):
            arrow = ("▼" if self.order.reverse else "▲") if column.id == self.order.column else ""
            cells.append((x, fit(column.title + arrow, width, column.right), "dim"))
        return cells

    def _gutter(self, item: T, y: int) -> tuple[int, str, Tone]:
        if self._jumping and y - 1 < len(JUMP_LABELS):
            return (0, JUMP_LABELS[y - 1] + " ", "accent")
        if self._row_id(item) in self.marked:
            return (0, "✓ ", "accent")
        return (0, "• ", "accent") if self._fresh is not None and self._fresh(item) else (0, "  ", "plain")

    def _bar(self, y: int) -> tuple[int, str, Tone]:
        """The scroll bar's cell of a line: only there when there is something to scroll."""
        rows, page = len(self.shown), self._page
        if rows <= page or y == 0:
            return (self.size.width - 1, " ", "plain")
        size = max(1, page * page // rows)
        start = round(self._top * (page - size) / max(1, rows - page))
        return (self.size.width - 1, "█" if start <= y - 1 < start + size else "│", "dim")

    def render_line(self, y: int) -> Strip:
        line = self._line(y)
        self._drawn[y] = line
        over = ("row--head",) if y == 0 else ("row--cursor",) if line.cursor else ()
        segments, at = [], 0
        for x, text, tone in line.cells:
            if x > at:
                segments.append(Segment(" " * (x - at), self.tone("plain", *over)))
            segments.append(Segment(text, self.tone(tone, *over)))
            at = x + Strip([Segment(text)]).cell_length
        return Strip(segments).adjust_cell_length(self.size.width, self.tone("plain", *over))

    def text_at(self, y: int) -> str:
        line = ""
        for x, text, _ in self._line(y).cells:
            line = fit(line, x) + text
        return line

    def notify_style_update(self) -> None:
        self._drawn.clear()
        super().notify_style_update()

    def on_resize(self) -> None:
        self._drawn.clear()
        self._follow_cursor()

    def on_focus(self) -> None:
        self.redraw()

    def on_blur(self) -> None:
        self._jumping = False
        self.redraw()

    # -- moving -----------------------------------------------------------------------------------------------

    def _follow_cursor(self) -> None:
        page = self._page
        if self._cursor < self._top:
            self._top = self._cursor
        elif self._cursor >= self._top + page:
            self._top = self._cursor - page + 1
        self._top = max(0, min(self._top, len(self.shown) - page))

    def _go(self, index: int) -> None:
        if not self.shown:
            return
        self._cursor = max(0, min(index, len(self.shown) - 1))
        self._cursor_id = self._row_id(self.shown[self._cursor])
        self._follow_cursor()
        self.redraw()

    def action_move(self, by: int) -> None:
        self._go(self._cursor + by)

    def action_page(self, by: int) -> None:
        self._go(self._cursor + by * self._page)

    def action_first(self) -> None:
        self._go(0)

    def action_last(self) -> None:
        self._go(len(self.shown) - 1)

    def action_open(self) -> None:
        if self.current is not None:
            self.post_message(self.Opened(self, self.current))

    def action_mark(self) -> None:
        if self.current is not None:
            self.marked ^= {self._row_id(self.current)}
            self._go(self._cursor + 1)

    def action_sort(self) -> None:
        """Sort by the next column that can be sorted; after the last, the order of the data again."""
        names = ["", *(c.id for c in self._columns if c.sort is not None)]
        at = names.index(self.order.column) if self.order.column in names else 0
        self.order = Order(names[(at + 1) % len(names)])
        self.rearrange()

    def action_reverse(self) -> None:
        self.order = Order(self.order.column, not self.order.reverse)
        self.rearrange()

    def action_jump(self) -> None:
        """Label the rows in view; the next letter goes to its row."""
        self._jumping = bool(self.shown)
        self.redraw()

    def on_key(self, event: events.Key) -> None:
        if not self._jumping:
            return
        event.stop()
        event.prevent_default()
        self._jumping = False
        label = JUMP_LABELS.find(event.character) if event.character else -1
        if 0 <= label < min(self._page, len(self.shown) - self._top):
            self._go(self._top + label)
        self.redraw()

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        event.stop()
        self.action_move(3)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        event.stop()
        self.action_move(-3)

    def on_click(self, event: events.Click) -> None:
        if event.y > 0 and self._top + event.y - 1 < len(self.shown):
            self._go(self._top + event.y - 1)
            if event.chain == 2:
                self.action_open()
