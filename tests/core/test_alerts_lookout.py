"""The lookout sees what changed and raises it once."""

import asyncio

import pytest

from executor_tui.config.load import Config, load
from executor_tui.config.places import Places
from executor_tui.core.lookout import Lookout
from executor_tui.domain.approval import Approval, ApprovalKind
from executor_tui.domain.clock import ManualClock
from executor_tui.domain.project import Project, ProjectStatus
from executor_tui.store.store import Store


@pytest.fixture
def config(places: Places) -> Config:
    return load(places.config_dir)


async def test_an_approval_becomes_an_alert_as_soon_as_it_is_asked(
    store: Store, places: Places, clock: ManualClock, config: Config
) -> None:
    running = asyncio.create_task(Lookout(store, places.state_dir, lambda: config).run())
    try:
        await store.approvals.request(Approval("apr-1", ApprovalKind.CRITICAL_MODEL, "use opus"))
        while not await store.alerts.list():
            await clock.advance(0.05)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert [a.dedupe_key for a in await store.alerts.list()] == ["approval:apr-1"]


async def test_one_occasion_is_raised_once_over_looks_and_restarts(store: Store, places: Places, config: Config) -> None:
    await store.approvals.request(Approval("apr-1", ApprovalKind.CRITICAL_MODEL, "use opus"))
    lookout = Lookout(store, places.state_dir, lambda: config)
    assert [await lookout.look(), await lookout.look()] == [1, 0]
    assert await Lookout(store, places.state_dir, lambda: config).look() == 0


async def test_a_node_that_does_not_lead_says_nothing(store: Store, places: Places, config: Config) -> None:
    await store.approvals.request(Approval("apr-1", ApprovalKind.CRITICAL_MODEL, "use opus"))
    leads = False
    lookout = Lookout(store, places.state_dir, lambda: config, lambda: leads)
    assert await lookout.look() == 0
    leads = True
    assert await lookout.look() == 1


async def test_a_clock_set_back_a_day_is_one_alert(store: Store, places: Places, clock: ManualClock, config: Config) -> None:
    lookout = Lookout(store, places.state_dir, lambda: config)
    assert await lookout.look() == 0
    clock.jump_wall(-86_400)
    assert [await lookout.look(), await lookout.look()] == [1, 0]
    assert "jumped back by 86400 s" in (await store.alerts.list())[0].title


async def test_projects_that_ended_long_ago_are_no_news(store: Store, places: Places, clock: ManualClock, config: Config) -> None:
    await store.projects.create(Project("prj-old", "goal", ProjectStatus.DELIVERED, finished_at=clock.now()))
    await clock.advance(86_401)
    await store.projects.create(Project("prj-new", "goal", ProjectStatus.DELIVERED, finished_at=clock.now()))
    await Lookout(store, places.state_dir, lambda: config).look()
    assert [a.subject_id for a in await store.alerts.list()] == ["prj-new"]
