"""Filter rules, address lists, masquerading and forwards: what is asked for, where it goes, and what happens when it is there."""

import asyncio

import pytest
import routeros_api

from executor_tui.agents.device import PlanRefusedError
from tests.agents.routers.conftest import FILTER, NAT, Office, Open

BLOCK = {"op": "net.rule", "action": "drop", "src_address": "10.0.0.5", "note": "noisy"}
ALLOW_SSH = {"op": "net.rule", "chain": "input", "action": "accept", "protocol": "tcp", "dst_port": "22", "src_address": "10.7.0.0/24"}


def comments(office: Office, chain: str) -> list[str]:
    return [row.get("comment", "") for row in office.rows(FILTER) if row["chain"] == chain]


async def test_a_rule_stands_before_the_first_drop_of_its_chain_and_names_owner_and_change(office: Office) -> None:
    plan = await office.do(ALLOW_SSH)
    names = comments(office, "input")
    assert names.index("executor chg-1.1") == names.index("defconf: drop invalid") - 1
    assert plan.risks == ("net.filter.accept",) and plan.confirm_word == ""
    assert plan.diff == ("+ filter input accept dst-port=22 protocol=tcp src-address=10.7.0.0/24, before *3 (drop: defconf: drop invalid)",)


async def test_a_second_run_changes_nothing_however_the_same_thing_is_spelled(office: Office) -> None:
    await office.do(BLOCK)
    writes = len(office.router.effects)
    plan = await office.do({**BLOCK, "src_address": "10.0.0.5/32", "note": "said otherwise"})
    assert plan.nothing_to_do and plan.risks == ()
    assert [e.command for e in office.router.effects[writes:]] == ["/safe-mode/take", "/safe-mode/release"]


async def test_undo_takes_away_exactly_what_was_made(office: Office) -> None:
    before = office.configuration()
    plan = await office.do(
        BLOCK, ALLOW_SSH, {"op": "net.address", "list": "blocked", "address": "198.51.100.9"},
        {"op": "net.masquerade", "out_interface": "ether2", "src_address": "10.7.0.0/24"},
        {"op": "net.forward", "port": "8443", "to_address": "192.168.88.10", "to_port": 443},
    )  # fmt: skip
    assert office.configuration() != before
    await office.undo(plan)
    assert office.configuration() == before


async def test_several_rules_of_one_change_keep_their_order(office: Office) -> None:
    await office.do(BLOCK, {**BLOCK, "src_address": "10.0.0.6"})
    names = comments(office, "forward")
    assert names.index("executor chg-1.1: noisy") + 1 == names.index("executor chg-1.2: noisy") < names.index("defconf: drop invalid")


async def test_our_rule_that_somebody_moved_behind_the_drop_is_moved_back_and_not_added_again(office: Office) -> None:
    await office.do(ALLOW_SSH)
    table = office.router.state.table(FILTER)
    (ours,) = [row for row in table if row.values.get("comment") == "executor chg-1.1"]
    table.move([ours], None)
    plan = await office.do(ALLOW_SSH)
    assert [call.what for call in plan.calls] == ["move"] and plan.risks == ("net.filter.move",)
    assert comments(office, "input").count("executor chg-1.1") == 1


async def test_ipv6_has_its_own_rules_and_lists(office: Office) -> None:
    await office.do({**BLOCK, "src_address": "2001:db8::/32"}, {"op": "net.address", "list": "blocked", "address": "2001:db8::1"})
    assert [row["src-address"] for row in office.rows("/ipv6/firewall/filter")] == ["2001:db8::/32"]
    assert [row["address"] for row in office.rows("/ipv6/firewall/address-list")] == ["2001:db8::1/128"]


async def test_an_address_somebody_put_on_the_list_already_is_left_alone(office: Office) -> None:
    plan = await office.do({"op": "net.address", "list": "blocked", "address": "198.51.100.7"})
    assert plan.nothing_to_do


