"""A terminal of 80×24 at the end of a real SSH connection: keys go in through a pty, what comes back is kept."""

import fcntl
import importlib.util
import os
import pty
import struct
import subprocess
import termios
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType

WAIT_S = 60.0
_WORKSPACES = Path(__file__).parents[1] / "workspaces" / "conftest.py"


def sshd_module() -> ModuleType:
    """The sshd on loopback that the workspaces' tests have."""
    spec = importlib.util.spec_from_file_location("workspaces_conftest", _WORKSPACES)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def wait_for(true: Callable[[], object], what: str, told: Callable[[], str] = lambda: "") -> None:
    """Wait until something holds. Raises AssertionError with what was seen instead."""
    tick, end = threading.Event(), time.monotonic() + WAIT_S
    while not true():
        if time.monotonic() > end:
            raise AssertionError(f"{what} did not come; seen:\n{told()}")
        tick.wait(0.05)


class Line:
    """A program on a pty of its own session."""

    def __init__(self, command: Sequence[str], env: dict[str, str], size: tuple[int, int] = (80, 24)) -> None:
        self.master, slave = pty.openpty()
        self.before = termios.tcgetattr(slave)
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
        self.child = subprocess.Popen(
            list(command), stdin=slave, stdout=slave, stderr=slave, env=env, start_new_session=True, close_fds=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )  # fmt: skip
        self._slave = slave
        self.got = b""
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        while True:
            try:
                piece = os.read(self.master, 65536)
            except OSError:
                return
            if not piece:
                return
            self.got += piece

    def send(self, keys: str) -> None:
        os.write(self.master, keys.encode())

    def see(self, text: str) -> None:
        wait_for(lambda: text.encode() in self.got, text, lambda: self.got[-3000:].decode(errors="replace"))

    def ended(self) -> None:
        """Wait for the program at this end to have ended."""
        wait_for(lambda: self.child.poll() is not None, "the end of the program", lambda: self.got[-3000:].decode(errors="replace"))

    def close(self) -> None:
        if self.child.poll() is None:
            self.child.kill()
            self.child.wait()
        for descriptor in (self._slave, self.master):
            os.close(descriptor)


def processes_naming(text: str) -> list[int]:
    """Ids of the processes whose command line holds a text."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and text.encode() in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
        except OSError:
            continue
    return found
