"""The console's door for browsers: textual-serve's terminal behind a token of ours.

textual-serve starts one console per connection and asks nobody who they are. Here every request, the WebSocket and the scripts included,
carries the token: in the address it was opened with, from then on in a cookie that no script can read. A WebSocket must also come from a
page of this very door, because a cookie knows no ports and another page on the same machine could borrow it.
"""

import secrets
import shlex
import sys
from collections.abc import Awaitable, Callable
from html import escape
from urllib.parse import urlsplit

from aiohttp import web
from textual_serve.server import Server

from executor_tui.config.places import Places
from executor_tui.domain.errors import UsageError

HOST = "127.0.0.1"
MOST_CONSOLES = 8
"""Consoles open at once; each is a process of its own."""
GRACE_S = 3.0
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self' data:; "
    "connect-src 'self' ws: wss:; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>{title}</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="static/css/xterm.css">
<script src="page.js"></script>
<script src="static/js/textual.js"></script>
<style>
  html, body {{ margin: 0; height: 100%; background: #101418; color: #d0d0d0; font-family: monospace; }}
  .textual-terminal {{ width: 100vw; height: 100vh; }}
  #ended {{ display: none; position: fixed; inset: 0; padding: 20vh 10vw; background: #101418; z-index: 9; }}
  body.-closed #ended {{ display: block; }}
</style>
</head>
<body>
<div id="terminal" class="textual-terminal" data-font-size="{font_size}"></div>
<div id="ended">This console has ended; the fleet goes on.<br><br>Reload the page to open it again.<span id="start"></span></div>
</body>
</html>
"""

SCRIPT = """// The token stays out of the history, and the terminal asks the door it came from, whatever port leads there.
history.replaceState(null, "", location.pathname);
document.addEventListener("DOMContentLoaded", () => {
  const scheme = location.protocol === "https:" ? "wss://" : "ws://";
  document.getElementById("terminal").dataset.sessionWebsocketUrl = scheme + location.host + location.pathname + "ws";
  const focus = () => {
    const keyboard = document.querySelector(".xterm-helper-textarea");
    keyboard ? keyboard.focus() : requestAnimationFrame(focus);
  };
  focus();
});
"""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class BrowserDoor(Server):
    """`start` listens and gives the address, token included; `stop` ends every console it opened."""

    def __init__(self, places: Places, *, port: int, view_only: bool = False, title: str = "Executor") -> None:
        command = [sys.executable, "-m", "executor_tui.cli.served", "--config", str(places.config_dir), "--state", str(places.state_dir)]
        super().__init__(shlex.join([*command, *(["--view-only"] if view_only else [])]), host=HOST, port=port, title=title)
        self.token = secrets.token_urlsafe(32)
        self._runner: web.AppRunner | None = None
        self._open = 0

    async def start(self) -> str:
        """Raises UsageError when the port cannot be had."""
        app = web.Application(middlewares=[self._guard])
        app.add_routes([
            web.get("/", self._page), web.get("/page.js", self._script), web.get("/ws", self._terminal),
            web.get("/download/{key}", self.handle_download), web.static("/static", self.statics_path),
        ])  # fmt: skip
        self._runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=GRACE_S)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self.host, self.port).start()
        except OSError as exc:
            await self._runner.cleanup()
            raise UsageError(
                f"cannot listen on {self.host}:{self.port}: {exc.strerror or exc}", hint="choose another with --port (0 takes any free one)"
            ) from exc
        self.port = self._runner.addresses[0][1]
        return f"http://{self.host}:{self.port}/?token={self.token}"

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    @property
    def _cookie(self) -> str:
        return f"executor-{self.port}"

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Nothing without the token."""
        given = request.query.get("token", "") or request.cookies.get(self._cookie, "")
        if not secrets.compare_digest(given.encode(), self.token.encode()):
            return web.Response(status=401, headers=HEADERS, text="executor: open the address that `executor serve` printed\n")
        if request.path == "/ws" and not _from_here(request):
            return web.Response(status=403, headers=HEADERS, text="executor: this page is not of this door\n")
        response = await handler(request)
        if not response.prepared:
            response.headers.update(HEADERS)
        return response

    async def _page(self, request: web.Request) -> web.Response:
        size = request.query.get("fontsize", "")
        text = PAGE.format(title=escape(self.title), font_size=size if size.isdigit() and len(size) < 3 else "16")
        response = web.Response(text=text, content_type="text/html")
        response.set_cookie(self._cookie, self.token, httponly=True, samesite="Strict", path="/")
        return response

    async def _script(self, request: web.Request) -> web.Response:
        return web.Response(text=SCRIPT, content_type="text/javascript")

    async def _terminal(self, request: web.Request) -> web.StreamResponse:
        """A console of its own for each connection."""
        if self._open >= MOST_CONSOLES:
            return web.Response(status=503, text=f"executor: {MOST_CONSOLES} consoles are open here already\n")
        self._open += 1
        try:
            socket: web.StreamResponse = await self.handle_websocket(request)
            return socket
        finally:
            self._open -= 1


def _from_here(request: web.Request) -> bool:
    """Browsers say which page opens a WebSocket; programs that are no browser say nothing, and have no cookies to borrow."""
    origin = request.headers.get("Origin")
    return origin is None or urlsplit(origin).netloc == request.host
