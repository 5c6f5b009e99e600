"""Jobs that fire on the clock, and the dead man's switch built of them."""

import asyncio


async def test_a_job_fires_at_every_interval(router, client, clock) -> None:
    await client.add("/system/scheduler", name="tick", interval="10s", on_event=':log info "tick"')
    await clock.advance(9)
    ticks = lambda: [line for line in router.state.log_lines() if line["message"] == "tick"]  # noqa: E731
    assert ticks() == []
    await clock.advance(1)
    assert len(ticks()) == 1 and ticks()[0]["topics"] == "script,info"
    await clock.advance(20)
    assert len(ticks()) == 3
    (job,) = await client.rows("/system/scheduler/print")
    assert job["run-count"] == "3"


async def test_a_job_without_an_interval_fires_once_at_its_time(router, client, clock) -> None:
    await client.add("/system/scheduler", name="once", start_date="2026-11-22", start_time="12:00:30", on_event=':log info "once"')
    await clock.advance(3600)
    assert [line["message"] for line in router.state.log_lines()].count("once") == 1


async def test_a_removed_or_disabled_job_does_not_fire(router, client, clock) -> None:
    first = await client.add("/system/scheduler", name="a", interval="10s", on_event=':log info "a fired"')
    second = await client.add("/system/scheduler", name="b", interval="10s", on_event=':log info "b fired"')
    await client.say("/system/scheduler/remove", f"=.id={first}")
    await client.say("/system/scheduler/disable", f"=.id={second}")
    await clock.advance(60)
    assert not [line for line in router.state.log_lines() if "fired" in line["message"]]


async def test_a_job_runs_a_script_by_name_and_its_failure_is_logged(router, client, clock) -> None:
    await client.add("/system/script", name="broken", source="/ip nonsense add")
    await client.add("/system/scheduler", name="job", interval="5s", on_event="broken")
    await clock.advance(5)
    assert any("executing script from scheduler (job) failed: bad command name" in line["message"] for line in router.state.log_lines())


async def test_dead_mans_switch_brings_the_saved_configuration_back_and_reboots(start, connect, clock) -> None:
    router = await start(clock=clock, version="7.10")
    client = await connect(router)
    before = router.values("/ip/firewall/filter")
    await client.say("/system/backup/save", "=name=guard", "=dont-encrypt=yes")
    await client.add("/system/scheduler", name="guard", interval="5m", on_event='/system backup load name="guard" password=""')
    await client.add("/ip/firewall/filter", chain="input", action="drop", place_before="*2")
    await clock.advance(299)
    assert len(router.values("/ip/firewall/filter")) == len(before) + 1
    await clock.advance(1)
    assert router.values("/ip/firewall/filter") == before
    assert router.values("/system/scheduler") == [] and router.state.reboots == 1
    await asyncio.wait_for(router.settled(), 10)
    assert await client.ended()


async def test_a_backup_is_loaded_only_with_its_password(router, client) -> None:
    await client.say("/system/backup/save", "=name=locked", "=password=open sesame")
    assert (await client.trap("/system/backup/load", "=name=locked", "=password="))["message"] == "failure: wrong password"
    assert (await client.trap("/system/backup/load", "=name=other", "=password="))["message"] == "failure: backup file not found"
    assert router.state.reboots == 0


async def test_reboot_drops_every_connection_and_starts_the_uptime_again(router, client, clock) -> None:
    await clock.advance(100)
    await client.send("/system/reboot")
    assert await client.ended()
    assert router.state.uptime_s() == 0


async def test_a_startup_job_fires_after_each_reboot_and_not_when_it_is_added(router, client, connect, clock) -> None:
    await clock.advance(10)  # the router is up for a while
    await client.add("/system/scheduler", name="hello", start_time="startup", on_event=':log info "hello"')
    heard = lambda: [line["message"] for line in router.state.log_lines()].count("hello")  # noqa: E731
    await clock.advance(60)
    assert heard() == 0
    for boots in (1, 2):
        await client.send("/system/reboot")
        assert await client.ended()
        await clock.advance(10)
        assert heard() == boots
        client = await connect(router)
