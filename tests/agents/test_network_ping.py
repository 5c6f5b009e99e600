"""The network agent's answer to ping: online, degraded with the reason, or offline with the reason."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from executor_tui.agents.links import drop_links
from executor_tui.agents.pings import Pings
from executor_tui.config.load import load
from executor_tui.config.places import Places
from executor_tui.domain.agent import Agent, AgentState, AgentType, Ping, Role
from executor_tui.domain.clock import ManualClock
from executor_tui.lab.routeros.simulator import RouterOsSimulator
from executor_tui.store.store import Store
from tests.conftest import CANARY
from tests.core.changes.office import write_router

AGENT = Agent("network-001", "Network 1", AgentType.INFRASTRUCTURE, Role.NETWORK)


@pytest.fixture
async def router(places: Places, clock: ManualClock) -> AsyncIterator[RouterOsSimulator]:
    async with RouterOsSimulator(tls=True, users={"executor": CANARY}, clock=clock) as simulator:
        write_router(places, simulator)
        yield simulator
        drop_links()


async def ping(store: Store, places: Places) -> Ping:
    async with Pings(store, load(places.config_dir), places) as pings:
        return await pings.ping(AGENT)


async def test_a_well_router_is_online_with_a_latency(store: Store, places: Places, router: RouterOsSimulator) -> None:
    answer = await ping(store, places)
    assert (answer.state, answer.reason) == (AgentState.ONLINE, "") and answer.latency_ms is not None


async def test_one_connection_serves_many_pings(store: Store, places: Places, router: RouterOsSimulator) -> None:
    for _ in range(3):
        await ping(store, places)
    logins = [line for line in router.state.log_lines() if "logged in" in line["message"]]
    assert len(logins) == 1


async def test_a_connection_that_was_cut_is_made_anew_within_the_same_ping(store: Store, places: Places, router: RouterOsSimulator) -> None:
    await ping(store, places)
    router.cut_connections()
    await router.settled()
    assert (await ping(store, places)).state is AgentState.ONLINE


async def test_slow_is_told_with_how_slow(store: Store, places: Places, router: RouterOsSimulator, clock: ManualClock) -> None:
    await ping(store, places)
    router.faults.delay_s["/system/identity/print"] = 1.5
    asked = asyncio.ensure_future(ping(store, places))
    while not asked.done():
        await clock.advance(1.5)
    answer = await asked
    assert answer.state is AgentState.DEGRADED and answer.latency_ms is not None
    assert answer.reason == f"slow: {answer.latency_ms:.0f} ms" and answer.latency_ms >= 1_500


@pytest.mark.parametrize(
    ("sick", "said"),
    [
        ({"certificate_days_left": 9}, "the certificate api-ssl expires on 2026-12-01"),
        ({"certificate_days_left": 0}, "the certificate api-ssl has expired"),
        ({"free_hdd_bytes": 4_000_000}, "its disk is 97% full"),
        ({"free_memory_bytes": 20_000_000}, "its memory is 98% full"),
    ],
)
async def test_unwell_is_told_from_gone(
    store: Store, places: Places, router: RouterOsSimulator, sick: dict[str, int], said: str
) -> None:  # fmt: skip
    for name, value in sick.items():
        setattr(router.health, name, value)
    answer = await ping(store, places)
    assert (answer.state, answer.reason) == (AgentState.DEGRADED, said)


async def test_an_update_the_router_knows_of_is_told(store: Store, places: Places, router: RouterOsSimulator) -> None:
    router.health.latest_version = "7.25"
    assert (await ping(store, places)).state is AgentState.ONLINE  # nobody has asked the vendor yet
    router.state.settings["/system/package/update"]["checked"] = "yes"
    assert (await ping(store, places)).reason == "RouterOS 7.25 is waiting (7.24 is installed)"


async def test_a_router_that_is_gone_is_offline(store: Store, places: Places, router: RouterOsSimulator) -> None:
    await router.stop()
    answer = await ping(store, places)
    assert answer.state is AgentState.OFFLINE and "refuses the connection" in answer.reason


@pytest.mark.parametrize(("field", "value", "said"), [("password", "wrong", "was not let in"), ("fingerprint", "ab" * 32, "is pinned")])
async def test_a_wrong_password_or_certificate_is_offline_and_tells_no_secret(
    store: Store, places: Places, router: RouterOsSimulator, field: str, value: str, said: str
) -> None:
    path = places.config_dir / "fleet_registry.json"
    document = json.loads(path.read_text())
    document["agents"][0]["device"][field] = value
    path.write_text(json.dumps(document))
    answer = await ping(store, places)
    assert answer.state is AgentState.OFFLINE and said in answer.reason
    assert CANARY not in answer.reason and "wrong" not in answer.reason


async def test_the_password_is_in_the_vault_after_the_first_ping(store: Store, places: Places, router: RouterOsSimulator) -> None:
    await ping(store, places)
    assert CANARY not in (places.config_dir / "fleet_registry.json").read_text()
    assert (await ping(store, places)).state is AgentState.ONLINE


async def test_what_the_account_may_not_read_does_not_make_the_router_unwell(
    store: Store, places: Places, router: RouterOsSimulator
) -> None:  # fmt: skip
    for menu in ("/certificate", "/system/package/update", "/system/resource"):
        router.faults.refuse[f"{menu}/print"] = "not enough permissions (9)"
    assert (await ping(store, places)).state is AgentState.ONLINE
