"""A screen as text and named styles, for snapshots that can be read and compared line by line."""

import json
from collections.abc import Iterable, Iterator
from functools import lru_cache

from desk import Desk
from rich.color import Color
from rich.style import Style

from executor_tui.config.places import shipped

Run = tuple[str, int]
ATTRIBUTES = ("bold", "dim", "italic", "underline", "reverse", "strike")


@lru_cache
def palette(theme: str) -> dict[str, str]:
    """Colour → what the theme calls it; a colour of several names has its first."""
    data = json.loads((shipped("styles") / "themes" / f"{theme}.json").read_text(encoding="utf-8"))
    names: dict[str, str] = {}
    for name, colour in (*data["tones"].items(), ("cursor", data["cursor"]), *data["base"].items()):
        names.setdefault(colour.lower(), name)
    return names


def capture(desk: Desk) -> tuple[list[str], list[list[Run]]]:
    """The lines of the screen in front, and the styles of each as runs of (name, cells)."""
    names = palette(desk.app.theme)
    texts, styles = [], []
    for strip in desk.app.screen._compositor.render_strips():
        texts.append(strip.text.rstrip())
        styles.append(list(_runs((style_name(s.style, names), s.cell_length) for s in strip if s.cell_length)))
    return texts, styles


def _runs(pieces: Iterable[Run]) -> Iterator[Run]:
    before: Run | None = None
    for name, cells in pieces:
        if before is not None and before[0] == name:
            before = (name, before[1] + cells)
            continue
        if before is not None:
            yield before
        before = (name, cells)
    if before is not None:
        yield before


def style_name(style: Style | None, names: dict[str, str]) -> str:
    """`warn/surface+bold`: the tone, on what, and how it is set."""
    style = style or Style()
    set_ = "".join(f"+{name}" for name in ATTRIBUTES if getattr(style, name))
    return f"{_colour(style.color, names)}/{_colour(style.bgcolor, names)}{set_}"


def _colour(colour: Color | None, names: dict[str, str]) -> str:
    if colour is None or colour.is_default:
        return "-"
    code = "#{:02x}{:02x}{:02x}".format(*colour.get_truecolor())
    return names.get(code, code)


def written(texts: list[str], styles: list[list[Run]]) -> str:
    """Both as they are kept in a snapshot. Lines of nothing but background have no styles of their own."""
    rows = [f"|{text}" for text in texts]
    marks = []
    for number, (text, runs) in enumerate(zip(texts, styles, strict=True), 1):
        if text or len(runs) > 1:
            marks.append(f"{number:>2} " + " ".join(f"{name}*{cells}" for name, cells in runs))
    return "\n".join([*rows, *marks]) + "\n"
