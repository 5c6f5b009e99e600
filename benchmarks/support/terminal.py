"""A terminal for measuring: a program on a pty, when its bytes came, and how many."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Sequence

_COLOURS = re.compile(rb"\x1b\[[0-9;:]*m")


class Terminal:
    """80×24 in 256 colours. `since` is a place in what has come; `until` waits for a text after it."""

    def __init__(self, command: Sequence[str], env: dict[str, str], size: tuple[int, int] = (80, 24)) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
        self.started_s = time.perf_counter()
        self.child = subprocess.Popen(
            list(command), stdin=slave, stdout=slave, stderr=slave, env=env | {"TERM": "xterm-256color"}, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )  # fmt: skip
        os.close(slave)
        self.got = b""

    def send(self, keys: str) -> float:
        """Type; returns when."""
        os.write(self._master, keys.encode())
        return time.perf_counter()

    def until(self, text: str, since: int = 0, within_s: float = 60.0) -> float:
        """Seconds on the clock at which `text` had come, whatever its colours. Raises TimeoutError."""
        end, wanted = time.perf_counter() + within_s, text.encode()
        while wanted not in _COLOURS.sub(b"", self.got[since:]):
            self._read(0.5)
            if time.perf_counter() > end:
                raise TimeoutError(f"{text!r} did not come; the last of it: {self.got[-400:]!r}")
        return time.perf_counter()

    def listen(self, seconds: float) -> int:
        """Bytes that come within a time."""
        end, before = time.perf_counter() + seconds, len(self.got)
        while (rest := end - time.perf_counter()) > 0:
            self._read(rest)
        return len(self.got) - before

    def quiet(self, for_s: float = 1.0, within_s: float = 30.0) -> None:
        """Wait until nothing came for a while."""
        end = time.perf_counter() + within_s
        while self.listen(for_s) and time.perf_counter() < end:
            pass

    def _read(self, seconds: float) -> bool:
        if not select.select([self._master], [], [], seconds)[0]:
            return False
        try:
            piece = os.read(self._master, 1 << 16)
        except OSError:
            return False
        self.got += piece
        return bool(piece)

    def cpu_s(self) -> float:
        """Processor seconds used so far."""
        with open(f"/proc/{self.child.pid}/stat", encoding="ascii") as stat:
            fields = stat.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory_mb(self) -> float:
        """Resident now."""
        with open(f"/proc/{self.child.pid}/status", encoding="ascii") as status:
            return next(int(row.split()[1]) / 1024 for row in status if row.startswith("VmRSS"))

    def close(self) -> None:
        if self.child.poll() is None:
            os.killpg(self.child.pid, signal.SIGKILL)
        self.child.wait()
        os.close(self._master)


def percentile(values: Sequence[float], share: float) -> float:
    """Nearest rank."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
