"""The change feed: one async iterator that says which topics changed since it last spoke.

SQLite has no notification between processes; `PRAGMA data_version` on a connection of its own changes when any other connection committed
(sqlite.org/pragma.html#pragma_data_version) and costs microseconds to ask. Postgres pushes with LISTEN/NOTIFY. However many follow the feed
of one database in a process, one `Pulse` listens for all of them: a node at rest costs next to nothing.
"""

import asyncio
import sqlite3
from collections.abc import AsyncGenerator, Callable
from contextlib import closing

import psycopg

from executor_tui.domain.clock import Clock
from executor_tui.domain.errors import StoreError
from executor_tui.store.database import Database

POLL_S = 0.05


async def follow(db: Database, pulse: "Pulse") -> AsyncGenerator[frozenset[str]]:
    """Yields the set of changed topics, first of all every topic there is. A consumer that leaves early closes it (`aclosing`)."""
    pulse.enter()
    try:
        beat = pulse.beat
        seen = await db.revisions()
        yield frozenset(seen)
        while True:
            await pulse.after(beat)
            beat = pulse.beat
            now = await db.revisions()
            changed = frozenset(topic for topic, rev in now.items() if seen.get(topic) != rev)
            seen = now
            if changed:
                yield changed
    finally:
        await pulse.leave()


class Pulse:
    """Beats whenever somebody committed. It runs for as long as anybody follows."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db, self._clock = db, clock
        self.beat = 0
        self._followers = 0
        self._struck = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def enter(self) -> None:
        """One more follows."""
        self._followers += 1
        if self._task is None or self._task.done():
            listening = _poll(self._db, self._clock, self._strike) if self._db.is_sqlite else _listen(self._db, self._strike)
            self._task = asyncio.create_task(listening, name="store-pulse")
            self._task.add_done_callback(lambda _: self._strike())

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

    async def after(self, beat: int) -> None:
        """Wait for a beat later than `beat`. Raises StoreError when the database can no longer be listened to."""
        while self.beat == beat:
            await self._struck.wait()
        if self._task is not None and self._task.done():
            self._task.result()

    def _strike(self) -> None:
        self.beat += 1
        struck, self._struck = self._struck, asyncio.Event()
        struck.set()


async def _poll(db: Database, clock: Clock, strike: Callable[[], None]) -> None:
    try:
        with closing(sqlite3.connect(str(db.path), timeout=0, isolation_level=None)) as conn:
            seen = _data_version(conn)
            strike()  # for what was committed before there was a version to compare with
            while True:
                await clock.sleep(POLL_S)
                version = _data_version(conn)
                if version is not None and version != seen:
                    seen = version
                    strike()
    except sqlite3.Error as exc:
        raise StoreError(f"changes of {db.path} can no longer be followed: {exc}") from exc


def _data_version(conn: sqlite3.Connection) -> int | None:
    """The version; None while another program holds the database locked."""
    try:
        return int(conn.execute("PRAGMA data_version").fetchone()[0])
    except sqlite3.OperationalError as exc:
        if exc.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return None
        raise


async def _listen(db: Database, strike: Callable[[], None]) -> None:
    try:
        async with await psycopg.AsyncConnection.connect(db.url.replace("+psycopg", ""), autocommit=True) as conn:
            await conn.execute("LISTEN executor")
            strike()
            async for _ in conn.notifies():
                strike()
    except psycopg.Error as exc:
        raise StoreError(f"changes can no longer be followed: {exc}", hint="is the Postgres server up?") from exc
    raise StoreError("changes can no longer be followed: the Postgres server closed the connection")
