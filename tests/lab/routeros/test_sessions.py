"""Several commands on one connection, and commands that go on answering."""

import asyncio

from executor_tui.lab.routeros.sentences import parse_command


async def test_every_reply_carries_the_tag_of_its_command(client) -> None:
    await client.send("/interface/print", "?name=ether1", ".tag=a")
    await client.send("/system/identity/print", ".tag=b")
    tags = {}
    while len(tags) < 2:
        sentence = await client.read()
        tag = sentence[-1]
        if sentence[0] == "!done":
            tags[tag] = True
        elif tag == ".tag=a":
            assert "=name=ether1" in sentence
        else:
            assert "=name=office-gw" in sentence
    assert set(tags) == {".tag=a", ".tag=b"}


async def test_a_slow_command_does_not_hold_up_a_later_one(router, client, clock) -> None:
    router.faults.delay_s["/interface/print"] = 5.0
    await client.send("/interface/print", ".tag=slow")
    await client.send("/system/identity/print", ".tag=quick")
    assert (await client.read())[-1] == ".tag=quick"
    assert await client.read() == ["!done", ".tag=quick"]
    await clock.advance(5)
    assert (await client.read())[-1] == ".tag=slow"


async def test_print_without_rows_says_empty_since_7_18(start, connect) -> None:
    for version, expected in (("7.24", [["!empty"], ["!done"]]), ("7.18", [["!empty"], ["!done"]]), ("7.17.2", [["!done"]])):
        client = await connect(await start(version=version))
        assert await client.say("/queue/tree/print") == expected


async def test_tagged_empty_and_trap_carry_the_tag_too(client) -> None:
    assert await client.say("/queue/tree/print", ".tag=7") == [["!empty", ".tag=7"], ["!done", ".tag=7"]]
    replies = await client.say("/queue/tree/remove", "=.id=*1", ".tag=8")
    assert replies == [["!trap", "=category=0", "=message=no such item", ".tag=8"], ["!done", ".tag=8"]]


async def test_listen_tells_changes_and_removals_until_cancelled(client, connect, router) -> None:
    await client.send("/ip/firewall/address-list/listen", ".tag=1")
    other = await connect(router)
    identity = await other.add("/ip/firewall/address-list", list="x", address="10.0.0.1")
    heard = await client.read()
    assert heard[0] == "!re" and f"=.id={identity}" in heard and ".tag=1" in heard
    await other.say("/ip/firewall/address-list/remove", f"=.id={identity}")
    assert await client.read() == ["!re", f"=.id={identity}", "=.dead=yes", ".tag=1"]
    await client.send("/cancel", "=tag=1", ".tag=2")
    replies = [await client.read() for _ in range(3)]
    assert ["!trap", "=category=2", "=message=interrupted", ".tag=1"] in replies
    assert ["!done", ".tag=1"] in replies and ["!done", ".tag=2"] in replies
    assert router.state.listeners == []


async def test_print_follow_gives_what_is_there_and_then_what_comes(client, connect, router) -> None:
    await client.send("/log/print", "=follow-only=", "=.proplist=message", ".tag=1")
    await connect(router)
    assert (await client.read())[1] == "=message=user admin logged in from 127.0.0.1 via api"


async def test_cancel_without_a_tag_stops_everything(client) -> None:
    await client.send("/log/listen", ".tag=1")
    await client.send("/interface/listen", ".tag=2")
    await client.send("/cancel", ".tag=3")
    replies = [await client.read() for _ in range(5)]
    assert {sentence[-1] for sentence in replies if sentence[0] == "!done"} == {".tag=1", ".tag=2", ".tag=3"}


async def test_traffic_is_monitored_every_second_until_cancelled(client, clock) -> None:
    await client.send("/interface/monitor-traffic", "=interface=ether1", ".tag=1")
    first = await client.read()
    assert first[1] == "=name=ether1"
    await clock.advance(1)
    assert (await client.read())[0] == "!re"
    await client.send("/cancel", "=tag=1")
    assert ["!done", ".tag=1"] in [await client.read() for _ in range(3)]


async def test_ping_answers_for_a_host_that_is_there_and_times_out_for_one_that_is_not(client) -> None:
    (alive,) = await client.rows("/ping", "=address=192.168.88.10", "=count=1")
    (dead,) = await client.rows("/tool/ping", "=address=192.168.88.200", "=count=1")
    assert alive["received"] == "1" and alive["time"].endswith("us")
    assert dead["status"] == "timeout" and dead["packet-loss"] == "100"


async def test_a_dropped_client_leaves_nothing_behind(router, client) -> None:
    await client.send("/log/listen", ".tag=1")
    await client.rows("/system/identity/print")
    client.writer.transport.abort()
    await asyncio.wait_for(router.settled(), 10)
    assert router.state.listeners == [] and router.values("/user/active") == []


async def test_garbage_ends_the_connection_and_not_the_router(router, connect) -> None:
    client = await connect(router)
    client.writer.write(b"\xff\xff\xff\xff")
    assert (await client.read())[0] == "!fatal"
    assert await (await connect(router)).rows("/system/identity/print") == [{"name": "office-gw"}]


def test_a_sentence_is_taken_apart_into_arguments_queries_and_tag() -> None:
    command = parse_command(["/ip/address/print", "=.proplist=address", "=detail", "?disabled=no", "=comment=a=b", ".tag=9"])
    assert (command.path, command.verb, command.tag) == ("/ip/address", "print", "9")
    assert command.arguments == {".proplist": "address", "detail": "", "comment": "a=b"}
    assert command.queries == ("?disabled=no",)


async def test_a_first_word_that_is_no_command_is_refused_and_the_connection_stays(client) -> None:
    assert (await client.trap("#"))["message"] == "no such command"
    assert await client.rows("/system/identity/print") == [{"name": "office-gw"}]
