"""`python -m executor_tui.lab.upstreams`: the simulated providers as a process of their own, for benchmarks and for trying clients by hand.

Prints one JSON line, `{"urls": {provider: base URL}, "keys": {provider: [key, …]}}`, and runs until its standard input closes.
"""

import argparse
import asyncio
import json
import sys

from executor_tui.domain.clock import SystemClock
from executor_tui.lab.upstreams.accounts import Quota
from executor_tui.lab.upstreams.provider import Pace
from executor_tui.lab.upstreams.upstreams import Upstreams


async def run(pace: Pace, unlimited: bool) -> None:
    """Serve until standard input ends."""
    upstreams = Upstreams(SystemClock(), pace=pace)
    if unlimited:
        for spec in upstreams.specs.values():
            for account in spec.accounts:
                account.quotas = {"*": Quota()}
    urls = await upstreams.start()
    print(json.dumps({"urls": urls, "keys": upstreams.keys}), flush=True)  # noqa: T201 - this line is the program's output
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while await reader.read(1024):
        pass
    await upstreams.stop()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m executor_tui.lab.upstreams", description=__doc__)
    parser.add_argument("--latency", type=float, default=0.0, help="seconds before the first byte")
    parser.add_argument("--between", type=float, default=0.0, help="seconds between pieces of a stream")
    parser.add_argument("--jitter", type=float, default=0.0, help="seconds by which the latter vary")
    parser.add_argument("--unlimited", action="store_true", help="no quotas")
    given = parser.parse_args()
    asyncio.run(run(Pace(given.latency, given.between, given.jitter), given.unlimited))


if __name__ == "__main__":
    main()
