"""executor recovery: outages and their reports, backups, quarantine, alerts that could not be delivered."""

import getpass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from executor_tui.cli.context import Cli, common, table
from executor_tui.domain.errors import NothingAvailableError, UsageError
from executor_tui.domain.recovery import RecoveryReport

if TYPE_CHECKING:
    from executor_tui.core.backups import Backup
    from executor_tui.domain.alert import Alert, Delivery
    from executor_tui.store.store import Store


@click.group()
def group() -> None:
    """Outages, reports, backups, undelivered alerts."""


@group.command("last")
@common
def last(cli: Cli) -> None:
    """The report of the last outage."""
    found = cli.run(lambda store: store.reports.last())
    cli.emit({"report": found}, lambda: "no outage has been reported" if found is None else _text(found))


@group.command("list")
@common
def list_(cli: Cli) -> None:
    """Every report and every backup."""
    from executor_tui.core.backups import found as backups_of

    reports = cli.run(lambda store: store.reports.list())
    backups = backups_of(cli.places.state_dir)
    cli.emit({"reports": reports, "backups": backups}, lambda: f"{_reports_table(reports)}\n\n{_backups_table(backups)}")


@group.command("run")
@click.option("--wait", "wait_s", default=60.0, show_default=True, metavar="SECONDS", help="How long to wait for the report.")
@common
def run(cli: Cli, wait_s: float) -> None:
    """Have the running node scan everything now: ping the agents, settle, resume, report."""

    async def work(store: "Store") -> RecoveryReport:
        from executor_tui.core.power_recovery import SCAN_REQUEST
        from executor_tui.domain.ids import new_id

        if await store.leases.leader() is None:
            raise NothingAvailableError("no node runs, so nothing can be scanned", hint="a start scans by itself: executor --no-ui")
        report_id = new_id("rec")
        await store.notes.put(SCAN_REQUEST, {"report_id": report_id, "by": getpass.getuser()})
        cli.note("asked the node for a scan")
        return await _awaited(store, report_id, wait_s)

    found = cli.run(work)
    cli.emit({"report": found}, lambda: _text(found))


async def _awaited(store: "Store", report_id: str, wait_s: float) -> RecoveryReport:
    import asyncio
    from contextlib import aclosing

    try:
        async with asyncio.timeout(wait_s), aclosing(store.feed()) as feed:
            async for _ in feed:
                report = await store.reports.find(report_id)
                if report is not None:
                    return report
    except TimeoutError:
        pass
    raise NothingAvailableError(f"the node has not reported within {wait_s:g} s", hint="look later with: executor recovery last")


@group.command("backup")
@common
def backup(cli: Cli) -> None:
    """Back up now, verified, while everything runs."""
    from executor_tui.core import backups
    from executor_tui.domain.clock import SystemClock

    _refuse_on_postgres(cli)
    made = backups.take(cli.places, SystemClock(), cli.config().executor.backups.keep)
    cli.emit({"backup": made}, f"backed up to {made.path} ({made.size_bytes / 1e6:.1f} MB)")


@group.command("restore")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--yes", is_flag=True, help="Do not ask.")
@common
def restore(cli: Cli, file: Path, yes: bool) -> None:
    """Put the backup FILE back. What is there now is kept beside it."""
    from executor_tui.core import backups
    from executor_tui.core.identity import NodeLock
    from executor_tui.domain.clock import SystemClock
    from executor_tui.store.backup import verify

    _refuse_on_postgres(cli)
    path = file if file.exists() else cli.places.state_dir / backups.FOLDER / file
    verify(path)
    if not yes and not cli.json:
        click.confirm(f"Put {path} in the place of the store of {cli.places.state_dir}?", abort=True, err=True)
    with NodeLock(cli.places.state_dir):
        done = backups.restore(cli.places, path, SystemClock())
    kept = f"; what was there is kept as {', '.join(p.name for p in done.kept)}" if done.kept else ""
    cli.emit({"restored": done}, f"restored {done.backup}{kept}")


