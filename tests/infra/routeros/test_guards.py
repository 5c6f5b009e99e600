"""A change under guard is either committed or undone, wherever the line is cut."""

import asyncio

import pytest

from executor_tui.domain.errors import UsageError
from executor_tui.infra.routeros.errors import (
    CommitUncertainError,
    GuardBusyError,
    GuardEndedError,
    RouterOsConnectionLostError,
    RouterOsTrapError,
)
from executor_tui.infra.routeros.guards import COMMITTED, LEFT_TO_ROUTER, ROLLED_BACK, DeadManSwitch, SafeMode

FILTER = "/ip/firewall/filter"


async def block(router, comment: str = "ours") -> str:
    return await router.add(FILTER, {"chain": "input", "action": "drop", "comment": comment}, place_before="*2")


async def settle(device) -> None:
    await asyncio.wait_for(device.settled(), 10)


async def test_committed_change_survives_the_connection(device, router) -> None:
    async with router.safe_mode() as guard:
        identity = await block(router)
        await guard.commit()
    await router.close()
    await settle(device)
    assert guard.outcome == COMMITTED
    assert device.state.table(FILTER).by_id(identity) is not None


async def test_leaving_without_commit_undoes_the_change_and_keeps_the_connection(device, router) -> None:
    before = device.values(FILTER)
    async with router.safe_mode() as guard:
        await block(router)
    assert guard.outcome == ROLLED_BACK and device.values(FILTER) == before
    assert (await router.ping()).identity == "office-gw"


async def test_an_error_inside_undoes_what_came_before_it(device, router) -> None:
    before = device.values(FILTER)
    with pytest.raises(RouterOsTrapError):
        async with router.safe_mode() as guard:
            await block(router)
            await router.add(FILTER, {"chain": "input", "action": "explode"})
    assert guard.outcome == ROLLED_BACK and device.values(FILTER) == before


async def test_cut_between_apply_and_commit_leaves_the_table_as_before(device, router) -> None:
    before = device.values(FILTER)
    with pytest.raises(RouterOsConnectionLostError):
        async with router.safe_mode() as guard:
            await block(router)
            assert device.values(FILTER) != before
            device.cut_connections()
            await guard.commit()
    await settle(device)
    assert guard.outcome == LEFT_TO_ROUTER and device.values(FILTER) == before


@pytest.mark.parametrize("nth_write", [1, 2, 3, 4])
@pytest.mark.parametrize("when", ["before", "after"])
async def test_cut_at_any_write_of_a_change_leaves_all_of_it_or_nothing(device, router, nth_write: int, when: str) -> None:
    """The writes are: take, add, set, release."""
    before = device.values(FILTER)
    setattr(device.faults, f"cut_{when}_write", nth_write)
    with pytest.raises(RouterOsConnectionLostError):
        async with router.safe_mode() as guard:
            await block(router)
            await router.set(FILTER, "*3", {"comment": "changed"})
            await guard.commit()
    await settle(device)
    if (nth_write, when) == (4, "after"):
        assert len(device.values(FILTER)) == len(before) + 1
    else:
        assert device.values(FILTER) == before


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_line_cut_while_committing_is_said_to_be_uncertain(device, router, when: str) -> None:
    getattr(device.faults, f"cut_{when}").add("/safe-mode/release")
    with pytest.raises(CommitUncertainError, match="while the change was being committed") as caught:
        async with router.safe_mode() as guard:
            await block(router)
            await guard.commit()
    assert "Read the router" in caught.value.hint


async def test_a_killed_task_leaves_the_undoing_to_the_router(device, router) -> None:
    before = device.values(FILTER)
    inside = asyncio.Event()

    async def change() -> None:
        async with router.safe_mode():
            await block(router)
            device.faults.delay_s["/system/identity/print"] = 3600
            inside.set()
            await router.ping()

    task = asyncio.ensure_future(change())
    await inside.wait()
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await settle(device)
    assert device.values(FILTER) == before


async def test_safe_mode_that_ended_by_itself_is_said_and_not_taken_for_undone(start, dial) -> None:
    device = await start(safe_mode_max_actions=2)
    router = await dial(device)
    with pytest.raises(GuardEndedError, match="in force and will not be undone"):
        async with router.safe_mode():
            for number in range(3):
                await block(router, f"rule {number}")


async def test_commit_after_safe_mode_ended_by_itself_is_an_error_too(start, dial) -> None:
    device = await start(safe_mode_max_actions=2)
    router = await dial(device)
    with pytest.raises(GuardEndedError):
        async with router.safe_mode() as guard:
            for number in range(3):
                await block(router, f"rule {number}")
            await guard.commit()


