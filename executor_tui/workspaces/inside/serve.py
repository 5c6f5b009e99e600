"""The door of this package: requests on stdin, their replies on stdout, as lines of JSON.

Request: {"op": name, "args": {...}, "give_up_s": seconds or null}.
Reply: any number of {"out": base64} and {"data": base64} lines, then {"ok": value} or
{"error": {"code", "message"}}. Bytes that belong to a request follow its line. While a command runs, the end of stdin cancels it.
"""

# Descriptors and raw paths throughout: pathlib cannot say "relative to this open directory".
# ruff: noqa: PTH103, PTH110, PTH123
from __future__ import annotations

import base64
import json
import os
import platform
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Mapping
from typing import TypedDict, cast

from executor_tui.workspaces.inside import exchange, faults, files, git, repository, runner, searching
from executor_tui.workspaces.inside.faults import Fault
from executor_tui.workspaces.inside.job import Job
from executor_tui.workspaces.inside.wire import Wire

MAX_REQUEST_BYTES = 16 * 1024 * 1024
OPERATION_TIMEOUT_S = 600
SEARCH_TIMEOUT_S = 15
PIECE_BYTES = 256 * 1024


class Seed(TypedDict):
    """A bundle of `size` bytes that follows the request, and where its commit goes."""

    root: str
    sha: str
    branch: str
    keep_tree: bool
    size: int


Operation = Callable[..., object]


def _deliver(root: str, source: str, branch: str) -> dict[str, str]:
    done = exchange.deliver(root, source, branch)
    return {"branch": done.branch, "sha": done.sha}


def facts() -> dict[str, object]:
    """What this machine offers: versions, user, shell, and whether process-id namespaces work."""
    return {
        "python": platform.python_version(),
        "git": exchange.git_version(),
        "uid": os.getuid(),
        "home": os.path.expanduser("~"),
        "path": os.environ.get("PATH", "") or os.defpath,
        "shell": shutil.which("bash") or "/bin/sh",
        "own_pids": runner.own_pids_work(),
    }


OPERATIONS: Mapping[str, Operation] = {
    "facts": facts,
    "read": files.read,
    "write": files.write,
    "edit": files.edit,
    "search": searching.search,
    "list_files": repository.list_files,
    "create": repository.create,
    "clone": repository.clone,
    "head": repository.head,
    "branch": repository.branch_of,
    "commit": repository.commit,
    "reset_to": repository.reset_to,
    "log": repository.log,
    "diff": repository.diff,
    "check": git.check_repository,
    "top": exchange.top_of,
    "deliver": _deliver,
    "make_directory": lambda path: os.makedirs(path, exist_ok=True),
    "remove": repository.remove,
}


def perform(op: str, args: Mapping[str, object]) -> object:
    """Do one operation here and now; every failure is a `Fault`."""
    try:
        return OPERATIONS[op](**args)
    except OSError as error:
        about = error.filename if isinstance(error.filename, str) else str(args.get("path") or args.get("root") or "the workspace")
        raise faults.of_os_error(error, f"{op} of {faults.shown(about)}") from error


def main() -> None:
    """Answer the requests on stdin, one after the other; a command is the last one, since the end of stdin is what cancels it."""
    wire = Wire(sys.stdout.fileno())
    for line in iter(lambda: sys.stdin.buffer.readline(MAX_REQUEST_BYTES), b""):
        request = cast("dict[str, object]", json.loads(line))
        try:
            wire.send({"ok": _answer(request, wire)})
        except Fault as fault:
            wire.send({"error": {"code": fault.code, "message": fault.message}})
        finally:
            signal.alarm(0)
        wire.finish()
        if request["op"] == "run":
            return


def _answer(request: Mapping[str, object], wire: Wire) -> object:
    op, args = cast("str", request["op"]), cast("dict[str, object]", request["args"])
    if op == "run":
        return runner.run(Job.of(args), wire, sys.stdin.fileno()).as_json()
    usual = SEARCH_TIMEOUT_S if op == "search" else OPERATION_TIMEOUT_S
    _give_up_after(cast("int | None", request.get("give_up_s")) or usual, op)
    if op == "seed":
        return _seed(cast("Seed", args))
    if op == "bundle":
        return _bundle(wire, str(args["root"]), str(args["have"]))
    return perform(op, args)


def _give_up_after(seconds: int, op: str) -> None:
    """Have this process stop what it does with a `Fault`; the regular expression engine looks for signals too."""

    def stop(*_: object) -> None:
        if op == "search":
            raise Fault(faults.PATTERN, f"the search did not end within {seconds} s; use a simpler pattern or a narrower glob")
        raise Fault(faults.OTHER, f"{op} did not end within {seconds} s and was stopped")

    signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)


def _seed(seed: Seed) -> str:
    """Take a bundle from stdin and put the tree on its commit, making the repository where there is none."""
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "in.bundle")
        left = seed["size"]
        with open(path, "wb") as stream:
            while left > 0 and (piece := sys.stdin.buffer.read(min(left, PIECE_BYTES))):
                left -= stream.write(piece)
        bundle = path if seed["size"] else ""
        return repository.seed(seed["root"], bundle, seed["sha"], seed["branch"], seed["keep_tree"])


def _bundle(wire: Wire, root: str, have: str) -> str:
    """Send the commits the other side lacks as {"data"} lines; the value is HEAD."""
    git.check_repository(root)
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "out.bundle")
        sha = exchange.bundle(os.path.join(root, ".git"), have, path)
        if os.path.exists(path):
            with open(path, "rb") as stream:
                for piece in iter(lambda: stream.read(PIECE_BYTES), b""):
                    wire.send({"data": base64.b64encode(piece).decode("ascii")})
                    wire.finish()
        return sha
