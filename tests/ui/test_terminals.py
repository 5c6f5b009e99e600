"""On terminals of 256 and 16 colours and under NO_COLOR: what is sent is what they can show."""

import asyncio
import os
import re
import signal
import sys
from collections.abc import Iterator

import pytest
from seed import seed
from ssh_line import Line, processes_naming

from executor_tui.config.places import Places
from executor_tui.domain.clock import SystemClock
from executor_tui.store.store import Store, default_url


@pytest.fixture
def seeded(places: Places) -> Iterator[Places]:
    async def fill() -> None:
        store = await Store.open(default_url(places.state_dir), SystemClock())
        await seed(store)
        await store.close()

    asyncio.run(fill())
    yield places
    for pid in processes_naming(str(places.state_dir)):
        os.kill(pid, signal.SIGKILL)


def colours(places: Places, **env: str) -> tuple[set[str], bytes]:
    """The kinds of colour codes that a console sends until its fleet is shown, and all it sent."""
    command = [
        sys.executable,
        "-m",
        "executor_tui.cli.main",
        "--view-only",
        "--config",
        str(places.config_dir),
        "--state",
        str(places.state_dir),
    ]
    line = Line(command, {"PATH": os.environ["PATH"], "HOME": str(places.state_dir), "LANG": "C.UTF-8", **env})
    try:
        line.see("proxmox-001")
        line.see("offline")
        sent = line.got
    finally:
        line.close()
    kinds = set()
    for codes in re.findall(rb"\x1b\[([\d;]+)m", sent):
        text = codes.decode()
        kinds |= {"true"} if re.search(r"[34]8;2;", text) else set()
        kinds |= {"256"} if re.search(r"[34]8;5;", text) else set()
        plain = re.sub(r"[34]8;(5;\d+|2;\d+;\d+;\d+)", "", text).split(";")
        kinds |= (
            {"16"}
            if any(part.isdigit() and (30 <= int(part) <= 37 or 40 <= int(part) <= 47 or 90 <= int(part) <= 107) for part in plain)
            else set()
        )
    return kinds, sent


def test_each_terminal_gets_the_colours_it_has_and_under_no_color_none(seeded: Places) -> None:
    assert colours(seeded, TERM="xterm-256color")[0] == {"256"}
    assert colours(seeded, TERM="xterm-256color", COLORTERM="truecolor")[0] == {"true"}
    assert colours(seeded, TERM="xterm-16color")[0] == {"16"}
    kinds, sent = colours(seeded, TERM="xterm-256color", NO_COLOR="1")
    assert kinds == set()
    assert b"\x1b[7m" in sent or b";7m" in sent, "the cursor is reverse video when there is no colour"
