"""executor project: ask for one, follow it, answer it, stop it, go back in it. Each is a write to the store, or a read of it."""

import getpass
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from executor_tui.cli.context import Cli, age, common, table
from executor_tui.domain.project import Project, Question, Step, Where

if TYPE_CHECKING:
    from executor_tui.domain.event import Event
    from executor_tui.store.calls import Spend
    from executor_tui.store.store import Store

NO_NODE = "no node runs, so nothing works on it yet; start one with: executor (the console) or executor --no-ui"


@click.group()
def group() -> None:
    """Ask for projects and follow them."""


@group.command("new")
@click.argument("goal")
@click.option("--budget", "budget_usd", type=click.FloatRange(min=0), metavar="USD", help="What it may spend before you are asked.")
@click.option("--rounds", type=click.IntRange(1, 50), metavar="N", help="Rounds of Coder and QA before you are asked.")
@click.option("--repo", type=click.Path(path_type=Path), metavar="PATH", help="Work on this git repository; a branch is delivered there.")
@click.option("--where", type=click.Choice(["local", "lxc"]), help="Where generated code runs.")
@click.option("--unsafe-local", is_flag=True, help="Run generated code on this machine without a sandbox.")
@click.option("--wait", is_flag=True, help="Wait for the end; starts a node in this process if none runs.")
@click.option(
    "--deadline", "deadline_s", type=click.FloatRange(min=0), default=300.0, show_default=True, metavar="SECONDS",
    help="With --wait and no terminal: how long to wait for a person, a key or a model before giving up with exit code 3 or 4.",
)  # fmt: skip
@common
def new(
    cli: Cli,
    goal: str,
    budget_usd: float | None,
    rounds: int | None,
    repo: Path | None,
    where: str | None,
    unsafe_local: bool,
    wait: bool,
    deadline_s: float,
) -> None:
    """Ask for a project: tested code for GOAL. It is written down at once; the node that leads does the work."""
    from executor_tui.core.pipeline.requests import Wish, create_project

    if unsafe_local and where == "lxc":
        raise click.UsageError("--unsafe-local and --where lxc exclude each other")
    place = Where.UNSAFE_LOCAL if unsafe_local else Where(where) if where else None
    wish = Wish(goal, budget_usd, rounds, repo, place, getpass.getuser())
    config = cli.config()

    async def work(store: "Store") -> tuple[Project, bool]:
        return await create_project(store, config, wish), await store.leases.leader() is not None

    project, led = cli.run(work)
    if unsafe_local:
        cli.note("generated code will run on this machine without a sandbox, with your files and your network")
    if not wait:
        cli.emit({"project": project, "node_runs": led}, f"{project.id} queued")
        if not led:
            cli.note(NO_NODE)
        return
    from executor_tui.cli.waiting import wait_for

    cli.note(f"{project.id} queued")
    outcome = wait_for(cli, project.id, deadline_s, interactive=sys.stdin.isatty() and not cli.json)
    cli.emit(outcome.document, outcome.text)
    click.get_current_context().exit(outcome.exit_code)


@group.command("list")
@click.option("--all", "everything", is_flag=True, help="Finished ones too (the newest 20 are always shown).")
@common
def list_(cli: Cli, everything: bool) -> None:
    """Projects, newest first."""
    found = cli.run(lambda store: store.projects.list())
    shown = [p for n, p in enumerate(found) if everything or n < 20 or not p.status.final]
    cli.emit({"projects": shown}, lambda: _projects_table(shown))


def _projects_table(projects: list[Project]) -> str:
    from executor_tui.domain.clock import SystemClock

    now = SystemClock().now()
    rows = [
        (p.id, p.status, p.stage, f"{p.round}/{p.max_rounds}", f"${p.cost_usd:.4f}", age(p.created_at, now), _short(p.goal, 48))
        for p in projects
    ]  # fmt: skip
    return table(
        ("ID", "STATUS", "STAGE", "ROUND", "COST", "AGE", "GOAL"), rows, 'no projects yet; ask for one: executor project new "GOAL"'
    )  # fmt: skip


def _short(text: str, limit: int) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= limit else flat[: limit - 1] + "…"


@group.command("show")
@click.argument("project_id", metavar="ID")
@common
def show(cli: Cli, project_id: str) -> None:
    """One project: where it stands, its steps, its questions, what it cost by model."""

    async def work(store: "Store") -> tuple[Project, tuple[Step, ...], tuple[Question, ...], "dict[str, Spend]"]:
        project = await store.projects.get(project_id)
        steps, questions = await store.steps.of(project_id), await store.questions.of(project_id)
        return project, steps, questions, await store.calls.spend_by("model_id", project_id=project_id)

    project, steps, questions, spend = cli.run(work)
    by_model = {name: s for name, s in spend.items() if name}
    document = {"project": project, "steps": steps, "questions": questions, "spend_by_model": by_model}
    cli.emit(document, lambda: _shown(project, steps, questions, by_model))


