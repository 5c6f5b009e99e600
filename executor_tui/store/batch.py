"""Many small writes in one transaction and one trip: the way of rows that are written for every call to a model.

On SQLite the whole batch runs on a thread of its own with the standard library's driver, because there the asynchronous driver's trips, not
the disk, are most of the cost (measured: 2 ms of processor time a transaction, against 0.2 ms). Statements are SQLAlchemy's either way.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import bindparam, insert
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import OperationalError
from sqlalchemy.sql import Insert, Update

from executor_tui.store import tables
from executor_tui.store.database import BUSY_TIMEOUT_S, Database, translated

_DIALECT = sqlite.dialect(paramstyle="named")
Params = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Step:
    """One statement with bound parameters, executed once for each row of `rows`. The statement must be made once and kept."""

    statement: Insert | Update
    rows: Sequence[Params]


class Batches:
    """The writer of batches. One at a time; callers queue."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._thread: ThreadPoolExecutor | None = None
        self._conn: sqlite3.Connection | None = None

    async def write(self, steps: Sequence[Step], topics: Sequence[str]) -> None:
        """All steps in order, in one transaction that is on disk when this returns. Raises StoreError, and then nothing is written."""
        steps = [step for step in steps if step.rows]
        if not steps:
            return
        if self._db.is_sqlite:
            await self._in_thread(steps, sorted(set(topics)))
            return
        async with self._db.write(*topics) as conn:
            for step in steps:
                await conn.execute(step.statement, [dict(row) for row in step.rows])

    async def close(self) -> None:
        """Let go of the connection and its thread."""
        if self._thread is not None:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._disconnect)
            self._thread.shutdown(wait=False)
            self._thread = None

    async def _in_thread(self, steps: Sequence[Step], topics: Sequence[str]) -> None:
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="store-batch")
        try:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._run, steps, topics)
        except sqlite3.Error as exc:
            raise translated(OperationalError(None, None, exc), self._db.url) from exc

    def _run(self, steps: Sequence[Step], topics: Sequence[str]) -> None:
        conn = self._conn or self._connect()
        conn.execute("BEGIN IMMEDIATE")
        try:
            for step in steps:
                sql, processors = _compiled(step.statement)
                conn.executemany(sql, [_bound(row, processors) for row in step.rows])
            conn.executemany(_BUMP, [(topic,) for topic in topics])
            conn.execute("COMMIT")
        except BaseException:
            conn.execute("ROLLBACK")
            raise

    def _connect(self) -> sqlite3.Connection:
        conn = sqlite3.connect(str(self._db.path), timeout=BUSY_TIMEOUT_S, isolation_level=None)
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "temp_store=MEMORY"):
            conn.execute(f"PRAGMA {pragma}")
        self._conn = conn
        return conn

    def _disconnect(self) -> None:
        if self._conn is not None:
            self._conn.close()
            self._conn = None


_BUMP = f"INSERT INTO {tables.revisions.name} (topic, rev) VALUES (?, 1) ON CONFLICT (topic) DO UPDATE SET rev = rev + 1"  # noqa: S608

Processor = Callable[[Any], Any] | None


@cache
def _compiled(statement: Insert | Update) -> tuple[str, tuple[tuple[str, Processor], ...]]:
    compiled = statement.compile(dialect=_DIALECT)
    return str(compiled), tuple((name, bind.type.dialect_impl(_DIALECT).bind_processor(_DIALECT)) for name, bind in compiled.binds.items())


def _bound(row: Params, processors: tuple[tuple[str, Processor], ...]) -> dict[str, Any]:
    return {name: row[name] if convert is None else convert(row[name]) for name, convert in processors}


def insert_whole(table: Any) -> Insert:
    """INSERT of whole rows; parameters are named after the columns."""
    return insert(table).values({c.name: bindparam(c.name, type_=c.type) for c in table.columns})
