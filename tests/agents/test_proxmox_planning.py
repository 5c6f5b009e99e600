"""What container operations come to: what is left open, where things go, and which calls are missing. No network."""

from dataclasses import replace
from typing import Any

import pytest

from executor_tui.agents.containers import operations as ops
from executor_tui.agents.containers.addresses import next_address, parse_range
from executor_tui.agents.containers.placement import Wanted, place
from executor_tui.agents.containers.planning import plan
from executor_tui.agents.containers.resolving import Survey, resolve
from executor_tui.agents.containers.state import Seen, State, marker
from executor_tui.agents.device import Json, Plan, PlanRefusedError, plan_from_json, plan_to_json
from executor_tui.config.general import ContainerSettings
from executor_tui.domain.errors import ConfigError
from executor_tui.infra.proxmox.model import (
    GIB,
    MIB,
    Cluster,
    ClusterStatus,
    Container,
    ContainerConfig,
    NodeInfo,
    Power,
    Snapshot,
    StorageInfo,
    Template,
)

DEBIAN, ALPINE = "local:vztmpl/debian-12-standard_12.7-1_amd64.tar.zst", "local:vztmpl/alpine-3.20-default_20240908_amd64.tar.xz"
CHANGE = "chg-1"


def node(name: str, free_gib: float = 8, load: float = 0.1, online: bool = True, cores: int = 8) -> NodeInfo:
    return NodeInfo(name, online, cores, load, 16 * GIB, int((16 - free_gib) * GIB))


def storage(name: str, node_name: str, *content: str, kind: str = "lvmthin", free_gib: float = 100) -> StorageInfo:
    return StorageInfo(name, node_name, kind, frozenset(content), True, False, 200 * GIB, int((200 - free_gib) * GIB))


def cluster(*containers: Container, nodes: tuple[NodeInfo, ...] = (node("pve1"),), **changed: Any) -> Cluster:
    storages = tuple(
        s for n in nodes for s in (storage("local-lvm", n.name, "rootdir", "images"), storage("local", n.name, "vztmpl", "backup"))
    )
    values: dict[str, Any] = {"storages": storages, "taken_ids": frozenset(c.vmid for c in containers), **changed}
    return Cluster(status=ClusterStatus("c", True, len(nodes), len(nodes)), nodes=nodes, containers=containers, **values)


def container(vmid: int, name: str = "box", power: Power = Power.STOPPED, node_name: str = "pve1") -> Container:
    return Container(vmid, name, node_name, power, ("executor",), 2, 1024 * MIB, 8 * GIB)


def seen(info: Container, *snapshots: str, **changed: Any) -> Seen:
    config = ContainerConfig(
        info.vmid, info.name, 2, 1024, 512, 8.0, "local-lvm", ("executor",), digest="abc", nets={"net0": {"ip": "dhcp"}}
    )
    return Seen(info, replace(config, **changed), tuple(Snapshot(name) for name in snapshots))


def survey(of: Cluster, *templates: Template, **settings: Any) -> Survey:
    there = templates or tuple(Template(DEBIAN, n.name) for n in of.nodes)
    return Survey(of, there, frozenset(), ContainerSettings(**settings), "ssh-ed25519 AAAA executor")


def resolved(of: Cluster, *raw: Json, others: tuple[Json, ...] = (), **settings: Any) -> tuple[ops.ContainerOperation, ...]:
    return resolve(ops.parse(raw), survey(of, **settings), others, CHANGE, "")


def planned(state: State, *raw: Json, done: frozenset[str] = frozenset()) -> Plan:
    return plan(ops.parse(raw), state, CHANGE, done)


def state_of(*found: Seen, nodes: tuple[NodeInfo, ...] = (node("pve1"),)) -> State:
    return State(cluster(*(s.info for s in found), nodes=nodes), {s.info.vmid: s for s in found})


# -- what is left open -------------------------------------------------------------------------------------------------------------------