async def test_an_address_for_a_time_counts_as_there_while_its_time_runs(office: Office) -> None:
    wanted = {"op": "net.address", "list": "blocked", "address": "198.51.100.8", "timeout": "1h"}
    before = await office.plan(wanted)
    assert not before.nothing_to_do
    done = await office.do(wanted)
    after = await office.device.plan(done.operations, f"chg-{office.changes}")
    assert after.nothing_to_do and after.before != done.before


async def test_a_rule_that_can_never_act_is_said_to_have_no_effect(office: Office) -> None:
    plan = await office.plan(
        {"op": "net.rule", "chain": "input", "action": "drop", "protocol": "icmp", "place": "last", "src_address": "10.9.0.0/16"}
    )
    assert plan.warnings == ("the rule has no effect: *4 (accept protocol=icmp) stands before it and takes it all",)


async def test_masquerading_that_is_there_is_not_added_again(office: Office) -> None:
    assert (await office.plan({"op": "net.masquerade"})).nothing_to_do
    assert (await office.plan({"op": "net.masquerade", "src_address": "10.7.0.0/24"})).nothing_to_do


async def test_a_forward_goes_to_wan_and_is_changed_when_asked_for_another_machine(office: Office) -> None:
    await office.do({"op": "net.forward", "port": "8443", "to_address": "192.168.88.10", "to_port": 443})
    (rule,) = [row for row in office.rows(NAT) if row["chain"] == "dstnat"]
    assert (rule["in-interface-list"], rule["to-addresses"], rule["to-ports"]) == ("WAN", "192.168.88.10", "443")
    plan = await office.do({"op": "net.forward", "port": "8443", "to_address": "192.168.88.11"})
    assert plan.diff == ("~ forward tcp 8443 to 192.168.88.11: to-addresses 192.168.88.10 → 192.168.88.11, to-ports 443 → none",)
    await office.undo(plan)
    (rule,) = [row for row in office.rows(NAT) if row["chain"] == "dstnat"]
    assert (rule["to-addresses"], rule["to-ports"]) == ("192.168.88.10", "443")


async def test_a_forward_is_let_through_where_the_filter_would_stop_it(office: Office) -> None:
    table = office.router.state.table(FILTER)
    table.add({"chain": "forward", "action": "drop", "comment": "nothing else"})
    plan = await office.do({"op": "net.forward", "port": "8443", "to_address": "192.168.88.10", "to_port": 443})
    assert [line.split(",")[0] for line in plan.diff] == [
        "+ forward tcp 8443 to 192.168.88.10:443",
        "+ filter forward accept dst-address=192.168.88.10 dst-port=443 in-interface-list=WAN protocol=tcp",
    ]
    await office.do({"op": "net.remove", "kind": "nat", "mark": "chg-1.1"})
    assert not any("executor" in row.get("comment", "") for row in [*office.rows(NAT), *office.rows(FILTER)])


async def test_a_port_that_goes_elsewhere_already_is_refused_with_the_way_out(office: Office) -> None:
    office.router.state.table(NAT).add(
        {"chain": "dstnat", "action": "dst-nat", "protocol": "tcp", "dst-port": "443", "to-addresses": "192.168.88.99"}
    )
    with pytest.raises(PlanRefusedError, match=r"tcp 443 is forwarded to 192\.168\.88\.99 already") as refused:
        await office.plan({"op": "net.forward", "port": "443", "to_address": "192.168.88.10"})
    assert "executor net remove nat --id *2 --foreign" in refused.value.hint


async def test_a_container_is_forwarded_to_and_limited_by_its_name(office: Office) -> None:
    office.containers["web"] = "192.168.88.77"
    await office.do({"op": "net.forward", "port": "80", "container": "web"}, {"op": "net.limit", "container": "web", "down": "50M"})
    assert office.rows(NAT)[-1]["to-addresses"] == "192.168.88.77"
    assert office.rows("/queue/simple")[0]["target"] == "192.168.88.77/32"


async def test_mistakes_are_told_one_a_line_before_anything_is_read(office: Office) -> None:
    with pytest.raises(PlanRefusedError) as refused:
        await office.plan({"op": "net.rule", "action": "drop", "src_address": "10.0.0.300", "dst_port": "99999", "colour": "red"})
    assert refused.value.message.splitlines() == [
        "operation 1, src_address: write an address, a prefix or a range such as 10.0.0.5, 10.0.0.0/24 or 10.0.0.1-10.0.0.9"
        " (found '10.0.0.300')",
        "operation 1, dst_port: write ports as 80, 80,443 or 8000-8100 (found '99999')",
        "operation 1, colour: Extra inputs are not permitted",
    ]


