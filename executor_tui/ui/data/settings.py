"""Settings: what is wrong with the configuration, the themes, where things are, and every binding by its id."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from executor_tui.config.places import Places, shipped
from executor_tui.domain.errors import ConfigError
from executor_tui.ui.keys import CHANGING, KNOWN, keymap_problems, load_keymap
from executor_tui.ui.registry import load_all
from executor_tui.ui.screens.bars import key_name
from executor_tui.ui.states import Tone
from executor_tui.ui.themes import load_themes
from executor_tui.version import __version__


@dataclass(frozen=True, slots=True)
class Entry:
    """One line: `group` says what it is about."""

    group: str
    name: str
    value: str
    note: str = ""
    tone: Tone = "plain"


def problems(texts: Iterable[str]) -> list[Entry]:
    """A line each, none twice: the file it is in, and what is wrong with it."""
    told = dict.fromkeys(line for text in texts for line in text.splitlines())
    return [Entry("problem", text.split(":")[0].rsplit("/", 1)[-1], text.partition(": ")[2] or text, tone="bad") for text in told]


def about(places: Places, sources: Iterable[str], colours: str) -> list[Entry]:
    rows = (
        ("version", __version__), ("configuration", str(places.config_dir)), ("files", ", ".join(sources) or "none: defaults"),
        ("state", str(places.state_dir)), ("styles", str(shipped("styles"))), ("terminal", os.environ.get("TERM", "unknown")),
        ("colours", colours),
    )  # fmt: skip
    return [Entry("about", name, value) for name, value in rows]


def bindings(keymap: Mapping[str, str]) -> list[Entry]:
    """Every binding by its id, with the keys it has now."""
    load_all()
    rows = []
    for name, binding in sorted(KNOWN.items()):
        keys = " ".join(key_name(k.strip()) for k in keymap.get(name, binding.key).split(","))
        changes = "changes something" if binding.action.split("(")[0].split(".")[-1] in CHANGING else ""
        rows.append(Entry("key", name, f"{keys:<14} {binding.description}", changes))
    return rows


def keymap_entries(places: Places, keymap: Mapping[str, str]) -> list[Entry]:
    """What is wrong with keymap.json beyond its form: ids that are none, keys that are taken."""
    load_all()
    path = places.config_dir / "keymap.json"
    return problems(f"{path}: {problem}" for problem in keymap_problems(keymap, KNOWN))


def on_this_machine(places: Places) -> list[Entry]:
    """The entries without a console: nobody's theme is in use, and no terminal says what it can."""
    from executor_tui.config.load import load

    texts, sources = list[str](), tuple[str, ...]()
    try:
        sources = load(places.config_dir).sources
    except ConfigError as error:
        texts.append(error.message)
    themes, unusable = load_themes(places.config_dir)
    keymap = load_keymap(places.config_dir / "keymap.json")
    entries = problems([*texts, *unusable, *keymap.problems]) + keymap_entries(places, keymap.keys)
    entries += [Entry("theme", theme.name, "dark" if theme.dark else "light") for theme in themes]
    colours = "none (NO_COLOR)" if os.environ.get("NO_COLOR") else os.environ.get("COLORTERM", "as the terminal says")
    return entries + about(places, sources, colours) + bindings(keymap.keys)
