"""executor serve: the console in a browser, on loopback, behind a token."""

import asyncio
import contextlib
import os
import signal
import sys

import click

from executor_tui.cli.context import Cli, common

PORT = 8765


@click.command()
@click.option("--port", type=click.IntRange(0, 65535), default=PORT, show_default=True, help="Port to listen on, 0 for any free one.")
@click.option("--view-only", is_flag=True, help="Consoles without any key that changes something.")
@common
def command(cli: Cli, port: int, view_only: bool) -> None:
    """Serve the console to a browser on this machine until interrupted.

    The address it prints holds the only key to it; a new one is made at each start. It listens on loopback alone. From another
    machine, forward the port over SSH and open the same address there: ssh -L 8765:127.0.0.1:8765 HOST
    """
    from executor_tui.logs import log_to_file

    log_to_file(cli.places.state_dir / "serve.log")
    asyncio.run(_serve(cli, port, view_only))


async def _serve(cli: Cli, port: int, view_only: bool) -> None:
    from executor_tui.cli.browser import BrowserDoor

    door = BrowserDoor(cli.places, port=port, view_only=view_only)
    url = await door.start()
    cli.line({"serve": {"url": url, "pid": os.getpid(), "view_only": view_only}}, url)
    cli.note("Open this address in a browser on this machine. Whoever has it has this console. Stop with ctrl-c.")
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    # What a console that cannot start says goes where narration goes: stdout is data.
    with contextlib.redirect_stdout(sys.stderr):
        await stopped.wait()
        await door.stop()
