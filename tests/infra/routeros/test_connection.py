"""Connecting, being refused, losing the line, and what never shows."""

import asyncio
import logging

import pytest

from executor_tui.domain.errors import ConfigError
from executor_tui.infra.routeros.errors import (
    RouterOsAuthError,
    RouterOsCertificateError,
    RouterOsConnectionLostError,
    RouterOsProtocolError,
    RouterOsTimeoutError,
    RouterOsTrapError,
    RouterOsUnreachableError,
)
from executor_tui.infra.routeros.rows import Rule
from executor_tui.infra.routeros.target import RouterOsTarget, normalised_fingerprint
from executor_tui.infra.routeros.where import eq
from executor_tui.infra.routeros.wire import read_fingerprint

FILTER = "/ip/firewall/filter"


async def test_pinned_certificate_lets_in(start, dial) -> None:
    device = await start(tls=True)
    router = await dial(device)
    assert (await router.ping()).identity == "office-gw"


async def test_fingerprint_may_be_written_with_colons_and_capitals(start, dial) -> None:
    device = await start(tls=True)
    digits = device.fingerprint.upper()
    router = await dial(device, fingerprint=":".join(digits[index : index + 2] for index in range(0, 64, 2)))
    assert router.is_open


async def test_another_certificate_is_refused_naming_both_fingerprints_before_the_password_is_sent(start, dial) -> None:
    device = await start(tls=True)
    with pytest.raises(RouterOsCertificateError) as caught:
        await dial(device, fingerprint="ab" * 32, password="wrong on purpose")
    assert caught.value.pinned == "ab" * 32 and caught.value.shown == device.fingerprint
    assert "ab" * 32 in caught.value.message and device.fingerprint in caught.value.message
    await asyncio.wait_for(device.settled(), 10)
    assert not [line for line in device.state.log_lines() if "log" in line["message"]]


async def test_self_signed_certificate_without_a_pin_is_refused(start, dial) -> None:
    with pytest.raises(RouterOsUnreachableError, match="does not verify") as caught:
        await dial(await start(tls=True), fingerprint="")
    assert "fingerprint" in caught.value.hint


async def test_fingerprint_can_be_read_to_be_pinned_without_logging_in(start) -> None:
    device = await start(tls=True)
    target = RouterOsTarget("office", device.host, "admin", "never sent", device.port)
    assert await read_fingerprint(target) == device.fingerprint


@pytest.mark.parametrize("text", ["", "12:34", "zz" * 32, "ab" * 20])
def test_a_fingerprint_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="64 hexadecimal digits"):
        normalised_fingerprint(text)


async def test_wrong_password_is_said_with_the_account_and_never_shown(device, dial) -> None:
    with pytest.raises(RouterOsAuthError, match="admin was not let in: invalid user name or password") as caught:
        await dial(device, password="hunter2")
    assert "hunter2" not in str(caught.value) + caught.value.hint


async def test_nobody_listening_is_said_with_the_address(start, dial) -> None:
    device = await start()
    await device.stop()
    with pytest.raises(RouterOsUnreachableError, match=f"{device.host}:{device.port} refuses the connection"):
        await dial(device)


async def test_a_router_that_hangs_up_at_once_is_a_lost_connection(device, dial) -> None:
    device.faults.refuse_connections = True
    with pytest.raises(RouterOsConnectionLostError, match="router office"):
        await dial(device)


async def test_tls_to_a_plain_port_is_said_as_such(device, dial) -> None:
    with pytest.raises((RouterOsUnreachableError, RouterOsConnectionLostError), match="router office"):
        await dial(device, tls=True, fingerprint="ab" * 32, timeout_s=5)


async def test_old_router_is_let_in_by_challenge(start, dial) -> None:
    old = await start(version="6.42.12", users={"admin": "geheim"})
    assert (await (await dial(old, password="geheim")).ping()).identity == "office-gw"
    with pytest.raises(RouterOsAuthError, match="cannot log in"):
        await dial(old, password="falsch")


async def test_a_trap_keeps_the_routers_words_category_and_extra_attributes(device, router) -> None:
    with pytest.raises(RouterOsTrapError) as caught:
        await router.add("/ip/address", {"address": "10.0.0.1", "interface": "nowhere"})
    assert (caught.value.words, caught.value.category) == ("input does not match any value of interface", 1)
    device.faults.refuse[f"{FILTER}/add"] = "failure: out of luck"
    device.faults.trap_extra = {"code": "42"}
    with pytest.raises(RouterOsTrapError) as caught:
        await router.add(FILTER, {"chain": "input"})
    assert (caught.value.category, caught.value.attributes) == (None, {"code": "42"})
    assert caught.value.message == "router office: /ip/firewall/filter/add refused: failure: out of luck"


async def test_traps_say_whether_something_is_missing_or_there_already(router) -> None:
    with pytest.raises(RouterOsTrapError) as missing:
        await router.remove(FILTER, "*FFFF")
    with pytest.raises(RouterOsTrapError) as duplicate:
        await router.add("/ip/address", {"address": "192.168.88.1/24", "interface": "bridge"})
    assert (missing.value.is_missing, missing.value.is_duplicate) == (True, False)
    assert (duplicate.value.is_missing, duplicate.value.is_duplicate) == (False, True)


