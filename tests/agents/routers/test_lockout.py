"""A change that would shut Executor out says so first, in the diff and in what is consented to, and asks for a word."""

import pytest

from executor_tui.agents.device import Json, Plan
from executor_tui.core.changes.risk import risk_of
from executor_tui.domain.change import Risk
from tests.agents.routers.conftest import FILTER, Office


def is_lockout(plan: Plan, *words: str) -> bool:
    said = [line for line in plan.diff if line.startswith("! ")]
    assert [line.removeprefix("! ") for line in said] == list(plan.warnings[: len(said)])
    return (
        bool(said) and risk_of(plan.risks) is Risk.DESTRUCTIVE and plan.confirm_word == "network-001" and all(w in said[0] for w in words)
    )


async def test_dropping_the_network_we_come_from_would_drop_our_next_connection(office: Office) -> None:
    plan = await office.plan({"op": "net.rule", "chain": "input", "action": "drop", "src_address": "127.0.0.0/8"})
    assert is_lockout(plan, "would drop Executor's next connection", "127.0.0.1", str(office.router.port))


async def test_dropping_first_of_all_would_drop_the_connection_we_have(office: Office) -> None:
    plan = await office.plan({"op": "net.rule", "chain": "input", "action": "drop", "place": "first"})
    assert is_lockout(plan, "would drop Executor's own connection")


async def test_removing_the_rule_that_lets_us_in_is_the_same_as_dropping(office: Office) -> None:
    rules = office.router.state.table(FILTER)
    rules.add({"chain": "input", "action": "accept", "src-address": "127.0.0.1", "comment": "management"}, before=rules.at(1))
    rules.add({"chain": "input", "action": "drop", "comment": "nothing else"})
    plan = await office.plan({"op": "net.remove", "kind": "rule", "name": "management", "foreign": True})
    assert [line for line in plan.diff if "Executor" in line and line.startswith("!")]
    assert "net.lockout" in plan.risks and plan.confirm_word == "*A network-001"


async def test_a_drop_by_an_address_list_may_shut_us_out_and_is_said_to(office: Office) -> None:
    for row in office.router.state.table(FILTER):
        if row.values["action"] == "drop":
            row.values["disabled"] = "true"
    plan = await office.plan({"op": "net.rule", "chain": "input", "action": "drop", "src_address_list": "blocked", "place": "first"})
    assert is_lockout(plan, "may drop Executor's own connection")


async def test_forwarding_the_port_we_use_would_send_us_elsewhere(office: Office) -> None:
    plan = await office.plan(
        {"op": "net.forward", "port": str(office.router.port), "to_address": "192.168.88.10", "in_interface": "bridge"}
    )
    assert is_lockout(plan, "send Executor's next connection elsewhere")


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "net.rule", "chain": "input", "action": "drop", "src_address": "203.0.113.0/24"},
        {"op": "net.rule", "chain": "input", "action": "drop", "protocol": "tcp", "dst_port": "23"},
        {"op": "net.rule", "chain": "forward", "action": "drop"},
        {"op": "net.rule", "chain": "input", "action": "accept", "place": "first"},
        {"op": "net.rule", "chain": "input", "action": "drop", "src_address": "2001:db8::/32"},
        {"op": "net.forward", "port": "80", "to_address": "192.168.88.10"},
    ],
)
async def test_what_leaves_us_alone_is_not_cried_wolf_about(office: Office, operation: Json) -> None:
    plan = await office.plan(operation)
    assert not [line for line in plan.diff if line.startswith("!")] and "net.lockout" not in plan.risks


async def test_an_account_that_may_not_ask_who_is_connected_still_plans(office: Office) -> None:
    office.router.faults.refuse["/user/active/print"] = "not enough permissions (9)"
    plan = await office.plan({"op": "net.rule", "chain": "input", "action": "drop", "src_address": "198.51.100.0/24"})
    assert len(plan.calls) == 1
