"""Settings: what is wrong with the configuration, the themes, where things are, and every binding by its id."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from executor_tui.config.places import Places, shipped
from executor_tui.domain.errors import ConfigError
from executor_tui.ui.keys import CHANGING, KNOWN, keymap_problems, load_keymap
from executor_tui.ui.registry import load_all
from executor_tui.ui.screens.bars import key_name
from executor_tui.ui.states import Tone
from executor_tui.ui.themes import load_themes
from executor_tui.version import __version__

if TYPE_CHECKING:
    from executor_tui.store.store import Store


@dataclass(frozen=True, slots=True)
class Entry:
    """One line: `group` says what it is about."""

    group: str
    name: str
    value: str
    note: str = ""
    tone: Tone = "plain"


@dataclass(frozen=True, slots=True)
class Told:
    """What the node last said against the configuration; how the channels for alerts are, and what they would not take."""

    problems: tuple[str, ...] = ()
    channels: tuple[Entry, ...] = ()


async def fetch(store: "Store") -> Told:
    """What the store knows for this screen."""
    problem = await store.notes.get("config.problem")
    channels = [_channel(name, await store.notes.get(f"channel.{name}")) for name in ("telegram", "discord")]
    dead = [
        Entry("unsent", d.channel, a.title, f"{d.error}; executor recovery resend {d.id}", "bad") for d, a in await store.deliveries.dead()
    ]
    return Told((str(problem),) if problem else (), (*(c for c in channels if c is not None), *dead))


def _channel(name: str, state: object) -> Entry | None:
    if not isinstance(state, Mapping):
        return None
    word = str(state.get("state", ""))
    looks: dict[str, tuple[str, Tone]] = {
        "open": ("● takes alerts", "good"), "away": ("▲ cannot be reached; alerts wait", "warn"), "closed": ("■ switched off", "bad"),
    }  # fmt: skip
    text, tone = looks.get(word, (word, "plain"))
    return Entry("channel", name, text + (f": {state['reason']}" if state.get("reason") else ""), tone=tone)


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
