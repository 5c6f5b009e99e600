"""Gateways that die at a crash point, and the intake of secrets. Run as a program.

Reads lines `WHAT CONFIG STATE [CRASH_POINT]`, WHAT being `gateway`, `chat-secrets` or `device-secrets`, and forks a process for each, so
that the imports are paid once. Prints `pid N`, for a gateway `url URL` once it listens, and `exit CODE` at the end, negative for a signal.
"""

import asyncio
import os
import sys
from pathlib import Path

import executor_tui.gateway.serve  # noqa: F401 - paid once
from executor_tui.agents import credentials
from executor_tui.config.load import load
from executor_tui.config.places import Places
from executor_tui.domain.clock import SystemClock
from executor_tui.domain.crash import CRASH_ENV
from executor_tui.gateway.__main__ import run
from executor_tui.notify.start import take_in_secrets
from executor_tui.store.store import Store, default_url


async def work(what: str, places: Places) -> None:
    if what == "gateway":
        await run(places, None, 0, child=False, listening=lambda url: print("url", url, flush=True))
        return
    store = await Store.open(default_url(places.state_dir), SystemClock())
    config = load(places.config_dir)
    if what == "chat-secrets":
        await take_in_secrets(store, config, places)
    else:
        await credentials.take_in(store, config, places)
    await store.close()


def main() -> None:
    for line in sys.stdin:
        what, config_dir, state_dir, *point = line.split()
        pid = os.fork()
        if pid == 0:
            print("pid", os.getpid(), flush=True)
            if point:
                os.environ[CRASH_ENV] = point[0]
            asyncio.run(work(what, Places(Path(config_dir), Path(state_dir))))
            os._exit(0)
        print("exit", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)


if __name__ == "__main__":
    main()
