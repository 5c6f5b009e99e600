"""executor logs: every event, as the Logs screen shows it."""

from contextlib import aclosing
from typing import TYPE_CHECKING

import click

from executor_tui.cli.context import Cli, common

if TYPE_CHECKING:
    from executor_tui.store.store import Store

LEVELS = ("debug", "info", "warning", "error")


@click.command()
@click.option("-f", "--follow", is_flag=True, help="Go on as events happen, until interrupted.")
@click.option("-n", "count", type=click.IntRange(0, 1_000_000), default=50, show_default=True, help="How many of the past to begin with.")
@click.option("--level", type=click.Choice(LEVELS), default="info", show_default=True, help="This level and up.")
@click.option("--agent", default="", metavar="ID", help="Only of this agent.")
@click.option("--project", default="", metavar="ID", help="Only of this project.")
@click.option("--find", default="", metavar="REGEX", help="Only lines that match; ! in front for those that do not.")
@click.option("--at", "moment", default="", metavar="WHEN", help='Up to then: 03:12, -10m, or "2026-11-21 03:12".')
@common
def command(cli: Cli, follow: bool, count: int, level: str, agent: str, project: str, find: str, moment: str) -> None:
    """Print events, oldest first; with --json one document a line: the event's fields."""
    if follow and moment:
        raise click.UsageError("--follow goes on from now; --at looks back: take one of them")
    cli.run(lambda store: _print(cli, store, follow, count, level, agent, project, find, moment))


async def _print(cli: Cli, store: "Store", follow: bool, count: int, level: str, agent: str, project: str, find: str, moment: str) -> None:
    from executor_tui.cli.project import event_line
    from executor_tui.cli.show import moment_of
    from executor_tui.domain.event import Level
    from executor_tui.ui.widgets.columns import parse_query

    lowest, query, now = Level(level), parse_query(find), store.clock.now()
    at = moment_of(moment, now)
    seq = await store.events.last_seq()
    if count:
        for event in await store.events.tail(count, min_level=lowest, agent_id=agent, project_id=project, until=at):
            if query.keeps(line := event_line(event)):
                cli.line(event, line)
            seq = max(seq, event.seq)
    if not follow:
        return
    async with aclosing(store.feed()) as feed:
        async for _ in feed:
            for event in await store.events.after(seq, agent_id=agent, project_id=project, min_level=lowest):
                seq = event.seq
                if query.keeps(line := event_line(event)):
                    cli.line(event, line)
