"""What stands on the terminal while the console is being loaded: its last screen, dimmed and marked with its time.

Nothing is imported here that takes time. The terminal stops echoing at once and keeps what is typed for the console, which takes it up
when it shows the present; an Enter stays an Enter.
"""

import contextlib
import os
import sys
import termios
import time
from collections.abc import Callable
from typing import Any

from executor_tui.ui import lastscreen
from executor_tui.ui.lastscreen import LastScreen

ALTERNATE, BACK = "\x1b[?1049h", "\x1b[?25h\x1b[?1049l"
LFLAG, IFLAG = 3, 0


class Curtain:
    """`draw` it first; `lift` it when the console draws; `fall` on every way out."""

    def __init__(self, state_dir: object, write: Callable[[bytes], object] | None = None, terminal: int = 0) -> None:
        self._state_dir, self._terminal = str(state_dir), terminal
        self._write = write or (lambda data: os.write(sys.__stderr__.fileno() if sys.__stderr__ else 2, data))
        self._before: list[Any] | None = None
        self._drawn = False

    def draw(self) -> None:
        """Show the last screen, or that the console is opening when there is none."""
        self._hush()
        try:
            width, height = os.get_terminal_size(self._terminal)
        except OSError:
            return
        self._write(picture(lastscreen.read(self._state_dir), width, height, time.time()).encode())
        self._drawn = True

    def lift(self) -> None:
        """The console draws from now on, on the same alternate screen."""
        self._drawn = False

    def fall(self) -> None:
        """Leave the terminal as it was found."""
        if self._drawn:
            self._drawn = False
            with contextlib.suppress(OSError):
                self._write(BACK.encode())
        if self._before is not None:
            before, self._before = self._before, None
            with contextlib.suppress(termios.error, OSError):
                termios.tcsetattr(self._terminal, termios.TCSADRAIN, before)

    def _hush(self) -> None:
        """No echo, no lines to be finished; ctrl-c still interrupts."""
        try:
            now = termios.tcgetattr(self._terminal)
            self._before = termios.tcgetattr(self._terminal)
            now[LFLAG] &= ~(termios.ECHO | termios.ICANON | termios.IEXTEN)
            now[IFLAG] &= ~(termios.ICRNL | termios.INLCR | termios.IXON)
            termios.tcsetattr(self._terminal, termios.TCSANOW, now)
        except termios.error:
            self._before = None


def picture(kept: LastScreen | None, width: int, height: int, now_s: float) -> str:
    """The bytes of the whole terminal: the kept lines cut to its size, and the mark in the row where the attention line will stand."""
    lines = list(kept.lines) if kept is not None else []
    if kept is not None and len(lines) != height:
        lines = [*lines[: max(0, height - 2)], *[""] * (height - len(lines)), *lines[-2:]][:height]
    lines += [""] * (height - len(lines))
    rows = [f"\x1b[2m{cut(line, width)}\x1b[0m" if line else "" for line in lines]
    mark = " ◷ opening …" if kept is None else f" ◷ as of {when(kept.at, now_s)}, opening …"
    if height >= 2:
        rows[-2] = f"\x1b[7m{cut(mark, width):<{width}}\x1b[0m"
    placed = "".join(f"\x1b[{number};1H{row}" for number, row in enumerate(rows, 1) if row)
    return f"{ALTERNATE}\x1b[?25l\x1b[2J{placed}"


def when(at: str, now_s: float) -> str:
    """A moment as the operator's clock has it: `18:03:12`, on other days with the date in front."""
    try:
        moment = time.strptime(at[:19], "%Y-%m-%dT%H:%M:%S")
    except ValueError:
        return "an unknown time"
    import calendar

    here, today = time.localtime(calendar.timegm(moment)), time.localtime(now_s)
    return time.strftime("%H:%M:%S" if here[:3] == today[:3] else "%d %b %Y %H:%M:%S", here)


def cut(text: str, cells: int) -> str:
    """As much of a text as fits in so many terminal cells."""
    if text.isascii():
        return text[:cells]
    from unicodedata import combining, east_asian_width

    used = 0
    for index, char in enumerate(text):
        used += 0 if combining(char) else 2 if east_asian_width(char) in "WF" else 1
        if used > cells:
            return text[:index]
    return text
