"""`executor attach PROGRAM`: another program's configuration for the gateway, with a virtual key of its own."""

from typing import TYPE_CHECKING

import click

from executor_tui.cli.context import Cli, common

if TYPE_CHECKING:
    from executor_tui.store.store import Store

PROGRAMS = ("opencode", "aider", "claude-code", "continue", "env")


@click.command("attach")
@click.argument("program", type=click.Choice(PROGRAMS))
@click.option("--write", is_flag=True, help="Write it into the program's own file instead of printing it.")
@click.option("--model", "-m", default="executor/auto", help="The model the program starts with.")
@click.option("--budget", type=click.FloatRange(min=0), metavar="USD", help="The most its calls may cost.")
@common
def command(cli: Cli, program: str, write: bool, model: str, budget: float | None) -> None:
    """Configure opencode, aider, Claude Code or Continue for the gateway; env prints variables for anything else."""
    from executor_tui.cli import attach_files
    from executor_tui.cli.door import lasting_url
    from executor_tui.core import virtual_keys
    from executor_tui.domain.clock import SystemClock

    config = cli.config()
    models = [m.id for m in config.models.models]
    target = attach_files.target(program, cli.places.state_dir)
    if write:
        attach_files.check(target)

    async def work(store: "Store") -> tuple[str, str]:
        url = await lasting_url(cli, store)
        if await store.tokens.by_name(program) is not None:
            await store.tokens.revoke(program)
            cli.note(f"the key {program} had before is revoked")
        _, secret = await virtual_keys.issue(store, SystemClock(), program, budget_usd=budget)
        return url, secret

    url, secret = cli.run(work)
    text = attach_files.render(program, url, secret, model, models, attach_files.existing(target) if write else None)
    if not write:
        cli.note(f"put this into {target.path}, or let it be written: executor attach {program} --write")
        cli.emit({"program": program, "path": str(target.path), "content": text}, text.rstrip("\n"))
        return
    backup = attach_files.write(target, text)
    kept = f"; what it held is in {backup}" if backup else ""
    cli.emit({"program": program, "path": str(target.path), "backup": str(backup or "")}, f"{target.path} is written{kept}")
