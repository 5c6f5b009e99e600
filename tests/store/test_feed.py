"""The change feed hears of every writer, also one in another process, on both databases."""

import asyncio
import subprocess
import sys

from executor_tui.domain.clock import SystemClock
from executor_tui.domain.project import Project
from executor_tui.store.store import Store

_WRITER = """
import asyncio, sys
from executor_tui.domain.clock import SystemClock
from executor_tui.store.store import Store
async def main():
    store = await Store.open(sys.argv[1], SystemClock())
    await store.notes.put("hello", 1)
    await store.close()
asyncio.run(main())
"""


async def test_the_first_word_is_everything_and_then_what_changed(store_url: str) -> None:
    store = await Store.open(store_url, SystemClock())
    await store.notes.put("a", 1)
    feed = store.feed()
    assert "notes" in await anext(feed)
    waiting = asyncio.ensure_future(anext(feed))
    await store.projects.create(Project("prj-1", "goal"))
    async with asyncio.timeout(10):
        assert await waiting == {"project", "events"}
    await feed.aclose()
    await store.close()


async def test_a_write_by_another_process_is_heard(store_url: str) -> None:
    store = await Store.open(store_url, SystemClock())
    feed = store.feed()
    await anext(feed)
    waiting = asyncio.ensure_future(anext(feed))
    await asyncio.to_thread(subprocess.run, [sys.executable, "-c", _WRITER, store_url], check=True)
    async with asyncio.timeout(20):
        assert await waiting == {"notes"}
    await feed.aclose()
    await store.close()
