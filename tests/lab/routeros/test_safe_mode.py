"""Safe mode belongs to a connection; when that goes, so do the changes."""

import asyncio

import pytest

FILTER = "/ip/firewall/filter"


async def enabled(client) -> bool:
    return (await client.rows("/safe-mode/print"))[0]["enabled"] == "true"


async def test_released_changes_stay(router, client) -> None:
    await client.say("/safe-mode/take")
    await client.add(FILTER, chain="input", comment="kept")
    await client.say("/safe-mode/release")
    assert not await enabled(client)
    await client.close()
    await asyncio.wait_for(router.settled(), 10)
    assert router.values(FILTER)[-1]["comment"] == "kept"


@pytest.mark.parametrize("how", ["abort", "quit", "close"])
async def test_changes_are_undone_when_the_connection_goes(router, client, how: str) -> None:
    before = router.values(FILTER)
    await client.say("/safe-mode/take")
    await client.add(FILTER, chain="input", comment="gone", place_before="*2")
    await client.say(f"{FILTER}/remove", "=.id=*3")
    await client.say(f"{FILTER}/set", "=.id=*4", "=disabled=yes")
    assert router.values(FILTER) != before
    if how == "abort":
        client.writer.transport.abort()
    elif how == "quit":
        await client.say("/quit")
    else:
        await client.close()
    await asyncio.wait_for(router.settled(), 10)
    assert router.values(FILTER) == before
    assert router.safe_mode.holder is None


async def test_unroll_undoes_at_once_and_keeps_the_connection(router, client) -> None:
    before = router.values("/queue/simple")
    await client.say("/safe-mode/take")
    await client.add("/queue/simple", name="q", target="10.0.0.1/32")
    assert await client.say("/safe-mode/unroll") == [["!done"]]
    assert router.values("/queue/simple") == before
    assert not await enabled(client)


async def test_changes_of_other_sessions_are_undone_too(router, client, connect) -> None:
    await client.say("/safe-mode/take")
    other = await connect(router)
    await other.add(FILTER, chain="input", comment="somebody else's")
    client.writer.transport.abort()
    while router.safe_mode.holder is not None:
        await asyncio.sleep(0)
    assert "somebody else's" not in {values.get("comment") for values in router.values(FILTER)}


async def test_only_one_session_holds_it(client, connect, router) -> None:
    await client.say("/safe-mode/take")
    other = await connect(router)
    assert "safe mode" in (await other.trap("/safe-mode/take"))["message"]
    await other.say("/safe-mode/release")
    assert await other.say("/safe-mode/take") == [["!done"]]


async def test_it_ends_silently_after_too_many_actions_and_then_nothing_is_undone(start, connect) -> None:
    router = await start(safe_mode_max_actions=3)
    client = await connect(router)
    await client.say("/safe-mode/take")
    for number in range(4):
        assert await client.add(FILTER, chain="input", comment=f"rule {number}")
    assert not await enabled(client)
    await client.close()
    await asyncio.wait_for(router.settled(), 10)
    assert router.values(FILTER)[-1]["comment"] == "rule 3"


async def test_a_router_before_7_18_has_no_such_command(start, connect) -> None:
    client = await connect(await start(version="7.17"))
    assert (await client.trap("/safe-mode/take"))["message"] == "no such command"


async def test_ids_given_inside_safe_mode_are_not_given_again_after_it_is_undone(client) -> None:
    await client.say("/safe-mode/take")
    first = await client.add(FILTER, chain="input")
    await client.say("/safe-mode/unroll")
    assert await client.add(FILTER, chain="input") != first
