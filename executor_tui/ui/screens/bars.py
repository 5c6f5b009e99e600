"""What the bars of a screen say."""

from typing import TYPE_CHECKING, Any

from executor_tui.ui.form import clock, money
from executor_tui.ui.registry import SECTIONS
from executor_tui.ui.states import Cell
from executor_tui.ui.text import width
from executor_tui.ui.widgets.bars import AttentionBar, CrumbBar, KeyBar, TabBar

if TYPE_CHECKING:
    from executor_tui.ui.screens.base import ConsoleScreen

KEY_NAMES = {
    "slash": "/", "question_mark": "?", "colon": ":", "escape": "esc", "left_square_bracket": "[", "right_square_bracket": "]",
    "up": "↑", "down": "↓", "left": "←", "right": "→", "pageup": "pgup", "pagedown": "pgdn", "full_stop": ".", "comma": ",",
}  # fmt: skip


def key_name(key: str) -> str:
    """A key as people write it."""
    *mods, last = key.split("+")
    name = KEY_NAMES.get(last, last)
    return "".join("^" if m == "ctrl" else f"{m}+" for m in mods) + (name.upper() if len(name) == 1 and "shift" in mods else name)


def show_tabs(screen: "ConsoleScreen[Any]") -> None:
    """All names where they fit, else only the current one beside the numbers."""
    current, wide = screen.SECTION, screen.size.width
    chrome = screen.console.chrome
    badge = f"·{chrome.attention.approvals}" if chrome is not None and chrome.attention.approvals else ""
    names = {s.name: s.title + (badge if s.name == "approvals" else "") for s in SECTIONS}
    full = sum(len(n) + 2 for n in names.values()) <= wide - 1
    cells: list[Cell] = [Cell("▌EXECUTOR  ", "accent")] if wide >= 92 else [Cell(" ", "plain")]
    for section in SECTIONS:
        here = section.name == current
        title = names[section.name] if full or here else ""
        cells.append(Cell(section.key, "accent" if here else "dim"))
        cells.append(Cell(title, "strong" if here else "warn" if badge and section.name == "approvals" else "plain"))
        cells.append(Cell("  " if wide >= 110 else " ", "plain"))
    screen.query_one(TabBar).show(cells)


def show_crumbs(screen: "ConsoleScreen[Any]") -> None:
    *outer, last = screen.crumbs()
    left = [Cell(" ", "plain")]
    for crumb in outer:
        left += [Cell(crumb, "dim"), Cell(" › ", "dim")]
    left.append(Cell(last, "strong"))
    if screen.view is not None and (summary := screen.summary()):
        left.append(Cell("  " + summary, "dim"))
    if wanted := screen.active_filter():
        left.append(Cell(f"  /{wanted}", "accent"))
    screen.query_one(CrumbBar).show(left, _right(screen))


def _right(screen: "ConsoleScreen[Any]") -> list[Cell]:
    """What stands on the right, as far as there is room for it beside the crumbs: the least important goes first."""
    console, chrome = screen.console, screen.console.chrome
    parts: list[tuple[int, Cell]] = []
    if console.at is not None:
        parts.append((0, Cell(f"  ◷ as of {clock(console.at, console.zone)}", "warn")))
    if console.view_only:
        parts.append((1, Cell("  view-only", "warn")))
    if chrome is not None:
        look = console.node_look()
        if len(chrome.operators) > 1:
            parts.append((4, Cell(f"  {len(chrome.operators)} attached", "info")))
        parts.append((3, Cell(f"  {money(chrome.spent_today_usd)} today", "dim")))
        parts.append((2, Cell(f"  {look.glyph} {look.word} ", look.tone)))
    elif console.store_problem is not None:
        parts.append((2, Cell("  ✗ no store ", "bad")))
    while parts and sum(width(cell.text) for _, cell in parts) > screen.size.width // 2:
        parts.remove(max(parts, key=lambda part: part[0]))
    return [cell for _, cell in parts]


def show_attention(screen: "ConsoleScreen[Any]") -> None:
    console, chrome = screen.console, screen.console.chrome
    bar = screen.query_one(AttentionBar)
    if console.said:
        bar.say(console.said)
        return
    if chrome is None:
        lost = Cell(" ✗ what waits cannot be read; it is tried again every few seconds", "bad")
        bar.show([lost if console.store_problem is not None else Cell(" …", "dim")])
        return
    matters = chrome.attention.matters
    bar.set_class(bool(matters), "-waits")
    if not matters:
        bar.show([Cell(" ✓ nothing waits for you", "dim")])
        return
    rest = chrome.attention.rest()
    if width(rest) > screen.size.width // 3:
        rest = chrome.attention.short_rest()
    tone = {"approval": "warn", "question": "warn", "failure": "bad", "park": "info"}[matters[0].kind]
    right = [Cell(f"  {rest}" if rest else "", "dim"), Cell("  a", "accent"), Cell(" open ", "dim")]
    # The line is about the present whatever moment the screen shows: what waits, waits now.
    now = [Cell(" now", "strong")] if console.at is not None else []
    bar.show([*now, Cell(" "), Cell(matters[0].text, tone)], right)  # type: ignore[arg-type]


def show_keys(screen: "ConsoleScreen[Any]") -> None:
    """The bindings that are shown, the nearest to the focus first, as many as fit."""
    if not screen.is_attached:
        return
    cells, used, seen = [Cell(" ")], 1, set()
    for key, active in screen.active_bindings.items():
        binding = active.binding
        if not binding.show or not active.enabled or binding.action in seen:
            continue
        seen.add(binding.action)
        name, word = key_name(key), f" {binding.description}  "
        if used + width(name) + width(word) > screen.size.width:
            break
        cells += [Cell(name, "accent"), Cell(word, "dim")]
        used += width(name) + width(word)
    screen.query_one(KeyBar).show(cells)


def show_offers(screen: "ConsoleScreen[Any]", cells: tuple[Cell, ...]) -> None:
    """Completions of the command line stand where the keys stood."""
    if cells:
        screen.query_one(KeyBar).show(cells)
    else:
        show_keys(screen)
