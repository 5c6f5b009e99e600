"""Seeing every screen as it was: from the times the store keeps and the events recorded up to then."""

from dataclasses import replace
from datetime import timedelta

import pytest
from desk import Desk

from executor_tui.domain.agent import Agent, AgentState, AgentType, Role
from executor_tui.domain.approval import Approval, ApprovalKind, Decision
from executor_tui.domain.change import Change, ChangeStatus, Receipt, Risk
from executor_tui.domain.event import Event, Level
from executor_tui.domain.key import FailureClass, Park, ParkScope, ParkSource
from executor_tui.domain.project import Project, ProjectStatus, Stage, Step, StepStatus
from executor_tui.ui.commands import parse_moment
from executor_tui.ui.widgets.bars import AttentionBar, CrumbBar

LATER_S = 600
STEP = Step("stp-1", "prj-1", 1, Stage.CODER, 2, "turn", "write it", StepStatus.RUNNING, prompt="do it")


async def before(desk: Desk) -> None:
    """Ten minutes ago: an agent works on a project, a pool is parked, consent to a change is asked for."""
    store, now = desk.store, desk.clock.now()
    await store.agents.put(Agent("coder-001", "Coder", AgentType.PROJECT, Role.CODER))
    await store.agents.put(Agent("network-001", "Network", AgentType.INFRASTRUCTURE, Role.NETWORK, device="router"))
    await store.agents.set_state("coder-001", AgentState.BUSY, "", project_id="prj-1")
    await store.agents.set_state("network-001", AgentState.ONLINE)
    await store.projects.create(Project("prj-1", "count words"))
    await store.projects.move(
        "prj-1", (ProjectStatus.QUEUED,), ProjectStatus.RUNNING, Event("project.started", "started", project_id="prj-1")
    )
    await store.steps.put(Step("stp-1", "prj-1", 1, Stage.CODER, 2, "turn", "write it", StepStatus.RUNNING, started_at=now, prompt="do it"))
    end = now + timedelta(hours=5)
    await store.parks.park(
        Park("prk-1", ParkScope.POOL, "google/default", "", "", FailureClass.RATE_LIMITED, ParkSource.PROVIDER, now, end)
    )
    await store.approvals.request(Approval("apr-1", ApprovalKind.CHANGE, "block an address", agent_id="network-001"))
    await store.changes.put(Change(
        "chg-1", "network-001", "routeros", "block an address", ChangeStatus.WAITING, Risk.DISRUPTIVE, approval_id="apr-1",
    ))  # fmt: skip


async def after(desk: Desk) -> None:
    """Since then: all of it has come to an end."""
    store = desk.store
    await store.agents.set_state("coder-001", AgentState.OFFLINE, "gone")
    done = {"status": StepStatus.DONE, "ended_at": desk.clock.now(), "reply": "it is done", "commit": "abc1234"}
    await store.steps.put(replace(await store.steps.get("stp-1"), **done))
    end = Event("project.delivered", "delivered", project_id="prj-1")
    await store.projects.move("prj-1", (ProjectStatus.RUNNING,), ProjectStatus.DELIVERED, end, finished_at=desk.clock.now())
    await store.parks.clear("prk-1", "anna", Event("park.cleared", "cleared"))
    await store.approvals.decide("apr-1", Decision(True, "ben", "phone"))
    receipt = Receipt("rcp-1", "chg-1", ChangeStatus.DONE, 1, "network-001", "blocked")
    await store.receipts.append(receipt, lambda one, _: one, lambda one: Event("change.done", "done"))
    await store.changes.update("chg-1", Event("change.done", "done", subject_id="chg-1"), status=ChangeStatus.DONE)


@pytest.fixture
async def past(bare_desk: Desk) -> Desk:
    bare_desk.app.greets = False
    await before(bare_desk)
    bare_desk.clock.pass_s(LATER_S)
    await after(bare_desk)
    return bare_desk


async def open_then(desk: Desk, section: str) -> str:
    """A screen as it was five minutes ago, as text."""
    if desk.app.at is None:
        await desk.type(":at -5m\n")
        await desk.until(lambda: desk.app.at is not None)
    await desk.app.open_section(section)
    await desk.settle()
    return desk.seen()


async def test_each_screen_is_as_it_was(past: Desk) -> None:
    fleet = await open_then(past, "fleet")
    assert "◆ busy" in fleet and "offline" not in fleet
    assert "google/default" in await open_then(past, "hydra")
    assert "◆ running" in (projects := await open_then(past, "projects")) and "Coder 2/4" in projects
    assert "▲ waiting" in await open_then(past, "approvals")
    assert "▲ waiting" in await open_then(past, "infra")
    assert "1 now" in await open_then(past, "pulse")
    assert "gone" not in await open_then(past, "logs")


async def test_the_pages_inside_are_as_they_were(past: Desk) -> None:
    await open_then(past, "projects")
    await past.press("enter", "enter")
    assert "it is done" not in past.text and "do it" in past.text and "◆ running" in past.text
    await past.type(":now\n")
    await past.see("it is done")


async def test_a_thing_that_did_not_exist_yet_says_so(past: Desk) -> None:
    await past.store.projects.create(Project("prj-2", "a later one"))
    await past.type(":project prj-2\n")
    await past.see("a later one")
    await past.type(":at -5m\n")
    await past.see("prj-2 was not asked for yet")


async def test_the_past_is_marked_and_the_attention_line_stays_with_the_present(past: Desk) -> None:
    await past.store.projects.create(Project("prj-3", "one that fails"))
    failed = Event("project.failed", "no", Level.ERROR, project_id="prj-3")
    await past.store.projects.move("prj-3", (ProjectStatus.QUEUED,), ProjectStatus.FAILED, failed, finished_at=past.clock.now())
    await open_then(past, "projects")
    assert "◷ as of" in past.app.screen.query_one(CrumbBar).text
    past.app.said = None
    bar = past.app.screen.query_one(AttentionBar)
    await past.until(lambda: bar.text.startswith(" now ✗ prj-3 failed"))


async def test_brackets_step_from_event_to_event_and_on_into_the_present(past: Desk) -> None:
    past.clock.pass_s(60)
    await past.press("left_square_bracket")
    first = past.app.at
    assert first is not None
    await past.press("left_square_bracket")
    assert past.app.at is not None and past.app.at < first
    await past.press("right_square_bracket")
    assert past.app.at == first
    await past.press("right_square_bracket")
    await past.until(lambda: past.app.at is None)


async def test_nothing_can_be_changed_in_the_past(past: Desk) -> None:
    await open_then(past, "fleet")
    await past.press("p")
    await past.see("nothing was changed")
    assert not any(a.paused for a in await past.store.agents.list())


@pytest.mark.parametrize(
    ("text", "minutes_ago"), [("-10m", 10), ("-2h", 120), ("11:50", 10), ("12:30", 23 * 60 + 30), ("2026-11-21 12:00", 0)]
)
def test_moments_are_written_as_people_write_them(text: str, minutes_ago: int) -> None:
    from datetime import UTC, datetime

    now = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
    assert parse_moment(text, now, timedelta(0)) == now - timedelta(minutes=minutes_ago)
