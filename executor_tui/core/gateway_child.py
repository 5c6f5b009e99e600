"""The gateway as a child process: started, watched, started again when it dies, stopped with the node.

It lives in a process of its own because it alone holds decrypted keys, and because loading litellm would stall the node's loop.
"""

import asyncio
import contextlib
import json
import logging
import os
import sys
from collections.abc import Awaitable, Callable

from executor_tui.config.places import Places
from executor_tui.domain.clock import Clock
from executor_tui.domain.errors import ExecutorError

log = logging.getLogger(__name__)

START_S = 60.0
STOP_S = 8.0
BACKOFF_S = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)


class GatewayError(ExecutorError):
    """The gateway does not start; the message holds its last line."""


async def launch_held(places: Places) -> asyncio.subprocess.Process:
    """A gateway that loads itself and waits: it touches nothing before `GatewayChild` lets it go on, and ends when nobody does."""
    words = ["--config", str(places.config_dir), "--state", str(places.state_dir), "--child", "--held"]
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "executor_tui.gateway", *words,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONUNBUFFERED": "1"}, cwd=places.state_dir,
    )  # fmt: skip


async def end(process: asyncio.subprocess.Process) -> None:
    """Take a held gateway down that nobody let go on; one that has ended already is left alone."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


class GatewayChild:
    """Runs `python -m executor_tui.gateway`. `on_url` is told each address it comes up at ("" when it went down).

    `held` is its first life, when that has been started already (`launch_held`).
    """

    def __init__(
        self, places: Places, clock: Clock, on_url: Callable[[str], Awaitable[None]], held: asyncio.subprocess.Process | None = None
    ) -> None:
        self._places, self._clock, self._on_url = places, clock, on_url
        self._held, self._process = held, held
        self.url = ""
        self.up = asyncio.Event()
        self.launched = asyncio.Event()
        """Set once there is a process, or there could be none."""

    async def run(self) -> None:
        """Keep one gateway alive until cancelled; then stop it and wait for it."""
        failures = 0
        try:
            while True:
                started = self._clock.monotonic_s()
                line = await self._run_once()
                failures = 0 if self._clock.monotonic_s() - started > 60 else failures + 1
                wait_s = BACKOFF_S[min(failures, len(BACKOFF_S) - 1)]
                log.error("the gateway stopped (%s); starting it again in %g s", line or "no last word", wait_s)
                await self._clock.sleep(wait_s)
        finally:
            await self._stop()

    async def _run_once(self) -> str:
        """One life of the gateway; returns its last line on stderr."""
        try:
            held, self._held = self._held, None
            self._process = held or await launch_held(self._places)
            assert self._process.stdin is not None
            self._process.stdin.write(b"go on\n")
        finally:
            self.launched.set()
        process, last = self._process, [""]
        errors = asyncio.create_task(_drain(process.stderr, last), name="gateway-stderr")
        try:
            await self._read_url(process)
            await process.wait()
        finally:
            await asyncio.gather(errors, return_exceptions=True) if process.returncode is not None else errors.cancel()
            self.url = ""
            self.up.clear()
        await self._on_url("")
        return last[0]

    async def _read_url(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        try:
            async with asyncio.timeout(START_S):
                line = await process.stdout.readline()
        except TimeoutError:
            process.kill()
            log.error("the gateway said nothing within %g s and was stopped", START_S)
            return
        try:
            self.url = str(json.loads(line)["gateway"]["url"])
        except (ValueError, KeyError, TypeError):
            return
        await self._on_url(self.url)  # first: whoever waits for `up` looks for the address where this puts it
        self.up.set()

    async def _stop(self) -> None:
        process = self._process
        if process is None or process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            async with asyncio.timeout(STOP_S):
                await process.wait()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
        await self._on_url("")


async def _drain(stream: asyncio.StreamReader | None, last: list[str]) -> None:
    assert stream is not None
    while line := await stream.readline():
        text = line.decode(errors="replace").rstrip()
        if text:
            last[0] = text[:300]
            log.info("gateway: %s", text[:1000])
