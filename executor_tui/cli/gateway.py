"""`executor gateway`: the API door alone, in the foreground."""

import asyncio
import os

import click

from executor_tui.cli.context import Cli, common


@click.command("gateway")
@click.option("--host", help="Address to listen on (gateway.host in executor.json).")
@click.option("--port", type=click.IntRange(0, 65535), help="Port to listen on, 0 for any free one (gateway.port in executor.json).")
@common
def command(cli: Cli, host: str | None, port: int | None) -> None:
    """Serve the OpenAI- and Anthropic-compatible API until interrupted. A running node serves it already."""
    from executor_tui.gateway.__main__ import LOG_FILE, raise_open_files, run
    from executor_tui.logs import log_to_file

    log_to_file(cli.places.state_dir / LOG_FILE)
    raise_open_files()

    def listening(url: str) -> None:
        cli.line({"gateway": {"url": url, "pid": os.getpid()}}, url)
        cli.note(f"OpenAI clients: base URL {url}/v1. Anthropic clients: {url}. A key: executor tokens new NAME. Stop with ctrl-c.")

    asyncio.run(run(cli.places, host, port, child=False, listening=listening))
