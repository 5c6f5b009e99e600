"""Every numbered screen without a terminal: the same reading of the store and the same columns, as plain rows and as data."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from executor_tui.ui.text import clean
from executor_tui.ui.widgets.columns import Column

if TYPE_CHECKING:
    from executor_tui.store.store import Store
    from executor_tui.ui.data.pulse import PulseView

SPAN_S = 86_400
SLICES = 24
LOG_LINES = 200


@dataclass(frozen=True, slots=True)
class Sheet:
    """One table of a screen."""

    title: str
    columns: Sequence[Column[Any]]
    items: Sequence[Any]

    def head(self) -> tuple[str, ...]:
        return tuple(column.title.upper() or column.id.upper() for column in self.columns)

    def rows(self, now: datetime) -> list[tuple[str, ...]]:
        return [tuple(clean(column.cell(item, now).text).strip() for column in self.columns) for item in self.items]


@dataclass(frozen=True, slots=True)
class Plain:
    """`fetch` reads a screen's view at a moment (None: now); `sheets` are its tables; `nothing` is said where there is no row."""

    fetch: "Callable[[Store, datetime | None], Awaitable[Any]]"
    sheets: Callable[[Any], Sequence[Sheet]]
    nothing: str


def _fleet() -> Plain:
    from executor_tui.ui.data import fleet
    from executor_tui.ui.screens.fleet import COLUMNS

    return Plain(fleet.fetch, lambda view: [Sheet("", COLUMNS, view.agents)], "no agents yet; start a node with: executor --no-ui")


def _hydra() -> Plain:
    from executor_tui.ui.data import hydra
    from executor_tui.ui.screens.hydra import KEYS, PARKS

    sheets = lambda view: [Sheet("Keys", KEYS, view.keys), Sheet("Parks", PARKS, view.parks)]  # noqa: E731
    return Plain(hydra.fetch, sheets, "no keys yet; add one with: executor keys add PROVIDER")


def _projects() -> Plain:
    from executor_tui.ui.data import projects
    from executor_tui.ui.screens.projects import COLUMNS

    return Plain(projects.fetch, lambda view: [Sheet("", COLUMNS, view.projects)], 'no projects yet; ask for one: executor project new "…"')


def _logs() -> Plain:
    from executor_tui.domain.event import Event
    from executor_tui.ui.form import stamp
    from executor_tui.ui.states import Cell, look

    async def fetch(store: "Store", at: datetime | None) -> tuple[Event, ...]:
        return await store.events.tail(LOG_LINES, until=at)

    columns: tuple[Column[Event], ...] = (
        Column("at", "At", 0, lambda e, now: Cell(stamp(e.at, now))),
        Column("level", "Level", 0, lambda e, _: look(e.level).cell),
        Column("kind", "Kind", 0, lambda e, _: Cell(e.kind)),
        Column("who", "Who", 0, lambda e, _: Cell(e.agent_id or e.project_id or e.subject_id)),
        Column("message", "Message", 0, lambda e, _: Cell(e.message)),
    )
    return Plain(fetch, lambda view: [Sheet("", columns, view)], "nothing has happened yet")


def _approvals() -> Plain:
    from executor_tui.ui.data import approvals
    from executor_tui.ui.screens.approvals import COLUMNS

    return Plain(approvals.fetch, lambda view: [Sheet("", COLUMNS, view.approvals)], "nothing was ever asked")


def _recovery() -> Plain:
    from executor_tui.ui.data import recovery
    from executor_tui.ui.screens.recovery import COLUMNS

    return Plain(recovery.fetch, lambda view: [Sheet("", COLUMNS, view.reports)], "no outage so far")


def _infra() -> Plain:
    from executor_tui.ui.data import infra
    from executor_tui.ui.screens.infra import CHANGES, THINGS

    sheets = lambda view: [Sheet("Devices", THINGS, view.things), Sheet("Changes", CHANGES, view.changes)]  # noqa: E731
    return Plain(infra.fetch, sheets, "no devices yet; take some in with: executor fleet add FILE")


def _pulse() -> Plain:
    from executor_tui.ui.data import pulse
    from executor_tui.ui.form import count, money, stamp
    from executor_tui.ui.states import Cell

    async def fetch(store: "Store", at: datetime | None) -> "PulseView":
        return await pulse.fetch(store, SPAN_S, SLICES, at)

    def sheets(view: "PulseView") -> Sequence[Sheet]:
        columns: tuple[Column[int], ...] = (
            Column("since", "Since", 0, lambda i, now: Cell(stamp(view.since + timedelta(seconds=view.step_s * i), now))),
            Column("calls", "Calls", 0, lambda i, _: Cell(count(view.calls[i]))),
            Column("failed", "Failed", 0, lambda i, _: Cell(count(view.errors[i]))),
            Column("tokens", "Tokens", 0, lambda i, _: Cell(count(view.tokens[i]))),
            Column("spend", "Spend", 0, lambda i, _: Cell(money(view.spend_usd[i]))),
            Column("parks", "Parks", 0, lambda i, _: Cell(count(view.parks[i]))),
        )
        return [Sheet("", columns, range(len(view.calls)))]

    return Plain(fetch, sheets, "no call yet")


SCREENS: dict[str, Callable[[], Plain]] = {
    "fleet": _fleet, "hydra": _hydra, "projects": _projects, "logs": _logs, "approvals": _approvals, "recovery": _recovery, "infra": _infra,
    "pulse": _pulse,
}  # fmt: skip
"""Settings is not here: it is about a console and this machine, and reads no store."""
