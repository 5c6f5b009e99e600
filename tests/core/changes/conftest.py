"""An installation with a fake Proxmox behind it and a host that works on its changes."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from executor_tui.agents.device import Asked, Json
from executor_tui.agents.devices import open_device
from executor_tui.config.general import ApprovalPolicy
from executor_tui.config.load import Config, load
from executor_tui.config.places import Places
from executor_tui.core.changes.host import ChangeHost
from executor_tui.core.changes.requests import submit, wait_for
from executor_tui.domain.approval import Approval, Decision
from executor_tui.domain.change import Change, ChangeStatus, Receipt
from executor_tui.domain.clock import SystemClock
from executor_tui.store.store import Store, default_url
from tests.core.changes.lives import lives, nursery  # noqa: F401 - fixtures
from tests.infra.proxmox.conftest import certificate_fingerprint, pve  # noqa: F401 - a fixture

DEVICE = "proxmox-001"
PASSWORD = "secret"
WAIT_S = 30


class CuttingProxy:
    """Passes bytes on to the fake. While `cut` says so, an answer on its way back is dropped together with its connection."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self.cut: Callable[[], bool] = lambda: False
        self.cuts = 0
        self.port = 0

    async def __aenter__(self) -> "CuttingProxy":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there, back = await asyncio.open_connection(*self._target)
        except OSError:
            writer.close()
            return
        await asyncio.gather(self._pump(reader, back, False), self._pump(there, writer, True), return_exceptions=True)

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, answers: bool) -> None:
        try:
            while data := await source.read(65536):
                if answers and self.cut():
                    self.cuts += 1
                    sink.transport.abort()
                    return
                sink.write(data)
                await sink.drain()
        except OSError:
            pass
        finally:
            sink.close()


@dataclass
class World:
    """What a test asks changes of. `policy` may be set at any time: it counts from the next decision on."""

    store: Store
    places: Places
    host: ChangeHost
    base: Config
    proxy: CuttingProxy
    policy: ApprovalPolicy = field(default_factory=ApprovalPolicy)

    def config(self) -> Config:
        return replace(self.base, executor=self.base.executor.model_copy(update={"approvals": self.policy}))

    async def ask(self, *operations: Json, device: str = DEVICE, **values: Any) -> Change:
        """Ask for a change; it is worked on in the background."""
        machine = await open_device(device, self.store, self.config(), self.places)
        return await submit(self.store, machine, Asked(device, operations, requested_by="tester", **values))

    async def ended(self, change: Change) -> Change:
        async with asyncio.timeout(WAIT_S):
            return await wait_for(self.store, change.id)

    async def done(self, *operations: Json, **values: Any) -> Change:
        """Ask, and wait for the end, which must be a good one."""
        change = await self.ended(await self.ask(*operations, **values))
        assert change.status is ChangeStatus.DONE, f"{change.status}: {change.detail}"
        return change

    async def approval(self, change: Change) -> Approval:
        """The approval a change waits for."""

        def waits(seen: Change) -> bool:
            return seen.status.final or bool(seen.approval_id)

        async with asyncio.timeout(WAIT_S):
            seen = await wait_for(self.store, change.id, until=waits)
        assert seen.approval_id, f"{seen.status}: {seen.detail}"
        return await self.store.approvals.get(seen.approval_id)

    async def decide(self, change: Change, approved: bool) -> Change:
        approval = await self.approval(change)
        await self.store.approvals.decide(approval.id, Decision(approved, "ada", "console"))
        return await self.ended(change)

    async def receipt(self, change: Change) -> Receipt:
        found = await self.store.receipts.of_change(change.id)
        assert found is not None
        return found


def write_registry(places: Places, host: str, port: int, cafile: str) -> None:
    device = {
        "kind": "proxmox", "host": host, "port": port, "user": "root@pam", "password": PASSWORD,
        "fingerprint": certificate_fingerprint(cafile),
    }  # fmt: skip
    entry = {"id": DEVICE, "name": "Proxmox Agent", "role": "proxmox", "device": device}
    (places.config_dir / "fleet_registry.json").write_text(json.dumps({"agents": [entry]}))


@pytest.fixture
async def world(places: Places, pve: Any, fakepve_cafile: str) -> AsyncIterator[World]:  # noqa: F811
    """Everything restorable is applied without asking; destructive changes are always asked about."""
    async with CuttingProxy(pve.host, pve.port) as proxy:
        write_registry(places, "127.0.0.1", proxy.port, fakepve_cafile)
        store = await Store.open(default_url(places.state_dir), SystemClock())
        holder: list[World] = []
        host = ChangeHost(store, places, lambda: holder[0].config(), "node-test")
        policy = ApprovalPolicy(auto_approve=("read", "restorable", "disruptive"))
        holder.append(World(store, places, host, load(places.config_dir), proxy, policy))
        async with host:
            running = asyncio.create_task(host.run())
            yield holder[0]
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
        await store.close()