def test_one_template_and_one_storage_need_not_be_named() -> None:
    (made,) = resolved(cluster(), {"op": "lxc.create"})
    assert isinstance(made, ops.Create)
    assert (made.template, made.storage, made.node, made.vmid) == (DEBIAN, "local-lvm", "pve1", 100)
    assert (made.cores, made.memory_mb, made.disk_gb, made.address, made.bridge) == (2, 2048, 8, "dhcp", "vmbr0")
    assert made.public_keys == ("ssh-ed25519 AAAA executor",) and made.hostname == "executor-100" and not made.nesting


def test_several_templates_are_a_question_and_part_of_a_name_is_an_answer() -> None:
    of = cluster()
    both = survey(of, Template(DEBIAN, "pve1"), Template(ALPINE, "pve1"))
    with pytest.raises(PlanRefusedError) as caught:
        resolve(ops.parse([{"op": "lxc.create"}]), both, (), CHANGE, "")
    assert "say which one" in caught.value.message and "alpine" in caught.value.hint
    (made,) = resolve(ops.parse([{"op": "lxc.create", "template": "Alpine"}]), both, (), CHANGE, "")
    assert isinstance(made, ops.Create) and made.template == ALPINE


def test_a_template_that_is_not_there_names_those_that_are() -> None:
    with pytest.raises(PlanRefusedError) as caught:
        resolved(cluster(), {"op": "lxc.create", "template": "gentoo"})
    assert "no template matches 'gentoo'" in caught.value.message and "debian-12" in caught.value.hint


def test_a_new_container_goes_to_the_node_with_the_most_free_memory() -> None:
    of = cluster(nodes=(node("pve1", free_gib=2), node("pve2", free_gib=9), node("pve3", free_gib=12, online=False)))
    (made,) = resolved(of, {"op": "lxc.create"})
    assert isinstance(made, ops.Create) and made.node == "pve2"


def test_of_equally_free_nodes_the_less_loaded_one_is_taken() -> None:
    of = cluster(nodes=(node("pve1", load=0.9), node("pve2", load=0.2)))
    assert place(of, Wanted(1, 512, 4), frozenset({"pve1", "pve2"}), {})[0] == "pve2"


def test_what_does_not_fit_anywhere_says_why_for_each_node() -> None:
    of = cluster(nodes=(node("pve1", free_gib=1), node("pve2", free_gib=0.5)))
    with pytest.raises(PlanRefusedError) as caught:
        resolved(of, {"op": "lxc.create", "memory_mb": 4096})
    assert "pve1: 768 MiB of memory free, 4096 MiB wanted" in caught.value.message and "pve2" in caught.value.message


def test_a_disk_that_does_not_fit_is_refused() -> None:
    with pytest.raises(PlanRefusedError, match=r"storage local-lvm has 100\.0 GiB free, 150 GiB wanted"):
        resolved(cluster(), {"op": "lxc.create", "disk_gb": 150})


def test_ids_memory_and_addresses_that_others_are_about_to_take_are_taken() -> None:
    others: tuple[Json, ...] = ({"op": "lxc.create", "vmid": 100, "node": "pve1", "memory_mb": 7000, "address": "10.0.0.50/24"},)
    of = cluster(nodes=(node("pve1"), node("pve2", free_gib=4)))
    (made,) = resolved(of, {"op": "lxc.create"}, others=others, address_range="10.0.0.50-10.0.0.60", gateway="10.0.0.1")
    assert isinstance(made, ops.Create)
    assert (made.vmid, made.node, made.address, made.gateway) == (101, "pve2", "10.0.0.51/24", "10.0.0.1")


def test_operations_of_one_change_do_not_take_each_others_ids() -> None:
    made = resolved(cluster(container(100)), *[{"op": "lxc.create", "memory_mb": 64} for _ in range(3)])
    assert [m.vmid for m in made if isinstance(m, ops.Create)] == [101, 102, 103]


def test_a_name_that_two_containers_have_is_a_question() -> None:
    with pytest.raises(PlanRefusedError, match=r"several containers are named 'box': say which id \(100, 101\)"):
        resolved(cluster(container(100), container(101)), {"op": "lxc.start", "container": "box"})


def test_a_taken_id_is_refused_and_the_next_free_one_is_named() -> None:
    with pytest.raises(PlanRefusedError) as caught:
        resolved(cluster(container(100)), {"op": "lxc.create", "vmid": 100})
    assert "the id 100 is taken" in caught.value.message and "101" in caught.value.hint


