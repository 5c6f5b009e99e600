"""The node behind the console: started in a session of its own when nobody leads, watched, and left running or stopped on the way out."""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from executor_tui.config.places import Places
from executor_tui.domain.clock import Clock
from executor_tui.domain.errors import ExecutorError
from executor_tui.ui.states import Look

GRACE_S = 3.0
"""How long nobody must lead before a node is started: another may just be taking over."""
RESTART_AFTER_S = 30.0


class Supervisor:
    """Call `look_after` now and then with whether somebody leads."""

    def __init__(self, places: Places, clock: Clock, command: Sequence[str] | None = None, grace_s: float = GRACE_S) -> None:
        self._clock, self._grace_s = clock, grace_s
        self._command = list(command) if command is not None else node_command(places)
        self.log_file = places.state_dir / "node.log"
        self._child: subprocess.Popen[bytes] | None = None
        self._alone_since: float | None = None
        self._started_at = 0.0
        self.exit_code: int | None = None
        self.problem = ""

    @property
    def ours(self) -> bool:
        """Whether a node this console started is running."""
        return self._child is not None and self._child.poll() is None

    @property
    def pid(self) -> int | None:
        return self._child.pid if self._child is not None else None

    def look_after(self, somebody_leads: bool) -> None:
        """Start a node when nobody has led for a while; notice when ours has ended."""
        now = self._clock.monotonic_s()
        if self._child is not None and self._child.poll() is not None:
            self.exit_code, self._child = self._child.returncode, None
        if somebody_leads or self.ours:
            self._alone_since = None
            return
        first = self._alone_since is None
        if first:
            self._alone_since = now
        assert self._alone_since is not None
        waited = now - self._alone_since >= (self._grace_s if self._started_at == 0.0 else 0.0)
        if waited and (self._started_at == 0.0 or now - self._started_at >= RESTART_AFTER_S):
            self.start()

    def start(self) -> None:
        """Start a node now. It lives in its own session: losing the terminal does not reach it."""
        self._started_at = self._clock.monotonic_s()
        self.exit_code, self.problem = None, ""
        try:
            descriptor = os.open(self.log_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            try:
                self._child = subprocess.Popen(
                    self._command, stdin=subprocess.DEVNULL, stdout=descriptor, stderr=descriptor, start_new_session=True,
                )  # fmt: skip
            finally:
                os.close(descriptor)
        except OSError as exc:
            self.problem = f"the node cannot be started: {exc}"

    def look(self) -> Look | None:
        """How the node we started is, while nobody leads; None when there is nothing to say."""
        if self.problem:
            return Look("✗", self.problem, "bad")
        if self.ours:
            return Look("◆", "node starting", "info")
        if self.exit_code is not None:
            return Look("✗", f"node ended ({self.exit_code}): {self.log_file.name}", "bad")
        return None

    def stop(self, wait_s: float = 20.0) -> None:
        """Ask our node to stop cleanly and wait for it. Raises ExecutorError when it does not in time."""
        child = self._child
        if child is None or child.poll() is not None:
            return
        child.send_signal(signal.SIGTERM)
        try:
            child.wait(wait_s)
        except subprocess.TimeoutExpired as exc:
            raise ExecutorError(
                f"the node (process {child.pid}) is still stopping after {wait_s:.0f} s", hint=f"see {self.log_file}"
            ) from exc


def node_command(places: Places) -> list[str]:
    """The command line of a node of these directories."""
    return [
        sys.executable, "-m", "executor_tui.cli.main", "--no-ui", "--config", str(places.config_dir), "--state", str(places.state_dir),
    ]  # fmt: skip


def last_lines(path: Path, count: int = 5) -> list[str]:
    """The end of a log file, for saying why a node ended."""
    try:
        with path.open("rb") as handle:
            handle.seek(max(0, path.stat().st_size - 4096))
            return handle.read().decode(errors="replace").splitlines()[-count:]
    except OSError:
        return []
