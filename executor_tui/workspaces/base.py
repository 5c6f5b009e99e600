"""What every workspace can do, wherever its tree is: files, search, commands under limits, and commits."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from executor_tui.workspaces.inside import job

MIB = 1024 * 1024
GIB = 1024 * MIB

Command = str | Sequence[str]
"""Words are run as they are; a single string is given to a shell, inside the bounds of the workspace."""

OnOutput = Callable[[str], None]
"""Gets the output of a command as it comes. It is raw text from generated code: never markup, never a format string."""


class Ended(StrEnum):
    """Why a command is over."""

    EXIT = job.EXIT
    TIMEOUT = job.TIMEOUT
    SIGNAL = job.SIGNAL
    OUTPUT_LIMIT = job.OUTPUT_LIMIT
    MEMORY = job.MEMORY
    PROCESSES = job.PROCESSES
    DISK = job.DISK
    CANCELLED = job.CANCELLED


@dataclass(frozen=True, slots=True)
class RunLimits:
    """Bounds of one command. Reaching one ends the command and everything it started.

    `time_s` is wall time. `memory_bytes` and `processes` (threads count) are for all its processes together, `output_bytes` for stdout and
    stderr together, `disk_bytes` for what it may add to the workspace, its home and its /tmp, and for any single file. `environment` are
    names and values on top of the plain ones that every command gets.
    """

    time_s: float = 120.0
    memory_bytes: int = 2 * GIB
    processes: int = 256
    output_bytes: int = 8 * MIB
    disk_bytes: int = 2 * GIB
    environment: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        for name in ("time_s", "memory_bytes", "processes", "output_bytes", "disk_bytes"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be more than 0")


@dataclass(frozen=True, slots=True)
class RunResult:
    """What became of a command.

    `exit_code` is None when the command was stopped, and 128+N when signal N ended it, as shells report it. Short output (stdout and stderr
    as they came) is whole in `stdout_tail`; of a long one `stdout_head` and `stdout_tail` hold both ends. `output_bytes` counts all of it.
    """

    command: str
    exit_code: int | None
    stdout_tail: str
    output_truncated: bool
    output_bytes: int
    duration_s: float
    ended: Ended
    stdout_head: str = ""
    peak_memory_bytes: int = 0
    peak_processes: int = 0
    limits: RunLimits = RunLimits()

    @property
    def ok(self) -> bool:
        """The command came to its own end with code 0."""
        return self.ended is Ended.EXIT and self.exit_code == 0

    @property
    def output(self) -> str:
        """The output as far as it was kept, with a line where something is missing."""
        if not self.output_truncated:
            return self.stdout_tail
        return f"{self.stdout_head}\n[… part of {self.output_bytes} bytes of output left out …]\n{self.stdout_tail}"

    @property
    def summary(self) -> str:
        """One line: how it ended, and against which limit."""
        limits = self.limits
        reasons = {
            Ended.EXIT: f"exit code {self.exit_code}",
            Ended.SIGNAL: f"ended by signal {(self.exit_code or 128) - 128}",
            Ended.TIMEOUT: f"stopped: still running after {limits.time_s:g} s",
            Ended.OUTPUT_LIMIT: f"stopped: more than {limits.output_bytes} bytes of output",
            Ended.MEMORY: f"stopped: more than {limits.memory_bytes // MIB} MiB of memory",
            Ended.PROCESSES: f"stopped: {limits.processes} processes or more",
            Ended.DISK: f"stopped: more than {limits.disk_bytes // MIB} MiB written",
            Ended.CANCELLED: "stopped: cancelled",
        }
        return f"{reasons[self.ended]} ({self.duration_s:.1f} s)"


@dataclass(frozen=True, slots=True)
class Match:
    """A line found by a search; `line` is 1-based."""

    path: str
    line: int
    text: str


@dataclass(frozen=True, slots=True)
class Commit:
    """One commit of the workspace; `step` is the value of its Executor-Step trailer, where it has one."""

    sha: str
    author: str
    time: datetime
    subject: str
    step: str = ""


@dataclass(frozen=True, slots=True)
class Delivery:
    """A branch that stands in the source repository."""

    source: str
    branch: str
    sha: str


@dataclass(frozen=True, slots=True)
class Toolchain:
    """Which tools a command finds inside the workspace's bounds. `commands` maps a name to its path there."""

    commands: dict[str, str]
    python_version: str = ""
    has_pytest: bool = False

    @property
    def test_command(self) -> str:
        """How Python tests are run here: pytest where it is, else the standard library's unittest."""
        return "python3 -m pytest" if self.has_pytest else "python3 -m unittest"

    def describe(self) -> str:
        """One line for an agent's prompt."""
        names = ", ".join(sorted(self.commands)) or "none"
        python = f"Python {self.python_version}; tests run with `{self.test_command}`" if self.python_version else "no Python"
        return f"Tools: {names}. {python}."


