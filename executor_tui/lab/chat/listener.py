"""What every simulated chat service is: an HTTP server on loopback that keeps its port over a stop, and tells who waits when it changed."""

import asyncio
from collections.abc import Callable
from typing import Self

from aiohttp import web


class Listener:
    """Use `async with`. Subclasses say what they serve."""

    def __init__(self) -> None:
        self.changed = asyncio.Condition()
        self._runner: web.AppRunner | None = None
        self._port = 0

    def routes(self, app: web.Application) -> None:
        """Add what is served."""
        raise NotImplementedError

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listen; on the same port as before after a stop."""
        app = web.Application(client_max_size=1 << 20)
        self.routes(app)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port, reuse_address=True)
        await site.start()
        assert site._server is not None
        self._port = site._server.sockets[0].getsockname()[1]  # type: ignore[attr-defined]

    async def stop(self) -> None:
        """Stop listening; connections are dropped."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    async def wait_for(self, found: Callable[[Self], bool], timeout_s: float = 20.0) -> None:
        """Until something that was sent here makes `found` true."""
        async with asyncio.timeout(timeout_s), self.changed:
            await self.changed.wait_for(lambda: found(self))
