"""What the menus take, refuse and give back."""

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

FILTER = "/ip/firewall/filter"


async def one(client, path: str, identity: str) -> dict[str, str]:
    (row,) = await client.rows(f"{path}/print", f"?.id={identity}")
    return row


@pytest.mark.parametrize(
    ("path", "arguments", "shown"),
    [
        (FILTER, {"chain": "input", "src_address": "10.1.2.3/24"}, {"src-address": "10.1.2.0/24", "action": "accept"}),
        (FILTER, {"chain": "input", "src_address": "!10.1.2.3/32"}, {"src-address": "!10.1.2.3"}),
        (FILTER, {"chain": "input", "protocol": "6", "dst_port": "22,8291"}, {"protocol": "tcp", "dst-port": "22,8291"}),
        (FILTER, {"chain": "input", "connection_state": "related,established"}, {"connection-state": "established,related"}),
        (FILTER, {"chain": "input", "disabled": "no", "log": "yes"}, {"disabled": "false", "log": "true"}),
        ("/ipv6/firewall/filter", {"chain": "input", "src_address": "2001:DB8:0::1"}, {"src-address": "2001:db8::1/128"}),
        ("/ip/firewall/address-list", {"list": "a", "address": "10.10.10.10/32"}, {"address": "10.10.10.10", "disabled": "false"}),
        ("/ip/firewall/address-list", {"list": "a", "address": "cloud.example"}, {"address": "cloud.example"}),
        ("/ip/address", {"address": "10.5.0.1/24", "interface": "ether2"}, {"address": "10.5.0.1/24", "network": "10.5.0.0"}),
        (
            "/queue/simple",
            {"name": "q", "target": "10.0.0.23", "max_limit": "20M"},
            {"max-limit": "20000000/20000000", "target": "10.0.0.23/32"},
        ),
        ("/queue/simple", {"name": "q", "target": "bridge", "max_limit": "1.5M/512k"}, {"max-limit": "1500000/512000", "target": "bridge"}),
        ("/queue/tree", {"name": "t", "parent": "global", "max_limit": "10M"}, {"max-limit": "10000000", "priority": "8"}),
        ("/system/scheduler", {"name": "j", "interval": "36:00:05"}, {"interval": "1d12h5s", "run-count": "0"}),
        ("/ppp/secret", {"name": "anna", "password": "x"}, {"service": "any", "profile": "default"}),
        (
            "/ip/dhcp-server/lease",
            {"address": "192.168.88.99", "mac_address": "aa-bb-cc-dd-ee-ff"},
            {"mac-address": "AA:BB:CC:DD:EE:FF", "status": "waiting"},
        ),
    ],
)
async def test_values_come_back_normalised(client, path: str, arguments: dict[str, str], shown: dict[str, str]) -> None:
    row = await one(client, path, await client.add(path, **arguments))
    assert {name: row.get(name) for name in shown} == shown


