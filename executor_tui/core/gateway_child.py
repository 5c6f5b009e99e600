"""The gateway as a child process: started, watched, started again when it dies, stopped with the node.

It lives in a process of its own because it alone holds decrypted keys, and because loading litellm would stall the node's loop.
"""

import asyncio
import contextlib
import json
import logging
import os
import sys
from collections.abc import Awaitable, Callable, Sequence

from executor_tui.config.places import Places
from executor_tui.domain.clock import Clock
from executor_tui.domain.errors import ExecutorError

log = logging.getLogger(__name__)

START_S = 60.0
STOP_S = 8.0
BACKOFF_S = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)


class GatewayError(ExecutorError):
    """The gateway does not start; the message holds its last line."""


class GatewayChild:
    """Runs `python -m executor_tui.gateway`. `on_url` is told each address it comes up at ("" when it went down)."""

    def __init__(
        self, places: Places, clock: Clock, on_url: Callable[[str], Awaitable[None]], *, port: int | None = None, extra: Sequence[str] = ()
    ) -> None:
        self._places, self._clock, self._on_url = places, clock, on_url
        self._port, self._extra = port, tuple(extra)
        self._process: asyncio.subprocess.Process | None = None
        self.url = ""
        self.up = asyncio.Event()

    def _command(self) -> list[str]:
        command = [sys.executable, "-m", "executor_tui.gateway", "--config", str(self._places.config_dir)]
        command += ["--state", str(self._places.state_dir), "--child"]
        if self._port is not None:
            command += ["--port", str(self._port)]
        return [*command, *self._extra]

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
        self._process = await asyncio.create_subprocess_exec(
            *self._command(),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
            cwd=self._places.state_dir,
        )
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
