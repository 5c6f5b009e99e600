"""Making text from outside fit to be shown: control characters neutralised, widths measured in terminal cells.

Everything an agent, a router, a log or a webhook wrote passes through `clean` before it reaches a widget.
"""

import re
from functools import lru_cache

from rich.cells import cell_len, set_cell_size

_ESCAPES = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor movement, erasing
    r"|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?"  # OSC, DCS, SOS, PM, APC: titles, clipboard, links
    r"|\x1b[ -/]*[0-~]"
)
_RANGES = ((0x200B, 0x2010), (0x2028, 0x202F), (0x2060, 0x206A), (0xFEFF, 0xFF00), (0x061C, 0x061D))
_INVISIBLE = {code for start, end in _RANGES for code in range(start, end)}
_TABLE = dict.fromkeys((*range(32), *range(127, 160), *_INVISIBLE), "·") | {9: "  ", 13: ""}
_ONE_LINE = _TABLE | {10: " "}
_SEVERAL = {code: shown for code, shown in _TABLE.items() if code != 10}


def clean(text: str) -> str:
    """One line without escape sequences, control characters, or characters that hide or reorder others."""
    return _ESCAPES.sub("", text).translate(_ONE_LINE) if _needs_cleaning(text) else text


def clean_lines(text: str) -> list[str]:
    """Lines of a text, each as `clean` would have it."""
    return _ESCAPES.sub("", text.replace("\r\n", "\n")).translate(_SEVERAL).split("\n")


def _needs_cleaning(text: str) -> bool:
    return not (text.isascii() and text.isprintable())


def width(text: str) -> int:
    """Terminal cells a text takes."""
    return len(text) if text.isascii() else cell_len(text)


@lru_cache(8192)
def fit(text: str, cells: int, right: bool = False) -> str:
    """Exactly `cells` wide: padded, or cut with an ellipsis so that a cut shows."""
    if cells <= 0:
        return ""
    have = width(text)
    if have == cells:
        return text
    if have < cells:
        return " " * (cells - have) + text if right else text + " " * (cells - have)
    if text.isascii():
        return text[: cells - 1] + "…"
    return set_cell_size(text, cells - 1) + "…"


def wrap(text: str, cells: int) -> list[str]:
    """A line broken to `cells`, at spaces where there are any; never an empty list."""
    if cells <= 1 or width(text) <= cells:
        return [text]
    rows: list[str] = []
    rest = text
    while width(rest) > cells:
        cut = _cut_at(rest, cells)
        rows.append(rest[:cut].rstrip())
        rest = rest[cut:].lstrip(" ")
    return [*rows, rest] if rest or not rows else rows


def _cut_at(text: str, cells: int) -> int:
    """How many characters of a text fit, preferring to end after a space in the last third."""
    used = count = 0
    for count, char in enumerate(text):  # noqa: B007
        used += 1 if char.isascii() else cell_len(char)
        if used > cells:
            break
    space = text.rfind(" ", cells * 2 // 3, count + 1)
    return max(1, space if space > 0 else count)


def plural(count: int, one: str, many: str = "") -> str:
    """`1 key`, `3 keys`."""
    return f"{count} {one if count == 1 else many or one + 's'}"
