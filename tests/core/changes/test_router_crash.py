"""kill -9 at every named point of a change to a router: after a restart it is done or rolled back, once, and the router agrees."""

from collections.abc import AsyncIterator

import pytest

from executor_tui.config.places import Places
from executor_tui.domain.crash import POINTS
from executor_tui.lab.routeros.simulator import RouterOsSimulator
from tests.conftest import CANARY
from tests.core.changes.lives import Lives, told
from tests.core.changes.office import FILTER, write_router
from tests.core.changes.runner import CHANGE_ID

BLOCK = {"op": "net.rule", "action": "drop", "src_address": "10.0.0.5"}
TWO = [BLOCK, {"op": "net.address", "list": "blocked", "address": "10.0.0.6"}]
OUTSIDE = ["asked", "resolved", "planned", "consent_asked", "consented", "begun", "intended", "committed", "receipted", "concluded"]
"""Points where nothing of an attempt is in doubt: one after the other in the life of one change."""
INSIDE = [("guarded", "calling:2"), ("called", "applied"), ("verified", "committing")]
"""Points in the middle of an attempt: the first kills one, the second the next."""
ON_FAILURE = "rolled_back"


def test_every_point_of_a_change_is_visited_here() -> None:
    visited = {*OUTSIDE, *(point.partition(":")[0] for pair in INSIDE for point in pair), ON_FAILURE}
    assert visited == {name.removeprefix("change.") for name in POINTS if name.startswith("change.")}


@pytest.fixture
async def router(places: Places, request: pytest.FixtureRequest) -> AsyncIterator[RouterOsSimulator]:
    async with RouterOsSimulator(tls=True, users={"executor": CANARY}, **getattr(request, "param", {})) as simulator:
        write_router(places, simulator)
        yield simulator


def standing(router: RouterOsSimulator) -> tuple[int, int]:
    """How many rules and list entries of ours the router holds."""
    rows = (router.values(FILTER), router.values("/ip/firewall/address-list"))
    rules, entries = (sum(row.get("comment", "").startswith(f"executor {CHANGE_ID}") for row in found) for found in rows)
    return rules, entries


async def test_killed_at_each_point_outside_an_attempt_it_is_done_once(lives: Lives, places: Places, router: RouterOsSimulator) -> None:
    await lives.killed(TWO, *OUTSIDE)
    said = await lives.to_the_end(TWO)
    assert said["status"] == "done", said
    assert await told(places) == ("done", ["done"])
    assert standing(router) == (1, 1) and router.safe_mode.holder is None


@pytest.mark.parametrize("points", INSIDE, ids="-".join)
async def test_killed_in_two_attempts_running_the_router_has_taken_it_back_or_holds_all_of_it(
    points: tuple[str, str], lives: Lives, places: Places, router: RouterOsSimulator
) -> None:
    before = router.values(FILTER)
    for point in points:
        await lives.killed(TWO, point)
        await router.settled()
        assert standing(router) == (0, 0) and router.values(FILTER) == before
    said = await lives.to_the_end(TWO)
    assert said["status"] == "rolled_back", said
    assert await told(places) == ("rolled_back", ["rolled_back"])
    assert standing(router) == (0, 0) and router.safe_mode.holder is None


async def test_killed_in_one_attempt_the_next_one_brings_it_about(lives: Lives, router: RouterOsSimulator) -> None:
    await lives.killed(TWO, "calling:2")
    said = await lives.to_the_end(TWO)
    assert said == {"status": "done", "detail": "interrupted; finished after the restart"}
    assert standing(router) == (1, 1)


async def test_a_change_that_fails_and_is_killed_leaves_nothing_behind(lives: Lives, places: Places, router: RouterOsSimulator) -> None:
    router.faults.refuse["/ip/firewall/address-list/add"] = "failure: no more entries"
    await lives.killed(TWO, ON_FAILURE)
    said = await lives.to_the_end(TWO)
    assert said["status"] == "rolled_back" and "no more entries" in said["detail"]
    assert await told(places) == ("rolled_back", ["rolled_back"])
    assert standing(router) == (0, 0)


@pytest.mark.parametrize("router", [{"version": "7.17"}], indirect=True)
async def test_before_safe_mode_a_change_left_half_way_goes_back_by_restart_and_is_made_again(
    lives: Lives, router: RouterOsSimulator
) -> None:
    await lives.killed(TWO, "calling:2")
    assert standing(router) == (1, 0) and len(router.values("/system/scheduler")) == 1
    said = await lives.to_the_end(TWO)
    assert said["status"] == "done" and router.state.reboots == 1
    assert standing(router) == (1, 1)
    assert router.values("/system/scheduler") == [] and router.values("/file") == []


@pytest.mark.parametrize("router", [{"version": "7.17"}], indirect=True)
async def test_before_safe_mode_a_change_left_whole_is_kept_without_a_restart(lives: Lives, router: RouterOsSimulator) -> None:
    await lives.killed(TWO, "applied")
    said = await lives.to_the_end(TWO)
    assert said == {"status": "done", "detail": "interrupted; found finished after the restart"}
    assert router.state.reboots == 0 and standing(router) == (1, 1)
    assert router.values("/system/scheduler") == [] and router.values("/file") == []