@group.command("release")
@click.argument("project_id", metavar="ID")
@common
def release(cli: Cli, project_id: str) -> None:
    """Let a project that was put in quarantine run again."""

    async def work(store: "Store") -> None:
        from executor_tui.core.recovery.work import release as released

        project = await store.projects.get(project_id)
        if not await released(store, project_id, getpass.getuser()):
            raise UsageError(f"project {project_id} is not in quarantine; it is {project.status}")

    cli.run(work)
    cli.emit({"released": project_id}, f"project {project_id} is queued again")


@group.command("letters")
@common
def letters(cli: Cli) -> None:
    """Dead letters: alerts that Telegram or Discord would not take, and why; and how the channels are."""

    async def work(store: "Store") -> "tuple[dict[str, object], tuple[tuple[Delivery, Alert], ...]]":
        states = {name: await store.notes.get(f"channel.{name}") for name in ("telegram", "discord")}
        return {name: state for name, state in states.items() if state}, await store.deliveries.dead()

    channels, dead = cli.run(work)
    rows = [(d.id, d.channel, a.title, d.error) for d, a in dead]
    document = {"channels": channels, "letters": [{"delivery": d, "alert": a} for d, a in dead]}
    told = "\n".join(_channel(name, state) for name, state in channels.items())
    cli.emit(document, lambda: (told + "\n\n" if told else "") + table(("LETTER", "CHANNEL", "WHAT", "WHY"), rows, "no dead letters"))


@group.command("resend")
@click.argument("letter_ids", metavar="LETTER…", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Every dead letter.")
@click.option("--forget", is_flag=True, help="Do not send them again: let them rest.")
@common
def resend(cli: Cli, letter_ids: tuple[str, ...], everything: bool, forget: bool) -> None:
    """Send dead letters again, once what was wrong is mended; or let them rest."""
    if bool(letter_ids) is everything:
        raise UsageError("say which letters, or --all", hint="see them with: executor recovery letters")

    async def work(store: "Store") -> int:
        from executor_tui.domain.event import Event

        dead = {d.id for d, _ in await store.deliveries.dead()}
        unknown = sorted(set(letter_ids) - dead)
        if unknown:
            raise UsageError(f"{', '.join(unknown)}: no dead letter of that name", hint="see them with: executor recovery letters")
        chosen = sorted(dead if everything else letter_ids)
        if forget:
            words = f"{len(chosen)} dead letters put to rest by {getpass.getuser()}"
            return await store.deliveries.forget(chosen, Event("alert.forgotten", words))
        return await store.deliveries.revive(chosen, Event("alert.resent", f"{len(chosen)} dead letters sent again by {getpass.getuser()}"))

    done = cli.run(work)
    words = f"{done} put to rest" if forget else f"{done} wait to be sent again; the leading node sends them"
    cli.emit({"forgotten" if forget else "resent": done}, words if done else "no dead letters")


def _channel(name: str, state: object) -> str:
    told = state if isinstance(state, dict) else {}
    reason = f": {told['reason']}" if told.get("reason") else ""
    return f"{name}: {told.get('state', 'unknown')}{reason}"


def _refuse_on_postgres(cli: Cli) -> None:
    from executor_tui.core.backups import POSTGRES

    if not cli.config().database_url("sqlite").startswith("sqlite"):
        raise UsageError(POSTGRES)


def _text(report: RecoveryReport) -> str:
    from executor_tui.core.recovery.report import lines

    return "\n".join([f"{report.id}", *lines(report)])


def _reports_table(reports: tuple[RecoveryReport, ...]) -> str:
    rows = [(r.id, r.kind, f"{r.up_at:%Y-%m-%d %H:%M:%S}", r.node_id, str(len(r.todo)), r.summary) for r in reports]
    return table(("REPORT", "KIND", "UP AGAIN (UTC)", "NODE", "TO DO", "WHAT"), rows, "no outage has been reported")


def _backups_table(backups: "tuple[Backup, ...]") -> str:
    rows = [(str(b.path), f"{b.taken_at:%Y-%m-%d %H:%M:%S}", f"{b.size_bytes / 1e6:.1f} MB", b.why or "-") for b in backups]
    return table(("BACKUP", "TAKEN (UTC)", "SIZE", "WHY"), rows, "no backup yet; make one with: executor recovery backup")