@pytest.mark.parametrize(
    ("command", "arguments", "message"),
    [
        (f"{FILTER}/add", ["=chain=input", "=colour=red"], "unknown parameter colour"),
        (f"{FILTER}/add", ["=action=drop"], "missing =chain="),
        (f"{FILTER}/add", ["=chain=input", "=action=explode"], "input does not match any value of action"),
        (f"{FILTER}/add", ["=chain=input", "=in-interface=ether9"], "input does not match any value of interface"),
        (f"{FILTER}/add", ["=chain=input", "=in-interface-list=NOWHERE"], "input does not match any value of interface-list"),
        (f"{FILTER}/add", ["=chain=input", "=src-address=10.0.0.300"], "value of range expects range of ip addresses"),
        (f"{FILTER}/add", ["=chain=input", "=src-address="], "value of range expects range of ip addresses"),
        (f"{FILTER}/add", ["=chain=input", "=dst-port=22"], "failure: ports can be specified if proto is tcp,udp,udp-lite,dccp,sctp"),
        (f"{FILTER}/add", ["=chain=input", "=place-before=*FFFF"], "no such item"),
        (
            f"{FILTER}/add",
            ["=chain=input", "=out-interface=ether1"],
            "failure: outgoing interface matching not possible in input and prerouting chains",
        ),
        (f"{FILTER}/set", ["=.id=*2", "=place-before=*3"], "unknown parameter place-before"),
        (f"{FILTER}/set", ["=disabled=yes"], "missing =.id="),
        (f"{FILTER}/set", ["=.id=*7777", "=disabled=yes"], "no such item"),
        (f"{FILTER}/remove", ["=.id=*1"], "failure: can not remove dynamic filter rule"),
        (f"{FILTER}/set", ["=.id=*1", "=comment=mine"], "failure: can not change dynamic filter rule"),
        (f"{FILTER}/move", ["=numbers=*3", "=destination=*3"], "failure: can not move object before itself"),
        (f"{FILTER}/print", ["=where=chain"], "unknown parameter where"),
        (f"{FILTER}/explode", [], "no such command"),
        ("/ip/fierwall/filter/print", [], "no such command or directory (fierwall)"),
        ("/ip/firewall/nat/add", ["=chain=srcnat", "=action=dst-nat"], "failure: dst-nat/redirect action must be in dstnat/output chains"),
        ("/ip/firewall/address-list/add", ["=list=blocked", "=address=198.51.100.7/32"], "failure: already have such entry"),
        ("/ip/address/add", ["=address=192.168.88.1/24", "=interface=bridge"], "failure: already have such address"),
        ("/ip/address/add", ["=address=nonsense", "=interface=bridge"], "invalid value for argument address"),
        ("/queue/simple/add", ["=name=q", "=target=10.0.0.1", "=queue=nothing"], "input does not match any value of queue-type"),
        ("/queue/tree/add", ["=name=t", "=parent=global", "=priority=9"], "value of priority out of range (1..8)"),
        ("/interface/wireguard/add", ["=name=ether1"], "failure: already have interface with name ether1"),
        ("/interface/wireguard/add", ["=name=w", "=private-key=short"], "invalid value for argument private-key"),
        ("/ip/dhcp-server/lease/add", ["=address=192.168.88.5", "=mac-address=zz"], "invalid value of mac-address, mac address required"),
        ("/system/backup/load", ["=name=x"], "missing =password="),
    ],
)
async def test_bad_arguments_are_refused_in_the_routers_words(client, router, command: str, arguments: list[str], message: str) -> None:
    before = router.state.image()
    assert (await client.trap(command, *arguments))["message"] == message
    assert router.state.restore(before) is False


async def test_trap_carries_the_category_of_a_bad_argument(client) -> None:
    trap = await client.trap("/ip/address/add", "=address=192.168.88.1", "=interface=asdf")
    assert trap == {"category": "1", "message": "input does not match any value of interface"}


async def test_a_duplicate_is_allowed_while_disabled_and_refused_on_enabling(client) -> None:
    identity = await client.add("/ip/firewall/address-list", list="blocked", address="198.51.100.7", disabled="yes")
    trap = await client.trap("/ip/firewall/address-list/enable", f"=.id={identity}")
    assert trap["message"] == "failure: already have such entry"


async def test_rules_are_placed_before_another_and_moved_keeping_their_id(client) -> None:
    first = await client.add(FILTER, chain="input", comment="a", place_before="*3")
    second = await client.add(FILTER, chain="input", comment="b")
    await client.say(f"{FILTER}/move", f"=numbers={second}", f"=destination={first}")
    order = [row[".id"] for row in await client.rows(f"{FILTER}/print")]
    assert order.index(second) + 1 == order.index(first) == order.index("*3") - 1


async def test_several_rules_move_as_a_block_in_the_order_given(client) -> None:
    await client.say(f"{FILTER}/move", "=numbers=*5,*4", "=destination=*2")
    order = [row[".id"] for row in await client.rows(f"{FILTER}/print", "=.proplist=.id")]
    assert order[1:4] == ["*5", "*4", "*2"]


async def test_moving_to_an_unknown_place_moves_to_the_end_and_says_nothing(client) -> None:
    assert await client.say(f"{FILTER}/move", "=numbers=*2", "=destination=*FFFF") == [["!done"]]
    assert (await client.rows(f"{FILTER}/print"))[-1][".id"] == "*2"


async def test_an_id_is_never_given_twice(client) -> None:
    first = await client.add(FILTER, chain="input")
    await client.say(f"{FILTER}/remove", f"=.id={first}")
    assert int((await client.add(FILTER, chain="input"))[1:], 16) == int(first[1:], 16) + 1


async def test_removing_one_unknown_of_several_removes_none(client, router) -> None:
    before = router.values(FILTER)
    await client.trap(f"{FILTER}/remove", "=.id=*2,*7777")
    assert router.values(FILTER) == before


async def test_a_property_is_cleared_with_an_exclamation_mark_or_unset(client) -> None:
    identity = await client.add(FILTER, chain="input", src_address="10.0.0.1", comment="x")
    await client.say(f"{FILTER}/set", f"=.id={identity}", "=!src-address=")
    await client.say(f"{FILTER}/unset", f"=.id={identity}", "=value-name=comment")
    row = await one(client, FILTER, identity)
    assert "src-address" not in row and "comment" not in row


