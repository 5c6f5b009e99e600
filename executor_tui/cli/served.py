"""One console in a browser tab: `python -m executor_tui.cli.served`, started by `executor serve` for each connection.

It is the same console on the same store; only its terminal is a browser's.
"""

import argparse
import os
import sys

from executor_tui.config.places import find_places

OURS_NOT = ("TMUX", "STY", "SSH_CONNECTION", "SSH_CLIENT", "SSH_TTY")
"""What the terminal `executor serve` runs in says of itself; the browser is another terminal."""


def main() -> int:
    """Open the console and return its exit code."""
    parser = argparse.ArgumentParser(prog="executor_tui.cli.served")
    parser.add_argument("--config")
    parser.add_argument("--state")
    parser.add_argument("--view-only", action="store_true")
    given = parser.parse_args()
    for name in OURS_NOT:
        os.environ.pop(name, None)
    from executor_tui.cli.console import open_console

    return open_console(find_places(given.config, given.state), view_only=given.view_only, origin="browser")


if __name__ == "__main__":
    sys.exit(main())
