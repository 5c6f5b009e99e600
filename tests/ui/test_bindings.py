"""Every binding does what it says. A new binding fails `test_every_binding_is_pressed_by_a_test` until it has a line below."""

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from desk import Desk, open_desk
from textual.binding import Binding
from textual.widgets import Input
from views import VIEWS, View, keys, show, typed, walk

from executor_tui.config.places import Places
from executor_tui.domain.event import Event
from executor_tui.ui.keys import KNOWN, MULTIPLEXER_KEYS
from executor_tui.ui.modals.approval import ApprovalModal
from executor_tui.ui.modals.confirm import ConfirmModal
from executor_tui.ui.modals.help import HelpModal
from executor_tui.ui.modals.keys import KeysModal
from executor_tui.ui.modals.newproject import NewProjectModal
from executor_tui.ui.modals.question import QuestionModal
from executor_tui.ui.registry import SECTIONS, load_all
from executor_tui.ui.screens.agent import AgentScreen
from executor_tui.ui.screens.files import FilesScreen
from executor_tui.ui.screens.logs import LogsScreen
from executor_tui.ui.widgets.lines import Lines
from executor_tui.ui.widgets.logview import LogView
from executor_tui.ui.widgets.press import Choice
from executor_tui.ui.widgets.prompt import Prompt
from executor_tui.ui.widgets.secret import SecretArea

load_all()
BY_NAME = {v.name: v for v in VIEWS}
Seen = Callable[[Desk], object]


@dataclass(frozen=True)
class Press:
    """`id`'s keys, each pressed where `go` leads; `then` becomes true. `first` is pressed before, once."""

    id: str
    then: Seen
    first: tuple[str, ...] = ()
    every_key: bool = field(default=True)


def front(kind: type) -> Seen:
    return lambda desk: isinstance(desk.app.screen, kind)


def cursor(row: str) -> Seen:
    return lambda desk: desk.rows.current.id == row


def focus(name: str) -> Seen:
    return lambda desk: desk.app.focused is not None and desk.app.focused.id == name


def said(text: str) -> Seen:
    return lambda desk: desk.app.said is not None and text in desk.app.said.text


def at_section(name: str) -> Seen:
    return lambda desk: desk.app.current_mode == name


def prompt(desk: Desk) -> Prompt:
    return desk.app.screen.query_one(Prompt)


def lines(desk: Desk) -> Lines:
    return desk.app.screen.query(Lines).first()


def waiting(what: str) -> Seen:
    return lambda desk: isinstance(desk.app.screen, ConfirmModal) and what in desk.front()


def narrowed(desk: Desk) -> object:
    screen = desk.app.screen
    return isinstance(screen, LogsScreen) and screen._narrow


async def asked_before(desk: Desk) -> None:
    await typed("1", text=":who\n")(desk)
    await desk.press("colon")


STEP = View("step", keys("3", "@prj-invoices", "enter", "@stp-6", "enter"))
FOUND = View("found", typed("3", "@prj-invoices", "enter", "@stp-6", "enter", "slash", text="e\n"))
ONE_PROJECT = BY_NAME["projects-project"]

