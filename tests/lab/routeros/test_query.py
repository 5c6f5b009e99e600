"""The stack machine behind query words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from executor_tui.lab.routeros.errors import TrapError
from executor_tui.lab.routeros.query import matches


def passes(item: dict[str, str], *queries: str) -> bool:
    return matches(item, queries, lambda name, text: text)


ETHER = {"type": "ether", "mtu": "1500", "comment": "uplink"}


@pytest.mark.parametrize(
    ("queries", "expected"),
    [
        ((), True),
        (("?comment",), True),
        (("?-comment",), False),
        (("?-name",), True),
        (("?type=ether",), True),
        (("?=type=ether",), True),
        (("?type=vlan",), False),
        (("?<mtu=1600",), True),
        (("?>mtu=1500",), False),
        (("?>mtu=900",), True),
        (("?>comment=",), True),
        (("?type=ether", "?type=vlan", "?#|"), True),
        (("?type=ether", "?type=vlan"), False),
        (("?type=ether", "?type=vlan", "?#|!"), False),
        (("?type=vlan", "?#!"), True),
        (("?type=ether", "?mtu=1500", "?#&"), True),
        (("?type=ether", "?type=vlan", "?#1"), True),
        (("?type=vlan", "?type=ether", "?#1"), False),
        (("?type=vlan", "?#.|"), False),
        (("?type=vlan", "?type=ether", "?#1!|&"), False),
    ],
)
def test_query_words_select_as_the_manual_says(queries: tuple[str, ...], expected: bool) -> None:
    assert passes(ETHER, *queries) is expected


def test_an_absent_property_satisfies_no_comparison() -> None:
    assert not passes(ETHER, "?name=")
    assert not passes(ETHER, "?<name=zzz")


def test_an_unknown_operation_is_refused() -> None:
    with pytest.raises(TrapError, match="unknown query operation"):
        passes(ETHER, "?#x")


@given(st.lists(st.booleans(), min_size=1, max_size=6))
def test_or_over_several_tests_is_any_of_them(answers: list[bool]) -> None:
    words = [f"?type={'ether' if answer else 'vlan'}" for answer in answers]
    assert passes(ETHER, *words, "?#" + "|" * (len(answers) - 1)) is any(answers)


@given(st.lists(st.booleans(), min_size=1, max_size=6))
def test_words_without_operations_must_all_hold(answers: list[bool]) -> None:
    assert passes(ETHER, *(f"?type={'ether' if answer else 'vlan'}" for answer in answers)) is all(answers)
