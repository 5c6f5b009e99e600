"""Run one command under limits and end everything it started.

Memory is held down by looking at the tree twenty times a second rather than by RLIMIT_AS or RLIMIT_DATA: node, the JVM, Go and the
sanitizers reserve far more address space than they use and fail under those. What a command can take between two looks goes first when the
kernel runs out, because its oom_score_adj is the highest there is. Processes are counted the same way, since RLIMIT_NPROC does not bind
root (setrlimit(2)); a sandbox sets it as well where it does bind.
"""

# Descriptors and raw paths throughout: pathlib cannot say "relative to this open directory".
# ruff: noqa: PTH123
from __future__ import annotations

import base64
import contextlib
import json
import os
import resource
import selectors
import signal
import subprocess
import time

from executor_tui.workspaces.inside import faults, job, proctree
from executor_tui.workspaces.inside.capture import Capture
from executor_tui.workspaces.inside.disk import DiskWatch
from executor_tui.workspaces.inside.faults import Fault, shown
from executor_tui.workspaces.inside.job import FILTER_FD, STATUS_FD, Ending, Job
from executor_tui.workspaces.inside.wire import Wire

LOOK_EVERY_S = 0.05
LOOK_SHARE = 0.1
LOOKS, BETWEEN_LOOKS_S = 3, 0.01
"""Before a command is ended for its memory: one look may fall between a fork and the sharing of its pages."""
PIECE_BYTES = 65536
OPEN_FILES = 4096
NICENESS = 5
LAST_WORDS_BYTES = 1024 * 1024


def run(spec: Job, wire: Wire, stop_fd: int) -> Ending:
    """Run `spec` to its end and report it; `wire` gets {"out": base64} frames when the job streams.

    The end of the stream on `stop_fd` cancels the run: whoever asked for it is gone.
    """
    proctree.become_subreaper()
    return _Run(spec, wire, stop_fd).go()


