"""The first frame comes before everything else, from what the last console showed; what is typed over it is kept, and answers nothing."""

import subprocess
import sys
import time

import pytest
from desk import Desk, open_desk
from textual import events

from executor_tui.config.places import Places
from executor_tui.ui import lastscreen
from executor_tui.ui.curtain import picture, when
from executor_tui.ui.lastscreen import LastScreen
from executor_tui.ui.screens.base import ConsoleScreen
from executor_tui.ui.typeahead import Typed

NOON = "2026-11-21T12:00:00+00:00"
SCREEN = LastScreen("fleet", NOON, 20, ["tabs", "crumbs", "coder-001 ● busy", "", "attention", "keys"])


def test_nothing_is_loaded_before_the_first_frame() -> None:
    probe = "import sys, executor_tui.cli.main, executor_tui.config.dirs, executor_tui.ui.curtain; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True, timeout=60)
    heavy = {"textual", "rich", "click", "asyncio", "pydantic", "sqlalchemy", "pathlib", "dataclasses", "inspect", "tempfile"}
    assert heavy & set(done.stdout.split()) == set()


def test_the_console_itself_loads_neither_database_nor_models_before_its_first_frame() -> None:
    names = "executor_tui.cli.console, executor_tui.ui.app, executor_tui.ui.screens.fleet, executor_tui.ui.supervisor"
    probe = f"import sys, {names}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True, timeout=60)
    heavy = {"sqlalchemy", "aiosqlite", "litellm", "dbos", "pydantic", "click", "httpx", "aiohttp", "proxmoxer", "librouteros"}
    assert heavy & set(done.stdout.split()) == set()


def test_the_last_screen_stands_there_dimmed_and_marked_with_its_time() -> None:
    shown = picture(SCREEN, 20, 6, time.time())
    assert "\x1b[2mcoder-001 ● busy\x1b[0m" in shown
    assert f"◷ as of {when(NOON, time.time())}"[:12] in shown
    assert "attention" not in shown


@pytest.mark.parametrize(("width", "height"), [(10, 4), (80, 24), (20, 6), (3, 1)])
def test_it_is_cut_to_the_terminal_it_is_shown_on(width: int, height: int) -> None:
    import re

    shown = picture(SCREEN, width, height, time.time())
    placed = re.findall(r"\x1b\[(\d+);1H((?:\x1b\[\d*m|[^\x1b])*)", shown)
    assert all(int(row) <= height for row, _ in placed)
    assert all(len(re.sub(r"\x1b\[\d*m", "", text)) <= width for _, text in placed)


def test_without_a_last_screen_it_says_that_the_console_opens() -> None:
    assert "opening …" in picture(None, 80, 24, time.time())


def test_what_is_kept_holds_no_key_and_no_control_characters(places: Places) -> None:
    lastscreen.write(str(places.state_dir), LastScreen("logs", NOON, 80, ["key sk-ant-api03-abcdefghijklmnopqrstuvwxyz \x1b[31mred"]))
    kept = lastscreen.read(str(places.state_dir))
    assert kept is not None
    assert "abcdefghijklmnop" not in kept.lines[0] and "\x1b" not in kept.lines[0]
    assert (places.state_dir / lastscreen.NAME).stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("text", ["", "{", "[]", '{"lines": 3}', '{"section": "x", "at": 1, "width": "wide", "lines": []}'])
def test_a_damaged_last_screen_is_none(places: Places, text: str) -> None:
    (places.state_dir / lastscreen.NAME).write_text(text)
    assert lastscreen.read(str(places.state_dir)) is None


async def test_leaving_keeps_the_screen_and_the_next_console_begins_there(places: Places) -> None:
    async with open_desk(places) as desk:
        await desk.press("2")
        await desk.app.leave()
    kept = lastscreen.read(str(places.state_dir))
    assert kept is not None and kept.section == "hydra"
    assert any("google/default" in line for line in kept.lines)
    async with open_desk(places, seeded=False) as desk:
        assert desk.app.current_mode == "hydra"


async def test_a_page_one_has_drilled_down_to_is_not_kept(desk: Desk) -> None:
    await desk.press("enter")
    assert desk.app._last_screen() is None


async def test_keys_typed_before_the_present_is_shown_are_taken_up_in_order(places: Places) -> None:
    async with open_desk(places, settle=False) as desk:
        assert not desk.app.live
        for char in "3/invoices":
            desk.send(char)
        await desk.until(lambda: desk.app.live)
        await desk.until(lambda: not desk.app._keys._busy and not desk.app._keys._waiting)
        await desk.settle()
        assert desk.app.current_mode == "projects"
        assert [p.id for p in desk.rows.shown] == ["prj-invoices"]


async def test_a_key_that_changes_something_is_asked_for_again_when_it_came_too_early(places: Places) -> None:
    async with open_desk(places, settle=False) as desk:
        desk.send("p")
        await desk.see("press it again")
        assert not any(a.paused for a in await desk.store.agents.list() if a.id == "architect-001")
        await desk.press("p")
        await desk.see("architect-001 paused")


async def test_an_enter_that_the_terminal_made_a_line_feed_of_is_an_enter(places: Places) -> None:
    async with open_desk(places, settle=False) as desk:
        desk.send("3")
        desk.app._driver.send_message(events.Key("ctrl+j", "\n"))
        await desk.until(lambda: len(desk.app.screen_stack) == 2)
        assert isinstance(desk.app.screen, ConsoleScreen)


async def test_a_key_that_is_still_on_its_way_when_the_console_has_ended_is_dropped(places: Places) -> None:
    async with open_desk(places, seeded=False) as desk:
        app = desk.app
    assert app.in_front is None and app.top is None and not app.reading
    app.leaving = app.live = False  # it ended by itself, and the key was typed before the present was shown
    q = events.Key("q", "q")
    await app._keys._send(Typed(app.clock.monotonic_s(), q, early=True))
    assert not app._keys._waiting and not app._keys._busy and not app.changes_something(q)
    app.be_seen()
