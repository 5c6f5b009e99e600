"""WireGuard with keys made here, limits, the queue tree."""

import re

import pytest

from executor_tui.agents.device import PlanRefusedError, plan_to_json
from executor_tui.agents.routers.clients import Client
from executor_tui.infra.routeros.wireguard_keys import is_key, public_key
from tests.agents.routers.conftest import FILTER, Office, Open

TUNNELS, PEERS, QUEUES = "/interface/wireguard", "/interface/wireguard/peers", "/queue/simple"


async def test_an_interface_gets_a_free_port_a_free_network_and_a_hole_in_the_firewall(office: Office) -> None:
    plan = await office.do({"op": "net.wireguard", "name": "wg-field"})
    made = office.rows(TUNNELS)[-1]
    assert (made["name"], made["listen-port"]) == ("wg-field", "13232")
    assert office.rows("/ip/address")[-1]["address"] == "10.99.1.1/24"
    hole = next(row for row in office.rows(FILTER) if row.get("dst-port") == "13232")
    assert (hole["chain"], hole["protocol"], hole["action"]) == ("input", "udp", "accept")
    assert public_key(office.vault["wg-network-001-chg-1.1-key"]) == public_key(made["private-key"])
    before = office.configuration()
    assert (await office.do({"op": "net.wireguard", "name": "wg-field"})).nothing_to_do
    assert office.configuration() == before
    await office.undo(plan)
    assert [row["name"] for row in office.rows(TUNNELS)] == ["wg-staff"]


async def test_a_peer_gets_the_next_address_and_keys_that_only_the_vault_and_the_router_hold(office: Office) -> None:
    plan = await office.do({"op": "net.peer", "name": "phone"})
    peer = office.rows(PEERS)[-1]
    assert (peer["name"], peer["interface"], peer["allowed-address"]) == ("phone", "wg-staff", "10.99.0.3/32")
    private, shared = office.vault["wg-network-001-chg-1.1-key"], office.vault["wg-network-001-chg-1.1-psk"]
    assert peer["public-key"] == public_key(private) and peer["preshared-key"] == shared and is_key(shared)
    assert "private-key" not in peer
    shown = str(plan_to_json(plan))
    assert private not in shown and shared not in shown


async def test_the_same_peer_asked_for_again_keeps_its_keys_and_a_removed_one_never_gets_them_back(office: Office) -> None:
    await office.do({"op": "net.peer", "name": "phone"})
    first = office.rows(PEERS)[-1]["public-key"]
    assert (await office.do({"op": "net.peer", "name": "phone"})).nothing_to_do
    await office.do({"op": "net.remove", "kind": "peer", "name": "phone"})
    await office.do({"op": "net.peer", "name": "phone"})
    assert office.rows(PEERS)[-1]["public-key"] != first


async def test_undoing_a_removal_puts_back_the_peer_with_its_preshared_key(office: Office) -> None:
    await office.do({"op": "net.peer", "name": "phone"})
    before = office.rows(PEERS)[-1]
    plan = await office.do({"op": "net.remove", "kind": "peer", "name": "phone"})
    assert before["preshared-key"] not in str(plan_to_json(plan))
    await office.undo(plan)
    assert office.rows(PEERS)[-1] == before


async def test_a_client_that_made_its_own_keys_keeps_them_to_itself(office: Office) -> None:
    own = "dGhpcyBpcyBhIHB1YmxpYyBrZXkgb2YgMzIgYnl0ZXM="
    await office.do({"op": "net.peer", "name": "laptop", "public_key": own})
    assert office.rows(PEERS)[-1]["public-key"] == own
    assert set(office.vault) == {"wg-network-001-chg-1.1-psk"}


async def test_addresses_promised_to_changes_that_are_not_finished_are_not_given_twice(office: Office) -> None:
    first = await office.plan({"op": "net.peer", "name": "one"})
    second = await office.plan({"op": "net.peer", "name": "two"}, others=first.operations)
    assert [p.operations[0]["address"] for p in (first, second)] == ["10.99.0.3/32", "10.99.0.4/32"]


async def test_interface_and_peer_in_one_change_and_no_interface_goes_while_it_has_peers(office: Office) -> None:
    await office.do({"op": "net.wireguard", "name": "wg-field"}, {"op": "net.peer", "name": "van", "interface": "wg-field"})
    assert office.rows(PEERS)[-1]["allowed-address"] == "10.99.1.2/32"
    with pytest.raises(PlanRefusedError, match="wg-field has peers still: van"):
        await office.plan({"op": "net.remove", "kind": "wireguard", "name": "wg-field"})
    before = office.configuration()
    plan = await office.do(
        {"op": "net.remove", "kind": "peer", "name": "van"}, {"op": "net.remove", "kind": "wireguard", "name": "wg-field"}
    )
    assert not any("executor" in row.get("comment", "") for rows in office.configuration().values() for row in rows)
    await office.undo(plan)
    assert office.configuration() == before


async def test_which_interface_is_asked_about_when_there_are_several(office: Office) -> None:
    await office.do({"op": "net.wireguard", "name": "wg-field"})
    with pytest.raises(PlanRefusedError, match="say which WireGuard interface") as refused:
        await office.plan({"op": "net.peer", "name": "phone"})
    assert refused.value.hint == "there are: wg-staff, wg-field"
    with pytest.raises(PlanRefusedError, match=r"10\.50\.0\.2 is not in the network of wg-field \(10\.99\.1\.0/24\)"):
        await office.plan({"op": "net.peer", "name": "phone", "interface": "wg-field", "address": "10.50.0.2"})


