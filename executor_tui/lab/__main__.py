"""The lab's world as a process of its own, for the console: says one JSON line when it is up, ends when its stdin closes."""

import argparse
import asyncio
import json
import signal
import sys

from executor_tui.config.places import find_places
from executor_tui.lab.world import World


async def _run(config: str, state: str) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # ctrl-c belongs to the console
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    async with World(find_places(config, state), live=True):
        sys.stdout.write(json.dumps({"lab": "up"}) + "\n")
        sys.stdout.flush()
        watcher = asyncio.create_task(asyncio.to_thread(sys.stdin.buffer.read))
        watcher.add_done_callback(lambda _: stop.set())
        await stop.wait()


def main() -> None:
    parser = argparse.ArgumentParser(prog="executor_tui.lab")
    parser.add_argument("--config", required=True)
    parser.add_argument("--state", required=True)
    given = parser.parse_args()
    asyncio.run(_run(given.config, given.state))


if __name__ == "__main__":
    main()
