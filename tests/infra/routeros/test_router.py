"""Typed reads, changes and how the router is doing."""

import asyncio
import base64

import pytest

from executor_tui.infra.routeros import wireguard_keys
from executor_tui.infra.routeros.errors import RouterOsTrapError
from executor_tui.infra.routeros.facts import Account, Job, Service
from executor_tui.infra.routeros.router import parse_version
from executor_tui.infra.routeros.rows import (
    Address,
    Interface,
    InterfaceListMember,
    Lease,
    ListedAddress,
    NatRule,
    PppSecret,
    PppSession,
    Route,
    Rule,
    SimpleQueue,
    TreeQueue,
    UpDown,
    Wireguard,
    WireguardPeer,
)
from executor_tui.infra.routeros.where import all_of, any_of, eq, greater, has, lacks, less, not_

FILTER = "/ip/firewall/filter"


async def test_every_kind_of_item_is_read(router) -> None:
    for kind in (
        Rule,
        NatRule,
        ListedAddress,
        Address,
        Route,
        Lease,
        Interface,
        InterfaceListMember,
        Wireguard,
        WireguardPeer,
        Account,
        Service,
    ):
        items = await router.read(kind)
        assert items and all(item.id.startswith("*") for item in items), kind
    for kind in (PppSecret, PppSession, SimpleQueue, TreeQueue, Job):
        assert await router.read(kind) == ()


async def test_rules_are_read_in_order_with_their_types(router) -> None:
    rules = await router.read(Rule)
    assert [rule.id for rule in rules] == [f"*{number}" for number in range(1, 10)]
    assert rules[0].dynamic and not rules[1].dynamic
    assert (rules[4].in_interface_list, rules[4].action, rules[4].disabled) == ("!LAN", "drop", False)


async def test_ipv6_twin_is_read_by_its_menu(router) -> None:
    await router.add("/ipv6/firewall/filter", {"chain": "input", "src-address": "2001:db8::/32"})
    (rule,) = await router.read(Rule, menu="/ipv6/firewall/filter")
    assert rule.src_address == "2001:db8::/32"


async def test_queue_limits_and_rates_are_numbers_each_way(router) -> None:
    await router.add("/queue/simple", {"name": "10", "target": "10.0.0.23", "max-limit": "20M/5M", "comment": "no"})
    (queue,) = await router.read(SimpleQueue)
    assert (queue.name, queue.comment, queue.max_limit_bps) == ("10", "no", UpDown(20_000_000, 5_000_000))
    assert 0 < queue.rate_bps.down <= 5_000_000


async def test_conditions_are_combined(router) -> None:
    async def names(*conditions: tuple[str, ...]) -> list[str]:
        return [row["name"] for row in await router.rows("/interface", *conditions, fields=("name",))]

    assert await names(eq("type", "ether"), not_(eq("running", "yes"))) == ["ether5"]
    assert await names(any_of(eq("name", "ether1"), eq("name", "ether2"), eq("name", "bridge"))) == ["ether1", "ether2", "bridge"]
    assert await names(all_of(eq("type", "ether"), any_of(eq("name", "ether1"), eq("type", "bridge")))) == ["ether1"]
    assert await names(has("comment")) == ["bridge"]
    assert "bridge" not in await names(lacks("comment"))
    assert await names(less("mtu", "1500")) == ["wg-staff"] and "wg-staff" not in await names(greater("mtu", "1420"))


async def test_items_are_added_placed_changed_cleared_moved_and_removed(device, router) -> None:
    identity = await router.add(FILTER, {"chain": "input", "src-address": "10.0.0.9", "log": True, "comment": None}, place_before="*2")
    assert [rule.id for rule in await router.read(Rule)][1] == identity
    await router.set(FILTER, identity, {"src-address": None, "comment": "ours", "disabled": True})
    (rule,) = await router.read(Rule, eq(".id", identity))
    assert (rule.src_address, rule.comment, rule.disabled, rule.log) == ("", "ours", True, True)
    await router.move(FILTER, identity)
    assert (await router.read(Rule))[-1].id == identity
    await router.move(FILTER, identity, before="*3")
    assert [rule.id for rule in await router.read(Rule)].index(identity) == 2
    await router.remove(FILTER, identity)
    await router.remove(FILTER)
    assert device.state.table(FILTER).by_id(identity) is None


async def test_moving_before_an_item_that_is_not_there_is_refused_rather_than_meaning_the_end(device, router) -> None:
    before = device.values(FILTER)
    with pytest.raises(RouterOsTrapError, match="no such item to move before"):
        await router.move(FILTER, "*2", before="*FFFF")
    assert device.values(FILTER) == before


async def test_settings_without_items_are_changed(device, router) -> None:
    await router.set("/system/identity", "", {"name": "renamed"})
    assert (await router.ping()).identity == "renamed"


async def test_ping_measures_on_the_monotonic_clock(device, router, clock) -> None:
    device.faults.delay_s["/system/identity/print"] = 2.0
    pending = asyncio.ensure_future(router.ping())
    while not pending.done():
        await clock.advance(2.0)
    assert (await pending).latency_s >= 2.0


