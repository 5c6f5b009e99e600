"""The tree of processes below this one: who is in it, what it uses, and how to end all of it.

With this process as subreaper (prctl(2) PR_SET_CHILD_SUBREAPER), a process that detaches itself (double fork, setsid) still hangs
below us, so nothing a command starts can leave the tree.
"""

# Descriptors and raw paths throughout: pathlib cannot say "relative to this open directory".
# ruff: noqa: PTH110, PTH116, PTH123, PTH208
from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import stat
import time
from collections.abc import Iterable
from dataclasses import dataclass

PR_SET_CHILD_SUBREAPER = 36
KILL_TIMEOUT_S = 10.0
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Process:
    """One process: `threads` counts its tasks, `resident_bytes` counts shared pages in full."""

    pid: int
    parent: int
    threads: int
    resident_bytes: int
    zombie: bool


def become_subreaper() -> None:
    """Have orphans below this process handed to it instead of to init."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")


def descendants(root: int) -> list[Process]:
    """Every process below `root`, parents before children. Walks only the tree where the kernel lists children, else all of /proc."""
    if not os.path.exists(f"/proc/{root}/task/{root}/children"):
        return all_descendants(root)
    found: list[Process] = []
    pending = _children(root)
    while pending:
        pid = pending.pop()
        process = _process(pid)
        if process is not None:
            found.append(process)
            pending.extend(_children(pid))
    return found


def all_descendants(root: int) -> list[Process]:
    """Like `descendants`, by the parent of every process there is: slower, and surer while processes come and go."""
    by_parent: dict[int, list[Process]] = {}
    for name in os.listdir("/proc"):
        process = _process(int(name)) if name.isdigit() else None
        if process is not None:
            by_parent.setdefault(process.parent, []).append(process)
    found: list[Process] = []
    pending = list(by_parent.get(root, ()))
    while pending:
        process = pending.pop(0)
        found.append(process)
        pending.extend(by_parent.get(process.pid, ()))
    return found


def _children(pid: int) -> list[int]:
    found: list[int] = []
    with contextlib.suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):
            with contextlib.suppress(OSError), open(f"/proc/{pid}/task/{task}/children", "rb") as stream:
                found.extend(int(word) for word in stream.read().split())
    return found


def _process(pid: int) -> Process | None:
    """One line of /proc/PID/stat; the name in it may hold anything, so fields are counted after its last parenthesis (proc(5))."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as stream:
            fields = stream.read().rpartition(b")")[2].split()
        return Process(pid, int(fields[1]), int(fields[17]), int(fields[21]) * _PAGE_BYTES, fields[0] in (b"Z", b"X"))
    except (OSError, IndexError, ValueError):
        return None


def shared_out_bytes(processes: Iterable[Process]) -> int:
    """Memory of a tree with each shared page divided among its users (PSS), where the kernel tells; else resident size."""
    return sum(_proportional(process) for process in processes)


def _proportional(process: Process) -> int:
    with contextlib.suppress(OSError, ValueError), open(f"/proc/{process.pid}/smaps_rollup", "rb") as stream:
        for line in stream:
            if line.startswith(b"Pss:"):
                return int(line.split()[1]) * 1024
    return process.resident_bytes


def deleted_bytes(processes: Iterable[Process], device: int) -> int:
    """Bytes on `device` in files which are deleted but still open in the tree; no directory shows them."""
    sizes: dict[int, int] = {}
    for process in processes:
        with contextlib.suppress(OSError):
            for name in os.listdir(f"/proc/{process.pid}/fd"):
                with contextlib.suppress(OSError):
                    found = os.stat(f"/proc/{process.pid}/fd/{name}")
                    if found.st_nlink == 0 and found.st_dev == device and stat.S_ISREG(found.st_mode):
                        sizes[found.st_ino] = found.st_blocks * 512
    return sum(sizes.values())


def end_all(root: int) -> bool:
    """Kill everything below `root`, again and again until nothing is left; False when something survives `KILL_TIMEOUT_S`."""
    deadline = time.monotonic() + KILL_TIMEOUT_S
    while time.monotonic() < deadline:
        alive = [process for process in all_descendants(root) if not process.zombie]
        for process in alive:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(process.pid, signal.SIGKILL)
        if not alive:
            return True
        time.sleep(0.005)
    return False