class _Run:
    def __init__(self, spec: Job, wire: Wire, stop_fd: int) -> None:
        self._spec = spec
        self._wire = wire
        self._stop_fd = stop_fd
        self._capture = Capture()
        self._status: int | None = None
        self._reason = ""
        self._peak_memory = 0
        self._peak_processes = 0
        self._next_look = 0.0
        self._selector = selectors.DefaultSelector()

    def go(self) -> Ending:
        spec = self._spec
        self._disk = DiskWatch(spec.watched, spec.disk_bytes)
        wake = self._wake_on_child()
        status_read, status_write = os.pipe()
        started = time.monotonic()
        self._deadline = started + spec.time_s
        self._child = self._spawn(status_write)
        os.close(status_write)
        assert self._child.stdout is not None
        self._pipe = self._child.stdout.fileno()
        os.set_blocking(self._pipe, False)
        for descriptor in (self._pipe, self._stop_fd, wake):
            self._selector.register(descriptor, selectors.EVENT_READ)
        try:
            while self._status is None and not self._reason:
                self._turn(wake)
        finally:
            survived = not proctree.end_all(os.getpid())
            self._reap()
            self._disk.stop()
        self._drain()
        if survived:
            raise Fault(faults.OTHER, "some processes of the command could not be killed; look for them on the machine")
        self._check_sandbox(status_read)
        return self._ending(time.monotonic() - started)

    def _wake_on_child(self) -> int:
        read_end, write_end = os.pipe()
        os.set_blocking(write_end, False)
        os.set_blocking(read_end, False)
        signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        return read_end

    def _spawn(self, status_fd: int) -> subprocess.Popen[bytes]:
        spec = self._spec
        filter_fd = _in_memory(base64.b64decode(spec.filter))
        named = {STATUS_FD: str(status_fd), FILTER_FD: str(filter_fd)}
        argv = [named.get(word, word) for word in spec.argv] if spec.wrapped else spec.argv
        try:
            return subprocess.Popen(
                [*_own_pids_prefix(spec.own_pids), *argv],
                cwd=spec.cwd,
                env=spec.env,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=(status_fd, filter_fd) if spec.wrapped else (),
                preexec_fn=lambda: _set_limits(spec.disk_bytes),
            )
        except FileNotFoundError as error:
            raise Fault(faults.COMMAND, f"there is no command {shown(argv[0])}") from error
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            raise Fault(faults.COMMAND, f"{shown(argv[0])} cannot be started: {shown(str(error))}") from error
        finally:
            os.close(filter_fd)

    def _turn(self, wake: int) -> None:
        now = time.monotonic()
        until = min(self._next_look, self._deadline)
        for key, _ in self._selector.select(max(0.0, until - now)):
            if key.fd == self._pipe:
                self._read()
            elif key.fd == wake:
                os.read(wake, PIECE_BYTES)
            elif not os.read(self._stop_fd, PIECE_BYTES):
                self._reason = job.CANCELLED
        self._send(None)
        self._reap()
        now = time.monotonic()
        if self._status is None and not self._reason and now >= self._next_look:
            self._look()
            self._next_look = now + max(LOOK_EVERY_S, (time.monotonic() - now) / LOOK_SHARE)
        if self._status is None and not self._reason and now >= self._deadline:
            self._reason = job.TIMEOUT

    def _read(self) -> bool:
        try:
            data = os.read(self._pipe, PIECE_BYTES)
        except BlockingIOError:
            return False
        if not data:
            with contextlib.suppress(KeyError):
                self._selector.unregister(self._pipe)
            return False
        allowed = self._spec.output_bytes - self._capture.total_bytes
        self._capture.add(data)
        if self._spec.stream and allowed > 0:
            self._send({"out": base64.b64encode(data[:allowed]).decode("ascii")})
        if len(data) > allowed and not self._reason:
            self._reason = job.OUTPUT_LIMIT
        return True

    def _send(self, frame: dict[str, object] | None) -> None:
        try:
            if frame is None:
                self._wire.flush()
            else:
                self._wire.send(frame)
        except BrokenPipeError:
            self._reason = self._reason or job.CANCELLED

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid == self._child.pid:
                self._status = status
                self._child.returncode = os.waitstatus_to_exitcode(status)
            elif pid == self._disk.pid and self._disk.finished(status):
                self._reason = self._reason or job.DISK

    def _look(self) -> None:
        tree = self._tree()
        count = sum(process.threads for process in tree)
        memory = self._memory_of(tree)
        self._peak_memory = max(self._peak_memory, memory)
        self._peak_processes = max(self._peak_processes, count)
        if count >= self._spec.processes:
            self._reason = job.PROCESSES
        elif memory > self._spec.memory_bytes:
            self._reason = job.MEMORY
        elif self._disk.exceeded(tree):
            self._reason = job.DISK

    def _tree(self) -> list[proctree.Process]:
        return [process for process in proctree.descendants(os.getpid()) if process.pid != self._disk.pid and not process.zombie]

    def _memory_of(self, tree: list[proctree.Process]) -> int:
        """Cheaply while it is surely within the limit; else exactly, more than once: a fork in between counts shared pages too often."""
        memory = sum(process.resident_bytes for process in tree)
        for look in range(LOOKS):
            if memory <= self._spec.memory_bytes:
                break
            if look:
                time.sleep(BETWEEN_LOOKS_S)
                tree = self._tree()
            memory = min(memory, proctree.shared_out_bytes(tree))
        return memory

    def _drain(self) -> None:
        """Take what is still in the pipe; everyone who could write to it is dead."""
        left = LAST_WORDS_BYTES
        while left > 0 and self._read():
            left -= PIECE_BYTES

    def _check_sandbox(self, status_fd: int) -> None:
        with os.fdopen(status_fd, "rb") as stream:
            reported = stream.read(PIECE_BYTES)
        if self._spec.wrapped and not self._reason and not _command_ran(reported):
            last = self._capture.ends()[1].decode("utf-8", "replace").strip().splitlines()
            raise Fault(faults.SANDBOX, f"the sandbox did not start: {shown(last[-1] if last else 'no reason given')}")

    def _ending(self, duration_s: float) -> Ending:
        code: int | None = None
        ended = self._reason
        if not ended and self._status is not None:
            found = os.waitstatus_to_exitcode(self._status)
            code = found if found >= 0 else 128 - found
            ended = job.ended_by_itself(code)
        head, tail = self._capture.ends()
        return Ending(
            ended=ended,
            exit_code=code,
            head=head,
            tail=tail,
            output_bytes=self._capture.total_bytes,
            truncated=self._capture.truncated,
            duration_s=round(duration_s, 3),
            peak_memory_bytes=self._peak_memory,
            peak_processes=self._peak_processes,
        )


def _in_memory(data: bytes) -> int:
    descriptor = os.memfd_create("filter")
    os.write(descriptor, data)
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


def _command_ran(reported: bytes) -> bool:
    """Whether bubblewrap said on its status descriptor with which code the command ended."""
    for line in reported.splitlines():
        with contextlib.suppress(ValueError):
            if "exit-code" in json.loads(line):
                return True
    return False


def _own_pids_prefix(wanted: bool) -> list[str]:
    """Words that put the command in a process-id namespace, below a shell so that it is not pid 1 and signals work as usual."""
    if not wanted:
        return []
    return [
        "unshare",
        "--pid",
        "--fork",
        "--kill-child=KILL",
        "--mount-proc",
        "--",
        "/bin/sh",
        "-c",
        '"$@"; exit $?',
        "sh",
    ]


def own_pids_work() -> bool:
    """Whether this machine lets us make a process-id namespace."""
    try:
        found = subprocess.run([*_own_pids_prefix(True), "true"], capture_output=True, check=False, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return found.returncode == 0


def _set_limits(file_bytes: int) -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _lower(resource.RLIMIT_FSIZE, file_bytes)
    _lower(resource.RLIMIT_NOFILE, OPEN_FILES)
    os.nice(NICENESS)
    os.umask(0o022)
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w", encoding="ascii") as stream:
        stream.write("1000")


def _lower(which: int, wanted: int) -> None:
    hard = resource.getrlimit(which)[1]
    limit = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(which, (limit, limit))
