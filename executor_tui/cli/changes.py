"""executor changes: changes to machines, their receipts, and taking them back."""

import getpass
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from executor_tui.cli.context import Cli, age, common, table
from executor_tui.cli.machines import How, outcome_text, report, see_through
from executor_tui.domain.change import Change, ChangeStatus, Receipt
from executor_tui.domain.errors import UsageError

if TYPE_CHECKING:
    from executor_tui.agents.device import Asked
    from executor_tui.store.store import Store


@click.group()
def group() -> None:
    """Changes to machines and their receipts."""


@group.command("list")
@click.option("--open", "only_open", is_flag=True, help="Only those that have not ended.")
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True)
@common
def list_(cli: Cli, only_open: bool, limit: int) -> None:
    """Changes, newest first."""
    found = [c for c in cli.run(lambda store: store.changes.list()) if not (only_open and c.status.final)][:limit]
    cli.emit({"changes": [replace(c, journal={}) for c in found]}, lambda: _table(found))


def _table(found: list[Change]) -> str:
    from executor_tui.domain.clock import SystemClock

    now = SystemClock().now()
    rows = [(c.id, c.status, c.risk, c.device, c.summary, c.requested_by or "-", age(c.created_at, now)) for c in found]
    return table(("ID", "STATUS", "RISK", "DEVICE", "WHAT", "BY", "AGE"), rows, "no changes yet")


@group.command("show")
@click.argument("change_id", metavar="ID")
@common
def show(cli: Cli, change_id: str) -> None:
    """One change: its plan, how it ended, its receipt."""

    async def work(store: "Store") -> tuple[Change, Receipt | None]:
        return await store.changes.get(change_id), await store.receipts.of_change(change_id)

    found, receipt = cli.run(work)
    cli.emit({"change": replace(found, journal={}), "receipt": receipt}, lambda: _text(found, receipt))


def _text(found: Change, receipt: Receipt | None) -> str:
    lines = [
        outcome_text(found, undoable=receipt is not None and bool(receipt.undo)),
        f"risk: {found.risk}",
        f"plan: {found.plan_hash[:16] or '-'}",
    ]
    lines += [f"  {number}. {call.get('about', '')}" for number, call in enumerate(found.plan, 1)]
    if receipt is not None:
        lines.append(f"consent: {receipt.consented_by or '-'}")
        lines.append(f"receipt: {receipt.id}, place {receipt.seq} of the chain, {receipt.digest[:16]}…")
    return "\n".join(lines)


@group.command("undo")
@click.argument("name", metavar="ID")
@click.option("--yes", is_flag=True, help="Consent now, to whatever is not destructive.")
@click.option("--confirm", default="", metavar="WORD", help="Consent now to something destructive, by its word.")
@common
def undo(cli: Cli, name: str, yes: bool, confirm: str) -> None:
    """Take a change back, by its id or its receipt's: a change like any other."""
    from executor_tui.core.changes.requests import take_back

    config = cli.config()

    async def work(store: "Store") -> Change:
        return await see_through(cli, store, config, await take_back(store, name, getpass.getuser()), How(yes=yes, confirm=confirm))

    report(cli, cli.run(work))


@group.command("retry")
@click.argument("change_id", metavar="ID")
@click.option("--yes", is_flag=True, help="Consent now, to whatever is not destructive.")
@click.option("--confirm", default="", metavar="WORD", help="Consent now to something destructive, by its word.")
@common
def retry(cli: Cli, change_id: str, yes: bool, confirm: str) -> None:
    """Ask for the same once more; everything is decided and planned anew. What was asked in words is asked in the same words."""
    from executor_tui.core.changes import words
    from executor_tui.core.changes.requests import retry_of

    config = cli.config()

    async def again(store: "Store") -> "Change | Asked":
        earlier = await store.changes.get(change_id)
        if not words.by_model(earlier):
            return retry_of(earlier, getpass.getuser())
        if yes or confirm:
            raise UsageError(
                "a request in words is consented to after its plan is shown, never before", hint="leave --yes and --confirm away"
            )
        made = await words.ask_again(store, earlier, getpass.getuser())
        return await see_through(cli, store, config, made, How())

    found = cli.run(again)
    if isinstance(found, Change):
        report(cli, found)
    else:
        _ask(cli, found, How(yes=yes, confirm=confirm))


def _ask(cli: Cli, asked: "Asked", how: How) -> None:
    config = cli.config()

    async def work(store: "Store") -> Change:
        from executor_tui.agents.devices import open_device
        from executor_tui.core.changes.requests import submit

        device = await open_device(asked.device, store, config, cli.places)
        return await see_through(cli, store, config, await submit(store, device, asked), how)

    report(cli, cli.run(work))


@group.command("run")
@common
def run(cli: Cli) -> None:
    """Work on open changes until each has ended or waits for somebody; for when no node runs."""
    config = cli.config()

    async def work(store: "Store") -> list[Change]:
        open_ = (ChangeStatus.PLANNED, ChangeStatus.WAITING, ChangeStatus.APPLYING)
        return [await see_through(cli, store, config, change, How()) for change in await store.changes.in_status(*open_)]

    ended = cli.run(work)
    cli.emit({"changes": [replace(c, journal={}) for c in ended]}, lambda: "\n".join(map(outcome_text, ended)) or "nothing is open")


@group.command("verify")
@common
def verify(cli: Cli) -> None:
    """Check the chain of receipts: whether one was altered, added or taken away. Exit code 1 when it does not hold."""
    from executor_tui.core.changes.receipts import check_store

    check = cli.run(check_store)
    text = f"{check.receipts} receipts, the chain holds" if check.whole else "\n".join(check.faults)
    cli.emit({"receipts": check.receipts, "whole": check.whole, "faults": check.faults}, text)
    if not check.whole:
        click.get_current_context().exit(1)
