"""The lab's world and a node that lives in it, as one process behind the console. SIGTERM stops both, and so does being left alone."""

import argparse
import asyncio
import os
import signal

from executor_tui.config.places import find_places
from executor_tui.domain.event import Event, Level
from executor_tui.domain.project import Project
from executor_tui.headless import run_feed
from executor_tui.lab import errands
from executor_tui.lab.abandoned import until_abandoned
from executor_tui.lab.world import World
from executor_tui.logs import log_to_file
from executor_tui.node import Node


async def _run(config: str, state: str, goal: str) -> None:
    places = find_places(config, state)
    log_to_file(places.log_file)

    running: list[asyncio.Task[object]] = []

    async def leave_with_the_last(node: Node) -> None:
        await until_abandoned(node.store, node.clock)
        os.kill(os.getpid(), signal.SIGTERM)

    async def ask(node: Node) -> None:
        running.append(asyncio.create_task(leave_with_the_last(node), name="lab-abandoned"))
        for problem in world.problems:
            await node.store.events.add(Event("lab.incomplete", problem, Level.WARNING))
        if goal and not await node.store.projects.list():
            await node.store.projects.create(Project("prj-lab", goal, created_by="lab"))
            running.append(asyncio.create_task(errands.run(node), name="errands"))

    async with World(places, live=True) as world:
        try:
            await run_feed(places, as_json=False, started=ask)
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)


def main() -> None:
    """Run until told to stop."""
    parser = argparse.ArgumentParser(prog="executor_tui.lab")
    parser.add_argument("--config", required=True)
    parser.add_argument("--state", required=True)
    parser.add_argument("--goal", default="", help="a project to ask for, unless there is one already")
    given = parser.parse_args()
    asyncio.run(_run(given.config, given.state, given.goal))


if __name__ == "__main__":
    main()
