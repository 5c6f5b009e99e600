"""Screens, drilling down, filters, commands, marks: everything by keyboard."""

import asyncio

import pytest
from desk import Desk, open_desk

from executor_tui.config.places import Places
from executor_tui.domain.agent import AgentState
from executor_tui.ui.registry import SECTIONS
from executor_tui.ui.widgets.bars import CrumbBar
from executor_tui.ui.widgets.rows import Rows


def crumbs(desk: Desk) -> str:
    return desk.app.screen.query_one(CrumbBar).text


async def test_every_number_key_opens_its_screen(desk: Desk) -> None:
    for section in (*SECTIONS[1:], SECTIONS[0]):
        await desk.press(section.key)
        assert desk.app.current_mode == section.name
        assert section.title in crumbs(desk)


async def test_enter_drills_down_to_a_step_and_escape_comes_back_up(desk: Desk) -> None:
    await desk.press("3", "down", "down", "down", "enter")
    assert "prj-invoices" in crumbs(desk)
    await desk.press("end", "enter")
    assert "step 6" in crumbs(desk)
    assert "IndexError: list index out of range" in desk.text
    assert "pytest" in desk.text
    await desk.press("escape")
    assert "step 6" not in crumbs(desk)
    await desk.press("escape")
    assert crumbs(desk).strip().startswith("Projects  7 projects")


async def test_a_screen_keeps_its_place_while_another_is_looked_at(desk: Desk) -> None:
    await desk.press("3", "down", "down", "down", "enter", "2")
    assert desk.app.current_mode == "hydra"
    await desk.press("3")
    assert "prj-invoices" in crumbs(desk)
    await desk.press("3")
    assert "prj-invoices" not in crumbs(desk)


async def test_a_filter_acts_while_it_is_typed_and_escape_clears_it(desk: Desk) -> None:
    await desk.type("/coder")
    assert [a.id for a in desk.rows.shown] == ["coder-001", "coder-002"]
    await desk.press("enter")
    assert "/coder" in crumbs(desk)
    await desk.press("escape")
    assert len(desk.rows.shown) == 8


async def test_an_exclamation_mark_turns_a_filter_round(desk: Desk) -> None:
    await desk.type("/!online|paused")
    assert {a.id for a in desk.rows.shown} == {"architect-001", "coder-001", "coder-002", "network-001", "proxmox-001"}


async def test_a_filter_that_matches_nothing_says_so(desk: Desk) -> None:
    await desk.type("/zzz")
    await desk.see("nothing matches zzz")


async def test_a_broken_expression_is_taken_literally(desk: Desk) -> None:
    await desk.type("/[coder")
    assert desk.rows.shown == []
    await desk.press("backspace", "backspace", "backspace", "backspace", "backspace", "backspace")
    assert len(desk.rows.shown) == 8


async def test_letters_typed_in_one_burst_with_the_filter_key_all_land_in_the_filter(desk: Desk) -> None:
    """`n` is "new project" on the table; it must not be taken for that when it follows `/` in the same packet."""
    await desk.press("3")
    await desk.type("/invoices")
    assert desk.app.screen.query_one("Prompt").input.value == "invoices"
    assert [p.id for p in desk.rows.shown] == ["prj-invoices"]


async def test_sorting_goes_through_the_columns_and_can_be_turned_round(desk: Desk) -> None:
    await desk.press("s", "s")
    assert [a.state.value for a in desk.rows.shown][:2] == ["offline", "degraded"]
    await desk.press("S")
    assert [a.state.value for a in desk.rows.shown][-1] == "offline"


async def test_marked_rows_are_what_an_action_works_on(desk: Desk) -> None:
    await desk.press("space", "space", "p")
    await desk.see("2 done")
    paused = {a.id for a in await desk.store.agents.list() if a.paused}
    assert paused == {"architect-001", "coder-001", "qa-001"}


async def test_jump_labels_bring_the_cursor_to_a_row(desk: Desk) -> None:
    await desk.press("g", "d")
    assert desk.rows.current.id == "coder-002"


