"""The console in a browser: nobody gets in without the token, and inside it is the same console on the same store."""

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator

import aiohttp
import chromium
import pytest
from seed import seed

from executor_tui.cli.browser import BrowserDoor
from executor_tui.config.places import Places
from executor_tui.domain.clock import SystemClock
from executor_tui.store.store import Store, default_url


@pytest.fixture
async def door(places: Places) -> AsyncIterator[BrowserDoor]:
    found = BrowserDoor(places, port=0)
    found.address = await found.start()
    yield found
    await found.stop()


@pytest.fixture
async def store(places: Places) -> AsyncIterator[Store]:
    """A lively fleet, with a node that leads, so that no console starts one, and nothing that asks by itself."""
    found = await Store.open(default_url(places.state_dir), SystemClock())
    await seed(found)
    for approval in await found.approvals.pending():
        await found.approvals.cancel(approval.id, "not needed here")
    yield found
    await found.close()


async def status(url: str, **options: object) -> int:
    async with aiohttp.ClientSession() as http, http.get(url, **options) as reply:
        return reply.status


@pytest.mark.parametrize("path", ["/", "/ws", "/page.js", "/static/js/textual.js", "/download/x", "/nowhere"])
@pytest.mark.parametrize("given", ["", "?token=", "?token=wrong"])
async def test_nothing_is_served_without_the_token(door: BrowserDoor, path: str, given: str) -> None:
    assert await status(f"http://127.0.0.1:{door.port}{path}{given}") == 401


async def test_the_address_opens_the_page_and_leaves_a_cookie_that_scripts_cannot_read(door: BrowserDoor) -> None:
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as http:
        async with http.get(door.address) as reply:
            assert reply.status == 200
            assert "HttpOnly" in reply.headers["Set-Cookie"] and "SameSite=Strict" in reply.headers["Set-Cookie"]
            assert reply.headers["Referrer-Policy"] == "no-referrer"
            assert "googleapis" not in await reply.text()
        async with http.get(f"http://127.0.0.1:{door.port}/static/js/textual.js") as reply:
            assert reply.status == 200


async def test_a_page_of_another_port_cannot_borrow_the_cookie(door: BrowserDoor) -> None:
    cookies = {f"executor-{door.port}": door.token}
    url = f"ws://127.0.0.1:{door.port}/ws"
    async with aiohttp.ClientSession(cookies=cookies) as http:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await http.ws_connect(url, headers={"Origin": "http://127.0.0.1:3000"})
    assert refused.value.status == 403


async def test_it_listens_on_loopback_only(door: BrowserDoor) -> None:
    assert door.address.startswith("http://127.0.0.1:")


@contextlib.asynccontextmanager
async def serving(places: Places, *options: str) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """`executor serve`, as a process, and the address it printed."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "executor_tui.cli.main", "serve", "--port", "0", "--json", *options, "--config", str(places.config_dir),
        "--state", str(places.state_dir), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        yield process, json.loads(await process.stdout.readline())["serve"]["url"]
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGINT)
        await asyncio.wait_for(process.wait(), 30)


async def attached(store: Store, count: int) -> None:
    """Wait until so many operators are attached."""
    async with asyncio.timeout(60), contextlib.aclosing(store.feed()) as feed:
        async for _ in feed:
            if len(await store.operators.present()) == count:
                return


@pytest.mark.skipif(chromium.PROGRAM is None, reason="no Chromium here: install the package chromium")
async def test_a_browser_shows_the_console_takes_keys_and_leaves_nothing_behind(places: Places, store: Store) -> None:
    async with serving(places) as (process, url):
        async with chromium.a_tab() as tab:
            await tab.open(url)
            await tab.see("coder-001")
            assert "token" not in await tab.value("location.href")
            assert await tab.value("document.cookie") == ""
            await attached(store, 1)
            consoles = children(process.pid)
            assert (await store.operators.present())[0].origin == "browser"
            await tab.press("2")
            await tab.see("Quota pool")
            outside = [asked for asked in tab.requested if not asked.startswith((url.partition("?")[0], "data:"))]
            assert outside == []
        await attached(store, 0)
        for pid in consoles:
            await gone(pid)


async def test_consoles_end_with_the_door(places: Places, store: Store) -> None:
    async with serving(places, "--view-only") as (process, url), aiohttp.ClientSession() as http:
        socket = await http.ws_connect(url.replace("http:", "ws:").replace("/?", "/ws?"), max_msg_size=0)
        await attached(store, 1)
        assert (await store.operators.present())[0].view_only
        consoles = children(process.pid)
        process.terminate()
        await asyncio.wait_for(process.wait(), 30)
        await attached(store, 0)
        for pid in consoles:
            await gone(pid)
        await socket.close()


def children(pid: int) -> list[int]:
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as handle:
        return [int(word) for word in handle.read().split()]


async def gone(pid: int) -> None:
    """Wait until a process has ended."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    ended = asyncio.Event()
    asyncio.get_running_loop().add_reader(handle, ended.set)
    try:
        await asyncio.wait_for(ended.wait(), 30)
    finally:
        asyncio.get_running_loop().remove_reader(handle)
        os.close(handle)
