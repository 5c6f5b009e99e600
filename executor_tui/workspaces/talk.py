"""Talking to the code that works beside the tree, over any pair of byte streams."""

import base64
import json
from collections.abc import AsyncIterator, Callable, Mapping
from typing import cast

from executor_tui.workspaces.base import Ended, OnOutput, RunLimits, RunResult
from executor_tui.workspaces.decoding import TextFeed
from executor_tui.workspaces.errors import UnreachableError, WorkspaceError, error_of
from executor_tui.workspaces.inside import faults

MAX_LINE_BYTES = 64 * 1024 * 1024

OnData = Callable[[bytes], None]


def request(op: str, args: Mapping[str, object], give_up_s: int | None = None) -> bytes:
    """The line that asks for an operation; `give_up_s` replaces the time it may take by default."""
    return json.dumps({"op": op, "args": dict(args), "give_up_s": give_up_s}).encode("ascii") + b"\n"


async def reply(chunks: AsyncIterator[bytes], on_output: OnOutput | None = None, on_data: OnData | None = None) -> object:
    """Read frames until the value or the error comes; raises the error, and `UnreachableError` when the stream ends before."""
    feed = TextFeed()
    async for line in _lines(chunks):
        frame = _frame(line)
        if "ok" in frame:
            if on_output is not None and (rest := feed.end()):
                on_output(rest)
            return frame["ok"]
        if "error" in frame:
            error = cast("dict[str, object]", frame["error"])
            raise error_of(str(error.get("code")), str(error.get("message")))
        if "out" in frame and on_output is not None and (text := feed.add(_bytes(frame["out"]))):
            on_output(text)
        if "data" in frame and on_data is not None:
            on_data(_bytes(frame["data"]))
    raise UnreachableError("the workspace's helper ended without an answer", hint="look at the log of the machine it runs on")


async def _lines(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    waiting = bytearray()
    async for chunk in chunks:
        waiting += chunk
        *whole, rest = waiting.split(b"\n")
        for line in whole:
            yield bytes(line)
        waiting = bytearray(rest)
        if len(waiting) > MAX_LINE_BYTES:
            raise WorkspaceError("the workspace's helper sent a line without an end")


def _frame(line: bytes) -> dict[str, object]:
    try:
        frame = json.loads(line)
    except ValueError as error:
        text = faults.shown(line[:200].decode("utf-8", "replace"))
        raise UnreachableError(f"the workspace's helper answered with something else: {text}") from error
    if not isinstance(frame, dict):
        raise UnreachableError("the workspace's helper answered with something that is no frame")
    return cast("dict[str, object]", frame)


def _bytes(value: object) -> bytes:
    return base64.b64decode(str(value))


def result_of(value: object, command: str, limits: RunLimits) -> RunResult:
    """The result in a run's reply."""
    ending = cast("dict[str, object]", value)
    code = ending["exit_code"]
    return RunResult(
        command=command,
        exit_code=None if code is None else int(cast("int", code)),
        stdout_tail=_bytes(ending["tail"]).decode("utf-8", "replace"),
        stdout_head=_bytes(ending["head"]).decode("utf-8", "replace"),
        output_truncated=bool(ending["truncated"]),
        output_bytes=int(cast("int", ending["output_bytes"])),
        duration_s=float(cast("float", ending["duration_s"])),
        ended=Ended(str(ending["ended"])),
        peak_memory_bytes=int(cast("int", ending["peak_memory_bytes"])),
        peak_processes=int(cast("int", ending["peak_processes"])),
        limits=limits,
    )