def _shown(project: Project, steps: tuple[Step, ...], questions: tuple[Question, ...], spend: "dict[str, Spend]") -> str:
    budget = f" of ${project.budget_usd:.2f}" if project.budget_usd is not None else ""
    lines = [
        f"project     {project.id}: {_short(project.goal, 400)}",
        f"status      {project.status}, stage {project.stage}, round {project.round} of {project.max_rounds}",
        f"cost        ${project.cost_usd:.4f}{budget}",
    ]
    lines += [f"            {name}: {s.calls} calls, ${s.cost_usd:.4f}" for name, s in sorted(spend.items())]
    facts = {
        "detail": project.detail, "tries again": f"{project.wake_at:%Y-%m-%d %H:%M:%S} UTC" if project.wake_at else "",
        "repository": project.repo_path, "branch": project.branch, "head": project.head[:12], "source": project.source_repo,
        "forked from": project.forked_from,
    }  # fmt: skip
    lines += [f"{name:<11} {value}" for name, value in facts.items() if value]
    rows = [(str(s.seq), s.stage, str(s.round), s.kind, s.status, s.commit[:8], _short(s.summary, 80)) for s in steps]
    lines += ["", table(("STEP", "STAGE", "ROUND", "KIND", "STATUS", "COMMIT", "WHAT"), rows, "no steps yet")]
    for question in questions:
        state = f"answered by {question.answered_by}: {question.answer}" if question.answered_at else "waits for you"
        lines += ["", f"question    {_short(question.text, 600)}", f"            {state}"]
        if question.answered_at is None:
            lines.append(f'            executor project answer {project.id} "…"   ({", ".join(question.options)})')
    return "\n".join(lines)


@group.command("logs")
@click.argument("project_id", metavar="ID")
@click.option("-f", "--follow", is_flag=True, help="Go on until the project ends.")
@common
def logs(cli: Cli, project_id: str, follow: bool) -> None:
    """What happened in a project, line by line (with --json: one JSON object a line)."""

    async def work(store: "Store") -> None:
        await store.projects.get(project_id)
        seq = 0
        async for _ in store.feed():
            while events := await store.events.after(seq, project_id=project_id):
                for event in events:
                    cli.line(event, event_line(event))
                seq = events[-1].seq
            if not follow or (await store.projects.get(project_id)).status.final:
                return

    cli.run(work)


def event_line(event: "Event") -> str:
    """An event as one plain line."""
    at = event.at.strftime("%Y-%m-%dT%H:%M:%SZ") if event.at else ""
    message = "".join(c if c.isprintable() else " " for c in event.message)
    return f"{at} {event.level:<7} {event.kind:<22} {message}"


@group.command("cancel")
@click.argument("project_id", metavar="ID")
@common
def cancel(cli: Cli, project_id: str) -> None:
    """Stop a project. What was committed stays."""
    from executor_tui.core.pipeline.requests import cancel_project

    project = cli.run(lambda store: cancel_project(store, project_id, getpass.getuser()))
    cli.emit({"project": project}, f"{project.id} cancelled")


@group.command("fork")
@click.argument("project_id", metavar="ID")
@click.option("--from", "step", required=True, metavar="STEP", help="Number or id of a step (project show ID); 0 is the beginning.")
@common
def fork(cli: Cli, project_id: str, step: str) -> None:
    """A new project that goes on from a step of this one. This one stays as it is."""
    from executor_tui.core.pipeline.requests import fork_project

    async def work(store: "Store") -> tuple[Project, bool]:
        return await fork_project(store, project_id, step, getpass.getuser()), await store.leases.leader() is not None

    project, led = cli.run(work)
    cli.emit({"project": project, "node_runs": led}, f"{project.id} queued, from step {step} of {project_id}")
    if not led:
        cli.note(NO_NODE)


@group.command("answer")
@click.argument("item_id", metavar="ID")
@click.argument("text")
@common
def answer(cli: Cli, item_id: str, text: str) -> None:
    """Answer what a project asks (ID: the project, or the question)."""
    from executor_tui.core.pipeline.requests import answer_project

    question = cli.run(lambda store: answer_project(store, item_id, text, getpass.getuser()))
    cli.emit({"question": question}, f"{question.project_id or question.id}: answered “{question.answer}”")
