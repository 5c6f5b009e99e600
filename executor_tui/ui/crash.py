"""What is left when the console itself fails: one line on the terminal, the traceback in a file, and no local variables anywhere, because
they could hold a pasted key."""

import traceback
from datetime import datetime
from pathlib import Path


def write_crash(path: Path, error: BaseException, at: datetime) -> None:
    """Append the traceback: frames and the error's type and text, no values."""
    lines = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.touch(mode=0o600)
    with path.open("a", encoding="utf-8") as handle:
        handle.write(f"{at.isoformat(timespec='seconds')} the console stopped\n{lines}\n")


def crash_line(path: Path, error: BaseException | None) -> str:
    """What the operator reads after the terminal is restored."""
    name = type(error).__name__ if error is not None else "an unknown error"
    return f"executor: the console stopped on {name}; the fleet goes on. Details are in {path}\n"
