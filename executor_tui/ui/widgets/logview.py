"""The log: a bounded window over the store's events, followed or paused, older pages fetched as one scrolls into them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Literal

from textual.message import Message

from executor_tui.domain.event import Event
from executor_tui.ui.form import age, clock
from executor_tui.ui.states import Cell, Tone, look
from executor_tui.ui.text import clean, fit
from executor_tui.ui.widgets.columns import Query
from executor_tui.ui.widgets.lines import Lines
from executor_tui.ui.widgets.spans import Line

WINDOW = 4_000
"""Lines held at once; beyond it the far end is let go and read again when wanted."""
NEAR = 50
Stamps = Literal["absolute", "relative", "off"]
STAMPS: tuple[Stamps, ...] = ("absolute", "relative", "off")


@dataclass(frozen=True, slots=True)
class Form:
    """How a line is written."""

    stamps: Stamps = "absolute"
    zone: tzinfo | None = None
    who_width: int = 14
    kinds: bool = False


def log_line(event: Event, form: Form, now: datetime) -> Line:
    """`12:03:44 ▲ coder-001      message`."""
    shown = look(event.level)
    when = {"absolute": clock(event.at, form.zone), "relative": f"{age(event.at, now):>4}", "off": ""}[form.stamps]
    who = event.agent_id or event.project_id or event.subject_id
    message: Tone = shown.tone if shown.tone != "plain" else "plain"
    cells = [Cell(f"{when} ", "dim")] if when else []
    cells += [Cell(f"{shown.glyph} ", shown.tone), Cell(fit(clean(who), form.who_width) + " ", "info")]
    cells += [Cell(fit(clean(event.kind), 22) + " ", "dim")] if form.kinds else []
    return (*cells, Cell(clean(event.message), message))


class LogView(Lines):
    """`take_newer` and `take_older` feed it; it asks for older lines by `OlderWanted`."""

    class OlderWanted(Message):
        """The view is near the oldest line held."""

    class NewerWanted(Message):
        """The view is near the newest line held, and newer ones were let go."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.events: list[Event] = []
        self.following = True
        self.form = Form()
        self.query_ = Query()
        self._now: datetime | None = None
        self.newest_held = True

    def hang(self, line: Line) -> int:
        return sum(len(cell.text) for cell in line[:-1])

    @property
    def first_seq(self) -> int | None:
        return self.events[0].seq if self.events else None

    @property
    def last_seq(self) -> int:
        return self.events[-1].seq if self.events else 0

    def reset(self, events: Sequence[Event], now: datetime) -> None:
        """Start over with a page of events."""
        self.events, self._now = list(events), now
        self._rewrite()
        if self.following:
            self.action_to_end()

    def take_newer(self, events: Sequence[Event], now: datetime) -> None:
        """Add newer events at the end; while following, the oldest are let go."""
        self._now = now
        if not events:
            return
        self.events += events
        dropped = max(0, len(self.events) - WINDOW)
        if dropped and self.following:
            del self.events[:dropped]
        self._rewrite()
        if self.following:
            self.action_to_end()

    def take_older(self, events: Sequence[Event]) -> None:
        """Add older events at the beginning without moving what is in view."""
        at = self._rows[self._top][0] if self._rows else 0
        seq = self._seqs[at] if at < len(self._seqs) else 0
        self.events = [*events, *self.events]
        if len(self.events) > WINDOW:
            del self.events[WINDOW:]
            self.newest_held = False
        self._rewrite()
        self.show_seq(seq)

    def rewrite(self, form: Form | None = None, query: Query | None = None) -> None:
        """Another way of writing, or another filter."""
        self.form = form or self.form
        self.query_ = query if query is not None else self.query_
        seq = self._seqs[self._rows[self._top][0]] if self._rows and not self.following else 0
        self._rewrite()
        if self.following:
            self.action_to_end()
        else:
            self.show_seq(seq)

    def _rewrite(self) -> None:
        now = self._now or datetime.now().astimezone()
        kept = [(e.seq, log_line(e, self.form, now)) for e in self.events]
        if self.query_.pattern is not None:
            kept = [(seq, row) for seq, row in kept if self.query_.keeps("".join(c.text for c in row))]
        self._seqs = [seq for seq, _ in kept]
        self.lines = [row for _, row in kept]
        self._arrange()

    _seqs: list[int] = []  # noqa: RUF012 - replaced as a whole, never changed in place

    def show_seq(self, seq: int) -> bool:
        """Bring an event into view; says whether it is held."""
        at = next((i for i, s in enumerate(self._seqs) if s >= seq), None)
        if at is None:
            return False
        row = next((y for y, (i, _) in enumerate(self._rows) if i >= at), 0)
        self._show_from(row)
        return self._seqs[at] == seq

    def top_seq(self) -> int:
        """The event at the top of the view."""
        return self._seqs[self._rows[self._top][0]] if self._rows else 0

    def moved(self) -> None:
        if self._top < NEAR and self.events:
            self.post_message(self.OlderWanted())
        elif not self.newest_held and self._top > len(self._rows) - self.size.height - NEAR:
            self.post_message(self.NewerWanted())

    def on_resize(self) -> None:
        super().on_resize()
        if self.following:
            self.action_to_end()

    def _pause_unless_at_end(self) -> None:
        self.following = self.at_end and self.newest_held

    def action_scroll_by(self, by: int) -> None:
        super().action_scroll_by(by)
        self._pause_unless_at_end()

    def action_scroll_pages(self, by: int) -> None:
        super().action_scroll_pages(by)
        self._pause_unless_at_end()

    def action_to_top(self) -> None:
        super().action_to_top()
        self._pause_unless_at_end()
