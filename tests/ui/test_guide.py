"""docs/console.md tells the truth: its keys are the registry's, its pictures exist, its commands too."""

import re
from pathlib import Path

import pytest

from executor_tui.ui import app
from executor_tui.ui.commands import COMMANDS
from executor_tui.ui.keys import CHANGING, KNOWN
from executor_tui.ui.registry import SECTIONS, load_all
from executor_tui.ui.screens.bars import key_name

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "docs" / "console.md"
MARK = "<!-- keys:"
PLACES = {
    "app": "Everywhere", "screen": "On every screen", "rows": "In a table", "lines": "In a text",
    "prompt": "In the line for commands and filters", "fleet": "Fleet", "agent": "An agent", "hydra": "Hydra", "projects": "Projects",
    "project": "A project", "text": "A page of text", "logs": "Logs", "approvals": "Approvals", "approval": "An approval",
    "infra": "Infra", "change": "A change", "pulse": "Pulse", "keys": "Key entry", "new": "A new project", "question": "A question",
    "confirm": "Before what cannot be taken back", "quit": "Leaving", "welcome": "The first start", "help": "The list of keys",
    "modal": "Anything that opened", "press": "An answer", "choice": "A choice",
}  # fmt: skip


def table() -> str:
    """Every binding by where it works, with its id."""
    assert app.ExecutorApp.BINDINGS
    load_all()
    rows = []
    known = {place: [i for i in KNOWN if i.split(".")[0] == place] for place in dict.fromkeys([*PLACES, *(i.split(".")[0] for i in KNOWN)])}
    for place, ids in known.items():
        if not ids:
            continue
        rows += [f"### {PLACES[place]}", "", "| keys | does | binding | |", "|---|---|---|---|"]
        for name in ids:
            binding = KNOWN[name]
            keys = " ".join(f"`{key_name(k)}`" for k in binding.key.split(","))
            changes = "changes" if binding.action.split("(")[0].split(".")[-1] in CHANGING else ""
            rows.append(f"| {keys} | {binding.description} | `{name}` | {changes} |")
        rows.append("")
    return "\n".join(rows)


def test_the_keys_of_the_guide_are_those_of_the_console(request: pytest.FixtureRequest) -> None:
    text = GUIDE.read_text(encoding="utf-8")
    head, mark, rest = text.partition(MARK)
    first, _, kept = rest.partition("\n")
    if request.config.getoption("update_snapshots", default=False):
        GUIDE.write_text(f"{head}{mark}{first}\n\n{table()}", encoding="utf-8")
        return
    assert mark and kept.strip() == table().strip()


def test_every_screen_has_its_row_and_every_picture_is_there() -> None:
    text = GUIDE.read_text(encoding="utf-8")
    for section in SECTIONS:
        assert f"| `{section.key}` | [{section.title}]" in text
    for picture in re.findall(r"\.\./(screenshots/[\w-]+\.svg)", text):
        assert (ROOT / picture).exists(), picture


def test_every_command_named_in_the_guide_exists() -> None:
    words = set(re.findall(r"`:([a-z]+)", GUIDE.read_text(encoding="utf-8")))
    assert words
    assert words - {c.name for c in COMMANDS} == set()
