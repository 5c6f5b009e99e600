"""The commands of `executor`. Each group is loaded only when it is called."""

import json
import os
import sys
from importlib import import_module

import click

from executor_tui.cli.context import Cli, common
from executor_tui.domain.errors import ExecutorError, NothingAvailableError
from executor_tui.version import __version__

COMMANDS: dict[str, tuple[str, str, str]] = {
    "project": ("executor_tui.cli.project", "group", "Ask for projects and follow them."),
    "keys": ("executor_tui.cli.keys", "group", "API keys: add, test, park, remove."),
    "models": ("executor_tui.cli.models", "command", "The model registry: tiers, routes, prices."),
    "route": ("executor_tui.cli.route", "command", "Which model would be chosen, and why not the others."),
    "ask": ("executor_tui.cli.ask", "command", "One question to a model."),
    "gateway": ("executor_tui.cli.gateway", "command", "Serve the OpenAI- and Anthropic-compatible API."),
    "tokens": ("executor_tui.cli.tokens", "group", "Virtual keys of the gateway."),
    "attach": ("executor_tui.cli.attach", "command", "Configure another program to use the gateway."),
    "fleet": ("executor_tui.cli.fleet", "group", "Agents: list, ping, pause, resume."),
    "net": ("executor_tui.cli.net", "command", "The router: in words, or typed operations."),
    "lxc": ("executor_tui.cli.lxc", "command", "Containers: in words, or typed operations."),
    "search": ("executor_tui.cli.search", "command", "Deep search, with citations."),
    "skills": ("executor_tui.cli.skills", "group", "Skills and the prompts made of them."),
    "approvals": ("executor_tui.cli.approvals", "group", "What waits for your consent."),
    "recovery": ("executor_tui.cli.recovery", "group", "Outages, reports, backups."),
    "changes": ("executor_tui.cli.changes", "group", "Changes to machines and their receipts."),
    "service": ("executor_tui.cli.service", "group", "Run Executor as a systemd service."),
    "serve": ("executor_tui.cli.serve", "command", "The console in a browser, on loopback."),
    "show": ("executor_tui.cli.show", "command", "Any screen of the console, printed."),
    "logs": ("executor_tui.cli.logs", "command", "Every event, as it happens."),
    "watch": ("executor_tui.cli.watch", "command", "One line whenever something waits for you."),
    "lab": ("executor_tui.cli.lab", "command", "Everything, against simulated upstreams."),
    "doctor": ("executor_tui.cli.doctor", "command", "Check everything you could have wrong."),
    "config": ("executor_tui.cli.config", "group", "Validate the configuration, print its schema."),
}


class LateGroup(click.Group):
    """Knows its commands by name and imports each only when it is called, so that `--help` costs nothing."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, attribute, _ = COMMANDS[cmd_name]
        found = getattr(import_module(module), attribute)
        assert isinstance(found, click.Command)
        return found

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS:
            near = [name for name in COMMANDS if name.startswith(args[0][:2])]
            hint = f" (did you mean {' or '.join(near)}?)" if near else ""
            raise click.UsageError(f"no command {args[0]!r}{hint}; see: executor --help")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, _, text) in COMMANDS.items()])


@click.group(cls=LateGroup, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("--view-only", is_flag=True, help="The console without any key that changes something.")
@click.option("--inline", is_flag=True, help="Run the node inside the console's process.")
@click.option("--no-ui", is_flag=True, help="The node alone, as a line feed on stdout.")
@click.version_option(__version__, "-V", "--version", prog_name="executor")
@common
def executor(cli: Cli, view_only: bool, inline: bool, no_ui: bool) -> None:
    """Operator console and general manager for a fleet of AI agents.

    Without a command: the console. Every command takes --config DIR, --state DIR and --json.
    """
    ctx = click.get_current_context()
    if ctx.invoked_subcommand is not None:
        return
    if no_ui:
        from executor_tui.headless import run

        ctx.exit(run(cli.places, as_json=cli.json))
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise click.UsageError("the console needs a terminal; without one use: executor --no-ui")
    from executor_tui.cli.console import open_console

    ctx.exit(open_console(cli.places, view_only=view_only, inline=inline))


def run() -> int:
    """Run what the command line asks for; every error of ours becomes one line and an exit code. 130 when interrupted."""
    as_json = "--json" in sys.argv
    try:
        result = executor.main(prog_name="executor", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except click.exceptions.Exit as exc:
        return exc.exit_code
    except (click.Abort, KeyboardInterrupt):
        return 130
    except click.ClickException as exc:
        fail(exc.format_message().splitlines()[0] if exc.format_message() else "bad usage", "", 2, as_json)
        return 2
    except ExecutorError as exc:
        fail(exc.message, exc.hint, exc.exit_code, as_json, exc)
        return exc.exit_code
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def fail(message: str, hint: str, code: int, as_json: bool, error: ExecutorError | None = None) -> None:
    """Say on stderr what went wrong and what to do; with --json as a document on stdout."""
    if as_json:
        document: dict[str, object] = {"message": message, "hint": hint, "code": code}
        if isinstance(error, NothingAvailableError):
            document["available_at"] = error.available_at.isoformat() if error.available_at else None
        click.echo(json.dumps({"error": document}, ensure_ascii=False))
        return
    lines = message.splitlines() or [""]
    click.echo("\n".join([f"executor: {lines[0]}", *lines[1:]]), err=True)
    if isinstance(error, NothingAvailableError) and error.available_at is not None:
        click.echo(f"  available again at {error.available_at:%Y-%m-%d %H:%M:%S} UTC", err=True)
    if hint:
        click.echo(f"  {hint}", err=True)
