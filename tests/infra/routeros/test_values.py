"""Two spellings mean the same exactly when the router would store them the same."""

import ipaddress
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from executor_tui.infra.routeros.compare import Difference, as_text, differences, matches, same
from executor_tui.infra.routeros.values import meaning, parse_amount, parse_seconds
from executor_tui.lab.routeros import addresses
from executor_tui.lab.routeros import values as lab

QUEUE, FILTER, LIST = "/queue/simple", "/ip/firewall/filter", "/ip/firewall/address-list"


class NoNames:
    """A router on which nothing has a name."""

    def has(self, kind: str, name: str) -> bool:
        return False


def stored(normalise: lab.Normaliser, text: str) -> str:
    """What the simulated router makes of a text: written apart from the driver, so the two check each other."""
    return normalise(text, "field", NoNames())


amounts = st.one_of(
    st.integers(0, 10**11).map(str),
    st.tuples(st.integers(0, 9999), st.sampled_from("kMG")).map(lambda part: f"{part[0]}{part[1]}"),
    st.tuples(st.integers(0, 99), st.integers(0, 99), st.sampled_from("kMG")).map(lambda part: f"{part[0]}.{part[1]}{part[2]}"),
)
intervals = st.one_of(
    st.integers(0, 10**7).map(str),
    st.lists(
        st.tuples(st.integers(0, 99), st.sampled_from(["w", "d", "h", "m", "s", "ms"])),
        min_size=1,
        max_size=4,
        unique_by=lambda part: part[1],
    ).map(lambda parts: "".join(f"{count}{unit}" for count, unit in parts)),
    st.tuples(st.integers(0, 99), st.integers(0, 59), st.integers(0, 59)).map(lambda part: f"{part[0]}:{part[1]:02}:{part[2]:02}"),
)
hosts = st.ip_addresses(v=4).map(str)
networks = st.tuples(st.ip_addresses(v=4), st.integers(0, 32)).map(lambda part: f"{part[0]}/{part[1]}")
networks6 = st.tuples(st.ip_addresses(v=6), st.integers(0, 128)).map(lambda part: f"{part[0]}/{part[1]}")
port_lists = st.lists(
    st.one_of(
        st.integers(0, 65_535).map(str),
        st.tuples(st.integers(0, 65_535), st.integers(0, 65_535)).map(lambda pair: f"{min(pair)}-{max(pair)}"),
    ),
    min_size=1,
    max_size=5,
).map(",".join)
booleans = st.sampled_from(["yes", "no", "true", "false"])


@given(amounts, amounts)
def test_rates_mean_the_same_as_what_the_router_stores(up: str, down: str) -> None:
    assert same(QUEUE, "max-limit", f"{up}/{down}", stored(lab.pair(lab.amount), f"{up}/{down}"))
    assert same(QUEUE, "max-limit", up, stored(lab.pair(lab.amount), up))
    assert same("/queue/tree", "max-limit", up, stored(lab.amount, up))


@given(amounts, amounts)
def test_two_rates_are_the_same_exactly_when_the_router_stores_them_the_same(first: str, second: str) -> None:
    equal = stored(lab.amount, first) == stored(lab.amount, second)
    assert same("/queue/tree", "max-limit", first, second) is equal


@given(intervals)
def test_intervals_mean_the_same_as_what_the_router_stores(text: str) -> None:
    assert same("/system/scheduler", "interval", text, stored(lab.interval, text))


@given(intervals, intervals)
def test_two_intervals_are_the_same_exactly_when_the_router_stores_them_the_same(first: str, second: str) -> None:
    equal = stored(lab.interval, first) == stored(lab.interval, second)
    assert same("/system/scheduler", "interval", first, second) is equal


@given(st.one_of(hosts, networks), st.booleans())
def test_matched_addresses_mean_the_same_as_what_the_router_stores(text: str, negated: bool) -> None:
    text = ("!" if negated else "") + text
    assert same(FILTER, "src-address", text, stored(addresses.matcher(4), text))
    assert not same(FILTER, "src-address", text, text[1:] if negated else "!" + text)


@given(networks6)
def test_ipv6_prefixes_mean_the_same_as_what_the_router_stores(text: str) -> None:
    assert same("/ipv6/firewall/filter", "dst-address", text, stored(addresses.matcher(6), text))


@given(st.lists(st.one_of(hosts, networks, networks6), min_size=1, max_size=4))
def test_allowed_addresses_mean_the_same_in_any_order(parts: list[str]) -> None:
    shown = stored(addresses.prefixes, ",".join(reversed(parts)))
    assert same("/interface/wireguard/peers", "allowed-address", ",".join(parts), shown)


@given(st.tuples(st.ip_addresses(v=4), st.integers(0, 32)))
def test_interface_addresses_keep_their_host_part(part: tuple[ipaddress.IPv4Address, int]) -> None:
    text = f"{part[0]}/{part[1]}"
    assert same("/ip/address", "address", text, stored(addresses.with_mask, text))
    other = f"{ipaddress.IPv4Address(int(part[0]) ^ 1)}/{part[1]}"
    assert not same("/ip/address", "address", text, other)


