"""Secrets of devices: out of the registry into the vault, once, however many devices are opened at the same moment."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from executor_tui.agents.credentials import opened, take_in
from executor_tui.config.load import load
from executor_tui.config.places import Places
from executor_tui.domain.clock import SystemClock
from executor_tui.store.store import Store, default_url


@pytest.fixture
async def store(places: Places) -> AsyncIterator[Store]:
    store = await Store.open(default_url(places.state_dir), SystemClock())
    yield store
    await store.close()


async def test_devices_opened_at_once_have_their_secrets_taken_in_once(places: Places, store: Store) -> None:
    agents = [
        {
            "id": f"network-{n}", "name": "Network Agent", "type": "infrastructure", "role": "network",
            "device": {"kind": "routeros", "host": "127.0.0.1", "user": "executor", "password": f"canary-{n}", "tls": False},
        }
        for n in range(3)
    ]  # fmt: skip
    registry = places.config_dir / "fleet_registry.json"
    registry.write_text(json.dumps({"agents": agents}))
    config = load(places.config_dir)
    found = await asyncio.gather(*(opened(e, "password", store, config, places) for e in config.fleet_registry.agents))
    assert found == ["canary-0", "canary-1", "canary-2"]
    assert [e.data["count"] for e in await store.events.tail(kinds=("vault.taken_in",))] == [3]
    assert "canary" not in registry.read_text()
    assert await take_in(store, config, places) == 0
    kept = load(places.config_dir).fleet_registry.agents
    assert [await opened(e, "password", store, config, places) for e in kept] == found
