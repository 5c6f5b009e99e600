"""Creating many containers as wide as the policy allows, beside one by one.

`python benchmarks/containers.py [--containers 20] [--parallel 4]`. Both go the whole way of a change (plan, consent by policy, guard,
calls, reading back, receipt) against a fakepve of its own that takes its time over every answer. Printed is the ratio; seconds depend on
the machine. Nothing outside loopback is touched.
"""

import argparse
import asyncio
import json
import tempfile
from dataclasses import dataclass
from pathlib import Path

from executor_tui.agents.device import Asked, Json
from executor_tui.agents.devices import open_device
from executor_tui.config.load import load
from executor_tui.config.places import Places
from executor_tui.core.changes.host import ChangeHost
from executor_tui.core.changes.requests import submit, wait_for
from executor_tui.domain.change import ChangeStatus
from executor_tui.domain.clock import SystemClock
from executor_tui.lab.hypervisor import Hypervisor
from executor_tui.store.store import Store, default_url

DEVICE = "proxmox-001"
ANSWER_S = 0.25
"""How long the hypervisor takes over each answer. Its tasks end at once; a real one unpacks a template meanwhile."""


@dataclass(frozen=True)
class Measured:
    """One run: how long the change took, and how late the loop ran meanwhile at worst, in seconds."""

    took_s: float
    lag_s: float


async def measure(folder: Path, containers: int, parallel: int) -> Measured:
    """Create `containers` in one change, at most `parallel` at once, on a hypervisor of its own."""
    pve = Hypervisor(folder / "proxmox", time_scale=1.0, latency=ANSWER_S)
    problem = await pve.start()
    if problem:
        raise SystemExit(problem)
    try:
        return await _create(folder, pve, containers, parallel)
    finally:
        await pve.stop()


async def _create(folder: Path, pve: Hypervisor, containers: int, parallel: int) -> Measured:
    places = Places(folder / "config", folder / "state")
    places.config_dir.mkdir(parents=True)
    places.state_dir.mkdir()
    device = {"kind": "proxmox", "host": pve.host, "port": pve.port, "user": "root@pam", "password": pve.password,
              "fingerprint": pve.fingerprint}  # fmt: skip
    registry = {"agents": [{"id": DEVICE, "name": "Proxmox Agent", "role": "proxmox", "device": device}]}
    settings = {"containers": {"parallel": parallel}, "approvals": {"auto_approve": ["read", "restorable"]}}
    (places.config_dir / "fleet_registry.json").write_text(json.dumps(registry))
    (places.config_dir / "executor.json").write_text(json.dumps(settings))
    config, clock = load(places.config_dir), SystemClock()
    store = await Store.open(default_url(places.state_dir), clock)
    operations: list[Json] = [
        {"op": "lxc.create", "hostname": f"box-{n}", "cores": 1, "memory_mb": 64, "swap_mb": 0, "disk_gb": 1} for n in range(containers)
    ]
    async with ChangeHost(store, places, lambda: config, "node-benchmark") as host:
        running = asyncio.create_task(host.run())
        machine = await open_device(DEVICE, store, config, places)
        lag = asyncio.create_task(_lag())
        began_s = clock.monotonic_s()
        change = await submit(store, machine, Asked(DEVICE, tuple(operations), requested_by="benchmark"))
        ended = await wait_for(store, change.id)
        took_s = clock.monotonic_s() - began_s
        lag.cancel()
        running.cancel()
        worst_s = (await asyncio.gather(lag, running, return_exceptions=True))[0]
    await store.close()
    if ended.status is not ChangeStatus.DONE:
        raise SystemExit(f"the change ended as {ended.status}: {ended.detail}")
    return Measured(took_s, worst_s if isinstance(worst_s, float) else 0.0)


async def _lag(step_s: float = 0.02) -> float:
    """How late a short sleep woke at worst: what a console in this loop would have felt."""
    loop, worst_s = asyncio.get_running_loop(), 0.0
    try:
        while True:
            began_s = loop.time()
            await asyncio.sleep(step_s)
            worst_s = max(worst_s, loop.time() - began_s - step_s)
    except asyncio.CancelledError:
        return worst_s


async def _run(containers: int, parallel: int) -> None:
    with tempfile.TemporaryDirectory(prefix="executor-benchmark-") as name:
        narrow = await measure(Path(name) / "narrow", containers, 1)
        wide = await measure(Path(name) / "wide", containers, parallel)
    print(f"{containers} containers: {parallel} at once {wide.took_s:.1f} s, one by one {narrow.took_s:.1f} s")
    print(f"ratio {narrow.took_s / wide.took_s:.1f} (at most {parallel}); the loop was late by {wide.lag_s * 1000:.0f} ms at worst")


def main() -> None:
    """Measure both and print the ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--containers", type=int, default=20)
    parser.add_argument("--parallel", type=int, default=4)
    given = parser.parse_args()
    asyncio.run(_run(given.containers, given.parallel))


if __name__ == "__main__":
    main()
