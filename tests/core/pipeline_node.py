"""A node with nothing but its pipeline, for tests that kill it: python pipeline_node.py CONFIG STATE BASE_URL PROJECT.

It does what the orchestrator does with projects, waits until PROJECT and its workflow are over, and exits with 0.
"""

import asyncio
import sys
from pathlib import Path

from executor_tui.config.load import load
from executor_tui.config.places import Places
from executor_tui.core.durable import UNFINISHED
from executor_tui.core.pipeline.runtime import Pipeline
from executor_tui.domain.clock import SystemClock
from executor_tui.domain.project import ProjectStatus
from executor_tui.store.store import Store, default_url


async def main(config: str, state: str, base_url: str, project_id: str) -> None:
    places, clock = Places(Path(config), Path(state)), SystemClock()

    async def access(agent_id: str, for_project: str) -> tuple[str, str]:
        return base_url, "vk-canary-93fb2c71d5"

    store = await Store.open(default_url(places.state_dir), clock)
    pipeline = Pipeline(store, places, load(places.config_dir), clock, "node-crash", access)
    await pipeline.launch()
    try:
        await store.projects.move(project_id, (ProjectStatus.QUEUED,), ProjectStatus.RUNNING)
        await pipeline.start(await store.projects.get(project_id))
        async for _ in store.feed():
            if (await store.projects.get(project_id)).status.final:
                break
        while await pipeline._status(project_id) in UNFINISHED:  # an alert may come after the row
            await clock.sleep(0.05)
    finally:
        await pipeline.shutdown()
        await store.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