async def test_the_connection_serves_on_after_a_trap(router) -> None:
    with pytest.raises(RouterOsTrapError):
        await router.remove(FILTER, "*FFFF")
    assert (await router.ping()).identity == "office-gw"


async def test_a_connection_cut_in_a_command_is_said_and_stays_closed(device, router) -> None:
    device.faults.cut_before.add("/system/identity/print")
    with pytest.raises(RouterOsConnectionLostError, match="lost during /system/identity/print"):
        await router.ping()
    assert not router.is_open
    with pytest.raises(RouterOsConnectionLostError, match="is closed"):
        await router.ping()


async def test_a_fatal_is_a_lost_connection_with_its_reason(device, router) -> None:
    device.faults.fatal["/system/identity/print"] = "out of memory"
    with pytest.raises(RouterOsConnectionLostError, match="out of memory"):
        await router.ping()


async def test_no_answer_in_time_gives_the_connection_up(device, dial) -> None:
    router = await dial(device, timeout_s=0.05)
    device.faults.delay_s["/system/identity/print"] = 3600  # of the manual clock, which nobody advances
    with pytest.raises(RouterOsTimeoutError, match=r"no answer to /system/identity/print within 0\.05 s"):
        await router.ping()
    assert not router.is_open


async def test_a_cancelled_command_gives_the_connection_up_rather_than_leave_its_reply_for_the_next(device, router) -> None:
    device.faults.delay_s["/system/identity/print"] = 3600
    pending = asyncio.ensure_future(router.ping())
    await asyncio.sleep(0)
    pending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await pending
    assert not router.is_open
    with pytest.raises(RouterOsConnectionLostError, match="is closed"):
        await router.rows("/interface")


async def test_two_tasks_on_one_connection_never_swap_replies(device, router, clock) -> None:
    """The first command is slow on the router, the second quick: without the lock the second's reply is the first's."""
    device.faults.delay_s["/interface/print"] = 1.0
    slow = asyncio.ensure_future(router.rows("/interface", eq("name", "ether1"), fields=("name",)))
    await asyncio.sleep(0)
    quick = asyncio.ensure_future(router.ping())
    while not slow.done():
        await clock.advance(1.0)
    assert await slow == ({"name": "ether1"},)
    assert (await quick).identity == "office-gw"


async def test_many_tasks_on_one_connection_each_get_their_own_answer(device, router, clock) -> None:
    device.faults.delay_s["/interface/print"] = 0.5
    names = [f"ether{number}" for number in range(1, 6)] * 8
    questions = [router.rows("/interface", eq("name", name), fields=("name",)) for name in names]
    pings = [router.ping() for _ in names]
    answers = asyncio.gather(*questions, *pings)
    while not answers.done():
        await clock.advance(0.5)
    results = await answers
    assert [rows[0]["name"] for rows in results[: len(names)]] == names
    assert {ping.identity for ping in results[len(names) :]} == {"office-gw"}


@pytest.mark.parametrize("comment", ["no", "yes", "10", "007", "таблица ⇄ 表", "a=b=c", "line\nline", 'quo"te', "!done"])
async def test_texts_come_back_as_they_were_sent_whatever_they_look_like(router, comment: str) -> None:
    identity = await router.add(FILTER, {"chain": "input", "comment": comment})
    (rule,) = await router.read(Rule, eq(".id", identity))
    assert rule.comment == comment


async def test_bytes_that_are_not_utf8_survive_reading_and_writing(device, router) -> None:
    device.state.table(FILTER).by_id("*2").values["comment"] = b"caf\xe9".decode("utf-8", "surrogateescape")
    (rule,) = await router.read(Rule, eq(".id", "*2"))
    await router.set(FILTER, "*3", {"comment": rule.comment})
    assert device.state.table(FILTER).by_id("*3").values["comment"].encode("utf-8", "surrogateescape") == b"caf\xe9"


async def test_a_very_long_word_passes_both_ways(router) -> None:
    text = "x" * 70_000
    identity = await router.add("/system/script", {"name": "long", "source": text[:60_000]})
    (row,) = await router.rows("/system/script", eq(".id", identity))
    assert row["source"] == text[:60_000]


async def test_a_property_that_is_not_of_its_kind_is_named(device, router) -> None:
    device.state.table(FILTER).by_id("*2").values["log"] = "perhaps"
    with pytest.raises(RouterOsProtocolError, match=r"/ip/firewall/filter \*2 shows log='perhaps'"):
        await router.read(Rule)


async def test_passwords_show_in_no_repr_and_no_log(device, dial, caplog) -> None:
    caplog.set_level(logging.DEBUG)
    router = await dial(device)
    await router.add("/ppp/secret", {"name": "anna", "password": "hunter2"})
    assert "hunter2" not in caplog.text
    assert "password" not in repr(router.target)
    (row,) = await router.rows("/ppp/secret")
    assert row["password"] == "(hidden)"
    (open_row,) = await router.rows("/ppp/secret", secrets=True)
    assert open_row["password"] == "hunter2"
