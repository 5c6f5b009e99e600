"""Colours: readable on every background, states apart for colour-blind eyes, and never the only thing that tells a state."""

import itertools
import json
from collections.abc import Iterator, Sequence
from enum import StrEnum
from pathlib import Path

import pytest
from rich.color import Color, ColorSystem

from executor_tui.config.places import shipped
from executor_tui.domain.agent import AgentState
from executor_tui.domain.approval import ApprovalStatus
from executor_tui.domain.call import CallStatus
from executor_tui.domain.change import ChangeStatus, Risk
from executor_tui.domain.event import Level
from executor_tui.domain.key import KeyState
from executor_tui.domain.project import ProjectStatus, StepStatus
from executor_tui.domain.recovery import OutageKind
from executor_tui.ui.states import LOOKS

THEMES = sorted((shipped("styles") / "themes").glob("*.json"))
KINDS = (AgentState, ApprovalStatus, CallStatus, ChangeStatus, KeyState, Level, OutageKind, ProjectStatus, Risk, StepStatus)
STATES = ("good", "warn", "bad", "info")
READABLE = 4.5
"""WCAG 2.2, success criterion 1.4.3: contrast of text with what is behind it."""
APART = 20.0
"""Distance in CIE L*a*b*; about 2 is what an eye can just see side by side, and these stand lines apart."""
Linear = tuple[float, float, float]

# Machado, Oliveira and Fernandes, "A physiologically-based model for simulation of color vision deficiency" (2009), severity 1.0.
EYES: dict[str, tuple[Linear, Linear, Linear]] = {
    "any": ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)),
    "protanopia": ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)),
    "deuteranopia": ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881)),
    "tritanopia": ((1.255528, -0.076749, -0.178779), (-0.078411, 0.930809, 0.147602), (0.004733, 0.691367, 0.303900)),
}


def linear(colour: str) -> Linear:
    red, green, blue = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    return tuple(c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (red, green, blue))  # type: ignore[return-value]


def contrast(one: str, other: str) -> float:
    dark, bright = sorted(sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear(x), strict=True)) for x in (one, other))
    return (bright + 0.05) / (dark + 0.05)


def seen_by(eye: str, colour: str) -> Sequence[float]:
    """L*a*b* of what an eye makes of a colour."""
    red, green, blue = (min(1.0, max(0.0, sum(a * b for a, b in zip(row, linear(colour), strict=True)))) for row in EYES[eye])
    x = (0.4124 * red + 0.3576 * green + 0.1805 * blue) / 0.95047
    y = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    z = (0.0193 * red + 0.1192 * green + 0.9505 * blue) / 1.08883
    fx, fy, fz = (t ** (1 / 3) if t > 0.008856 else 7.787 * t + 16 / 116 for t in (x, y, z))
    return 116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)


def distance(eye: str, one: str, other: str) -> float:
    return sum((a - b) ** 2 for a, b in zip(seen_by(eye, one), seen_by(eye, other), strict=True)) ** 0.5


def in_256(colour: str) -> str:
    return "#{:02x}{:02x}{:02x}".format(*Color.parse(colour).downgrade(ColorSystem.EIGHT_BIT).get_truecolor())


def pairs(path: Path) -> Iterator[tuple[str, str, str, str]]:
    """(tone, colour, background, colour) of everything that is written on something."""
    theme = json.loads(path.read_text(encoding="utf-8"))
    behind = {name: theme["base"][name] for name in ("background", "surface")} | {"cursor": theme["cursor"]}
    for (tone, colour), (name, ground) in itertools.product(theme["tones"].items(), behind.items()):
        yield tone, colour, name, ground


@pytest.mark.parametrize("path", THEMES, ids=lambda p: p.stem)
def test_every_tone_can_be_read_on_every_background(path: Path) -> None:
    poor = [
        f"{tone} on {name}: {contrast(colour, ground):.1f}"
        for tone, colour, name, ground in pairs(path)
        if contrast(colour, ground) < READABLE
    ]
    assert poor == []


@pytest.mark.parametrize("path", THEMES, ids=lambda p: p.stem)
def test_every_tone_can_be_read_in_256_colours(path: Path) -> None:
    found = [(tone, name, contrast(in_256(colour), in_256(ground))) for tone, colour, name, ground in pairs(path)]
    assert [f"{tone} on {name}: {ratio:.1f}" for tone, name, ratio in found if ratio < READABLE] == []


@pytest.mark.parametrize("eye", list(EYES))
@pytest.mark.parametrize("depth", ["24 bit", "256 colours"])
def test_the_colour_blind_theme_keeps_the_states_apart(eye: str, depth: str) -> None:
    tones = json.loads((shipped("styles") / "themes" / "colour-blind.json").read_text(encoding="utf-8"))["tones"]
    shown = {tone: in_256(tones[tone]) if depth == "256 colours" else tones[tone] for tone in STATES}
    near = {f"{a} and {b}": round(distance(eye, shown[a], shown[b])) for a, b in itertools.combinations(STATES, 2)}
    assert {names: far for names, far in near.items() if far < APART} == {}


def test_the_measure_finds_the_ordinary_theme_wanting() -> None:
    """Else it could not find anything: good and bad of the ordinary dark theme are close for a deuteranope."""
    tones = json.loads((shipped("styles") / "themes" / "executor-dark.json").read_text(encoding="utf-8"))["tones"]
    assert distance("deuteranopia", tones["good"], tones["bad"]) < APART


@pytest.mark.parametrize("kind", KINDS)
def test_a_state_is_told_by_its_glyph_and_its_word_without_any_colour(kind: type[StrEnum]) -> None:
    assert [state for state in kind if state.value not in LOOKS] == []
    looks = [LOOKS[state.value] for state in kind]
    assert len({look.word for look in looks}) == len(looks)
    assert all(look.glyph.strip() and look.word.strip() for look in looks)


@pytest.mark.parametrize("kind", KINDS)
def test_a_bad_state_never_shares_its_glyph_with_a_good_one(kind: type[StrEnum]) -> None:
    looks = [LOOKS[state.value] for state in kind]
    assert {look.glyph for look in looks if look.tone == "good"} & {look.glyph for look in looks if look.tone in ("bad", "warn")} == set()
