"""The lab: a whole world on loopback, and the configuration of an Executor that lives in it.

What answers is a script that knows a few goals (see `lab.script`); everything else is the real program.
"""

import asyncio
import json
import secrets
from contextlib import AsyncExitStack
from typing import Any

from executor_tui.config.places import Places, shipped, write_atomically
from executor_tui.domain.clock import Clock, SystemClock
from executor_tui.lab.hypervisor import Hypervisor
from executor_tui.lab.routeros.simulator import RouterOsSimulator
from executor_tui.lab.script.model import GOALS, ScriptedModel
from executor_tui.lab.upstreams.faults import Fault
from executor_tui.lab.upstreams.provider import Pace
from executor_tui.lab.upstreams.settings import as_json, keys_document, models_document
from executor_tui.lab.upstreams.upstreams import Upstreams

__all__ = ["GOALS", "World"]

LIVE_PACE = Pace(latency_s=0.6, between_s=0.02, jitter_s=0.3)
"""Slow enough to watch."""
LIVE_ANSWERS_S = 0.1
"""How long the hypervisor takes over each answer, while somebody watches."""
FAST_PACE = Pace(latency_s=0.02, between_s=0.0, jitter_s=0.0)


class World:
    """`start` writes the configuration into `places.config_dir` and listens; `stop` closes everything. An async context manager."""

    def __init__(self, places: Places, *, live: bool, clock: Clock | None = None) -> None:
        self._places, self._clock = places, clock or SystemClock()
        self.upstreams = Upstreams(self._clock, ScriptedModel(), pace=LIVE_PACE if live else FAST_PACE)
        self.router_password = secrets.token_urlsafe(12)
        self.router = RouterOsSimulator(clock=self._clock, users={"executor": self.router_password}, tls=True)
        self.hypervisor = Hypervisor(places.state_dir.parent / "proxmox", time_scale=float(live), latency=LIVE_ANSWERS_S)
        self.problems: tuple[str, ...] = ()
        """What this world lacks, a line each; there after `start`."""
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> "World":
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Bring the world up and write the five files an Executor in it needs."""
        self._stack.push_async_callback(self.hypervisor.stop)
        rising = asyncio.create_task(self.hypervisor.start(), name="hypervisor")
        urls = await self.upstreams.start()
        self._stack.push_async_callback(self.upstreams.stop)
        await self.router.start()
        self._stack.push_async_callback(self.router.stop)
        problem = await rising
        self.problems = (problem,) if problem else ()
        self._schedule_faults()
        self._write(urls)

    async def stop(self) -> None:
        await self._stack.aclose()

    def _schedule_faults(self) -> None:
        """What makes the demonstration worth watching: one limit met, and the critical model overloaded the second time it is asked."""
        self.upstreams.faults.add(Fault("rate_limited", provider="google", account="project-a", times=1, retry_after_s=20.0))
        self.upstreams.faults.add(Fault("overloaded", provider="anthropic", model="claude-sonnet-4-6", times=1))

    def _write(self, urls: dict[str, str]) -> None:
        folder = self._places.config_dir
        models = json.loads((shipped("config") / "models.example.json").read_text(encoding="utf-8"))
        write_atomically(folder / "models.json", as_json(models_document(models, urls)))
        write_atomically(folder / "hydra_keys.json", as_json(keys_document(self.upstreams)))
        write_atomically(folder / "fleet_registry.json", as_json(self._fleet()))
        settings = {
            "gateway": {"port": 0, "approval_wait_s": 300}, "node": {"ping_every_s": 5}, "projects": {"budget_usd": 5.0},
            # The lab's projects are plain: what else is installed beside pytest here is not loaded at each of their test runs.
            "sandbox": {"environment": {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}},
        }  # fmt: skip
        write_atomically(folder / "executor.json", as_json(settings))

    def _fleet(self) -> dict[str, Any]:
        fleet = json.loads((shipped("config") / "fleet_registry.example.json").read_text(encoding="utf-8"))
        device = {
            "kind": "routeros", "host": self.router.host, "port": self.router.port, "user": "executor", "password": self.router_password,
            "tls": True, "fingerprint": self.router.fingerprint,
        }  # fmt: skip
        network = {"id": "network-001", "name": "Network Agent", "type": "infrastructure", "role": "network", "device": device}
        return {"agents": [*fleet["agents"], network, *([] if self.problems else [self._proxmox()])]}

    def _proxmox(self) -> dict[str, Any]:
        pve = self.hypervisor
        device = {
            "kind": "proxmox", "host": pve.host, "port": pve.port, "user": "root@pam", "password": pve.password,
            "fingerprint": pve.fingerprint,
        }  # fmt: skip
        return {"id": "proxmox-001", "name": "Proxmox Agent", "type": "infrastructure", "role": "proxmox", "device": device}
