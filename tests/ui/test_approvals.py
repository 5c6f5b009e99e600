"""An approval cannot be given by accident, is given by one deliberate key, and is decided once."""

import random
from dataclasses import replace
from datetime import timedelta

import pytest
from desk import Desk, open_desk
from textual.widgets import Input

from executor_tui.config.places import Places
from executor_tui.domain.approval import Approval, ApprovalKind, ApprovalScope, ApprovalStatus, Decision
from executor_tui.domain.node import Operator
from executor_tui.ui.modals.approval import ApprovalModal
from executor_tui.ui.widgets.press import Choice, Press


def request(number: int, **kw: object) -> Approval:
    asked = Approval(
        f"apr-new{number}", ApprovalKind.CRITICAL_MODEL, f"use claude-opus, request {number}", agent_id="architect-001",
        project_id="prj-wordlang", estimate_usd=0.4, model_id="claude-opus",
    )  # fmt: skip
    return replace(asked, **kw)  # type: ignore[arg-type]


async def open_approval(desk: Desk, approval_id: str) -> ApprovalModal:
    desk.app.call_later(desk.app.open_approval, approval_id)
    await desk.until(lambda: isinstance(desk.app.screen, ApprovalModal) and desk.app.screen._visible_at_s is not None)
    modal = desk.app.screen
    assert isinstance(modal, ApprovalModal)
    return modal


async def status(desk: Desk, approval_id: str) -> ApprovalStatus:
    return (await desk.store.approvals.get(approval_id)).status


async def test_it_says_what_it_costs_against_what_is_left_and_what_happens_on_no(desk: Desk) -> None:
    await open_approval(desk, "apr-opus")
    front = desk.front()
    assert "about $0.42 of $4.59 left, 9% of it" in front
    assert "the Architect continues with claude-sonnet" in front
    assert "5m left, then it is a no" in front


async def test_the_focus_is_on_deny(desk: Desk) -> None:
    await open_approval(desk, "apr-opus")
    assert isinstance(desk.app.focused, Press) and desk.app.focused.id == "deny"


async def test_keys_are_dead_for_half_a_second_after_it_became_visible(desk: Desk) -> None:
    await open_approval(desk, "apr-opus")
    await desk.pilot.press("ctrl+y", "enter")
    assert await status(desk, "apr-opus") is ApprovalStatus.PENDING
    desk.clock.pass_s(0.49)
    await desk.pilot.press("ctrl+y", "enter")
    assert await status(desk, "apr-opus") is ApprovalStatus.PENDING
    desk.clock.pass_s(0.02)
    await desk.pilot.press("ctrl+y")
    await desk.see("approved: use claude-opus for architect-001")
    assert await status(desk, "apr-opus") is ApprovalStatus.APPROVED


async def test_enter_denies_and_the_decision_names_who_and_from_where(desk: Desk) -> None:
    await open_approval(desk, "apr-opus")
    desk.clock.pass_s(1)
    await desk.pilot.press("enter")
    await desk.see("denied: use claude-opus")
    decided = await desk.store.approvals.get("apr-opus")
    assert (decided.status, decided.decided_by, decided.decided_via) == (ApprovalStatus.DENIED, "anna", "console ssh 10.0.0.5")


async def test_somebody_typing_words_does_not_answer_it(desk: Desk) -> None:
    """Letters mean nothing here; each keeps the keys dead a little longer, so the Enter that ends the words is dropped."""
    await open_approval(desk, "apr-opus")
    desk.clock.pass_s(5)
    await desk.type("yes please approve\n")
    assert await status(desk, "apr-opus") is ApprovalStatus.PENDING
    assert isinstance(desk.app.screen, ApprovalModal)


async def test_escape_leaves_it_waiting(desk: Desk) -> None:
    await open_approval(desk, "apr-opus")
    desk.clock.pass_s(1)
    await desk.press("escape")
    assert not isinstance(desk.app.screen, ApprovalModal)
    assert await status(desk, "apr-opus") is ApprovalStatus.PENDING


async def test_a_yes_can_reach_a_project_up_to_an_amount(desk: Desk) -> None:
    modal = await open_approval(desk, "apr-opus")
    desk.clock.pass_s(1)
    modal.query_one("#scope", Choice).focus()
    await desk.pilot.press("right")
    assert modal.query_one("#amount", Input).value == "4.20"
    await desk.pilot.press("ctrl+y")
    await desk.see("approved:")
    decided = await desk.store.approvals.get("apr-opus")
    assert (decided.scope, decided.limit_usd) == (ApprovalScope.PROJECT, 4.2)


async def test_a_yes_can_hold_for_minutes(desk: Desk) -> None:
    modal = await open_approval(desk, "apr-opus")
    desk.clock.pass_s(1)
    modal.query_one("#scope", Choice).focus()
    await desk.pilot.press("right", "right", "ctrl+y")
    await desk.see("approved:")
    decided = await desk.store.approvals.get("apr-opus")
    assert decided.scope is ApprovalScope.MINUTES
    assert decided.valid_until == decided.decided_at + timedelta(minutes=30)  # type: ignore[operator]


async def test_an_amount_of_nothing_is_refused(desk: Desk) -> None:
    modal = await open_approval(desk, "apr-opus")
    desk.clock.pass_s(1)
    modal.query_one("#scope", Choice).focus()
    await desk.pilot.press("right")
    modal.query_one("#amount", Input).value = "0"
    await desk.pilot.press("ctrl+y")
    await desk.see("must be above zero")
    assert await status(desk, "apr-opus") is ApprovalStatus.PENDING


