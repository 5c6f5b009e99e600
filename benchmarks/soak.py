"""Twenty thousand calls through one gateway: whether its memory is flat, and whether every call is accounted for exactly once.

Plain and streamed in turn, fifty at once. Told are resident memory after each tenth and the growth of the last half, as a share.
"""

import argparse
import asyncio
import contextlib
import json
import tempfile
from pathlib import Path

from support import executor_side, load
from support.process import memory_mb, started

from executor_tui.domain.clock import SystemClock
from executor_tui.store.store import Store, default_url

BODY = {"model": "bench", "messages": [{"role": "user", "content": "Say twenty words. " * 20}], "max_tokens": 100}
AT_ONCE, PARTS = 50, 10


async def soak(calls: int) -> None:
    async with contextlib.AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        _, port = await stack.enter_async_context(started("-m", "support.upstream"))
        secret = await executor_side.prepare(folder, f"http://127.0.0.1:{port}/v1")
        words = ("-m", "executor_tui.gateway", "--config", f"{folder}/config", "--state", f"{folder}/state", "--port", "0", "--child")
        async with started(*words) as (pid, line):
            url = json.loads(line)["gateway"]["url"] + "/v1"
            raws = [load.request(url, json.dumps({**BODY, "stream": stream}).encode(), secret) for stream in (False, True)]
            found = [memory_mb(pid)[0]]
            for part in range(PARTS):
                await load.run(url, raws[part % 2], connections=AT_ONCE, calls=calls // PARTS)
                found.append(memory_mb(pid)[0])
            print("resident MB, from the start and after each tenth: " + " ".join(f"{mb:.0f}" for mb in found))
            half = found[PARTS // 2]
            print(f"growth over the last {calls // 2:,} calls: {(found[-1] - half) / half:+.1%}; peak {memory_mb(pid)[1]:.0f} MB")
        store = await Store.open(default_url(folder / "state"), SystemClock())
        spend = await store.calls.spend()
        await store.close()
        print(f"calls accounted for: {spend.calls:,} of {calls // PARTS * PARTS:,}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--calls", type=int, default=20_000)
    asyncio.run(soak(parser.parse_args().calls))


if __name__ == "__main__":
    main()
