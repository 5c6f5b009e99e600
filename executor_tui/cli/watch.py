"""executor watch: one line whenever something waits for the operator; what the console's attention line says."""

from contextlib import aclosing
from typing import TYPE_CHECKING

import click

from executor_tui.cli.context import Cli, common

if TYPE_CHECKING:
    from executor_tui.store.store import Store
    from executor_tui.ui.data.attention import Attention

_TOPICS = frozenset({"approvals", "questions", "project", "fleet", "parks"})


@click.command()
@click.option("--once", is_flag=True, help="Print the line as it is now and stop; exit code 3 when a decision of yours is waited for.")
@common
def command(cli: Cli, once: bool) -> None:
    """Print what waits for you, again each time it changes, until interrupted."""
    waits = cli.run(lambda store: _watch(cli, store, once))
    if once and waits:
        click.get_current_context().exit(3)


async def _watch(cli: Cli, store: "Store", once: bool) -> bool:
    from executor_tui.ui.data.attention import fetch

    said = ""
    async with aclosing(store.feed()) as feed:
        async for topics in feed:
            if said and not topics & _TOPICS:
                continue
            now = await fetch(store)
            if now.line() != said:
                said = now.line()
                cli.line(_document(now), said)
            if once:
                return bool(now.approvals or now.questions)
    return False


def _document(now: "Attention") -> dict[str, object]:
    """{"line", "approvals", "questions", "failures", "parks", "matters": [{"kind", "id", "text", "screen", "target"}]}."""
    counts = {"approvals": now.approvals, "questions": now.questions, "failures": now.failures, "parks": now.parks}
    return {"line": now.line(), **counts, "matters": now.matters}