async def test_proplist_cuts_rows_down_and_leaves_out_what_a_row_lacks(client) -> None:
    rows = await client.rows("/interface/print", "=.proplist=name,comment", "?name=ether1")
    assert rows == [{"name": "ether1"}]


async def test_queries_understand_yes_and_no_for_booleans(client) -> None:
    await client.add(FILTER, chain="input", disabled="yes", comment="off")
    for spelling in ("yes", "true"):
        assert [row["comment"] for row in await client.rows(f"{FILTER}/print", f"?disabled={spelling}")] == ["off"]


async def test_count_only_answers_with_a_number(client, router) -> None:
    assert await client.say(f"{FILTER}/print", "=count-only=") == [["!done", f"=ret={len(router.values(FILTER))}"]]


async def test_timed_address_list_entry_is_dynamic_and_expires(client, clock) -> None:
    identity = await client.add("/ip/firewall/address-list", list="guests", address="10.9.9.9", timeout="1h")
    row = await one(client, "/ip/firewall/address-list", identity)
    assert (row["dynamic"], row["timeout"]) == ("true", "1h")
    await clock.advance(3599)
    assert (await one(client, "/ip/firewall/address-list", identity))["timeout"] == "1s"
    await clock.advance(1)
    assert await client.rows("/ip/firewall/address-list/print", "?list=guests") == []


async def test_wireguard_interface_gets_a_real_key_pair_and_a_free_port(client, router) -> None:
    identity = await client.add("/interface/wireguard", name="wg-new")
    row = await one(client, "/interface/wireguard", identity)
    private = X25519PrivateKey.from_private_bytes(base64.b64decode(row["private-key"]))
    expected = base64.b64encode(private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()
    assert row["public-key"] == expected
    assert row["listen-port"] == "13232"
    assert "wg-new" in {item["name"] for item in await client.rows("/interface/print")}


async def test_interfaces_of_all_kinds_share_one_sequence_of_ids(client) -> None:
    await client.add("/interface/wireguard", name="wg-new")
    identities = [row[".id"] for row in await client.rows("/interface/print")]
    assert len(identities) == len(set(identities)) == 8


async def test_second_peer_with_the_same_public_key_is_refused(client, router) -> None:
    key = router.values("/interface/wireguard/peers")[0]["public-key"]
    trap = await client.trap("/interface/wireguard/peers/add", "=interface=wg-staff", f"=public-key={key}", "=allowed-address=10.99.0.9/32")
    assert trap["message"] == "failure: entry already exists"


async def test_counters_move_and_start_again_after_a_reset(client, clock) -> None:
    first = int((await one(client, FILTER, "*2"))["bytes"])
    await clock.advance(60)
    second = int((await one(client, FILTER, "*2"))["bytes"])
    assert second > first
    await client.say(f"{FILTER}/reset-counters", "=.id=*2")
    assert int((await one(client, FILTER, "*2"))["bytes"]) == 0


async def test_a_queue_stays_under_the_limit_it_is_given(client, clock) -> None:
    identity = await client.add("/queue/simple", name="slow", target="192.168.88.23", max_limit="100k/200k")
    for _ in range(20):
        await clock.advance(5)
        up, down = ((await one(client, "/queue/simple", identity))["rate"]).split("/")
        assert 0 < int(up) <= 100_000 and 0 < int(down) <= 200_000


async def test_update_waiting_is_told_after_a_check(client, router) -> None:
    router.health.latest_version = "7.25"
    (before,) = await client.rows("/system/package/update/print")
    assert "latest-version" not in before
    assert (await client.rows("/system/package/update/check-for-updates", "=once="))[-1]["status"] == "New version is available"
    (after,) = await client.rows("/system/package/update/print")
    assert after["latest-version"] == "7.25"


async def test_dynamic_lease_is_made_static(client) -> None:
    (lease,) = await client.rows("/ip/dhcp-server/lease/print", "?host-name=laptop-maria")
    assert lease["dynamic"] == "true"
    trap = await client.trap("/ip/dhcp-server/lease/set", f"=.id={lease['.id']}", "=comment=Maria")
    assert trap["message"] == "failure: can not change dynamic lease"
    await client.say("/ip/dhcp-server/lease/make-static", f"=.id={lease['.id']}")
    assert await client.say("/ip/dhcp-server/lease/set", f"=.id={lease['.id']}", "=comment=Maria") == [["!done"]]