def test_a_client_configuration_is_what_wg_quick_reads_and_its_secrets_show_in_no_repr() -> None:
    client = Client("phone", "10.99.0.3/32", "SERVER", "vpn.example.org:13231", "0.0.0.0/0", "10.99.0.1", 25, "PRIVATE", "SHARED")
    assert client.text().splitlines() == [
        "[Interface]", "PrivateKey = PRIVATE", "Address = 10.99.0.3/32", "DNS = 10.99.0.1", "", "[Peer]", "PublicKey = SERVER",
        "PresharedKey = SHARED", "AllowedIPs = 0.0.0.0/0", "Endpoint = vpn.example.org:13231", "PersistentKeepalive = 25",
    ]  # fmt: skip
    assert "PRIVATE" not in repr(client) and "SHARED" not in repr(client)
    assert client.qr_svg().startswith("<?xml") and re.fullmatch(r"[█▀▄ \n]+", client.qr_text())


async def test_a_limit_is_counted_from_the_client_and_changed_when_asked_again(office: Office) -> None:
    await office.do({"op": "net.limit", "target": "192.168.88.23", "down": "20M"})
    (queue,) = office.rows(QUEUES)
    assert (queue["target"], queue["max-limit"]) == ("192.168.88.23/32", "0/20000000")
    plan = await office.do({"op": "net.limit", "target": "192.168.88.23/32", "down": "10M", "up": "2M"})
    assert plan.diff == ("~ limit 192.168.88.23/32: down 10M, up 2M: max-limit 0/20000000 → 2M/10M",)
    assert [row["max-limit"] for row in office.rows(QUEUES)] == ["2000000/10000000"]
    await office.undo(plan)
    assert [row["max-limit"] for row in office.rows(QUEUES)] == ["0/20000000"]


async def test_a_limit_goes_before_the_queue_that_would_take_its_traffic_first(office: Office) -> None:
    office.router.state.table(QUEUES).add({
        "name": "everybody", "target": "192.168.88.0/24", "max-limit": "100000000/100000000", "limit-at": "0/0", "parent": "none",
        "disabled": "false",
    })  # fmt: skip
    await office.do({"op": "net.limit", "target": "192.168.88.23", "down": "20M"})
    assert [row["name"] for row in office.rows(QUEUES)] == ["executor 192.168.88.23/32", "everybody"]


async def test_fasttrack_that_makes_a_limit_toothless_is_warned_of(office: Office) -> None:
    limit = {"op": "net.limit", "target": "192.168.88.23", "down": "20M"}
    assert (await office.plan(limit)).warnings[0].startswith("connections that rule *6 fasttracks pass every queue by")
    row = office.router.state.table(FILTER).by_id("*6")
    assert row is not None
    row.values["disabled"] = "true"
    assert (await office.plan(limit)).warnings == ()


async def test_a_limit_without_a_rate_or_for_nobody_is_refused(office: Office) -> None:
    with pytest.raises(PlanRefusedError, match="say how much"):
        await office.plan({"op": "net.limit", "target": "192.168.88.23"})
    with pytest.raises(PlanRefusedError, match="ether9 is no address, network or interface of this router"):
        await office.plan({"op": "net.limit", "target": "ether9", "down": "1M"})


async def test_a_queue_of_the_tree(office: Office) -> None:
    plan = await office.do(
        {"op": "net.tree", "name": "voip", "parent": "ether1", "packet_mark": "voip", "limit": "10M", "guaranteed": "1M"}
    )
    (queue,) = office.rows("/queue/tree")
    assert (queue["parent"], queue["packet-mark"], queue["max-limit"], queue["limit-at"]) == ("ether1", "voip", "10000000", "1000000")
    await office.undo(plan)
    assert office.rows("/queue/tree") == []


async def test_a_tunnel_may_count_as_inside_which_is_more_than_a_tunnel(office: Office) -> None:
    before = office.configuration()
    plan = await office.do({"op": "net.wireguard", "name": "wg-field", "list": "LAN"})
    assert {"list": "LAN", "interface": "wg-field", "disabled": "false", "comment": "executor chg-1.1m"} in office.rows(
        "/interface/list/member"
    )
    assert "net.wireguard.inside" in plan.risks
    await office.do({"op": "net.remove", "kind": "wireguard", "name": "wg-field"})
    assert office.configuration() == before


async def test_a_router_whose_peers_have_no_names_is_told_to_be_updated(open_office: Open) -> None:
    office = await open_office(version="7.14.3")
    with pytest.raises(PlanRefusedError, match="gives peers no names") as refused:
        await office.plan({"op": "net.peer", "name": "phone"})
    assert refused.value.hint == "update it to 7.15 or later"


async def test_what_a_stranger_wrote_into_a_name_is_shown_on_one_line(office: Office) -> None:
    row = office.router.state.table(PEERS).by_value("name", "maria")
    assert row is not None
    row.values["name"] = "maria\x1b[2J\nrisk: read"
    plan = await office.plan({"op": "net.remove", "kind": "peer", "id": row.id, "foreign": True})
    assert plan.diff == ("- WireGuard peer maria [2J risk: read, not Executor's",) and plan.summary.isprintable()


async def test_a_client_of_a_router_without_a_public_address_has_to_be_told_the_way_in(office: Office) -> None:
    row = office.router.state.table("/ip/address").by_value("interface", "ether1")
    assert row is not None
    row.values["address"] = "192.168.1.20/24"
    plan = await office.plan({"op": "net.peer", "name": "phone"})
    assert plan.warnings == ("the router has no public address of its own: give the client its way in with --endpoint, for phone",)
    assert (await office.plan({"op": "net.peer", "name": "phone", "endpoint": "vpn.example.org"})).warnings == ()
