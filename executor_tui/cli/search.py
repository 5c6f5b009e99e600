"""`executor search`: a question to the web, answered with numbered, dated sources, and kept as a report."""

import asyncio
import sys
from typing import TYPE_CHECKING

import click

from executor_tui.cli.context import Cli, common, table
from executor_tui.domain.errors import UsageError

if TYPE_CHECKING:
    from executor_tui.agents.search_report import SearchReport
    from executor_tui.agents.search_stream import Progress
    from executor_tui.store.store import Store

TELL_EVERY_S = 5.0


@click.command("search")
@click.argument("question", required=False)
@click.option("--depth", type=click.Choice(["quick", "thorough", "deep"]), default="thorough", show_default=True, help="How much looking.")
@click.option("--budget", type=click.FloatRange(min=0), metavar="USD", help="Ask nothing that is estimated to cost more.")
@click.option("--model", "-m", default="", help="One model by name, also one that does not search: then the answer is marked as uncited.")
@click.option("--list", "listing", is_flag=True, help="The reports kept so far.")
@click.option("--show", default="", metavar="ID", help="A kept report.")
@common
def command(cli: Cli, question: str | None, depth: str, budget: float | None, model: str, listing: bool, show: str) -> None:
    """A question to the web, with citations. QUESTION - reads it from standard input.

    quick is one look (cents), thorough reads more, deep researches for minutes and costs most. What pages say is quoted, never followed.
    """
    if listing or show:
        if question:
            raise UsageError("--list and --show look at kept reports and take no question")
        _kept(cli, show)
        return
    text = sys.stdin.read() if question == "-" else question or ""
    report = _asked(cli, text, depth, budget, model)
    _print(cli, report)


def _asked(cli: Cli, question: str, depth: str, budget: float | None, model: str) -> "SearchReport":
    from executor_tui.agents.deep_search import Search, checked
    from executor_tui.agents.search_report import Depth
    from executor_tui.domain.ids import new_id

    words = checked(question)
    config = cli.config()

    async def work(store: "Store") -> "SearchReport":
        import aiohttp

        from executor_tui.cli.ask import tell_of_approvals
        from executor_tui.cli.door import open_door
        from executor_tui.core.searching import Searcher, search_agent
        from executor_tui.core.skill_injector import SkillInjector

        agent_id = await search_agent(store)
        wanted = Search(new_id("srch"), words, Depth(depth), model, budget, agent_id, why="asked on the command line")
        async with open_door(cli, store, "search", agent_id) as door, aiohttp.ClientSession() as session:

            async def access(agent: str, project: str) -> tuple[str, str]:
                return f"{door.url}/v1", door.secret

            searcher = Searcher(store, cli.places, config, SkillInjector(config), session, access)
            narrator = _Narrator(cli)
            waiting = asyncio.create_task(tell_of_approvals(cli, store), name="approvals")
            try:
                return await searcher.run(wanted, narrator)
            finally:
                waiting.cancel()
                await asyncio.gather(waiting, return_exceptions=True)

    return cli.run(work)


class _Narrator:
    """Says on stderr how far a search is, now and then."""

    def __init__(self, cli: Cli) -> None:
        self._cli, self._said_s, self._phase = cli, 0.0, ""

    def __call__(self, progress: "Progress") -> None:
        if progress.phase == self._phase and progress.elapsed_s - self._said_s < TELL_EVERY_S:
            return
        self._said_s, self._phase = progress.elapsed_s, progress.phase
        found = f", {progress.sources} sources" if progress.sources else ""
        self._cli.note(f"  {progress.elapsed_s:4.0f} s  {progress.phase}, {progress.chars} characters{found}")


def _print(cli: Cli, report: "SearchReport") -> None:
    from executor_tui.agents.search_report import as_text
    from executor_tui.core.searching import report_file

    path = report_file(cli.places, report.id)
    cli.emit({"report": report.as_json(), "path": str(path)}, lambda: as_text(report))
    cli.note(f"{report.model}, ${report.cost_usd:.4f}, {report.duration_s:.0f} s; kept as {path}")


def _kept(cli: Cli, show: str) -> None:
    from executor_tui.agents.search_report import as_text
    from executor_tui.core.searching import get_report, list_reports, report_file

    if show:
        report = get_report(cli.places, show)
        cli.emit({"report": report.as_json(), "path": str(report_file(cli.places, report.id))}, lambda: as_text(report))
        return
    found = list_reports(cli.places)
    rows = [
        (r.id, f"{r.asked_at:%Y-%m-%d %H:%M}", r.depth, r.model, str(len(r.sources)), f"${r.cost_usd:.4f}", r.question[:60]) for r in found
    ]
    head = ("ID", "ASKED", "DEPTH", "MODEL", "SOURCES", "COST", "QUESTION")
    cli.emit({"reports": [r.as_json() for r in found]}, lambda: table(head, rows, 'no reports yet; ask with: executor search "…"'))