def test_growing_beyond_what_the_node_has_is_refused() -> None:
    with pytest.raises(PlanRefusedError, match="has no room for it"):
        resolved(cluster(container(100)), {"op": "lxc.resize", "container": 100, "memory_mb": 64_000})


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        ({"op": "lxc.create", "hostname": "no_underscores"}, "operation 1, lxc.create.hostname"),
        ({"op": "lxc.launch"}, "operation 1"),
        ({"op": "lxc.start"}, "container"),
        ({"op": "lxc.start", "container": 1, "force": True}, "force"),
        ({"op": "lxc.create", "address": "10.0.0.1"}, "address"),
    ],
)
def test_a_mistake_in_an_operation_is_named(raw: Json, said: str) -> None:
    with pytest.raises(PlanRefusedError) as caught:
        ops.parse([raw])
    assert "\n" not in caught.value.message and caught.value.message.startswith("operation 1")
    assert said.rsplit(".", 1)[-1] in caught.value.message or said in caught.value.message


# -- addresses -----------------------------------------------------------------------------------------------------------------------------


def test_a_range_gives_its_addresses_in_order_until_it_is_used_up() -> None:
    allowed = parse_range("10.0.0.50-10.0.0.51/22")
    assert next_address(allowed, frozenset()) == "10.0.0.50/22"
    assert next_address(allowed, frozenset({"10.0.0.50"})) == "10.0.0.51/22"
    assert next_address(allowed, frozenset({"10.0.0.50", "10.0.0.51"})) is None
    assert str(next(iter(parse_range("10.0.0.0/24")))) == "10.0.0.1"


@pytest.mark.parametrize("text", ["10.0.0.9-10.0.0.1", "10.0.0.0/31", "somewhere", "10.0.0.1-x", "fe80::/64"])
def test_a_range_that_is_none_is_a_configuration_error(text: str) -> None:
    with pytest.raises(ConfigError, match=r"containers\.address_range"):
        parse_range(text)


# -- planning ------------------------------------------------------------------------------------------------------------------------------


def test_a_plan_survives_being_written_down() -> None:
    made = planned(state_of(seen(container(100))), {"op": "lxc.resize", "container": 100, "cores": 4})
    assert plan_from_json(plan_to_json(made)).hash == made.hash


def test_the_same_state_gives_the_same_hash_and_another_state_another() -> None:
    order = {"op": "lxc.resize", "container": 100, "cores": 4}
    first = planned(state_of(seen(container(100))), order)
    assert first.hash == planned(state_of(seen(container(100))), order).hash
    assert first.hash != planned(state_of(seen(container(100), memory_mb=512)), order).hash


def test_what_is_as_wanted_needs_no_call() -> None:
    running = seen(container(100, power=Power.RUNNING), "clean")
    orders = ({"op": "lxc.start", "container": 100}, {"op": "lxc.snapshot", "container": 100, "name": "clean"})
    assert planned(state_of(running), *orders).nothing_to_do
    assert planned(state_of(running), {"op": "lxc.resize", "container": 100, "cores": 2, "memory_mb": 1024, "disk_gb": 8}).nothing_to_do


def test_a_resize_names_old_and_new_and_how_to_go_back() -> None:
    made = planned(state_of(seen(container(100))), {"op": "lxc.resize", "container": 100, "cores": 4, "memory_mb": 2048})
    assert made.diff == ("~ container 100 box: cores 2 → 4", "~ container 100 box: memory 1024 MiB → 2048 MiB")
    assert made.undo == ({"op": "lxc.resize", "container": 100, "cores": 2, "memory_mb": 1024},)


def test_a_disk_never_shrinks_and_growing_has_no_way_back() -> None:
    with pytest.raises(PlanRefusedError, match="never shrinks"):
        planned(state_of(seen(container(100))), {"op": "lxc.resize", "container": 100, "disk_gb": 4})
    made = planned(state_of(seen(container(100))), {"op": "lxc.resize", "container": 100, "disk_gb": 16})
    assert (made.risks, made.undo) == (("lxc.resize.disk",), ())


