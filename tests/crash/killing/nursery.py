"""Forks nodes, so that their imports are paid once. Run as a program: python nursery.py CONFIG STATE --no-ui

Each line on stdin starts one: `executor --no-ui` of these directories, in a session of its own, from its first line of code on.
"""

import os
import signal
import sys
from pathlib import Path

import executor_tui.core.changes.host
import executor_tui.core.pipeline.runtime
import executor_tui.core.power_recovery
import executor_tui.node
import executor_tui.notify.discord
import executor_tui.notify.telegram_inbox  # noqa: F401
from executor_tui import headless
from executor_tui.config.places import Places
from executor_tui.domain.errors import ExecutorError


def live(places: Places) -> int:
    """One node's life, as `executor --no-ui` leads it."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.setsid()
    out = os.open(places.state_dir / "node.out", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for descriptor in (1, 2):
        os.dup2(out, descriptor)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    try:
        return headless.run(places, as_json=False)
    except ExecutorError as exc:
        sys.stderr.write(f"executor: {exc.message}\n")
        return exc.exit_code


def main() -> None:
    places = Places(Path(sys.argv[1]), Path(sys.argv[2]))
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for _ in sys.stdin:
        if os.fork() == 0:
            os._exit(live(places))


if __name__ == "__main__":
    main()
