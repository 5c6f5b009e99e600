"""The gateway beside a bare aiohttp pass-through and litellm's proxy, each one process in front of the same upstream.

Latency is what a side adds to asking the upstream directly, at one connection. CPU per call is the side's own process alone and depends
least on what else the machine does. Executor runs with everything on: virtual key, budgets, limits, a durable row for every call.

litellm's proxy runs from an environment of its own: `LITELLM_PROXY=/path/to/bin/litellm`. Without it that side is left out and said so.
"""

import argparse
import asyncio
import contextlib
import json
import os
import socket
import statistics
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import aiohttp
from support import executor_side, load
from support.process import cpu_s, memory_mb, started

CONNECTIONS = (1, 10, 50)
ROUNDS = 6
BODY = {"model": "bench", "messages": [{"role": "user", "content": "Say twenty words. " * 20}], "max_tokens": 100}


@dataclass(slots=True)
class Side:
    """Something that answers Chat Completions."""

    name: str
    url: str
    pid: int
    secret: str = ""


class Tally:
    """One row: what a side took, added up over the rounds."""

    def __init__(self) -> None:
        self.times_s: list[float] = []
        self.by_connections: dict[int, tuple[int, float]] = {}
        self.cpu_s, self.asked = 0.0, 0

    def add(self, connections: int, found: load.Load, cpu: float) -> None:
        calls, whole_s = self.by_connections.get(connections, (0, 0.0))
        self.by_connections[connections] = (calls + len(found.times_s), whole_s + found.whole_s)
        if connections == 1:
            self.times_s += found.times_s
        else:
            self.cpu_s, self.asked = self.cpu_s + cpu, self.asked + len(found.times_s)

    @property
    def p50_s(self) -> float:
        return statistics.median(self.times_s)

    @property
    def per_s(self) -> dict[int, float]:
        return {connections: calls / whole_s for connections, (calls, whole_s) in self.by_connections.items()}

    @property
    def cpu_ms(self) -> float:
        return self.cpu_s / max(1, self.asked) * 1e3


