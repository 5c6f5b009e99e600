"""executor doctor: everything a user could have wrong, and how to mend each."""

import click

from executor_tui.cli.context import Cli, common, table
from executor_tui.cli.doctor_checks import Check, Result, run_checks


@click.command()
@common
def command(cli: Cli) -> None:
    """Check Python, sandbox, database, identity, providers, keys, terminal, clock and host. Exit code 1 when something fails."""
    checks = run_checks(cli.places)
    failed = [c for c in checks if c.result is Result.FAIL]
    cli.emit({"ok": not failed, "checks": checks}, lambda: _table(checks))
    if failed:
        click.get_current_context().exit(1)


def _table(checks: list[Check]) -> str:
    glyphs = {Result.OK: "✓ ok", Result.WARN: "! warn", Result.FAIL: "✗ fail"}
    lines = [table(("", "CHECK", "FOUND"), [(glyphs[c.result], c.name, c.found) for c in checks], "")]
    mends = [f"  {c.name}: {c.mend}" for c in checks if c.mend]
    if mends:
        lines += ["", "What to do:", *mends]
    return "\n".join(lines)