def test_deleting_a_running_container_stops_it_first_and_asks_for_its_name() -> None:
    made = planned(state_of(seen(container(100, power=Power.RUNNING), "a", "b")), {"op": "lxc.delete", "container": 100})
    assert [call.what for call in made.calls] == ["stop", "delete"]
    assert made.diff == ("- container 100 box with 2 snapshots",)
    assert (made.confirm_word, made.undo) == ("box", ())


def test_a_protected_container_is_not_deleted() -> None:
    with pytest.raises(PlanRefusedError, match="protected"):
        planned(state_of(seen(container(100), protection=True)), {"op": "lxc.delete", "container": 100})


def test_a_rollback_keeps_a_way_back_where_the_storage_allows_one() -> None:
    order = {"op": "lxc.rollback", "container": 100, "name": "clean"}
    made = planned(state_of(seen(container(100), "clean")), order)
    assert [(c.what, c.arguments.get("name")) for c in made.calls] == [("snapshot", "before-chg-1"), ("rollback", "clean")]
    assert made.undo == ({"op": "lxc.rollback", "container": 100, "name": "before-chg-1"},)
    zfs = State(
        cluster(container(100), storages=(storage("tank", "pve1", "rootdir", kind="zfspool"),)),
        {100: seen(container(100), "clean", storage="tank")},
    )
    made = planned(zfs, order)
    assert [c.what for c in made.calls] == ["rollback"] and made.undo == () and "no way back" in made.warnings[0]


def test_a_rollback_that_was_made_is_not_made_again() -> None:
    order = {"op": "lxc.rollback", "container": 100, "name": "clean"}
    after = state_of(seen(container(100), "clean", "before-chg-1"))
    assert planned(after, order, done=frozenset({"1.snapshot", "1.rollback"})).nothing_to_do


def test_a_container_of_ours_is_told_from_a_stranger_under_the_same_id() -> None:
    order: Json = {
        "op": "lxc.create", "vmid": 100, "hostname": "web", "made_by": CHANGE, "node": "pve1", "template": DEBIAN, "storage": "local-lvm",
        "cores": 1, "memory_mb": 64, "swap_mb": 0, "disk_gb": 1, "start": False,
    }  # fmt: skip
    assert planned(state_of(seen(container(100), description=marker(CHANGE))), order).nothing_to_do
    with pytest.raises(PlanRefusedError, match="taken meanwhile"):
        planned(state_of(seen(container(100), description="somebody's")), order)


def test_a_copy_gets_tags_and_an_address_of_its_own() -> None:
    original = seen(container(100), "clean", nets={"net0": {"ip": "10.0.0.5/24", "bridge": "vmbr1"}})
    order: Json = {
        "op": "lxc.clone", "container": 100, "snapshot": "clean", "vmid": 101, "hostname": "qa", "address": "10.0.0.6/24",
        "gateway": "10.0.0.1", "project": "p1", "made_by": CHANGE, "node": "pve1", "start": True,
    }  # fmt: skip
    made = planned(state_of(original), order)
    assert [c.what for c in made.calls] == ["clone", "configure", "start"]
    assert made.calls[1].arguments["options"] == {"tags": "executor;run-p1", "net0": "name=eth0,bridge=vmbr1,ip=10.0.0.6/24,gw=10.0.0.1"}


def test_a_running_container_is_only_copied_from_a_snapshot() -> None:
    with pytest.raises(PlanRefusedError, match="only be copied from a snapshot"):
        planned(state_of(seen(container(100, power=Power.RUNNING))), {"op": "lxc.clone", "container": 100, "vmid": 101})


def test_two_orders_about_the_power_of_one_container_are_refused() -> None:
    with pytest.raises(PlanRefusedError, match="ask twice"):
        planned(state_of(seen(container(100))), {"op": "lxc.stop", "container": 100}, {"op": "lxc.start", "container": 100})


def test_containers_do_not_wait_for_each_other() -> None:
    made = planned(state_of(seen(container(100)), seen(container(101))), *[{"op": "lxc.start", "container": v} for v in (100, 101)])
    assert {call.lane for call in made.calls} == {"100", "101"} and made.targets == ("lxc/100", "lxc/101")
