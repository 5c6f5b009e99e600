"""Copying from inside tmux, with a real one: through it where it lets sequences pass, by it where it does not."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator

import pytest

from executor_tui.ui import clipboard

pytestmark = pytest.mark.skipif(shutil.which("tmux") is None, reason="no tmux here: install the package tmux")
Tmux = Callable[..., str]


@pytest.fixture
def tmux(monkeypatch: pytest.MonkeyPatch) -> Iterator[Tmux]:
    """A server of the test's own, in which this process believes to be."""
    socket = f"executor-test-{os.getpid()}"

    def run(*words: str) -> str:
        command = ["tmux", "-L", socket, "-f", "/dev/null", *words]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=20).stdout.strip()

    run("new-session", "-d", "-x", "80", "-y", "24", "cat")
    monkeypatch.setenv("TMUX", run("display-message", "-p", "#{socket_path},#{pid},0"))
    monkeypatch.setenv("TMUX_PANE", run("display-message", "-p", "#{pane_id}"))
    yield run
    run("kill-server")


def test_a_tmux_that_lets_nothing_through_takes_the_text_itself(tmux: Tmux) -> None:
    tmux("set-option", "-g", "allow-passthrough", "off")
    assert clipboard.hand_to_tmux("two\nlines")
    assert tmux("show-buffer") == "two\nlines"


def test_a_tmux_that_lets_sequences_through_is_passed_by(tmux: Tmux) -> None:
    tmux("set-option", "-g", "allow-passthrough", "on")
    assert not clipboard.hand_to_tmux("text")


def test_when_neither_way_is_open_it_says_what_opens_one(tmux: Tmux, monkeypatch: pytest.MonkeyPatch) -> None:
    tmux("set-option", "-g", "allow-passthrough", "off")
    real = clipboard._tmux

    def no_buffers(*words: str, given: str = "") -> str | None:
        return None if words[0] == "load-buffer" else real(*words, given=given)

    monkeypatch.setattr(clipboard, "_tmux", no_buffers)
    with pytest.raises(clipboard.RefusedError, match="allow-passthrough on"):
        clipboard.hand_to_tmux("text")
