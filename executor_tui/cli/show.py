"""executor show: any screen of the console, printed; the same columns, now or at a past moment."""

from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from executor_tui.cli.context import Cli, common, plain, table

if TYPE_CHECKING:
    from executor_tui.store.store import Store
    from executor_tui.ui.plain import Plain

NAMES = ("fleet", "hydra", "projects", "logs", "approvals", "recovery", "infra", "pulse", "settings")


@click.command()
@click.argument("screen", type=click.Choice(NAMES))
@click.option("--at", "moment", default="", metavar="WHEN", help='As it was then: 03:12, -10m, or "2026-11-21 03:12".')
@common
def command(cli: Cli, screen: str, moment: str) -> None:
    """Print a screen of the console: fleet, hydra, projects, logs, approvals, recovery, infra, pulse or settings.

    With --json: {"screen", "at", "view"}, where `view` is what the screen is drawn from.
    """
    if screen == "settings":
        _settings(cli)
        return
    from executor_tui.domain.clock import SystemClock
    from executor_tui.ui.plain import SCREENS

    now = SystemClock().now()
    at = moment_of(moment, now)
    found = SCREENS[screen]()

    async def work(store: "Store") -> Any:
        return await found.fetch(store, at)

    view = cli.run(work)
    cli.emit({"screen": screen, "at": at, "view": _without_marks(plain(view))}, lambda: _text(found, view, at or now))


def moment_of(text: str, now: datetime) -> datetime | None:
    """A moment as an operator writes it; None for no words. Raises UsageError."""
    from datetime import timedelta

    from executor_tui.ui.moments import parse_moment

    return parse_moment(text, now, now.astimezone().utcoffset() or timedelta(0)) if text else None


def _text(found: "Plain", view: Any, now: datetime) -> str:
    parts = []
    for sheet in found.sheets(view):
        rows = sheet.rows(now)
        if rows:
            parts.append((f"{sheet.title}\n" if sheet.title else "") + table(sheet.head(), rows, ""))
    return "\n\n".join(parts) or found.nothing


def _without_marks(document: object) -> object:
    """Fingerprints of keys tell whether a guessed key is ours: they stay in the store."""
    if isinstance(document, dict):
        return {name: _without_marks(value) for name, value in document.items() if name != "fingerprint"}
    return [_without_marks(value) for value in document] if isinstance(document, list) else document


def _settings(cli: Cli) -> None:
    from executor_tui.ui.data.settings import on_this_machine

    entries = on_this_machine(cli.places)
    rows = [(e.group, e.name, e.value, e.note) for e in entries]
    cli.emit({"screen": "settings", "at": None, "view": entries}, lambda: table(("ABOUT", "NAME", "VALUE", ""), rows, ""))