async def measure(sides: Sequence[Side], *, stream: bool, calls: int, connections: tuple[int, ...]) -> dict[str, Tally]:
    """Every side in turn, round after round, so that whatever else the machine does meets all of them alike."""
    tallies = {side.name: Tally() for side in sides}
    for turn in range(ROUNDS + 1):
        for side in sides:
            raw = load.request(side.url, json.dumps({**BODY, "stream": stream}).encode(), side.secret)
            share = max(20, calls // ROUNDS // (15 if side.name.startswith("litellm") else 1))
            for count in connections:
                before = cpu_s(side.pid)
                found = await load.run(side.url, raw, connections=count, calls=max(10, share // 3) if count == 1 else share)
                if turn:  # the first round warms up
                    tallies[side.name].add(count, found, cpu_s(side.pid) - before)
    return tallies


@contextlib.asynccontextmanager
async def executor(upstream: str) -> AsyncIterator[Side]:
    with tempfile.TemporaryDirectory() as folder:
        secret = await executor_side.prepare(Path(folder), upstream)
        words = ("-m", "executor_tui.gateway", "--config", f"{folder}/config", "--state", f"{folder}/state", "--port", "0", "--child")
        async with started(*words) as (pid, line):
            yield Side("Executor", json.loads(line)["gateway"]["url"] + "/v1", pid, secret)


@contextlib.asynccontextmanager
async def passthrough(upstream: str) -> AsyncIterator[Side]:
    async with started("-m", "support.passthrough", upstream.removesuffix("/v1")) as (pid, line):
        yield Side("bare aiohttp", f"http://127.0.0.1:{line}/v1", pid)


@contextlib.asynccontextmanager
async def litellm(program: str, upstream: str) -> AsyncIterator[Side]:
    with tempfile.TemporaryDirectory() as folder, socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        route = {
            "model": "openai/bench",
            "api_base": upstream,
            "api_key": "sk-bench",
            "input_cost_per_token": 1e-6,
            "output_cost_per_token": 2e-6,
        }
        settings = {"model_list": [{"model_name": "bench", "litellm_params": route}], "general_settings": {"master_key": "sk-bench"}}
        config = Path(folder) / "config.yaml"
        config.write_text(json.dumps(settings))  # JSON is YAML
        environment = {**os.environ, "LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_TELEMETRY": "False", "LITELLM_LOG": "ERROR"}
        words = (program, "--config", str(config), "--host", "127.0.0.1", "--port", str(port), "--num_workers", "1", "--telemetry", "False")
        with (Path(folder) / "log").open("wb") as log:
            process = await asyncio.create_subprocess_exec(*words, stdout=log, stderr=log, env=environment, cwd=folder)
        try:
            await _answers(f"http://127.0.0.1:{port}/health/liveliness", process)
            yield Side("litellm proxy", f"http://127.0.0.1:{port}/v1", process.pid, "sk-bench")
        finally:
            if process.returncode is None:
                process.terminate()
            await process.wait()


async def _answers(url: str, process: asyncio.subprocess.Process) -> None:
    async with asyncio.timeout(180), aiohttp.ClientSession() as http:
        while process.returncode is None:
            with contextlib.suppress(aiohttp.ClientError):
                async with http.get(url) as response:
                    if response.status == 200:
                        return
            await asyncio.sleep(0.5)
    raise RuntimeError("litellm's proxy ended before it answered")


async def compare(calls: int) -> None:
    """Run every side and print the tables."""
    program = os.environ.get("LITELLM_PROXY", "")
    async with contextlib.AsyncExitStack() as stack:
        pid, port = await stack.enter_async_context(started("-m", "support.upstream"))
        upstream = Side("upstream", f"http://127.0.0.1:{port}/v1", pid)
        sides = [await stack.enter_async_context(passthrough(upstream.url)), await stack.enter_async_context(executor(upstream.url))]
        if program:
            sides.append(await stack.enter_async_context(litellm(program, upstream.url)))
        else:
            print("litellm's proxy is left out: set LITELLM_PROXY to the litellm program of an environment with litellm[proxy]\n")
        at_rest = {side.name: memory_mb(side.pid)[0] for side in sides}
        for stream in (False, True):
            rows = await measure([upstream, *sides], stream=stream, calls=calls, connections=CONNECTIONS)
            _print("streaming" if stream else "plain", rows.pop("upstream").p50_s, rows)
        print(f"\n{'memory, MB':<16} {'at rest':>9} {'peak':>9}")
        for side in sides:
            print(f"{side.name:<16} {at_rest[side.name]:>9.0f} {memory_mb(side.pid)[1]:>9.0f}")


def _print(kind: str, direct_s: float, rows: dict[str, Tally]) -> None:
    """Every figure against the bare pass-through's."""
    bare, ours = rows["bare aiohttp"], rows["Executor"]
    counts = tuple(ours.per_s)
    print(f"\n{kind:<16} {'added p50':>10}" + "".join(f"{f'calls/s @{count}':>13}" for count in counts) + f" {'CPU a call':>11}")
    for name, row in rows.items():
        added = (row.p50_s - direct_s) / (bare.p50_s - direct_s)
        per = "".join(f"{row.per_s[count] / bare.per_s[count]:>13.0%}" for count in counts)
        print(f"{name:<16} {added:>8.1f} ×{per} {row.cpu_ms / bare.cpu_ms:>9.1f} ×")
    if (theirs := rows.get("litellm proxy")) is not None:
        added = (theirs.p50_s - direct_s) / (ours.p50_s - direct_s)
        more, cpu = theirs.cpu_ms / ours.cpu_ms, ours.per_s[counts[-1]] / theirs.per_s[counts[-1]]
        print(f"litellm adds {added:.1f} × Executor's latency and uses {more:.1f} × its CPU; Executor serves {cpu:.1f} × its calls")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--calls", type=int, default=1_500, help="calls per figure (a fifteenth for litellm)")
    given = parser.parse_args()
    asyncio.run(compare(given.calls))


if __name__ == "__main__":
    sys.exit(main())
