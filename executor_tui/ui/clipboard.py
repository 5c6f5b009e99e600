"""Copying over SSH: OSC 52, wrapped for tmux and screen, capped where terminals stop listening.

xterm.org's control sequence document describes OSC 52; tmux passes `ESC P tmux ; …` through with its escapes doubled (allow-passthrough),
and screen passes `ESC P …` in pieces of at most 768 bytes.
"""

import base64
import subprocess
from collections.abc import Mapping

LIMIT_BYTES = 75_000
"""Encoded size past which common terminals drop the sequence."""
SCREEN_PIECE = 512
TMUX_S = 2.0


class RefusedError(Exception):
    """The multiplexer around us passes nothing on."""


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


def hand_to_tmux(text: str) -> bool:
    """Give a text to tmux, which gives it to the terminal it is shown on; for a tmux that lets no sequences through (the default since
    3.3). True when it took it; False when sequences pass, or tmux is too old to need this. Raises RefusedError when neither way is open.
    """
    asked = _tmux("show-options", "-A", "-p", "-v", "allow-passthrough")
    if asked is None or asked.strip() in ("on", "all"):
        return False
    if _tmux("load-buffer", "-w", "-", given=text) is None:
        raise RefusedError("tmux lets nothing through to the terminal; allow it with: tmux set -g allow-passthrough on")
    return True


def _tmux(*words: str, given: str = "") -> str | None:
    """What a tmux command says; None when it fails."""
    try:
        done = subprocess.run(["tmux", *words], input=given, capture_output=True, text=True, timeout=TMUX_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


def notification(title: str, environ: Mapping[str, str]) -> str:
    """Bell, and desktop notification by OSC 9 (iTerm2, Windows Terminal, kitty) and OSC 777 (urxvt, foot, Ghostty)."""
    text = "".join(c for c in title if c.isprintable()).replace(";", ",")[:120]
    return "\a" + passthrough(f"\x1b]9;{text}\a", environ) + passthrough(f"\x1b]777;notify;Executor;{text}\a", environ)
