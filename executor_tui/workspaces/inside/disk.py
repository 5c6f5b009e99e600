"""How much a command has written: measured by du(1), asked for when the volume shrinks and every few seconds."""

# Descriptors and raw paths throughout: pathlib cannot say "relative to this open directory".
# ruff: noqa: PTH116
from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Sequence

from executor_tui.workspaces.inside import proctree

ROUTINE_S = 5.0
EAGER_S = 0.5


class DiskWatch:
    """Watches directories grow. `poll` never blocks: du runs beside the command and its answer is taken when it is there.

    What du cannot see (deleted files held open, directories closed to us) is added from the open files of the tree, or taken as too much
    when the volume has lost more than the limit meanwhile.
    """

    def __init__(self, paths: Sequence[str], limit_bytes: int) -> None:
        self._paths = list(paths)
        self._limit = limit_bytes
        self._device = os.stat(paths[0]).st_dev
        self._free_at_start = _free_bytes(paths[0])
        self._asked_at = time.monotonic()
        self._child: subprocess.Popen[bytes] | None = None
        output = subprocess.run(self._command(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False).stdout
        self._at_start = _sum(output)

    @property
    def pid(self) -> int:
        """The process id of a running du, else 0."""
        return self._child.pid if self._child else 0

    def _command(self) -> list[str]:
        return ["du", "-s", "-x", "-B1", "--", *self._paths]

    def exceeded(self, processes: Sequence[proctree.Process]) -> bool:
        """Whether the last finished measurement is over the limit; starts the next one when it is time."""
        now = time.monotonic()
        lost = self._free_at_start - _free_bytes(self._paths[0])
        if self._child is None:
            wait_s = EAGER_S if lost > self._limit // 2 else ROUTINE_S
            if now - self._asked_at >= wait_s:
                self._asked_at = now
                self._child = subprocess.Popen(self._command(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        return lost > self._limit and proctree.deleted_bytes(processes, self._device) > self._limit

    def finished(self, status: int) -> bool:
        """Take the answer of the du that just ended with `status`; whether it is over the limit."""
        assert self._child is not None and self._child.stdout is not None
        with self._child.stdout as pipe:
            used = _sum(pipe.read()) - self._at_start
        self._child.returncode = status
        self._child = None
        blind = status != 0 and self._free_at_start - _free_bytes(self._paths[0]) > self._limit
        return used > self._limit or blind

    def stop(self) -> None:
        """Forget a running measurement; the caller ends its process with the rest."""
        if self._child is not None and self._child.stdout is not None:
            self._child.stdout.close()
            self._child.returncode = 0
            self._child = None


def _free_bytes(path: str) -> int:
    found = os.statvfs(path)
    return found.f_bavail * found.f_frsize


def _sum(output: bytes) -> int:
    return sum(int(line.split(b"\t", 1)[0]) for line in output.splitlines() if line.split(b"\t", 1)[0].isdigit())
