"""How long pinging many routers at once takes: the first time, when each is connected to, and after that.

`python benchmarks/pings.py [routers]`. The routers are simulated in this process with TLS, so both sides of every handshake are paid here;
what one round costs is told against the two seconds it may take and against one router's ping times their number.
"""

import asyncio
import json
import sys
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path

from executor_tui.agents.links import drop_links
from executor_tui.config.load import load
from executor_tui.config.places import Places
from executor_tui.core.fleet import ping_agents, sync_registry
from executor_tui.domain.agent import AgentState
from executor_tui.domain.clock import SystemClock
from executor_tui.lab.routeros.simulator import RouterOsSimulator
from executor_tui.store.store import Store, default_url

ALLOWED_S = 2.0


def write_registry(places: Places, routers: list[RouterOsSimulator]) -> None:
    agents = [
        {"id": f"network-{number:03}", "name": f"Network {number}", "role": "network", "device": {
            "kind": "routeros", "host": router.host, "port": router.port, "user": "executor", "password": "bench",
            "fingerprint": router.fingerprint,
        }}
        for number, router in enumerate(routers, 1)
    ]  # fmt: skip
    (places.config_dir / "fleet_registry.json").write_text(json.dumps({"agents": agents}))


async def main(count: int) -> None:
    folder = Path(tempfile.mkdtemp(prefix="pings-"))
    places = Places(folder / "config", folder / "state")
    places.config_dir.mkdir()
    places.state_dir.mkdir(mode=0o700)
    async with AsyncExitStack() as stack:
        routers = [await stack.enter_async_context(RouterOsSimulator(tls=True, users={"executor": "bench"})) for _ in range(count)]
        write_registry(places, routers)
        store = await Store.open(default_url(places.state_dir), SystemClock())
        config = load(places.config_dir)
        await sync_registry(store, config)
        agents = await store.agents.list()
        await ping_agents(store, agents[:1], config, places, deadline_s=60.0)
        config = load(places.config_dir)  # the passwords are in the vault now
        for name in ("first round, connecting", "second round", "third round"):
            wall_s, cpu_s = time.perf_counter(), time.process_time()
            answers = await ping_agents(store, await store.agents.list(), config, places, deadline_s=60.0)
            wall_s, cpu_s = time.perf_counter() - wall_s, time.process_time() - cpu_s
            well = sum(a.state is AgentState.ONLINE for a in answers)
            print(f"{name}: {well} of {count} online, {wall_s:.2f} s ({wall_s / ALLOWED_S:.0%} of what it may take), {cpu_s:.2f} s of CPU")
        started = time.perf_counter()
        await ping_agents(store, agents[:1], config, places, deadline_s=60.0)
        one_s = time.perf_counter() - started
        print(f"one router alone takes {one_s * 1000:.0f} ms; {count} at once take {wall_s / one_s:.0f} times that")
        drop_links()
        await store.close()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 200))