PRESSES: tuple[tuple[View, tuple[Press, ...]], ...] = (
    (BY_NAME["fleet"], (
        Press("rows.down", cursor("coder-001"), ("home",)), Press("rows.up", cursor("architect-001"), ("home", "down")),
        Press("rows.last", cursor("qa-001"), ("home",)), Press("rows.first", cursor("architect-001"), ("end",)),
        Press("rows.page_down", cursor("qa-001"), ("home",)), Press("rows.page_up", cursor("architect-001"), ("end",)),
        Press("rows.mark", lambda d: d.rows.marked == {"qa-001"}, ("end",)), Press("rows.mark", lambda d: not d.rows.marked, ("end",)),
        Press("rows.reverse", lambda d: d.rows.order.reverse), Press("rows.sort", lambda d: d.rows.order.column == "agent"),
        Press("rows.jump", lambda d: d.rows._jumping), Press("rows.open", front(AgentScreen), ("escape", "home")),
        Press("screen.back", at_section("fleet")),
    )),
    (BY_NAME["fleet"], (
        Press("fleet.pause", said("coder-001 paused"), ("home", "down")), Press("fleet.resume", said("coder-001 resumed")),
        Press("screen.copy", said("not copied: there is no terminal")), Press("screen.filter", lambda d: prompt(d).has_class("-open")),
        Press("prompt.close", lambda d: not prompt(d).has_class("-open")),
    )),
    (BY_NAME["fleet"], (Press("fleet.logs", lambda d: narrowed(d) and narrowed(d).agent_id == "coder-001", ("home", "down")),)),
    (BY_NAME["fleet"], (Press("app.attention", front(ApprovalModal)),)),
    (BY_NAME["fleet"], (Press("app.new_project", front(NewProjectModal)), Press("modal.close", at_section("fleet")))),
    (BY_NAME["fleet"], (Press("app.help", front(HelpModal), every_key=False), Press("help.close", at_section("fleet"), every_key=False))),
    (BY_NAME["fleet"], (Press("app.command", lambda d: prompt(d).purpose == "command"),
                        Press("prompt.complete", lambda d: prompt(d).input.value == "fleet"),
                        Press("prompt.complete_back", lambda d: prompt(d).input.value != "fleet"))),
    (BY_NAME["fleet"], (Press("app.earlier", lambda d: d.app.at is not None), Press("app.later", lambda d: d.app.at is None))),
    *((BY_NAME["fleet" if s.name != "fleet" else "logs"], (Press(f"app.{s.name}", at_section(s.name)),)) for s in SECTIONS),
    (BY_NAME["fleet-agent"], (Press("agent.pause", said("coder-001 paused")), Press("agent.resume", said("coder-001 resumed")))),
    (BY_NAME["fleet-agent"], (Press("agent.logs", lambda d: narrowed(d) and narrowed(d).agent_id == "coder-001"),)),
    (BY_NAME["hydra"], (
        Press("screen.next_part", focus("parks-table")), Press("hydra.clear_park", said("is no longer parked")),
        Press("screen.previous_part", focus("keys-table")), Press("hydra.test", lambda d: d.app.said is not None),
        Press("hydra.remove", waiting("Remove")),
    )),
    (BY_NAME["hydra"], (Press("hydra.enter_keys", front(KeysModal)),)),
    (BY_NAME["projects"], (Press("projects.cancel", waiting("Cancel"), ("home",)),)),
    (BY_NAME["projects"], (Press("projects.logs", lambda d: narrowed(d) and narrowed(d).project_id, ("home",)),)),
    (ONE_PROJECT, (Press("project.files", front(FilesScreen)),)),
    (ONE_PROJECT, (Press("project.cancel", waiting("Cancel prj-invoices")),)),
    (ONE_PROJECT, (Press("project.logs", lambda d: narrowed(d) and narrowed(d).project_id == "prj-invoices"),)),
    (View("asking", keys("3", "@prj-backup", "enter")), (Press("project.answer", front(QuestionModal)),)),
    (STEP, (
        Press("lines.down", lambda d: lines(d)._top == 1, ("home",)), Press("lines.up", lambda d: lines(d)._top == 0, ("home", "down")),
        Press("lines.end", lambda d: lines(d).at_end, ("home",)), Press("lines.top", lambda d: lines(d)._top == 0, ("end",)),
        Press("lines.page_down", lambda d: lines(d)._top > 1, ("home",)),
        Press("lines.page_up", lambda d: lines(d)._top == 0, ("home", "down")),
        Press("lines.wrap", lambda d: not lines(d).wrapped), Press("text.find", lambda d: prompt(d).has_class("-open")),
    )),
    (FOUND, (Press("lines.next", lambda d: lines(d)._top > 0, ("home",)), Press("lines.previous", lambda d: lines(d)._top == 0))),
    (BY_NAME["logs"], (
        Press("logs.follow", lambda d: not d.app.screen.log_view.following),
        Press("logs.level", lambda d: d.app.screen._narrow.level == "warning"),
        Press("logs.stamps", lambda d: d.app.screen.log_view.form.stamps == "relative"), Press("logs.save", said("written to")),
        Press("logs.only", lambda d: prompt(d).purpose == "only"),
    )),
    (BY_NAME["logs"], (Press("logs.find", lambda d: prompt(d).purpose == "find"),)),
    (BY_NAME["approvals"], (Press("approvals.deny", waiting("Deny"), ("home",)), Press("confirm.next", focus("yes"), every_key=False),
                            Press("confirm.previous", focus("no"), every_key=False), Press("press.enter", at_section("approvals")))),
    (BY_NAME["ask-model"], (
        Press("approval.previous", focus("scope")), Press("choice.right", lambda d: d.app.screen.query_one(Choice).value != "once"),
        Press("choice.left", lambda d: d.app.screen.query_one(Choice).value == "once"), Press("approval.next", focus("deny")),
        Press("approval.later", at_section("fleet")),
    )),
    (BY_NAME["ask-model"], (Press("approval.approve", said("approved: use claude-opus")),)),
    (BY_NAME["infra"], (Press("infra.ask", lambda d: prompt(d).has_class("-open") or len(d.app.screen_stack) > 1),)),
    (View("waiting change", keys("7", "tab", "home")), (Press("infra.approval", front(ApprovalModal)),)),
    (View("made change", typed("7", text=":change chg-3\n")), (Press("change.undo", waiting("Take back chg-3")),)),
    (BY_NAME["pulse"], (Press("pulse.longer", lambda d: d.app.screen._range == 3),
                        Press("pulse.shorter", lambda d: d.app.screen._range == 2))),
    (BY_NAME["ask-keys"], (Press("keys.accounts", lambda d: "one account" in d.front()), Press("keys.take_in", front(KeysModal)))),
    (BY_NAME["ask-project"], (Press("new.next", focus("budget"), every_key=False), Press("new.previous", focus("goal"), every_key=False))),
    (BY_NAME["ask-question"], (Press("question.previous", lambda d: not isinstance(d.app.focused, Input)),
                               Press("question.next", lambda d: isinstance(d.app.focused, Input)))),
    (BY_NAME["ask-quit"], (Press("quit.next", focus("stop"), every_key=False), Press("quit.previous", focus("keep"), every_key=False))),
    (BY_NAME["welcome"], (Press("welcome.next", focus("look")), Press("welcome.previous", focus("keys")))),
    (View("command again", asked_before), (Press("prompt.earlier", lambda d: prompt(d).input.value == "who"),
                                                        Press("prompt.later", lambda d: prompt(d).input.value == ""))),
)  # fmt: skip
ELSEWHERE = {
    "app.quit": "test_quitting_ends_the_console",
    "screen.reload": "test_reloading_reads_the_store_again",
    "logs.next": "test_next_and_previous_go_from_match_to_match_through_the_log",
    "logs.previous": "test_next_and_previous_go_from_match_to_match_through_the_log",
}
"""Bindings that need a console of their own."""


