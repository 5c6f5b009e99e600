"""A process that has everything imported and forks one life of `runner` after the other: a crash test needs many, and imports take longest.

Each line of stdin is a request {config, state, operations, crash_at, out}; each line of stdout the life's exit code, negative for a signal.
"""

import asyncio
import json
import os
import sys
import traceback
from pathlib import Path

import aiosqlite  # noqa: F401 - imported late by the program
import alembic.command  # noqa: F401
import proxmoxer.backends.https  # noqa: F401
import pyrage  # noqa: F401
import runner  # beside this file, which is started as a script
import sqlalchemy.dialects.sqlite.aiosqlite  # noqa: F401

from executor_tui.domain.crash import CRASH_ENV


def live(request: dict[str, str]) -> None:
    """One life, in a child that never returns."""
    out = os.open(request["out"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.dup2(out, 1)
    os.dup2(out, 2)
    os.environ[CRASH_ENV] = request["crash_at"]
    code = 0
    try:
        asyncio.run(runner.main(request["config"], request["state"], request["operations"]))
    except BaseException:
        traceback.print_exc()
        code = 70
    sys.stdout.flush()
    os._exit(code)


def serve() -> None:
    for line in sys.stdin:
        request = json.loads(line)
        pid = os.fork()
        if pid == 0:
            live(request)
        _, status = os.waitpid(pid, 0)
        print(json.dumps({"code": os.waitstatus_to_exitcode(status), "out": Path(request["out"]).read_text()}), flush=True)


if __name__ == "__main__":
    serve()
