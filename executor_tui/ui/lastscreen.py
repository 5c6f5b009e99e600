"""The screen the console showed last, kept as plain text in the state directory, so that the next console can show it before it is up.

Only whole screens are kept, never a modal, a prompt or what one drills down to, and every line is scrubbed of what has the shape of a key.
Imports nothing but the smallest parts of the standard library: reading it comes before everything else.
"""

import json
import os

NAME = "last_screen.json"
MOST_BYTES = 200_000


class LastScreen:
    """`lines` from top to bottom as they stood on a terminal `width` cells wide, at the moment `at` (RFC 3339)."""

    __slots__ = ("at", "lines", "section", "width")

    def __init__(self, section: str, at: str, width: int, lines: list[str]) -> None:
        self.section, self.at, self.width, self.lines = section, at, width, lines


def read(state_dir: str) -> LastScreen | None:
    """None when there is none, or none that can be used."""
    try:
        with open(os.path.join(state_dir, NAME), encoding="utf-8") as handle:  # noqa: PTH123 - pathlib costs a tenth of the first frame
            data = json.loads(handle.read(MOST_BYTES))
        lines = ["".join(c for c in str(line) if c.isprintable()) for line in data["lines"]]
        return LastScreen(str(data["section"]), str(data["at"]), int(data["width"]), lines)
    except (OSError, ValueError, TypeError, KeyError):
        return None


def write(state_dir: str, screen: LastScreen) -> None:
    """Keep a screen. Failing to is no reason to fail."""
    from pathlib import Path

    from executor_tui.config.places import write_atomically
    from executor_tui.logs import scrub

    lines = [scrub(line.rstrip()) for line in screen.lines]
    text = json.dumps({"section": screen.section, "at": screen.at, "width": screen.width, "lines": lines}, ensure_ascii=False)
    try:
        write_atomically(Path(state_dir) / NAME, text)
    except OSError:
        return
