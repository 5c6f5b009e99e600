"""One command to run under limits, and how it ended, as both cross the wire."""

from __future__ import annotations

import base64
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from executor_tui.workspaces.inside import faults
from executor_tui.workspaces.inside.faults import Fault

EXIT = "exit"
TIMEOUT = "timeout"
SIGNAL = "signal"
OUTPUT_LIMIT = "output_limit"
MEMORY = "memory"
PROCESSES = "processes"
DISK = "disk"
CANCELLED = "cancelled"

_DEADLY = frozenset(
    (
        signal.SIGHUP,
        signal.SIGINT,
        signal.SIGQUIT,
        signal.SIGILL,
        signal.SIGTRAP,
        signal.SIGABRT,
        signal.SIGBUS,
        signal.SIGFPE,
        signal.SIGKILL,
        signal.SIGUSR1,
        signal.SIGSEGV,
        signal.SIGUSR2,
        signal.SIGPIPE,
        signal.SIGALRM,
        signal.SIGTERM,
        signal.SIGXCPU,
        signal.SIGXFSZ,
        signal.SIGSYS,
    )
)


@dataclass(frozen=True)
class Job:
    """A command and its bounds.

    `watched` are directories whose growth counts as disk use. `wrapped` says that argv starts a sandbox: it must report on the descriptor
    that stands for `STATUS_FD` in argv, and may read a system call filter (`filter`, base64) from `FILTER_FD`. `own_pids` runs the command
    in a process-id namespace of its own.
    """

    argv: list[str]
    cwd: str
    env: dict[str, str]
    watched: list[str]
    time_s: float
    memory_bytes: int
    processes: int
    output_bytes: int
    disk_bytes: int
    stream: bool = False
    wrapped: bool = False
    filter: str = ""
    own_pids: bool = False

    @classmethod
    def of(cls, data: Mapping[str, object]) -> Job:
        """A job from what came over the wire; raises `Fault` for anything but the shape `as_json` makes."""
        try:
            job = cls(**cast("dict[str, object]", dict(data)))  # type: ignore[arg-type]
        except TypeError as error:
            raise Fault(faults.COMMAND, f"the command cannot be run: {error}") from error
        if not job.argv or any(not isinstance(word, str) for word in job.argv):
            raise Fault(faults.COMMAND, "the command is empty")
        return job


STATUS_FD = "{status-fd}"
FILTER_FD = "{filter-fd}"


@dataclass(frozen=True)
class Ending:
    """How a command ended: `exit_code` is None when it was stopped, and 128+N when signal N ended it, as shells report it."""

    ended: str
    exit_code: int | None
    head: bytes
    tail: bytes
    output_bytes: int
    truncated: bool
    duration_s: float
    peak_memory_bytes: int
    peak_processes: int

    def as_json(self) -> dict[str, object]:
        """The ending for the wire, bytes in base64."""
        return {
            "ended": self.ended,
            "exit_code": self.exit_code,
            "head": base64.b64encode(self.head).decode("ascii"),
            "tail": base64.b64encode(self.tail).decode("ascii"),
            "output_bytes": self.output_bytes,
            "truncated": self.truncated,
            "duration_s": self.duration_s,
            "peak_memory_bytes": self.peak_memory_bytes,
            "peak_processes": self.peak_processes,
        }


def ended_by_itself(code: int) -> str:
    """The kind of end behind an exit code, by the convention that 128+N stands for signal N."""
    if code == 128 + signal.SIGXFSZ:
        return DISK
    return SIGNAL if code - 128 in _DEADLY else EXIT