async def test_what_cannot_be_undone_wants_its_word_typed(desk: Desk) -> None:
    wanted = request(9, kind=ApprovalKind.CHANGE, risk="destructive", confirm_word="ct-131", subject="delete CT 131")
    await desk.store.approvals.request(wanted)
    modal = await open_approval(desk, "apr-new9")
    desk.clock.pass_s(1)
    await desk.pilot.press("ctrl+y")
    await desk.see("type ct-131 first")
    assert await status(desk, "apr-new9") is ApprovalStatus.PENDING
    await desk.type("ct-131")
    assert modal.query_one("#word", Input).value == "ct-131"
    await desk.pilot.press("ctrl+y")
    await desk.see("approved: delete CT 131")


async def test_a_decision_made_elsewhere_closes_it_and_says_so(desk: Desk) -> None:
    await open_approval(desk, "apr-opus")
    await desk.store.approvals.decide("apr-opus", Decision(True, "ben", "telegram"))
    await desk.see("approved by ben (telegram)")
    assert not isinstance(desk.app.screen, ApprovalModal)


async def test_the_first_of_two_consoles_decides_and_the_second_is_told(desk: Desk, places: Places) -> None:
    async with open_desk(places, seeded=False) as other:
        await open_approval(desk, "apr-opus")
        await open_approval(other, "apr-opus")
        for one in (desk, other):
            one.clock.pass_s(1)
        desk.send("enter")
        other.send("ctrl+y")
        await desk.until(lambda: not isinstance(desk.app.screen, ApprovalModal))
        await other.until(lambda: not isinstance(other.app.screen, ApprovalModal))
        decided = await desk.store.approvals.get("apr-opus")
        assert decided.status in (ApprovalStatus.APPROVED, ApprovalStatus.DENIED)
        word = "denied" if decided.status is ApprovalStatus.DENIED else "approved"
        loser = other if word == "denied" else desk
        await loser.until(lambda: word in loser.seen() or "already decided" in loser.seen())


async def test_it_says_who_else_is_looking(desk: Desk) -> None:
    await desk.store.operators.attach(Operator("opr-ben", "ben", "ssh 10.0.0.7", "approvals", False, "apr-opus"))
    await open_approval(desk, "apr-opus")
    await desk.see("ben (ssh 10.0.0.7)")


async def test_more_than_is_left_is_said(desk: Desk) -> None:
    await desk.store.approvals.request(request(5, estimate_usd=9.0))
    await open_approval(desk, "apr-new5")
    assert "more than is left" in desk.front()


async def test_it_opens_by_itself_only_over_a_quiet_screen(desk: Desk) -> None:
    for approval in await desk.store.approvals.pending():
        desk.app._offered.add(approval.id)
    await desk.pilot.press("down")
    await desk.store.approvals.request(request(1))
    await desk.until(lambda: desk.app.chrome is not None and desk.app.chrome.attention.approvals == 3)
    assert not isinstance(desk.app.screen, ApprovalModal)
    desk.clock.pass_s(3)
    await desk.store.approvals.request(request(2))
    await desk.until(lambda: isinstance(desk.app.screen, ApprovalModal))


async def test_it_never_opens_over_something_being_typed(desk: Desk) -> None:
    await desk.type(":new a tool")
    desk.clock.pass_s(60)
    await desk.store.approvals.request(request(1))
    await desk.until(lambda: desk.app.chrome is not None and desk.app.chrome.attention.approvals == 3)
    assert not isinstance(desk.app.screen, ApprovalModal)


async def test_view_only_cannot_decide(places: Places) -> None:
    async with open_desk(places, view_only=True) as desk:
        await open_approval(desk, "apr-opus")
        desk.clock.pass_s(1)
        await desk.pilot.press("ctrl+y", "enter")
        await desk.settle()
        assert await status(desk, "apr-opus") is ApprovalStatus.PENDING


KEYS = [
    *"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 .,-_?!:/",
    "enter",
    "tab",
    "escape",
    "backspace",
    "up",
    "down",
    "left",
    "right",
]


@pytest.mark.parametrize("purpose", ["command", "project", "keys"])
async def test_a_thousand_random_keystrokes_while_approvals_arrive_approve_nothing(desk: Desk, purpose: str) -> None:
    """Typed into an input: whatever opens, closes or takes the focus meanwhile, nothing is approved."""
    rng = random.Random(purpose)

    async def stay(stop_node: bool = False) -> None:
        """A q among the keys must not end the console before the last of them."""

    desk.app.leave = stay  # type: ignore[method-assign]
    opening = {"command": ["colon"], "project": ["n"], "keys": ["2", "e"]}[purpose]
    await desk.pilot.press(*opening)
    for number in range(1000):
        desk.send(rng.choice(KEYS))
        desk.clock.pass_s(rng.choice((0.0, 0.05, 0.3, 3.0)) if number % 10 == 0 else 0.02)
        if number % 100 == 0:
            await desk.store.approvals.request(request(number, expires_at=desk.clock.now() + timedelta(hours=1)))
            await desk.pilot.pause(0.02)
    await desk.until(lambda: not desk.app._keys._busy)
    decided = [a for a in await desk.store.approvals.list() if a.id.startswith("apr-new") or a.id in ("apr-opus", "apr-fire")]
    assert len(decided) == 12
    assert [a.id for a in decided if a.status is ApprovalStatus.APPROVED] == []