async def test_safe_mode_held_by_another_session_is_busy(device, router, dial) -> None:
    other = await dial(device)
    async with other.safe_mode():
        with pytest.raises(GuardBusyError, match="safe mode cannot be taken"):
            async with router.safe_mode():
                pytest.fail("two sessions in safe mode")
        assert device.safe_mode.holder is not None


async def test_the_guard_fits_the_routers_version(start, dial) -> None:
    for version, kind in (("7.24", SafeMode), ("7.18", SafeMode), ("7.17.2", DeadManSwitch), ("6.49.10", DeadManSwitch)):
        router = await dial(await start(version=version))
        assert isinstance(await router.guard("change-1"), kind)


@pytest.fixture
async def old(start):
    return await start(version="7.10")


async def test_dead_mans_switch_taken_away_keeps_the_change_and_leaves_nothing_behind(old, dial, clock) -> None:
    router = await dial(old)
    async with router.dead_man_switch("change-1", 120) as guard:
        await block(router)
        assert await guard.is_armed()
        await guard.commit()
    await clock.advance(300)
    assert any(values.get("comment") == "ours" for values in old.values(FILTER))
    assert old.values("/system/scheduler") == [] and old.values("/file") == [] and old.state.reboots == 0


async def test_dead_mans_switch_restores_after_its_time_when_the_line_is_cut(old, dial, clock) -> None:
    router = await dial(old)
    before = old.values(FILTER)
    with pytest.raises(RouterOsConnectionLostError):
        async with router.dead_man_switch("change-1", 120) as guard:
            await block(router)
            old.cut_connections()
            await guard.commit()
    assert guard.outcome == LEFT_TO_ROUTER
    await clock.advance(119)
    assert old.values(FILTER) != before
    await clock.advance(1)
    assert old.values(FILTER) == before and old.state.reboots == 1 and old.values("/system/scheduler") == []


async def test_dead_mans_switch_is_pulled_at_once_when_the_change_fails(old, dial) -> None:
    router = await dial(old)
    before = old.values(FILTER)
    with pytest.raises(RouterOsTrapError):
        async with router.dead_man_switch("change-1", 120) as guard:
            await block(router)
            await router.remove(FILTER, "*FFFF")
    assert guard.outcome == ROLLED_BACK and old.values(FILTER) == before and old.state.reboots == 1


async def test_second_switch_of_the_same_name_is_refused(old, dial) -> None:
    router = await dial(old)
    async with router.dead_man_switch("change-1", 120) as guard:
        with pytest.raises(GuardBusyError, match="armed already"):
            async with router.dead_man_switch("change-1", 120):
                pytest.fail("two switches")
        await guard.commit()


async def test_a_switch_that_fired_cannot_be_committed(old, dial, clock) -> None:
    router = await dial(old)
    with pytest.raises(RouterOsConnectionLostError):
        async with router.dead_man_switch("change-1", 60) as guard:
            await clock.advance(60)
            await guard.commit()
    again = await dial(old)
    late = again.dead_man_switch("change-1", 60)
    with pytest.raises(GuardEndedError, match="fired, or somebody removed it"):
        await late.commit()


async def test_a_job_of_the_same_name_that_is_not_ours_is_never_removed(old, dial) -> None:
    router = await dial(old)
    await router.add("/system/scheduler", {"name": "change-1", "interval": "1d", "on-event": ":log info mine", "comment": "theirs"})
    with pytest.raises(GuardEndedError):
        await router.dead_man_switch("change-1", 60).commit()
    assert [values["comment"] for values in old.values("/system/scheduler")] == ["theirs"]


async def test_another_process_takes_an_armed_switch_up_by_its_name(old, dial) -> None:
    router = await dial(old)
    before = old.values(FILTER)
    first = router.dead_man_switch("change-1", 120)
    await first.__aenter__()
    await block(router)
    router.abort()
    later = await dial(old)
    switch = later.dead_man_switch("change-1", 120)
    assert await switch.is_armed()
    await switch.roll_back()
    assert old.values(FILTER) == before
    again = await dial(old)
    await again.dead_man_switch("change-1", 120).remove_backup()
    assert old.values("/file") == []


async def test_backup_lies_in_flash_where_the_router_has_such_a_folder(old, dial, clock) -> None:
    old.state.table("/file").add({"name": "flash"}, facts={"type": "directory"})
    router = await dial(old)
    before = old.values(FILTER)
    await router.dead_man_switch("change-1", 60).__aenter__()
    assert "flash/change-1.backup" in {values["name"] for values in old.values("/file")}
    await block(router)
    await clock.advance(60)
    assert old.values(FILTER) == before


@pytest.mark.parametrize(("name", "after_s"), [('x" ; /system reboot', 60), ("", 60), ("change-1", 0)])
async def test_a_switch_that_could_not_fire_as_meant_is_not_armed(router, name: str, after_s: int) -> None:
    with pytest.raises(UsageError):
        router.dead_man_switch(name, after_s)
