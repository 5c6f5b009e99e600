"""A headless Chromium driven over its DevTools protocol: what a person sees and types in a browser tab, without another library."""

import asyncio
import base64
import itertools
import json
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

PROGRAM = next((found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None)
WAIT_S = 60.0


class Tab:
    """One tab. `received` is every byte its WebSockets were sent, as text; `sockets` what became of each."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._news = asyncio.Event()
        self._reader = asyncio.create_task(self._read())
        self.received = ""
        self.requested: list[str] = []

    async def _read(self) -> None:
        async for message in self._socket:
            data = json.loads(message.data)
            if "id" in data:
                self._answers.pop(data["id"]).set_result(data)
            elif data["method"] == "Network.webSocketFrameReceived":
                frame = data["params"]["response"]
                text = frame["payloadData"]
                self.received += base64.b64decode(text).decode(errors="replace") if frame["opcode"] == 2 else text
            elif data["method"] == "Network.requestWillBeSent":
                self.requested.append(data["params"]["request"]["url"])
            self._news.set()

    async def send(self, method: str, **params: Any) -> dict[str, Any]:
        number = next(self._numbers)
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        await self._socket.send_json({"id": number, "method": method, "params": params})
        done = await asyncio.wait_for(answer, WAIT_S)
        assert "error" not in done, done
        return dict(done["result"])

    async def open(self, url: str) -> None:
        for domain in ("Page", "Network", "Runtime"):
            await self.send(f"{domain}.enable")
        await self.send("Page.navigate", url=url)

    async def until(self, true: Callable[[], bool], what: str) -> None:
        """Wait until something holds of what was received."""
        try:
            async with asyncio.timeout(WAIT_S):
                while not true():
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            raise AssertionError(f"never seen: {what}; received at last: {self.received[-800:]!r}") from None

    async def see(self, text: str) -> None:
        await self.until(lambda: text in self.received, text)

    async def press(self, key: str) -> None:
        """One printable key, as a keyboard sends it."""
        for kind in ("keyDown", "keyUp"):
            text = {"text": key} if kind == "keyDown" else {}
            await self.send("Input.dispatchKeyEvent", type=kind, key=key, windowsVirtualKeyCode=ord(key.upper()), **text)

    async def value(self, script: str) -> Any:
        return (await self.send("Runtime.evaluate", expression=script, returnByValue=True))["result"].get("value")

    async def close(self) -> None:
        self._reader.cancel()
        await asyncio.gather(self._reader, return_exceptions=True)
        await self._socket.close()


@asynccontextmanager
async def a_tab() -> AsyncIterator[Tab]:
    """A browser with one tab, gone again afterwards."""
    assert PROGRAM is not None
    profile = Path(tempfile.mkdtemp(prefix="chromium-"))
    options = (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--no-first-run",
        "--disable-background-networking",
        "--remote-debugging-port=0",
    )
    browser = await asyncio.create_subprocess_exec(
        PROGRAM, *options, f"--user-data-dir={profile}", "about:blank", stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        assert browser.stderr is not None
        async with asyncio.timeout(WAIT_S):
            while b"DevTools listening on" not in (line := await browser.stderr.readline()):
                assert line, "Chromium ended before it listened"
        drain = asyncio.create_task(browser.stderr.read())
        address = line.decode().split()[-1].split("/")[2]
        async with aiohttp.ClientSession() as http:
            async with http.get(f"http://{address}/json/list") as reply:
                pages = [page for page in await reply.json() if page["type"] == "page"]
            tab = Tab(await http.ws_connect(pages[0]["webSocketDebuggerUrl"], max_msg_size=0))
            try:
                yield tab
            finally:
                await tab.close()
        browser.terminate()
        await drain
    finally:
        if browser.returncode is None:
            browser.kill()
        await browser.wait()
        shutil.rmtree(profile, ignore_errors=True)
