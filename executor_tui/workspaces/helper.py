"""The helper on this machine: file and git operations in a thread, commands and searches in a process of their own.

A search is a process because a regular expression may never end, and a thread caught in one would stop the whole program. A command is
one because its limits must hold whatever this program does: when it dies, the helper sees its input end and kills the command.
"""

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import executor_tui
from executor_tui.workspaces import talk
from executor_tui.workspaces.base import OnOutput
from executor_tui.workspaces.errors import UnreachableError, error_of
from executor_tui.workspaces.inside import faults, serve

ENDING_TIMEOUT_S = 20.0
PIECE_BYTES = 65536
IN_PROCESS = frozenset(("run", "search"))
_START = "import sys; sys.path.insert(0, sys.argv[1]); from executor_tui.workspaces.inside.serve import main; main()"


async def call(op: str, args: Mapping[str, object]) -> object:
    """Do one operation; raises a `WorkspaceError`."""
    if op in IN_PROCESS:
        return await ask_process(op, args)
    try:
        return await asyncio.to_thread(serve.perform, op, args)
    except faults.Fault as fault:
        raise error_of(fault.code, fault.message) from fault


async def ask_process(op: str, args: Mapping[str, object], on_output: OnOutput | None = None, give_up_s: int | None = None) -> object:
    """Do one operation in a process of its own. Cancelling ends it and, for a command, everything it started."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-I", "-S", "-c", _START, _package_parent()),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env=_environment(),
        start_new_session=True,
    )
    assert process.stdin is not None and process.stdout is not None
    try:
        process.stdin.write(talk.request(op, args, give_up_s))
        with contextlib.suppress(ConnectionError):
            await process.stdin.drain()
        return await talk.reply(_chunks(process.stdout), on_output)
    finally:
        await asyncio.shield(asyncio.ensure_future(_finish(process)))


async def _finish(process: asyncio.subprocess.Process) -> None:
    """Close the helper's input, which ends what it runs, and wait for it; kill it when it does not come back."""
    assert process.stdin is not None and process.stdout is not None
    process.stdin.close()
    try:
        async with asyncio.timeout(ENDING_TIMEOUT_S):
            while await process.stdout.read(PIECE_BYTES):
                pass
            await process.wait()
    except TimeoutError as error:
        process.kill()
        await process.wait()
        raise UnreachableError("the workspace's helper did not end and was killed") from error


async def _chunks(stream: asyncio.StreamReader) -> AsyncIterator[bytes]:
    while chunk := await stream.read(PIECE_BYTES):
        yield chunk


def _package_parent() -> str:
    return str(Path(next(iter(executor_tui.__path__))).parent)


def _environment() -> dict[str, str]:
    """Nothing of ours: the helper's environment can be read by what it runs without a sandbox."""
    return {"PATH": os.environ.get("PATH", os.defpath), "HOME": "/nonexistent", "LC_ALL": "C.UTF-8"}