async def test_colon_completes_and_runs_commands(desk: Desk) -> None:
    await desk.type(":proj")
    await desk.press("tab")
    assert desk.app.screen.query_one("Prompt").input.value == "projects"
    await desk.press("tab")
    assert desk.app.screen.query_one("Prompt").input.value == "project"
    await desk.type(" prj-in")
    await desk.press("tab", "enter")
    await desk.until(lambda: "prj-invoices" in crumbs(desk))


async def test_an_unknown_command_says_what_is_wrong(desk: Desk) -> None:
    await desk.type(":frobnicate\n")
    await desk.see("no command 'frobnicate'")


@pytest.mark.parametrize("section", [s.name for s in SECTIONS])
async def test_help_lists_the_keys_of_the_screen_it_was_opened_from(desk: Desk, section: str) -> None:
    await desk.app.open_section(section)
    await desk.settle()
    await desk.press("question_mark")
    shown = {active.binding.description for active in desk.app.screen_stack[-2].active_bindings.values() if active.binding.id}
    screens = {s.title for s in SECTIONS}
    missing = [text for text in shown - screens if text not in desk.text]
    assert missing == []


async def test_a_bare_terminal_of_60_by_20_is_enough_and_less_is_said(places: Places) -> None:
    async with open_desk(places, size=(60, 20)) as desk:
        assert "architect-001" in desk.seen()
        await desk.pilot.resize_terminal(50, 15)
        await desk.see("60×20")


async def test_new_things_are_marked_since_the_screen_was_last_left(desk: Desk) -> None:
    await desk.press("2")
    desk.clock.pass_s(60)

    await desk.store.agents.set_state("pm-001", AgentState.DEGRADED, "slow")
    await desk.press("1")
    await desk.see("• pm-001")
    assert isinstance(desk.rows, Rows)


async def test_a_command_line_left_open_keeps_number_keys_as_text(desk: Desk) -> None:
    await desk.type(":3")
    assert desk.app.current_mode == "fleet"
    assert desk.app.screen.query_one("Prompt").input.value == "3"


async def test_a_key_that_follows_enter_in_the_same_packet_is_not_typed_into_the_line(desk: Desk) -> None:
    await desk.type("/coder\nj/")
    assert desk.app.screen.query_one("Prompt").input.value == "coder"
    assert desk.app.screen.prompt_open
    assert desk.rows.current.id == "coder-002"


async def test_a_theme_chosen_meanwhile_is_on_the_screen_one_comes_back_to(desk: Desk) -> None:
    await desk.press("2", "1")
    await desk.type(":theme executor-light\n")
    await desk.until(lambda: desk.app.theme == "executor-light")
    await desk.press("2")
    backgrounds = {
        s.style.bgcolor.name for strip in desk.app.screen._compositor.render_strips() for s in strip if s.style and s.style.bgcolor
    }
    assert "#ffffff" in backgrounds
    assert "#121212" not in backgrounds


async def test_a_line_asked_for_twice_before_it_stands_is_made_once(desk: Desk) -> None:
    top = desk.app.top
    assert top is not None
    await top.query("Prompt").remove()
    first = asyncio.create_task(top.prompt())
    await asyncio.sleep(0)
    prompt = await top.prompt()
    prompt.open("command", ":")
    assert await first is prompt and len(top.query("Prompt")) == 1


async def test_screens_are_made_ahead_while_no_key_is_pressed(desk: Desk) -> None:
    assert set(desk.app._screen_stacks) == {"fleet"}
    desk.clock.pass_s(1)
    await desk.until(lambda: len(desk.app._screen_stacks) == len(SECTIONS))
    assert desk.app.current_mode == "fleet" and isinstance(desk.app.focused, Rows)
    hydra = desk.app._screen_stacks["hydra"][0]
    await desk.until(lambda: hydra.has_class("-data") and hydra._covered)
    await desk.store.agents.set_state("pm-001", AgentState.DEGRADED, "slow")
    await desk.see("slow")
    await desk.press("2")
    await desk.see("gemini")
    assert not hydra._covered and desk.app.screen is hydra
