"""executor approvals: what waits for consent, and saying yes or no."""

import getpass

import click

from executor_tui.cli.context import Cli, age, common, table
from executor_tui.domain.approval import Approval, ApprovalScope, ApprovalStatus, Decision
from executor_tui.domain.errors import UsageError


@click.group()
def group() -> None:
    """What waits for your consent. Silence means no."""


@group.command("list")
@click.option("--all", "everything", is_flag=True, help="Decided ones too.")
@common
def list_(cli: Cli, everything: bool) -> None:
    """Approvals that wait (or, with --all, every one)."""
    found = cli.run(lambda store: store.approvals.list() if everything else store.approvals.pending())
    cli.emit({"approvals": found}, lambda: _table(found))


def _table(found: tuple[Approval, ...]) -> str:
    from executor_tui.domain.clock import SystemClock

    now = SystemClock().now()
    rows = [
        (a.id, a.status, a.subject, a.agent_id or "-", f"${a.estimate_usd:.4f}", age(a.created_at, now), a.decided_by or "-") for a in found
    ]
    return table(("ID", "STATUS", "WHAT", "AGENT", "ESTIMATE", "AGE", "BY"), rows, "nothing waits for your consent")


def parse_scope(text: str) -> tuple[ApprovalScope, float | None, float | None]:
    """`once`, `project`, `project=USD` or `minutes=N` as (scope, limit_usd, minutes). Raises UsageError."""
    name, _, value = text.partition("=")
    try:
        if name == "once" and not value:
            return ApprovalScope.ONCE, None, None
        if name == "project":
            return ApprovalScope.PROJECT, float(value) if value else None, None
        if name == "minutes" and float(value) > 0:
            return ApprovalScope.MINUTES, None, float(value)
    except ValueError:
        pass
    raise UsageError(f"--scope {text!r} is not one of: once, project, project=USD, minutes=N")


@group.command("approve")
@click.argument("approval_id", metavar="ID")
@click.option("--scope", default="once", show_default=True, help="once, project, project=USD or minutes=N.")
@click.option("--confirm", default="", metavar="WORD", help="The word a destructive change asks for.")
@common
def approve(cli: Cli, approval_id: str, scope: str, confirm: str) -> None:
    """Say yes. The first decision wins."""
    kind, limit_usd, minutes = parse_scope(scope)
    _decide(cli, approval_id, Decision(True, getpass.getuser(), "command line", kind, limit_usd, minutes), confirm)


@group.command("deny")
@click.argument("approval_id", metavar="ID")
@common
def deny(cli: Cli, approval_id: str) -> None:
    """Say no. What asked goes on without it."""
    _decide(cli, approval_id, Decision(False, getpass.getuser(), "command line"), "")


def _decide(cli: Cli, approval_id: str, decision: Decision, confirm: str) -> None:
    from executor_tui.store.store import Store

    async def work(store: Store) -> Approval:
        found = await store.approvals.get(approval_id)
        waiting = found.status is ApprovalStatus.PENDING
        if decision.approved and waiting and found.word and confirm != found.word:
            raise UsageError(f"this cannot be undone: {found.subject}", hint=f"say so with: --confirm {found.word}")
        return await store.approvals.decide(approval_id, decision)

    done = cli.run(work)
    cli.emit({"approval": done}, f"{done.id}: {done.status} ({done.scope}) — {done.subject}")
