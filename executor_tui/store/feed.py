"""The change feed: one async iterator that says which topics changed since it last spoke.

SQLite has no notification between processes; `PRAGMA data_version` on a connection of its own changes when any other connection committed
(sqlite.org/pragma.html#pragma_data_version) and costs microseconds to ask. Postgres pushes with LISTEN/NOTIFY.
"""

import asyncio
from collections.abc import AsyncGenerator

import aiosqlite
from psycopg import AsyncConnection

from executor_tui.domain.clock import Clock
from executor_tui.store.database import Database

POLL_S = 0.05


async def follow(db: Database, clock: Clock, poll_s: float = POLL_S) -> AsyncGenerator[frozenset[str]]:
    """Yields the set of changed topics, first of all every topic there is. A consumer that leaves early closes it (`aclosing`)."""
    wait = _SqliteWait(db, clock, poll_s) if db.is_sqlite else _PostgresWait(db)
    await wait.open()
    try:
        seen: dict[str, int] = {}
        while True:
            now = await db.revisions()
            changed = frozenset(topic for topic, rev in now.items() if seen.get(topic) != rev)
            first, seen = not seen, now
            if changed or first:
                yield changed
            await wait.next()
    finally:
        await wait.close()


class _SqliteWait:
    def __init__(self, db: Database, clock: Clock, poll_s: float) -> None:
        self._db, self._clock, self._poll_s = db, clock, poll_s
        self._conn: aiosqlite.Connection | None = None
        self._version = -1

    async def open(self) -> None:
        self._conn = await aiosqlite.connect(str(self._db.path), isolation_level=None)
        self._version = await self._read()

    async def next(self) -> None:
        while (version := await self._read()) == self._version:
            await self._clock.sleep(self._poll_s)
        self._version = version

    async def _read(self) -> int:
        assert self._conn is not None
        async with self._conn.execute("PRAGMA data_version") as cursor:
            row = await cursor.fetchone()
        return int(row[0]) if row else 0

    async def close(self) -> None:
        if self._conn is not None:
            await self._conn.close()


class _PostgresWait:
    def __init__(self, db: Database) -> None:
        self._url = db.url.replace("+psycopg", "")
        self._conn: AsyncConnection | None = None
        self._pending = asyncio.Event()
        self._reader: asyncio.Task[None] | None = None

    async def open(self) -> None:
        self._conn = await AsyncConnection.connect(self._url, autocommit=True)
        await self._conn.execute("LISTEN executor")
        self._reader = asyncio.create_task(self._read(), name="store-listen")

    async def _read(self) -> None:
        assert self._conn is not None
        try:
            async for _ in self._conn.notifies():
                self._pending.set()
        finally:
            self._pending.set()

    async def next(self) -> None:
        if self._reader is not None and self._reader.done():
            self._reader.result()
        await self._pending.wait()
        self._pending.clear()

    async def close(self) -> None:
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.gather(self._reader, return_exceptions=True)
        if self._conn is not None:
            await self._conn.close()