# -- rows that exist ---------------------------------------------------------------------------------------------------------------------


async def test_a_row_of_somebody_elses_is_only_touched_when_a_person_says_so(office: Office) -> None:
    with pytest.raises(PlanRefusedError, match=r"filter rule \*9 \(defconf: drop all from WAN not DSTNATed\) is not Executor's") as refused:
        await office.plan({"op": "net.remove", "kind": "rule", "id": "*9"})
    assert "--foreign" in refused.value.hint
    before = office.configuration()
    plan = await office.do({"op": "net.remove", "kind": "rule", "id": "*9", "foreign": True})
    assert plan.risks == ("net.remove.foreign",) and plan.confirm_word == "*9"
    await office.undo(plan)
    assert office.configuration() == before


async def test_a_removed_rule_is_put_back_where_it_stood(office: Office) -> None:
    before = comments(office, "input")
    await office.undo(await office.do({"op": "net.remove", "kind": "rule", "name": "defconf: accept ICMP", "foreign": True}))
    assert comments(office, "input") == before


async def test_switching_and_moving_are_taken_back_too(office: Office) -> None:
    before = office.configuration()
    plan = await office.do(
        {"op": "net.switch", "kind": "rule", "id": "*6", "on": False, "foreign": True},
        {"op": "net.move", "kind": "rule", "id": "*7", "before": "*6", "foreign": True},
    )
    assert plan.risks == ("net.set.foreign", "net.filter.move")
    await office.undo(plan)
    after = office.configuration()
    for row in after[FILTER]:
        row.pop("disabled", None) if row.get("disabled") == "false" else None
    assert after == before


async def test_more_calls_than_safe_mode_can_take_back_are_refused(office: Office) -> None:
    many = [{"op": "net.address", "list": "blocked", "address": f"10.1.0.{n}"} for n in range(81)]
    with pytest.raises(PlanRefusedError, match="81 calls are more than safe mode can take back"):
        await office.plan(*many)


async def test_another_clients_view_of_what_we_made(open_office: Open) -> None:
    """`routeros-api`, written by others, is asked what the router holds."""
    office = await open_office()
    await office.do(
        ALLOW_SSH, {"op": "net.limit", "target": "192.168.88.23", "down": "20M", "up": "5M"}, {"op": "net.peer", "name": "phone"},
        {"op": "net.forward", "port": "8443", "to_address": "192.168.88.10", "to_port": 443},
        {"op": "net.address", "list": "blocked", "address": "198.51.100.9"},
    )  # fmt: skip
    menus = (FILTER, "/queue/simple", "/interface/wireguard/peers", NAT, "/ip/firewall/address-list")

    def read() -> list[dict[str, str]]:
        pool = routeros_api.RouterOsApiPool("127.0.0.1", "admin", "admin", port=office.router.port, plaintext_login=True)
        try:
            api = pool.get_api()
            found = [api.get_resource(menu).get(comment=f"executor chg-1.{number}") for number, menu in enumerate(menus, 1)]
            assert [len(rows) for rows in found] == [1] * 5
            return [rows[0] for rows in found]
        finally:
            pool.disconnect()

    rule, queue, peer, nat, listed = await asyncio.to_thread(read)
    assert (rule["chain"], rule["action"], rule["dst-port"], rule["src-address"]) == ("input", "accept", "22", "10.7.0.0/24")
    assert (queue["target"], queue["max-limit"], queue["comment"]) == ("192.168.88.23/32", "5000000/20000000", "executor chg-1.2")
    assert (peer["name"], peer["allowed-address"], nat["to-addresses"], nat["to-ports"]) == (
        "phone",
        "10.99.0.3/32",
        "192.168.88.10",
        "443",
    )
    assert (listed["list"], listed["address"]) == ("blocked", "198.51.100.9")
