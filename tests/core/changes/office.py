"""An installation with a simulated router behind it and a host that works on its changes."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest

from executor_tui.agents.links import drop_links
from executor_tui.config.general import ApprovalPolicy
from executor_tui.config.load import load
from executor_tui.config.places import Places
from executor_tui.core.changes.host import ChangeHost
from executor_tui.domain.change import Change
from executor_tui.domain.clock import SystemClock
from executor_tui.lab.routeros.simulator import RouterOsSimulator
from executor_tui.store.store import Store, default_url
from tests.conftest import CANARY
from tests.core.changes.conftest import World

ROUTER = "network-001"
FILTER = "/ip/firewall/filter"


@dataclass
class Office(World):
    """A world whose device is a router."""

    router: RouterOsSimulator = None  # type: ignore[assignment]
    model: tuple[str, str] = ("http://127.0.0.1:9/v1", "")
    """Where the model is asked, and with which key."""

    async def model_access(self, agent_id: str, project_id: str) -> tuple[str, str]:
        return self.model

    async def ask(self, *operations: Any, device: str = ROUTER, **values: Any) -> Change:
        return await super().ask(*operations, device=device, **values)

    def rules(self) -> list[str]:
        return [row.get("comment", "") for row in self.router.values(FILTER)]

    def ours(self) -> list[str]:
        return [comment for comment in self.rules() if comment.startswith("executor ")]


def write_router(places: Places, *routers: RouterOsSimulator) -> None:
    """A registry of these routers, with the canary as their password."""
    agents = [
        {"id": f"network-{number:03}", "name": f"Network {number}", "role": "network", "device": {
            "kind": "routeros", "host": router.host, "port": router.port, "user": "executor", "password": CANARY,
            "tls": router.tls is not None, "fingerprint": router.fingerprint,
        }}
        for number, router in enumerate(routers, 1)
    ]  # fmt: skip
    (places.config_dir / "fleet_registry.json").write_text(json.dumps({"agents": agents}))


@pytest.fixture
async def office(places: Places, request: pytest.FixtureRequest) -> AsyncIterator[Office]:
    """Whatever is not destructive is applied without asking. An indirect parameter gives the simulator's options."""
    options: dict[str, Any] = {"tls": True, "users": {"executor": CANARY}, **getattr(request, "param", {})}
    async with RouterOsSimulator(**options) as router:
        write_router(places, router)
        store = await Store.open(default_url(places.state_dir), SystemClock())
        holder: list[Office] = []

        async def model_access(agent_id: str, project_id: str) -> tuple[str, str]:
            return await holder[0].model_access(agent_id, project_id)

        host = ChangeHost(store, places, lambda: holder[0].config(), "node-test", model_access=model_access)
        policy = ApprovalPolicy(auto_approve=("read", "restorable", "disruptive"))
        holder.append(Office(store, places, host, load(places.config_dir), None, policy, router))  # type: ignore[arg-type]
        async with host:
            running = asyncio.create_task(host.run())
            yield holder[0]
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
        drop_links()
        await store.close()