async def test_resources_come_with_their_units(device, router, clock) -> None:
    await clock.advance(90_061)
    device.health.cpu_load_percent = 71
    resource = await router.resource()
    assert (resource.version, resource.cpu_load_percent, resource.uptime_s) == ("7.24 (stable)", 71, 90_061)
    assert 0 < resource.free_hdd_space_bytes < resource.total_hdd_space_bytes


async def test_waiting_update_is_known_after_asking(device, router) -> None:
    device.health.latest_version = "7.25"
    assert not (await router.update_status()).is_waiting
    update = await router.update_status(ask_vendor=True)
    assert update.is_waiting and update.latest_version == "7.25"


async def test_expiring_certificate_shows_how_long_is_left(start, dial) -> None:
    device = await start(tls=True)
    device.health.certificate_days_left = 9
    (certificate,) = await (await dial(device)).certificates()
    assert certificate.expires_after_s == 9 * 86_400 and certificate.fingerprint == device.fingerprint


async def test_live_rates_of_interfaces_and_queues(router) -> None:
    first, second = await router.interface_rates(["ether1", "ether5"])
    assert first.name == "ether1" and first.rx_bps > 0 and (second.rx_bps, second.tx_bps) == (0, 0)
    assert await router.interface_rates([]) == ()
    await router.add("/queue/simple", {"name": "q", "target": "10.0.0.23", "max-limit": "1M/1M"})
    (queue,) = await router.queue_rates()
    assert 0 < queue.rate_bps.up <= 1_000_000


async def test_the_router_pings_hosts_for_us(router) -> None:
    alive, dead = await router.ping_host("192.168.88.10", 1), await router.ping_host("192.168.88.250", 1)
    assert (alive.received, dead.received) == (1, 0) and alive.average_s > 0


async def test_newest_log_lines_come_last(router) -> None:
    lines = await router.log(last=1)
    assert [line.message for line in lines] == ["user admin logged in from 127.0.0.1 via api"]
    assert "account" in lines[0].topics


async def test_export_reads_back_small_and_large_and_leaves_no_file(device, router) -> None:
    small = await router.export("/ip/firewall")
    assert small.startswith("# 2026-11-22") and "add action=drop chain=input" in small
    for number in range(900):
        device.state.table("/ip/firewall/address-list").add(
            {"list": "long", "address": f"10.1.{number // 250}.{number % 250}", "comment": "ж" * 60}
        )
    large = await router.export("/ip/firewall/address-list")
    assert large.count("list=long") == 900 and "�" not in large
    assert device.values("/file") == []


async def test_a_script_is_checked_without_being_carried_out(device, router) -> None:
    before = device.values(FILTER)
    await router.check_script("/ip firewall filter add chain=input action=drop")
    with pytest.raises(RouterOsTrapError, match=r"unknown parameter colour \(line 1 column 21\)"):
        await router.check_script("/ip firewall filter add chain=input colour=red")
    assert device.values(FILTER) == before and device.values("/file") == []


@pytest.mark.parametrize(
    ("text", "version"),
    [("7.24 (stable)", (7, 24)), ("7.16rc1 (testing)", (7, 16)), ("6.49.10", (6, 49, 10)), ("", ()), ("7.18beta2", (7, 18))],
)
def test_versions_are_numbers(text: str, version: tuple[int, ...]) -> None:
    assert parse_version(text) == version


def test_public_key_is_the_one_of_the_standards_test_vector() -> None:
    """RFC 7748, section 5.2: the first step of the iterated vector is the public key of the scalar 9."""
    private = base64.b64encode(bytes([9]) + bytes(31)).decode()
    expected = bytes.fromhex("422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079")
    assert base64.b64decode(wireguard_keys.public_key(private)) == expected


def test_keys_are_made_from_the_given_randomness_and_do_not_show() -> None:
    pair = wireguard_keys.new_key_pair(lambda size: bytes(range(size)))
    again = wireguard_keys.new_key_pair(lambda size: bytes(range(size)))
    assert pair == again and pair.private_key not in repr(pair)
    raw = base64.b64decode(pair.private_key)
    assert raw[0] & 7 == 0 and raw[31] & 192 == 64


async def test_a_key_made_here_is_the_same_to_the_router(router) -> None:
    pair = wireguard_keys.new_key_pair()
    await router.add("/interface/wireguard", {"name": "wg-test", "private-key": pair.private_key})
    (interface,) = await router.read(Wireguard, eq("name", "wg-test"))
    assert interface.public_key == pair.public_key
    assert interface.raw["private-key"] == "(hidden)"


@pytest.mark.parametrize("text", ["", "abc", "AAAA", "!" * 44])
def test_what_is_no_key_is_refused(text: str) -> None:
    assert not wireguard_keys.is_key(text)
    with pytest.raises(ValueError, match="32 bytes in base64"):
        wireguard_keys.public_key(text)
