"""Themes are JSON files: ours in styles/themes, the operator's in CONFIG/themes. Each names its tones, so a state keeps its meaning."""

import json
import re
from dataclasses import dataclass
from pathlib import Path

from textual.theme import Theme

from executor_tui.config.places import shipped
from executor_tui.ui.states import TONES

DEFAULT = "executor-dark"
_COLOUR = re.compile(r"^#[0-9a-fA-F]{6}$")
_BASE = ("background", "surface", "panel", "foreground", "primary")


@dataclass(frozen=True, slots=True)
class ThemeFile:
    """A theme as its file has it: base colours, and one colour per tone."""

    name: str
    dark: bool
    base: dict[str, str]
    tones: dict[str, str]
    cursor: str

    def theme(self) -> Theme:
        base, tones = self.base, self.tones
        variables = {f"tone-{tone}": colour for tone, colour in tones.items()}
        variables |= {
            "cursor-bg": self.cursor,
            "input-selection-background": self.cursor,
            "border": base["panel"],
            "border-blurred": base["panel"],
        }
        return Theme(
            self.name, dark=self.dark, variables=variables, warning=tones["warn"], error=tones["bad"], success=tones["good"],
            accent=tones["accent"], secondary=tones["info"], background=base["background"], surface=base["surface"],
            panel=base["panel"], foreground=base["foreground"], primary=base["primary"],
        )  # fmt: skip


def read_theme(path: Path) -> ThemeFile:
    """Raises ValueError with one line saying what is wrong with the file."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        base = {name: str(data["base"][name]) for name in _BASE}
        tones: dict[str, str] = {tone: str(data["tones"][tone]) for tone in TONES}
        found = ThemeFile(path.stem, bool(data["dark"]), base, tones, str(data["cursor"]))
    except (OSError, ValueError, TypeError) as exc:
        raise ValueError(f"{path}: cannot be read as a theme: {exc}") from exc
    except KeyError as exc:
        raise ValueError(f"{path}: {exc} is missing; compare with a theme in {shipped('styles') / 'themes'}") from exc
    wrong = next((c for c in (*base.values(), *tones.values(), found.cursor) if not _COLOUR.match(c)), None)
    if wrong is not None:
        raise ValueError(f"{path}: found {wrong!r}; colours are written #rrggbb")
    return found


def load_themes(config_dir: Path) -> tuple[list[Theme], list[str]]:
    """Every theme, ours first, and one line per file that cannot be used."""
    themes, problems = [], []
    for folder in (shipped("styles") / "themes", config_dir / "themes"):
        for path in sorted(folder.glob("*.json")):
            try:
                themes.append(read_theme(path).theme())
            except ValueError as exc:
                problems.append(str(exc))
    return themes, problems


FALLBACK_VARIABLES = {
    "tone-plain": "#d0d0d0", "tone-dim": "#8a8a8a", "tone-strong": "#ffffff", "tone-good": "#87d787", "tone-warn": "#ffaf5f",
    "tone-bad": "#ff5f5f", "tone-info": "#87afd7", "tone-accent": "#5fafff", "cursor-bg": "#303030",
}  # fmt: skip
"""For Textual's own themes, which know nothing of tones."""