class Workspace(Protocol):
    """A git repository and the commands run in it.

    Every method raises a `WorkspaceError` with a message fit to be shown to a model. Paths are relative to the tree.
    """

    @property
    def root(self) -> Path:
        """A git repository on this machine that holds every commit: the tree itself, or the mirror of a remote one."""
        ...

    @property
    def sandboxed(self) -> bool:
        """Whether commands are confined away from this machine's files and network."""
        ...

    def describe(self) -> str:
        """One line for the operator: where the tree is and how its commands are confined."""
        ...

    async def read(self, path: str, first_line: int = 1, last_line: int | None = None) -> str:
        """A text file, or a range of its lines (1-based, inclusive); bytes that are no UTF-8 become U+FFFD."""
        ...

    async def write(self, path: str, text: str) -> None:
        """Create or replace a file, making its directories."""
        ...

    async def edit(self, path: str, old: str, new: str) -> int:
        """Replace `old`, which must occur exactly once, by `new`; returns the line where it stood."""
        ...

    async def search(self, pattern: str, glob: str = "") -> list[Match]:
        """Lines that match a regular expression (Python's `re`), in files whose path matches `glob`; at most 200."""
        ...

    async def list_files(self, glob: str = "") -> list[str]:
        """Paths of the files, sorted, ignored ones left out."""
        ...

    async def run(self, command: Command, limits: RunLimits | None = None, on_output: OnOutput | None = None) -> RunResult:
        """Run a command at the top of the tree. Cancelling the task ends the command and everything it started."""
        ...

    async def commit(self, message: str, role: str = "") -> str:
        """Record the tree as it is; returns the commit, or the standing one when nothing changed. `role` signs it."""
        ...

    async def head(self) -> str:
        """The commit the tree stands on."""
        ...

    async def reset_to(self, sha: str) -> str:
        """Put tree and branch back to a commit; ignored files stay."""
        ...

    async def log(self, limit: int = 100) -> list[Commit]:
        """Newest commits first."""
        ...

    async def diff(self, old: str, new: str = "HEAD") -> str:
        """Unified diff between two commits, cut at 1 MiB."""
        ...

    async def fresh_copy(self) -> "Workspace":
        """A clean clone of HEAD elsewhere, for a run that nothing left behind can influence. The caller destroys it."""
        ...

    async def deliver(self, source: Path, branch: str) -> Delivery:
        """Push HEAD to the repository at `source` as a new branch; its checkout, index and other branches stay as they are."""
        ...

    async def toolchain(self) -> Toolchain:
        """The tools a command finds in this workspace."""
        ...

    async def destroy(self) -> None:
        """Remove the tree and what belongs to it."""
        ...


@asynccontextmanager
async def clean_copy(workspace: Workspace) -> AsyncIterator[Workspace]:
    """A fresh copy that is gone again afterwards, whatever happens."""
    copy = await workspace.fresh_copy()
    try:
        yield copy
    finally:
        await copy.destroy()
