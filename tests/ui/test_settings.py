"""What the configuration says of consoles: who may only look, colours, spacing, keys; and what is wrong with it."""

import json

import pytest
from desk import Desk, open_desk
from textual.binding import Binding

from executor_tui.config.places import Places
from executor_tui.ui.keys import keymap_problems, load_keymap
from executor_tui.ui.widgets.bars import CrumbBar, KeyBar

LOOKER = {"ui": {"operators": {"anna": {"view_only": True}}}}


async def test_an_operator_may_be_limited_to_looking_by_the_configuration(places: Places) -> None:
    (places.config_dir / "executor.json").write_text(json.dumps(LOOKER))
    async with open_desk(places) as desk:
        assert "view-only" in desk.app.screen.query_one(CrumbBar).text
        assert "Pause" not in desk.app.screen.query_one(KeyBar).text
        await desk.press("p")
        assert not any(a.paused for a in await desk.store.agents.list() if a.id == "architect-001")
        await desk.type(":new a thing\n")
        await desk.see("this console is view-only")


async def test_the_limit_comes_into_force_while_the_console_runs(desk: Desk, places: Places) -> None:
    assert not desk.app.view_only
    (places.config_dir / "executor.json").write_text(json.dumps(LOOKER))
    await desk.until(lambda: desk.app.view_only)
    assert not desk.app.check_action("pause", ())


async def test_compact_spacing_gives_the_key_line_to_the_screen(places: Places) -> None:
    (places.config_dir / "executor.json").write_text('{"ui": {"spacing": "compact", "theme": "executor-light"}}')
    async with open_desk(places) as desk:
        await desk.until(lambda: not desk.app.screen.query_one(KeyBar).display)
        assert desk.app.theme == "executor-light"


async def test_a_rebound_key_works_and_the_old_one_does_not(places: Places) -> None:
    (places.config_dir / "keymap.json").write_text('{"fleet.pause": "f6"}')
    async with open_desk(places) as desk:
        await desk.press("p")
        assert not (await desk.store.agents.get("architect-001")).paused
        await desk.press("f6")
        await desk.see("architect-001 paused")


async def test_settings_names_what_is_wrong_with_the_keymap(places: Places) -> None:
    (places.config_dir / "keymap.json").write_text(
        '{"fleet.pause": "question_mark", "no.such": "f2", "app.quit": "ctrl+b", "rows.open": 3}'
    )
    async with open_desk(places, size=(160, 50)) as desk:
        await desk.press("9")
        shown = desk.front()
        assert "question_mark is app.help already" in shown
        assert "'no.such' is no binding" in shown
        assert "ctrl+b belongs to tmux, screen or the terminal" in shown
        assert "found 3; a key or several with commas is allowed" in shown


def test_a_key_that_two_bindings_of_one_place_would_share_is_a_problem() -> None:
    known = {
        "fleet.pause": Binding("p", "pause", "Pause"), "fleet.resume": Binding("r", "resume", "Resume"),
        "hydra.test": Binding("r", "test", "Test"), "app.help": Binding("f1", "help", "Help"),
    }  # fmt: skip
    assert keymap_problems({"fleet.pause": "x"}, known) == []
    assert keymap_problems({"hydra.test": "p"}, known) == []
    assert keymap_problems({"fleet.pause": "r"}, known) == ["fleet.pause: r is fleet.resume already; only one of them will be heard"]
    assert keymap_problems({"hydra.test": "f1,y"}, known) == ["hydra.test: f1 is app.help already; only one of them will be heard"]


@pytest.mark.parametrize(("text", "said"), [("{", "not JSON"), ("[]", "must be an object"), ('{"a.b": ""}', "found ''")])
def test_a_broken_keymap_is_one_line_and_no_key_changes(places: Places, text: str, said: str) -> None:
    path = places.config_dir / "keymap.json"
    path.write_text(text)
    keymap = load_keymap(path)
    assert keymap.keys == {} and said in keymap.problems[0]


async def test_the_palette_offers_the_keys_of_the_screen_and_every_command(desk: Desk) -> None:
    offered = {command.title: command.help for command in desk.app.get_system_commands(desk.app.screen)}
    assert offered["Pause"] == "key p" and ":net [@DEVICE] WORDS" in offered and ":at 03:12" in offered
    await desk.press("ctrl+p")
    await desk.type("hydra")
    await desk.pilot.pause()
    await desk.pilot.press("enter")
    await desk.pilot.press("enter")
    await desk.until(lambda: desk.app.current_mode == "hydra")
