"""`python -m executor_tui.gateway`: the gateway as a process of its own.

Prints one JSON line, `{"gateway": {"url": …, "pid": …}}`, once it listens. With `--child` it ends when its standard input closes, so it
never outlives the node that started it, however that one died. With `--held` too, it loads what it is made of and touches nothing until a
line comes on its standard input: a node starts it so before it has loaded itself. SIGTERM and SIGINT end it in order: no new requests,
calls settled.
"""

import argparse
import asyncio
import gc
import json
import logging
import os
import resource
import signal
import sys
from collections.abc import Callable

from executor_tui.config.places import Places, find_places
from executor_tui.domain.errors import ExecutorError
from executor_tui.logs import log_to_file

LOG_FILE = "gateway.log"
YOUNG_OBJECTS = 10_000
"""New objects after which the collector looks for cycles among them; Python's own 700 is a fraction of one request's."""


async def run(
    places: Places, host: str | None, port: int | None, *, child: bool, held: bool = False, listening: Callable[[str], None] | None = None
) -> None:
    """Serve until told to stop; `listening` is told the URL. Raises ExecutorError when it cannot start."""
    from executor_tui.gateway.serve import Gateway

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    parent = await _stdin() if child else None
    if parent is not None and held and not await parent.readline():
        return
    watcher = asyncio.create_task(_until_it_ends(parent, stop), name="parent") if parent is not None else None
    gateway = Gateway(places, host=host, port=port, child=child)
    try:
        url = await gateway.start()
        settle_memory()
        (listening or _print_url)(url)
        logging.getLogger(__name__).info("the gateway listens at %s", url)
        await stop.wait()
    finally:
        await gateway.stop()
        if watcher is not None:
            watcher.cancel()


def _print_url(url: str) -> None:
    sys.stdout.write(json.dumps({"gateway": {"url": url, "pid": os.getpid()}}) + "\n")
    sys.stdout.flush()


async def _stdin() -> asyncio.StreamReader:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    return reader


async def _until_it_ends(parent: asyncio.StreamReader, stop: asyncio.Event) -> None:
    """The other end of our standard input is held by the parent alone: when it is gone, so are we."""
    while await parent.read(4096):
        pass
    stop.set()


def settle_memory() -> None:
    """What is loaded by now stays: the collector need not look through it again at every turn, only through what requests leave behind."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS, 20, 20)


def raise_open_files() -> None:
    """500 streams are 1,000 sockets: take as many open files as the system allows us without asking anybody."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 65_536 if hard == resource.RLIM_INFINITY else min(hard, 65_536)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m executor_tui.gateway", description="Executor's gateway.")
    parser.add_argument("--config", metavar="DIR")
    parser.add_argument("--state", metavar="DIR")
    parser.add_argument("--host")
    parser.add_argument("--port", type=int)
    parser.add_argument("--child", action="store_true", help="end when standard input closes")
    parser.add_argument("--held", action="store_true", help="with --child: touch nothing until a line comes on standard input")
    given = parser.parse_args()
    places = find_places(given.config, given.state)
    log_to_file(places.state_dir / LOG_FILE)
    raise_open_files()
    try:
        asyncio.run(run(places, given.host, given.port, child=given.child, held=given.held))
    except ExecutorError as exc:
        logging.getLogger(__name__).error("%s", exc.message)
        sys.stderr.write(f"executor: {exc.message}" + (f" ({exc.hint})" if exc.hint else "") + "\n")
        return exc.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
