"""Leadership and the fence: a node stopped past its lease cannot write when it wakes."""

import asyncio

import pytest

from executor_tui.core.election import Election
from executor_tui.domain.clock import ManualClock
from executor_tui.domain.errors import FencedError
from executor_tui.domain.project import Project
from executor_tui.store.store import Store


async def test_one_node_leads_until_its_lease_runs_out(any_store: Store, clock: ManualClock) -> None:
    first = await any_store.leases.take("node-a", 10)
    assert first is not None
    assert await any_store.leases.take("node-b", 10) is None
    await clock.advance(11)
    second = await any_store.leases.take("node-b", 10)
    assert second is not None
    assert second.fencing == first.fencing + 1


async def test_the_next_write_of_a_node_that_slept_past_its_lease_is_refused(any_store: Store, clock: ManualClock) -> None:
    await any_store.projects.create(Project("prj-1", "goal"))
    old = await any_store.leases.take("node-a", 10)
    await any_store.projects.update("prj-1", fence=old, detail="while leading")
    await clock.advance(11)
    new = await any_store.leases.take("node-b", 10)
    with pytest.raises(FencedError, match="no longer leads"):
        await any_store.projects.update("prj-1", fence=old, detail="after waking")
    await any_store.projects.update("prj-1", fence=new, detail="by the new leader")
    assert (await any_store.projects.get("prj-1")).detail == "by the new leader"


async def test_of_many_nodes_starting_at_once_one_leads(any_store: Store) -> None:
    leases = await asyncio.gather(*(any_store.leases.take(f"node-{n}", 10) for n in range(6)), return_exceptions=True)
    assert sum(lease is not None and not isinstance(lease, BaseException) for lease in leases) == 1


async def test_a_wall_clock_set_back_keeps_nobody_in_office(store: Store, clock: ManualClock) -> None:
    election = Election(store.leases, clock, "node-a", 10)
    assert await election.campaign()
    clock.jump_wall(-86_400)
    assert election.leads
    await clock.advance(11)
    assert not election.leads


async def test_a_clean_stop_lets_the_next_node_lead_at_once(store: Store, clock: ManualClock) -> None:
    election = Election(store.leases, clock, "node-a", 10)
    await election.campaign()
    await election.resign()
    assert await store.leases.take("node-b", 10) is not None
