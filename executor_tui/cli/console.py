"""executor: the console. Nothing heavy is imported before its first frame."""

import asyncio
import logging
import os
import signal
import sys
import termios
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

from executor_tui.config.places import Places

if TYPE_CHECKING:
    from executor_tui.ui.app import ExecutorApp
    from executor_tui.ui.curtain import Curtain
    from executor_tui.ui.shell import NodeKeeper

GONE_S = 10.0
"""A console whose line is gone is given this long to take its leave."""


def open_console(
    places: Places, *, view_only: bool = False, inline: bool = False, node_command: Sequence[str] | None = None,
    stop_node_on_quit: bool = False, origin: str = "", curtain: "Curtain | None" = None,
) -> int:  # fmt: skip
    """Open the console and return its exit code. Raises StoreError when the state directory cannot be used.

    `inline` runs the node inside this process. `node_command` replaces the command that starts a node (the lab's own); with
    `stop_node_on_quit` a node this console started does not outlive it. `origin` says where the terminal is when it is none of ours.
    `curtain` is what stands on the terminal until the first frame.
    """
    from executor_tui.domain.clock import SystemClock
    from executor_tui.ui.app import ExecutorApp
    from executor_tui.ui.attendance import identity

    _log_to_file(places)
    # A key waits for the store's thread to let go of the interpreter: a millisecond at most.
    sys.setswitchinterval(0.001)
    clock = SystemClock()
    node: NodeKeeper
    if inline:
        from executor_tui.ui.inline import InlineNode

        node = InlineNode(places, clock)
    else:
        from executor_tui.ui.supervisor import Supervisor

        # A command of the caller's own means a state directory of its own: nobody else can be about to lead.
        node = Supervisor(places, clock, node_command, *((0.0,) if node_command else ()))
    app = ExecutorApp(places, clock, identity(origin), view_only=view_only, node=node, stop_node_on_quit=stop_node_on_quit or inline)
    app.greets = node_command is None
    if curtain is not None:
        app.drawing = curtain.lift
    return _run(app)


def _run(app: "ExecutorApp") -> int:
    # A dropped line must leave the fleet running and the terminal clean: Textual installs no handler of its own.
    for number in (signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, lambda received, _: _told_to_end(app, received))
    try:
        result = app.run(mouse=os.environ.get("EXECUTOR_MOUSE", "1") != "0")
    finally:
        app.part()
    return result if isinstance(result, int) else app.return_code or 0


def _told_to_end(app: "ExecutorApp", number: int) -> None:
    if number == signal.SIGHUP and _terminal_is_gone():
        _let_go_of_the_terminal(app)
    try:
        # From the loop's own thread, but a signal does not wake a loop that waits: this does.
        asyncio.get_running_loop().call_soon_threadsafe(app.call_later, app.leave)
    except RuntimeError:
        raise SystemExit(128 + number) from None


def _terminal_is_gone() -> bool:
    """Whether it was hung up; a SIGHUP may also be sent by hand, to a console whose terminal wants to be left clean."""
    try:
        termios.tcgetattr(0)
    except termios.error:
        return True
    return False


def _let_go_of_the_terminal(app: "ExecutorApp") -> None:
    """The line is gone. Writing to it would fail in Textual's writer, whose queue then fills until nothing moves; reading from it would
    bring nothing, at once and again and again; and the kernel wakes us with SIGCONT, on which Textual would begin to draw again."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (1, 2):
        os.dup2(nowhere, descriptor)
    silent, held_open = os.pipe()
    os.write(held_open, b"\0")  # for a read that has begun; no key is bound to it
    os.dup2(silent, 0)
    signal.signal(signal.SIGCONT, lambda *_: None)
    last = threading.Timer(GONE_S, _end_anyway, (app,))
    last.daemon = True
    last.start()


def _end_anyway(app: "ExecutorApp") -> None:
    app.part()
    os._exit(128 + signal.SIGHUP)


def _log_to_file(places: Places) -> None:
    """Anything on stderr would land on the screen; until the full logging is set up, warnings go to a file too."""
    path = places.state_dir / "console.log"
    try:
        places.state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.touch(mode=0o600)
    except OSError as exc:
        from executor_tui.domain.errors import StoreError

        raise StoreError(f"{path} cannot be written: {exc.strerror}", hint=f"make {path.parent} writable for this user") from exc
    logging.basicConfig(filename=path, level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    sys.stderr.flush()
