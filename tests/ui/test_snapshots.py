"""Every screen in its three states, at two sizes and in four forms, against what is kept in snapshots/.

A difference that is meant is taken over by `pytest tests/ui/test_snapshots.py --snapshot-update`; look at the diff before committing it.
One console walks all screens of a state; at each it is resized and its theme changed, so that a form costs a drawing and not a start.
"""

import difflib
from importlib.metadata import version
from pathlib import Path

import pytest
from desk import Desk, open_desk
from rendering import capture, written
from views import MODALS, PAGES, SECTION_VIEWS, View, pinned, still, walk

KEPT = Path(__file__).parent / "snapshots"
SIZES = ((80, 24), (160, 50))
THEMES = {"default": "executor-dark", "light": "executor-light", "colour-blind": "colour-blind"}
STATES: dict[str, tuple[View, ...]] = {"data": (*SECTION_VIEWS, *PAGES, *MODALS), "empty": SECTION_VIEWS, "failed": SECTION_VIEWS}
Shots = dict[str, str]
"""File name → what it should hold."""


def pinned_textual() -> str:
    lock = (Path(__file__).parents[2] / "requirements.lock").read_text(encoding="utf-8")
    return next(row.split("==")[1].split()[0] for row in lock.splitlines() if row.startswith("textual=="))


async def shoot(desk: Desk, view: View, forms: dict[str, str], state: str, shots: Shots) -> None:
    for wide, high in SIZES:
        if tuple(desk.app.size) != (wide, high):
            await desk.pilot.resize_terminal(wide, high)
            await still(desk)
        for form, theme in forms.items():
            if desk.app.theme != theme:
                desk.app.theme = theme
                await desk.pilot.pause()
                await still(desk)
            name = f"{state}-{form}-{wide}x{high}.txt"
            shots[name] = shots.get(name, "") + f"=== {view.name}\n{written(*capture(desk))}"


async def shots_of(state: str, folder: Path, forms: dict[str, str], no_color: bool) -> Shots:
    shots: Shots = {}
    views = tuple(v for v in STATES[state] if not (no_color and v.modal))
    full = state == "data"
    async with pinned(folder, no_color=no_color) as places, open_desk(places, seeded=full, repo=full, broken=state == "failed") as desk:
        async for view in walk(desk, views):
            await shoot(desk, view, forms, state, shots)
    return shots


@pytest.mark.parametrize("form", ["colours", "no-colour"])
@pytest.mark.parametrize("state", list(STATES))
@pytest.mark.timeout(600)
async def test_every_screen_looks_as_it_is_kept(state: str, form: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    if version("textual") != pinned_textual():
        pytest.skip(f"snapshots are made with Textual {pinned_textual()}; this is {version('textual')}")
    forms = THEMES if form == "colours" else {"no-colour": "monochrome"}
    shots = await shots_of(state, tmp_path, forms, form == "no-colour")
    if request.config.getoption("update_snapshots", default=False):
        KEPT.mkdir(exist_ok=True)
        for name, text in shots.items():
            (KEPT / name).write_text(text, encoding="utf-8")
    wrong = [told for name, text in shots.items() if (told := difference(name, text))]
    assert not wrong, "\n".join(wrong)


def difference(name: str, text: str) -> str:
    """What differs from the kept one, screen by screen, as a diff of at most 40 lines."""
    path = KEPT / name
    if not path.exists():
        return f"snapshots/{name} is missing; make it with --snapshot-update"
    kept = path.read_text(encoding="utf-8")
    if kept == text:
        return ""
    before, after = _by_view(kept), _by_view(text)
    lines = []
    for view in dict.fromkeys((*before, *after)):
        lines += difflib.unified_diff(before.get(view, []), after.get(view, []), f"kept {name}: {view}", "now", n=1, lineterm="")
    return "\n".join(lines[:40] + ([f"… {len(lines) - 40} lines more"] if len(lines) > 40 else []))


def _by_view(text: str) -> dict[str, list[str]]:
    return {part.partition("\n")[0]: part.partition("\n")[2].splitlines() for part in text.split("=== ")[1:]}
