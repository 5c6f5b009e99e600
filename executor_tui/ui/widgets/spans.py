"""Lines made of pieces in different tones: cleaning, wrapping, finding. Pure functions."""

import re
from collections.abc import Iterable, Sequence

from executor_tui.ui.states import Cell, Tone
from executor_tui.ui.text import clean, width, wrap

Line = tuple[Cell, ...]


def line(text: str, tone: Tone = "plain") -> Line:
    return (Cell(clean(text), tone),)


def lines(text: str, tone: Tone = "plain", indent: str = "") -> list[Line]:
    """A text of several lines, each neutralised."""
    from executor_tui.ui.text import clean_lines

    return [(Cell(indent + row, tone),) for row in clean_lines(text)]


def fact(label: str, value: str, tone: Tone = "plain", label_width: int = 12) -> Line:
    """`label      value`."""
    return (Cell(f"{label:<{label_width}} ", "dim"), Cell(clean(value), tone))


def heading(text: str, note: str = "") -> Line:
    return (Cell(clean(text), "accent"), *((Cell(f"  {clean(note)}", "dim"),) if note else ()))


def plain(row: Line) -> str:
    return "".join(cell.text for cell in row)


def wrap_line(row: Line, cells: int, hang: int = 0) -> list[Line]:
    """A line broken to a width, its tones kept. What follows the first `hang` characters continues under itself."""
    text = plain(row)
    if width(text) <= cells:
        return [row]
    hang = hang if cells - hang >= 20 else 0
    pieces = wrap(text[hang:], cells - hang)
    wrapped, at = [], hang
    for number, piece in enumerate(pieces):
        at = text.index(piece, at)
        body = cut(row, at, at + len(piece))
        wrapped.append((*(cut(row, 0, hang) if number == 0 else (Cell(" " * hang),)), *body) if hang else body)
        at += len(piece)
    return wrapped


def cut(row: Line, start: int, end: int) -> Line:
    """The characters from `start` to `end`."""
    kept, at = [], 0
    for text, tone in row:
        piece = text[max(0, start - at) : max(0, end - at)]
        if piece:
            kept.append(Cell(piece, tone))
        at += len(text)
    return tuple(kept)


def marked(row: Line, pattern: re.Pattern[str]) -> list[tuple[Cell, bool]]:
    """The pieces of a line, those that match a search told apart."""
    text = plain(row)
    spots = [(m.start(), m.end()) for m in pattern.finditer(text) if m.end() > m.start()]
    if not spots:
        return [(cell, False) for cell in row]
    pieces: list[tuple[Cell, bool]] = []
    at = 0
    for start, end in [*spots, (len(text), len(text))]:
        pieces += [(cell, False) for cell in cut(row, at, start)]
        pieces += [(cell, True) for cell in cut(row, start, end)]
        at = end
    return pieces


def as_text(rows: Iterable[Line]) -> str:
    return "\n".join(plain(row) for row in rows)


NARROWEST = 8


def table(head: Sequence[str], rows: Sequence[Sequence[Cell]], widths: Sequence[int], total: int = 0) -> list[Line]:
    """A small fixed table inside a text; a width below zero aligns right. With a `total`, columns that do not fit into it go, the last
    first; a last width of 0 takes what is left of it, and its column goes when that is next to nothing."""
    from executor_tui.ui.text import fit

    while total and len(widths) > 1 and sum(abs(w) + 2 for w in widths) - 2 > total:
        widths = widths[:-1]
    if widths[-1] == 0:
        rest = total - sum(abs(w) + 2 for w in widths[:-1])
        widths = (*widths[:-1], rest) if rest >= NARROWEST else widths[:-1]

    def cells(row: Sequence[Cell]) -> Line:
        shown = list(zip(row, widths, strict=False))
        gaps = ["  "] * (len(shown) - 1) + [""]
        return tuple(Cell(fit(clean(c.text), abs(w), w < 0) + gap, c.tone) for (c, w), gap in zip(shown, gaps, strict=True))

    return [cells([Cell(h, "dim") for h in head]), *(cells(row) for row in rows)]
