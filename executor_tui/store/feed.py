"""The change feed: one async iterator that says which topics changed since it last spoke.

SQLite has no notification between processes; `PRAGMA data_version` on a connection of its own changes when any other connection committed
(sqlite.org/pragma.html#pragma_data_version) and costs microseconds to ask. Postgres pushes with LISTEN/NOTIFY. However many follow the feed
of one database in a process, one `Pulse` listens for all of them: a node at rest costs next to nothing.
"""

import asyncio
import sqlite3
from collections.abc import AsyncGenerator, Callable
from contextlib import closing
from typing import Any

from executor_tui.domain.clock import Clock
from executor_tui.domain.errors import StoreError
from executor_tui.store.database import Database

POLL_S = 0.05
REVISIONS = "SELECT topic, rev FROM revisions"
Revisions = dict[str, int]


async def follow(pulse: "Pulse") -> AsyncGenerator[frozenset[str]]:
    """Yields the set of changed topics, first of all every topic there is. A consumer that leaves early closes it (`aclosing`)."""
    pulse.enter()
    try:
        seen = await pulse.other_than(None)
        yield frozenset(seen)
        while True:
            now = await pulse.other_than(seen)
            changed = frozenset(topic for topic, rev in now.items() if seen.get(topic) != rev)
            seen = now
            if changed:
                yield changed
    finally:
        await pulse.leave()


class Pulse:
    """Knows the topics' revisions as of the last commit. It runs for as long as anybody follows."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db, self._clock = db, clock
        self._revisions: Revisions | None = None
        self._followers = 0
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def enter(self) -> None:
        """One more follows."""
        self._followers += 1
        if self._task is None or self._task.done():
            self._revisions = None
            listening = _poll(self._db, self._clock, self._learn) if self._db.is_sqlite else _listen(self._db, self._learn)
            self._task = asyncio.create_task(listening, name="store-pulse")
            self._task.add_done_callback(lambda _: self._wake())

    async def leave(self) -> None:
        """One fewer follows; the last one stops it."""
        self._followers -= 1
        if self._followers == 0:
            await self.close()

    async def close(self) -> None:
        """Stop listening, whoever still follows."""
        if self._task is not None:
            task, self._task = self._task, None
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def other_than(self, seen: Revisions | None) -> Revisions:
        """The revisions, as soon as they are others than `seen`. Raises StoreError when the database can no longer be listened to."""
        while self._revisions is None or self._revisions is seen:
            if self._task is None or self._task.done():
                raise self._ended()
            await self._changed.wait()
        return self._revisions

    def _ended(self) -> StoreError:
        error = self._task.exception() if self._task is not None and not self._task.cancelled() else None
        return error if isinstance(error, StoreError) else StoreError("the store was closed while its changes were followed")

    def _learn(self, revisions: Revisions) -> None:
        self._revisions = revisions
        self._wake()

    def _wake(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()


async def _poll(db: Database, clock: Clock, learn: Callable[[Revisions], None]) -> None:
    try:
        with closing(sqlite3.connect(str(db.path), timeout=0, isolation_level=None)) as conn:
            seen: int | None = None
            while True:
                version = _unless_locked(conn, "PRAGMA data_version")
                if version and version[0][0] != seen and (rows := _unless_locked(conn, REVISIONS)) is not None:
                    seen = version[0][0]
                    learn(dict(rows))
                await clock.sleep(POLL_S)
    except sqlite3.Error as exc:
        raise StoreError(f"changes of {db.path} can no longer be followed: {exc}") from exc


def _unless_locked(conn: sqlite3.Connection, query: str) -> list[tuple[Any, ...]] | None:
    """The rows; None while another program holds the database locked."""
    try:
        return conn.execute(query).fetchall()
    except sqlite3.OperationalError as exc:
        if exc.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return None
        raise


async def _listen(db: Database, learn: Callable[[Revisions], None]) -> None:
    import psycopg  # only where there is a Postgres

    try:
        async with await psycopg.AsyncConnection.connect(db.url.replace("+psycopg", ""), autocommit=True) as conn:
            await conn.execute("LISTEN executor")
            learn(await db.revisions())
            async for _ in conn.notifies():
                learn(await db.revisions())
    except psycopg.Error as exc:
        raise StoreError(f"changes can no longer be followed: {exc}", hint="is the Postgres server up?") from exc
    raise StoreError("changes can no longer be followed: the Postgres server closed the connection")
