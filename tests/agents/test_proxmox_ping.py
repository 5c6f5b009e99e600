"""The Proxmox agent's answer to ping: online, degraded with the reason, or offline with the reason."""

import json
from typing import Any

import pytest

from executor_tui.agents.pings import Pings
from executor_tui.agents.proxmox import reasons_of
from executor_tui.config.load import load
from executor_tui.config.places import Places
from executor_tui.domain.agent import Agent, AgentState, AgentType, Ping, Role
from executor_tui.domain.clock import ManualClock
from executor_tui.infra.proxmox.model import GIB, Cluster, ClusterStatus, NodeInfo, StorageInfo
from executor_tui.store.store import Store
from tests.infra.proxmox.conftest import certificate_fingerprint, pve  # noqa: F401 - a fixture

AGENT = Agent("proxmox-001", "Proxmox Agent", AgentType.INFRASTRUCTURE, Role.PROXMOX)


@pytest.fixture
def registered(places: Places, pve: Any, fakepve_cafile: str) -> Places:  # noqa: F811
    device = {"kind": "proxmox", "host": pve.host, "port": pve.port, "user": "root", "password": "secret",
              "fingerprint": certificate_fingerprint(fakepve_cafile)}  # fmt: skip
    entry = {"id": AGENT.id, "name": AGENT.name, "device": device}
    (places.config_dir / "fleet_registry.json").write_text(json.dumps({"agents": [entry]}))
    return places


async def ping(store: Store, places: Places) -> Ping:
    async with Pings(store, load(places.config_dir), places) as pings:
        return await pings.ping(AGENT)


async def test_a_well_cluster_is_online_with_a_latency(store: Store, registered: Places) -> None:
    answer = await ping(store, registered)
    assert (answer.state, answer.reason) == (AgentState.ONLINE, "")
    assert answer.latency_ms is not None


async def test_a_cluster_without_quorum_is_degraded(store: Store, registered: Places, pve: Any) -> None:  # noqa: F811
    pve.lose_quorum()
    answer = await ping(store, registered)
    assert (answer.state, answer.reason) == (AgentState.DEGRADED, "no quorum: it can be read, not changed")


async def test_an_offline_node_is_named(store: Store, registered: Places, pve: Any) -> None:  # noqa: F811
    pve.set_node_offline("pve2")
    answer = await ping(store, registered)
    assert answer.state is AgentState.DEGRADED and "node pve2 offline" in answer.reason


async def test_a_certificate_past_its_end_is_told_with_its_date(store: Store, clock: ManualClock, registered: Places) -> None:
    clock.jump_wall(40 * 365 * 86_400)
    answer = await ping(store, registered)
    assert answer.state is AgentState.DEGRADED and "the certificate of pve1 expired on" in answer.reason


async def test_a_cluster_that_is_gone_is_offline(store: Store, registered: Places) -> None:
    path = registered.config_dir / "fleet_registry.json"
    document = json.loads(path.read_text())
    document["agents"][0]["device"]["port"] = 1
    path.write_text(json.dumps(document))
    answer = await ping(store, registered)
    assert answer.state is AgentState.OFFLINE and "refuses the connection" in answer.reason


async def test_a_wrong_password_is_offline_and_the_password_is_not_in_the_reason(store: Store, registered: Places, pve: Any) -> None:  # noqa: F811
    pve.password = "another"
    answer = await ping(store, registered)
    assert answer.state is AgentState.OFFLINE
    assert "was not let in" in answer.reason and "secret" not in answer.reason


async def test_the_password_in_the_file_is_taken_into_the_vault_by_the_first_ping(store: Store, registered: Places) -> None:
    await ping(store, registered)
    device = json.loads((registered.config_dir / "fleet_registry.json").read_text())["agents"][0]["device"]
    assert device["password"] == "vault:device-proxmox-001-password"
    assert b"secret" not in (await store.keys.ciphertext("device-proxmox-001-password") or b"")
    assert (await ping(store, registered)).state is AgentState.ONLINE


def test_full_storages_and_memory_are_told() -> None:
    gone = NodeInfo("pve1", True, 8, 0.1, 16 * GIB, int(15.5 * GIB))
    full = StorageInfo("tank", "pve1", "dir", frozenset({"rootdir"}), True, False, 100, 97)
    cluster = Cluster(ClusterStatus("c", True, 1, 1), (gone,), (full,), (), frozenset())
    assert reasons_of(cluster) == ["storage tank on pve1 is 97% full", "memory of pve1 is 97% used"]
