"""Fixtures of the console's tests."""

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from desk import Desk, open_desk

from executor_tui.config.places import Places


@pytest.fixture(autouse=True)
def _plain_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same terminal everywhere."""
    for name in ("NO_COLOR", "COLORTERM", "TMUX", "STY", "SSH_CONNECTION", "TEXTUAL_ANIMATIONS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")


@pytest.fixture
async def desk(places: Places) -> AsyncIterator[Desk]:
    """A console over a lively fleet."""
    async with open_desk(places) as found:
        yield found


@pytest.fixture
async def bare_desk(places: Places) -> AsyncIterator[Desk]:
    """A console over an empty store."""
    async with open_desk(places, seeded=False) as found:
        yield found
