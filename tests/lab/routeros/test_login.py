"""Getting in."""

import hashlib

from executor_tui.lab.routeros.state import User


async def test_plain_login_lets_the_right_password_in_and_logs_it(router, connect) -> None:
    await connect(router)
    assert any("user admin logged in from 127.0.0.1 via api" in line["message"] for line in router.state.log_lines())


async def test_wrong_password_is_refused_and_logged(router, connect) -> None:
    client = await connect(router, user=None)
    assert (await client.trap("/login", "=name=admin", "=password=wrong"))["message"] == "invalid user name or password (6)"
    assert any(line["topics"] == "system,error,critical" for line in router.state.log_lines())


async def test_sixth_try_ends_the_connection(router, connect) -> None:
    client = await connect(router, user=None)
    for _ in range(5):
        await client.trap("/login", "=name=admin", "=password=wrong")
    assert await client.say("/login", "=name=admin", "=password=admin") == [["!fatal", "too many commands before login"]]
    assert await client.ended()


async def test_a_command_before_login_ends_the_connection(router, connect) -> None:
    client = await connect(router, user=None)
    assert await client.say("/ip/address/print") == [["!fatal", "not logged in"]]
    assert await client.ended()


async def test_old_router_gives_a_challenge_and_takes_its_answer(start, connect) -> None:
    old = await start(version="6.42.12", users={"admin": "secret"})
    client = await connect(old, user=None)
    challenge = (await client.say("/login"))[0][1].removeprefix("=ret=")
    digest = hashlib.md5(b"\x00secret" + bytes.fromhex(challenge)).hexdigest()
    assert await client.say("/login", "=name=admin", f"=response=00{digest}") == [["!done"]]
    assert await client.rows("/system/identity/print") == [{"name": "office-gw"}]


async def test_old_router_answers_a_plain_login_with_a_challenge_and_stays_shut(start, connect) -> None:
    old = await start(version="6.42.12")
    client = await connect(old, user=None)
    assert (await client.say("/login", "=name=admin", "=password=admin"))[0][1].startswith("=ret=")
    assert (await client.say("/system/identity/print"))[0] == ["!fatal", "not logged in"]


async def test_old_router_refuses_the_answer_to_a_challenge_it_did_not_give(start, connect) -> None:
    old = await start(version="6.42.12")
    client = await connect(old, user=None)
    await client.say("/login")
    digest = hashlib.md5(b"\x00admin" + bytes(16)).hexdigest()
    assert (await client.trap("/login", "=name=admin", f"=response=00{digest}"))["message"] == "cannot log in"


async def test_read_group_may_look_and_not_touch(start, connect) -> None:
    router = await start(users={"watcher": User("watcher", "look", "read")})
    client = await connect(router, "watcher", "look")
    assert await client.rows("/ip/address/print")
    assert (await client.trap("/ip/address/remove", "=.id=*1"))["message"] == "not enough permissions (9)"
    assert len(router.values("/ip/address")) == 3


async def test_quit_says_goodbye(client) -> None:
    assert await client.say("/quit") == [["!fatal", "session terminated on request"]]
