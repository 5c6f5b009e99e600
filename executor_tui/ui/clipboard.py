"""Copying over SSH: OSC 52, wrapped for tmux and screen, capped where terminals stop listening.

xterm.org's control sequence document describes OSC 52; tmux passes `ESC P tmux ; …` through with its escapes doubled (allow-passthrough),
and screen passes `ESC P …` in pieces of at most 768 bytes.
"""

import base64
from collections.abc import Mapping

LIMIT_BYTES = 75_000
"""Encoded size past which common terminals drop the sequence."""
SCREEN_PIECE = 512


class TooLongError(Exception):
    """More than a terminal takes."""

    def __init__(self, have: int) -> None:
        super().__init__(f"{have // 1024} kB is more than terminals take ({LIMIT_BYTES // 1024} kB); save it instead: w")


def osc52(text: str, environ: Mapping[str, str]) -> str:
    """The sequence to write to the terminal. Raises TooLongError."""
    payload = base64.b64encode(text.encode()).decode()
    if len(payload) > LIMIT_BYTES:
        raise TooLongError(len(payload))
    return passthrough(f"\x1b]52;c;{payload}\a", environ)


def passthrough(sequence: str, environ: Mapping[str, str]) -> str:
    """A control sequence as the multiplexer around us will hand it on to the terminal."""
    if environ.get("TMUX"):
        return "\x1bPtmux;" + sequence.replace("\x1b", "\x1b\x1b") + "\x1b\\"
    if environ.get("STY") or environ.get("TERM", "").startswith("screen"):
        pieces = [sequence[i : i + SCREEN_PIECE] for i in range(0, len(sequence), SCREEN_PIECE)]
        return "".join(f"\x1bP{piece}\x1b\\" for piece in pieces)
    return sequence


def notification(title: str, environ: Mapping[str, str]) -> str:
    """Bell, and desktop notification by OSC 9 (iTerm2, Windows Terminal, kitty) and OSC 777 (urxvt, foot, Ghostty)."""
    text = "".join(c for c in title if c.isprintable()).replace(";", ",")[:120]
    return "\a" + passthrough(f"\x1b]9;{text}\a", environ) + passthrough(f"\x1b]777;notify;Executor;{text}\a", environ)
