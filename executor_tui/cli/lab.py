"""executor lab: everything, against simulated upstreams, in a throw-away state directory."""

import asyncio
import contextlib
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click

from executor_tui.cli.context import Cli, common
from executor_tui.config.places import Places
from executor_tui.domain.errors import ExecutorError, UsageError

if TYPE_CHECKING:
    from executor_tui.domain.project import Project
    from executor_tui.store.store import Store

ERRANDS_S = 60.0
ONLY = (
    "The lab's model is a script: it knows only these goals, and of requests in words only a limit, a port forward and a box;"
    " for any other it says so."
)


@click.command()
@click.option("--no-ui", is_flag=True, help="Without the console: a line feed, or with --once a report.")
@click.option("--once", is_flag=True, help="Run one goal to its end, print the report, stop.")
@click.option("--goal", "goal_number", default=1, show_default=True, metavar="N", help="Which of the lab's goals.")
@common
def command(cli: Cli, no_ui: bool, once: bool, goal_number: int) -> None:
    """Executor with simulated providers, router and hypervisor on loopback. Nothing is spent and nothing outside is touched.

    Its model is a script that knows three goals and three kinds of request in words. The console, the node, the gateway, the
    sandbox and the tests it runs are real.
    """
    folder = Path(tempfile.mkdtemp(prefix="executor-lab-"))
    places = Places(folder / "config", folder / "state")
    places.config_dir.mkdir()
    places.state_dir.mkdir(mode=0o700)
    if once:
        click.get_current_context().exit(asyncio.run(_once(cli, places, goal_number)))
    if no_ui:
        click.get_current_context().exit(asyncio.run(_feed(cli, places)))
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError("the console needs a terminal; without one use: executor lab --no-ui --once")
    code = _console(places, goal_number)
    cli.note(f"The lab's state is in {folder}; delete it with: rm -r {folder}")
    click.get_current_context().exit(code)


def _goal(number: int) -> str:
    from executor_tui.lab.script.model import GOALS

    if not 1 <= number <= len(GOALS):
        raise UsageError(f"--goal takes 1 to {len(GOALS)}: " + "; ".join(f"{n}. {g}" for n, g in enumerate(GOALS, 1)))
    return GOALS[number - 1]


async def _once(cli: Cli, places: Places, number: int) -> int:
    """One project from sentence to delivery; the lab's own operator gives the one approval it asks for, and says so."""
    from executor_tui.domain.project import Project
    from executor_tui.lab import errands
    from executor_tui.lab.report import document, text
    from executor_tui.lab.world import World
    from executor_tui.logs import log_to_file
    from executor_tui.node import running_node

    goal = _goal(number)
    log_to_file(places.log_file)
    cli.note(f"goal: {goal}\n{ONLY}")
    async with World(places, live=False) as world, running_node(places) as node:
        for problem in world.problems:
            cli.note(problem)
        made = await node.store.projects.create(Project("prj-lab", goal, created_by="lab"))
        operator = asyncio.create_task(_lab_operator(cli, node.store), name="lab-operator")
        narrator = asyncio.create_task(_narrate(cli, node.store), name="lab-narrator")
        running = asyncio.create_task(errands.run(node), name="lab-errands")
        try:
            project = await _until_final(node.store, made.id)
            async with asyncio.timeout(ERRANDS_S):
                done = await running
        except TimeoutError as exc:
            raise ExecutorError("the lab's changes did not end in time", hint="see the log in the lab's state directory") from exc
        finally:
            for task in (operator, narrator, running):
                task.cancel()
            await asyncio.gather(operator, narrator, running, return_exceptions=True)
        report = await document(node.store, project, done)
    cli.emit(report, lambda: text(report))
    well = project.status == "delivered" and all(errand.status == "done" for errand in done)
    return 0 if well else 1


async def _until_final(store: "Store", project_id: str) -> "Project":
    async with contextlib.aclosing(store.feed()) as feed:
        async for _ in feed:
            project = await store.projects.get(project_id)
            if project.status.final or project.status == "asking":
                return project
    raise ExecutorError("the store's feed ended")


async def _lab_operator(cli: Cli, store: "Store") -> None:
    """Says yes to what the lab's project asks for. In your own installation only a person does."""
    from executor_tui.domain.approval import Decision
    from executor_tui.domain.errors import ConflictError

    async for topics in store.feed():
        if "approvals" not in topics:
            continue
        for approval in await store.approvals.pending():
            with contextlib.suppress(ConflictError):
                await store.approvals.decide(approval.id, Decision(True, "lab operator", "lab"))
                about = f"risk: {approval.risk}" if approval.risk else f"about ${approval.estimate_usd:.4f}"
                cli.note(f"  lab operator approved: {approval.subject} ({about})")


async def _narrate(cli: Cli, store: "Store") -> None:
    from executor_tui.headless import line_of

    seq = 0
    async for _ in store.feed():
        for event in await store.events.after(seq):
            seq = event.seq
            if event.project_id or event.kind.startswith(("key.", "park", "gateway.", "node.", "call", "change.", "search.")):
                cli.note("  " + line_of(event, as_json=False)[20:])


async def _feed(cli: Cli, places: Places) -> int:
    from executor_tui.headless import run_feed
    from executor_tui.lab.world import World

    async with World(places, live=True) as world:
        for problem in world.problems:
            cli.note(problem)
        cli.note(f"the lab is up; its state is in {places.state_dir.parent}\n{ONLY}")
        await run_feed(places, as_json=cli.json)
    return 0


def _console(places: Places, number: int) -> int:
    """The console at once; the world and its node come up behind it as the console's own node, with one project asked for."""
    from executor_tui.cli.console import open_console

    command = [sys.executable, "-m", "executor_tui.lab", "--config", str(places.config_dir), "--state", str(places.state_dir)]
    return open_console(places, node_command=[*command, "--goal", _goal(number)], stop_node_on_quit=True)
