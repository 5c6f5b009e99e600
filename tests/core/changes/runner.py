"""A process that works on one change to its end, started by the crash tests and killed by a crash point on the way.

Arguments: configuration directory, state directory, the operations as JSON. Every approval is given at once.
"""

import asyncio
import contextlib
import json
import sys
from pathlib import Path

from executor_tui.agents.device import Asked
from executor_tui.agents.devices import open_device
from executor_tui.config.load import load
from executor_tui.config.places import Places
from executor_tui.core.changes.host import ChangeHost
from executor_tui.core.changes.requests import submit, wait_for
from executor_tui.domain.approval import Decision
from executor_tui.domain.clock import SystemClock
from executor_tui.domain.errors import ConflictError
from executor_tui.store.store import Store, default_url

CHANGE_ID = "chg-crashing"


async def approve_everything(store: Store) -> None:
    async with contextlib.aclosing(store.feed()) as feed:
        async for _ in feed:
            for approval in await store.approvals.pending():
                with contextlib.suppress(ConflictError):
                    await store.approvals.decide(approval.id, Decision(True, "ada", "console"))


async def main(config_dir: str, state_dir: str, operations: str) -> None:
    places = Places(Path(config_dir), Path(state_dir))
    config = load(places.config_dir)
    store = await Store.open(default_url(places.state_dir), SystemClock())
    device_id = config.fleet_registry.agents[0].id
    async with ChangeHost(store, places, lambda: config, "node-crashing") as host:
        tasks = [asyncio.create_task(host.run()), asyncio.create_task(approve_everything(store))]
        device = await open_device(device_id, store, config, places)
        await submit(store, device, Asked(device_id, tuple(json.loads(operations)), requested_by="tester"), CHANGE_ID)
        change = await wait_for(store, CHANGE_ID)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    print(json.dumps({"status": change.status, "detail": change.detail}))
    await store.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
