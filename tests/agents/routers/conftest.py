"""A simulated office router, the network agent's device on it, and one line to carry a change out as `core.changes` would."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from executor_tui.agents.device import Json, Plan
from executor_tui.agents.links import Link
from executor_tui.agents.network import NetworkDevice
from executor_tui.domain.clock import ManualClock
from executor_tui.lab.routeros.simulator import RouterOsSimulator
from tests.infra.routeros.conftest import start, target_of  # noqa: F401 - a fixture

FILTER, NAT = "/ip/firewall/filter", "/ip/firewall/nat"


@dataclass
class Hands:
    """What `core.changes` gives a device; the vault is a dictionary."""

    change_id: str
    vault: dict[str, str] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)
    project_id: str = ""
    agent_id: str = ""

    def say(self, line: str) -> None:
        self.said.append(line)

    async def secret(self, ref: str) -> str:
        return self.vault[ref]

    async def secret_or_new(self, ref: str, make: Callable[[], str]) -> str:
        return self.vault.setdefault(ref, make())


@dataclass
class Office:
    """`plan` shows, `do` carries out; each call is a change of its own, numbered."""

    router: RouterOsSimulator
    device: NetworkDevice
    containers: dict[str, str]
    vault: dict[str, str] = field(default_factory=dict)
    changes: int = 0

    async def plan(self, *operations: Json, others: tuple[Json, ...] = ()) -> Plan:
        self.changes += 1
        change_id = f"chg-{self.changes}"
        resolved = await self.device.resolve(self.device.check(operations), others, Hands(change_id, self.vault))
        return await self.device.plan(resolved, change_id)

    async def do(self, *operations: Json) -> Plan:
        """Plan, apply under guard, and see that the same plan then finds nothing left to do."""
        plan = await self.plan(*operations)
        hands = Hands(f"chg-{self.changes}", self.vault)
        async with self.device.guarded(plan, hands) as guard:
            for call in plan.calls:
                await guard.call(call)
            seen = await self.device.plan(plan.operations, hands.change_id)
            assert seen.calls == (), [c.about for c in seen.calls]
            await guard.commit()
        return plan

    async def undo(self, plan: Plan) -> Plan:
        return await self.do(*plan.undo)

    def rows(self, menu: str) -> list[dict[str, str]]:
        return self.router.values(menu)

    def configuration(self) -> dict[str, list[dict[str, str]]]:
        return {path: self.router.values(path) for path in self.router.state.tables if path not in ("/file", "/log", "/user/active")}


Open = Callable[..., Awaitable[Office]]


@pytest.fixture
async def open_office(start: Any, clock: ManualClock) -> AsyncIterator[Open]:  # noqa: F811
    """Offices whose routers take any options of the simulator."""
    links: list[Link] = []

    async def opened(**options: object) -> Office:
        router = await start(**options)
        link = Link(target_of(router, name="network-001"), clock)
        links.append(link)
        containers: dict[str, str] = {}

        async def find_container(named: int | str) -> str:
            return containers[str(named)]

        return Office(router, NetworkDevice("network-001", link, clock, find_container), containers)

    yield opened
    for link in links:
        link.drop()


@pytest.fixture
async def office(open_office: Open) -> Office:
    return await open_office()