def test_every_binding_is_pressed_by_a_test() -> None:
    pressed = {p.id for _, presses in PRESSES for p in presses} | set(ELSEWHERE)
    assert set(KNOWN) - pressed == set()
    assert pressed - set(KNOWN) == set()


async def take(desk: Desk, press: Press, key: str) -> str:
    """What is wrong, or nothing."""
    for before in press.first:
        await desk.press(before)
    desk.app.said = None
    desk.clock.pass_s(1)
    await desk.pilot.press(key)
    try:
        await desk.until(lambda: bool(press.then(desk)), f"{press.id} by {key}")
    except TimeoutError:
        return f"{key} did not do what {press.id} says ({KNOWN[press.id].description}); on the screen:\n{desk.front()}"
    await desk.settle()
    return ""


@pytest.mark.timeout(600)
async def test_every_binding_does_what_it_says(places: Places) -> None:
    wrong: list[str] = []
    async with open_desk(places, repo=True) as desk:
        for view, presses in PRESSES:
            await show(desk, view)
            for press in presses:
                known = KNOWN[press.id].key.split(",")
                for key in known if press.every_key and press.first else known[:1]:
                    wrong += filter(None, [await take(desk, press, key)])
    assert not wrong, "\n".join(wrong)


async def test_a_second_key_of_a_binding_does_the_same(desk: Desk) -> None:
    await desk.press("f1")
    assert isinstance(desk.app.screen, HelpModal)
    await desk.press("f1")
    await desk.press("question_mark")
    await desk.press("q")
    assert not isinstance(desk.app.screen, HelpModal)


async def test_quitting_ends_the_console(places: Places) -> None:
    for key in ("q", "ctrl+c"):
        async with open_desk(places, seeded=False) as desk:
            desk.send(key)
            await desk.until(lambda app=desk.app: app.return_code == 0)


async def test_reloading_reads_the_store_again(desk: Desk) -> None:
    before = desk.app.top.view
    await desk.pilot.press("ctrl+r")
    await desk.until(lambda: desk.app.top.view is not before)


async def test_next_and_previous_go_from_match_to_match_through_the_log(desk: Desk) -> None:
    words = [f"line {n}" + (" needle" if n % 40 == 0 else "") for n in range(1, 200)]
    await desk.store.events.add(*(Event("log.line", text, agent_id="coder-001", at=desk.clock.now()) for text in words))
    await desk.press("4")
    await desk.type("fneedle\n")

    def top() -> str:
        view = desk.app.screen.query_one(LogView)
        return next(e.message for e in view.events if e.seq == view.top_seq())

    await desk.until(lambda: top() == "line 160 needle")
    await desk.press("N")
    await desk.until(lambda: top() == "line 120 needle")
    await desk.press("n")
    await desk.until(lambda: top() == "line 160 needle")


@pytest.mark.timeout(600)
async def test_no_binding_that_works_anywhere_is_a_prefix_of_tmux_or_screen_and_each_has_an_id(places: Places) -> None:
    async with open_desk(places, repo=True) as desk:
        async for view in walk(desk):
            for key, active in desk.app.screen.active_bindings.items():
                if isinstance(active.node, Input | SecretArea) or not active.enabled:
                    continue
                assert key not in MULTIPLEXER_KEYS, f"{view.name}: {key}"
                assert active.binding.id or active.binding.action == "command_palette", f"{view.name}: {key} has no id"


def test_no_two_bindings_have_one_id() -> None:
    seen: dict[str, Binding] = {}
    classes = {cls for cls in _all_classes() if cls.__module__.startswith("executor_tui.ui")}
    for cls in classes:
        for binding in cls.__dict__.get("BINDINGS", ()):
            assert isinstance(binding, Binding) and binding.id, f"{cls.__name__}: {binding}"
            assert seen.setdefault(binding.id, binding) is binding, f"{binding.id} is used twice"
    assert set(seen) == set(KNOWN)


def _all_classes() -> set[type]:
    from textual.dom import DOMNode

    found: set[type] = set()
    waiting_: list[type] = [DOMNode]
    while waiting_:
        cls = waiting_.pop()
        if cls not in found:
            found.add(cls)
            waiting_ += cls.__subclasses__()
    return found