@given(port_lists)
def test_ports_mean_the_same_as_what_the_router_stores(text: str) -> None:
    assert same(FILTER, "dst-port", text, stored(lab.ports, text))


@given(booleans, booleans)
def test_booleans_mean_the_same_exactly_when_the_router_stores_them_the_same(first: str, second: str) -> None:
    names = NoNames()
    assert same(FILTER, "disabled", first, second) is (lab.boolean(first, "d", names) == lab.boolean(second, "d", names))


@given(
    st.text(max_size=20),
    st.sampled_from(["rate pair", "interval", "matcher", "ports", "bool", "targets", "mac", "listed", "int", "words", "protocol"]),
)
def test_any_text_at_all_means_something_and_the_same_each_time(text: str, kind: str) -> None:
    assert meaning(kind, text) == meaning(kind, text)


@pytest.mark.parametrize(
    ("menu", "name", "first", "second", "expected"),
    [
        (FILTER, "src-address", "10.0.0.5", "10.0.0.5/32", True),
        (FILTER, "src-address", "10.0.0.5", "10.0.0.5-10.0.0.5", True),
        (FILTER, "src-address", "10.0.0.0/31", "10.0.0.0-10.0.0.1", True),
        (FILTER, "src-address", "10.0.0.5", "10.0.0.6", False),
        (FILTER, "connection-state", "related,established", "established,related", True),
        (FILTER, "connection-state", "established", "!established", False),
        (FILTER, "protocol", "6", "tcp", True),
        (FILTER, "protocol", "!17", "!udp", True),
        (FILTER, "dst-port", "80,443", "443,80", True),
        (FILTER, "dst-port", "1-5", "1,2,3,4,5", True),
        (FILTER, "src-mac-address", "aa-bb-cc-dd-ee-ff", "AA:BB:CC:DD:EE:FF", True),
        (FILTER, "disabled", None, "false", True),
        (FILTER, "disabled", None, "yes", False),
        (FILTER, "log", "no", None, True),
        (FILTER, "comment", None, "", True),
        (FILTER, "comment", "no", "false", False),
        (FILTER, "comment", "10", "010", False),
        (LIST, "address", "Cloud.Example.", "cloud.example", True),
        (LIST, "address", "10.10.10.10/32", "10.10.10.10", True),
        (LIST, "list", "20M", "20000000", False),
        (QUEUE, "priority", "8", "8/8", True),
        (QUEUE, "queue", "default-small", "default-small/default-small", True),
        (QUEUE, "target", "bridge,10.0.0.1", "10.0.0.1/32,bridge", True),
        (QUEUE, "burst-time", "8s/8s", "0:00:08/8", True),
        (QUEUE, "max-limit", "unlimited/1M", "0/1000k", True),
    ],
)
def test_meaning_depends_on_what_the_property_is(menu: str, name: str, first: str | None, second: str | None, expected: bool) -> None:
    assert same(menu, name, first, second) is expected
    assert same(menu, name, second, first) is expected


def test_differences_name_only_what_was_asked_for_and_differs() -> None:
    shown = {".id": "*1", "name": "anna", "max-limit": "20000000/5000000", "target": "10.0.0.23/32", "disabled": "false"}
    wanted = {"name": "anna", "max-limit": "20M/10M", "target": "10.0.0.23", "disabled": False}
    assert differences(QUEUE, wanted, shown) == (Difference("max-limit", "20000000/5000000", "20M/10M"),)
    assert matches(QUEUE, {**wanted, "max-limit": "20M/5M", "comment": None}, shown)


def test_a_property_to_be_cleared_differs_while_it_is_there() -> None:
    assert differences(FILTER, {"src-address": None}, {"src-address": "10.0.0.1"}) == (Difference("src-address", "10.0.0.1", ""),)
    assert differences(FILTER, {"src-address": None}, {}) == ()


def test_secrets_never_show_in_differences() -> None:
    wanted = {"password": "new secret"}
    for have in ("(hidden)", "old secret"):
        (difference,) = differences("/ppp/secret", wanted, {"password": have})
        assert (difference.have, difference.want) == ("(hidden)", "(hidden)")


def test_values_are_sent_in_the_api_spelling() -> None:
    assert [as_text(value) for value in (True, False, 1, 0, "no", None)] == ["yes", "no", "1", "0", "no", ""]


@given(st.integers(0, 999), st.integers(0, 999))
def test_amounts_with_a_fraction_lose_nothing(whole: int, thousandths: int) -> None:
    assert parse_amount(f"{whole}.{thousandths:03}M") == Fraction(f"{whole}.{thousandths:03}") * 10**6


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("1w4d23h26m9s", 1034769.0), ("00:30:00", 1800.0), ("never", 0.0), ("6ms272us", 0.006272), ("1d 02:00:00", 93600.0)],
)
def test_intervals_are_read_in_every_form_the_router_writes(text: str, seconds: float) -> None:
    assert parse_seconds(text) == pytest.approx(seconds)
