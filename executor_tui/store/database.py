"""Engines, transactions and the fence. SQLite (WAL, synchronous=FULL) by default, Postgres by URL.

A writing transaction names the topics it touches; each topic's revision is bumped inside it, which is what the change feed compares.
"""

import shutil
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

from sqlalchemy import Executable, event, select, text, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError, OperationalError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool

from executor_tui.domain.errors import FencedError, StoreError
from executor_tui.domain.node import Lease
from executor_tui.store import tables

LEADER = "leader"
BUSY_TIMEOUT_S = 10.0
IDLE_IN_TRANSACTION_S = 10.0
"""A machine that froze in the middle of a transaction lets go of its rows after this: the next leader must not wait for it to thaw."""
Row = Mapping[str, Any]
Rows = Sequence[Row]


class Database:
    """Two engines over one database: readers, and a writer that takes SQLite's write lock at BEGIN so it never dies half-way."""

    def __init__(self, url: str) -> None:
        self.url = normal_url(url)
        self.is_sqlite = self.url.startswith("sqlite")
        self._reader = self._engine(write=False)
        self._writer = self._engine(write=True) if self.is_sqlite else self._reader

    @property
    def path(self) -> Path | None:
        """The SQLite file, None on Postgres."""
        return Path(self.url.split("///", 1)[1]) if self.is_sqlite else None

    def _engine(self, write: bool) -> AsyncEngine:
        if not self.is_sqlite:
            engine = create_async_engine(self.url, pool_size=10, max_overflow=10, pool_pre_ping=True)
            event.listen(engine.sync_engine, "connect", _configure_postgres)
            return engine
        engine = create_async_engine(
            self.url,
            poolclass=AsyncAdaptedQueuePool,
            pool_size=1 if write else 4,
            max_overflow=0,
            connect_args={"timeout": BUSY_TIMEOUT_S},
        )
        event.listen(engine.sync_engine, "connect", _configure_sqlite)
        begin = "BEGIN IMMEDIATE" if write else "BEGIN"
        event.listen(engine.sync_engine, "begin", lambda conn: conn.exec_driver_sql(begin))
        return engine

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """A consistent snapshot to read from. Raises StoreError."""
        try:
            async with self._reader.connect() as conn:
                yield conn
        except SQLAlchemyError as exc:
            raise translated(exc, self.url) from exc

    @asynccontextmanager
    async def write(self, *topics: str, fence: Lease | None = None) -> AsyncIterator[AsyncConnection]:
        """One transaction, on disk when the block is left. With `fence`, refused with FencedError once another node leads."""
        try:
            async with self._writer.begin() as conn:
                if fence is not None:
                    await _check_fence(conn, fence)
                yield conn
                await self._bump(conn, topics)
        except SQLAlchemyError as exc:
            raise translated(exc, self.url) from exc

    async def _bump(self, conn: AsyncConnection, topics: Sequence[str]) -> None:
        for topic in sorted(set(topics)):
            await conn.execute(self.upsert(tables.revisions, {"topic": topic, "rev": 1}, add={"rev": 1}))
        if topics and not self.is_sqlite:
            await conn.execute(text("SELECT pg_notify('executor', :topics)"), {"topics": ",".join(sorted(set(topics)))})

    def upsert(self, table: Any, values: Mapping[str, Any], *, add: Mapping[str, int] | None = None) -> Executable:
        """INSERT … ON CONFLICT(primary key) DO UPDATE; `add` increments those columns instead of setting them."""
        insert = sqlite.insert if self.is_sqlite else postgresql.insert
        statement = insert(table).values(**values)
        primary = [c.name for c in table.primary_key]
        changes: dict[str, Any] = {k: statement.excluded[k] for k in values if k not in primary}
        for name, amount in (add or {}).items():
            changes[name] = table.c[name] + amount
        return statement.on_conflict_do_update(index_elements=primary, set_=changes)

    def upsert_many(self, table: Any) -> Executable:
        """As `upsert`, to be executed with a list of whole rows; compiled once, however many there are."""
        insert = sqlite.insert if self.is_sqlite else postgresql.insert
        statement = insert(table)
        primary = [c.name for c in table.primary_key]
        changes = {c.name: statement.excluded[c.name] for c in table.columns if c.name not in primary}
        return statement.on_conflict_do_update(index_elements=primary, set_=changes)

    def insert_new(self, table: Any, values: Mapping[str, Any]) -> Executable:
        """INSERT … ON CONFLICT(primary key) DO NOTHING; a row comes back only when it was new."""
        insert = sqlite.insert if self.is_sqlite else postgresql.insert
        primary = list(table.primary_key)
        return insert(table).values(**values).on_conflict_do_nothing(index_elements=[c.name for c in primary]).returning(*primary)

    async def all(self, statement: Executable) -> Rows:
        """Every row of a query, as mappings."""
        async with self.read() as conn:
            return cast(Rows, (await conn.execute(statement)).mappings().all())

    async def table(self, statement: Executable) -> tuple[tuple[str, ...], Sequence[Sequence[Any]]]:
        """The columns of a query and its rows, as tuples: for many rows, where mappings cost more than reading them."""
        async with self.read() as conn:
            result = await conn.execute(statement)
            return tuple(result.keys()), result.all()

    async def one(self, statement: Executable) -> Mapping[str, Any] | None:
        """The first row of a query, or None."""
        async with self.read() as conn:
            return cast("Row | None", (await conn.execute(statement)).mappings().first())

    async def revisions(self) -> dict[str, int]:
        """Topic → revision as of now."""
        rows = await self.all(select(tables.revisions))
        return {row["topic"]: row["rev"] for row in rows}

    async def close(self) -> None:
        await self._reader.dispose()
        if self._writer is not self._reader:
            await self._writer.dispose()


def normal_url(url: str) -> str:
    """The URL with the async driver we use; a bare path is a SQLite file."""
    for prefix in ("postgresql://", "postgres://"):
        if url.startswith(prefix):
            return "postgresql+psycopg://" + url.removeprefix(prefix)
    if url.startswith("sqlite:///"):
        return "sqlite+aiosqlite:///" + url.removeprefix("sqlite:///")
    return url if "://" in url else f"sqlite+aiosqlite:///{url}"


def _configure_sqlite(dbapi_connection: Any, _record: object) -> None:
    dbapi_connection.isolation_level = None  # transactions are begun by our own hook, not by the driver
    cursor = dbapi_connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "temp_store=MEMORY"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _configure_postgres(dbapi_connection: Any, _record: object) -> None:
    # A statement and not a start-up option: poolers between us and the server refuse options they do not know.
    cursor = dbapi_connection.cursor()
    cursor.execute(f"SET idle_in_transaction_session_timeout = {int(IDLE_IN_TRANSACTION_S * 1000)}")
    cursor.close()
    dbapi_connection.commit()  # or it would be undone with the first rollback


async def _check_fence(conn: AsyncConnection, fence: Lease) -> None:
    # An UPDATE, not a SELECT: on Postgres it takes the row lock, so no other node can take the lease before we commit.
    row = (
        await conn.execute(
            update(tables.leases)
            .where(tables.leases.c.name == fence.name)
            .where(tables.leases.c.fencing == fence.fencing)
            .where(tables.leases.c.holder == fence.holder)
            .values(holder=fence.holder)
        )
    ).rowcount
    if row == 0:
        raise FencedError(f"node {fence.holder} no longer leads (fencing number {fence.fencing} is old); nothing was written")


def translated(exc: SQLAlchemyError, url: str) -> StoreError:
    cause = str(exc.orig) if isinstance(exc, DBAPIError) and exc.orig else str(exc)
    where = url.rsplit("@", 1)[-1].split(":///")[-1] if url.startswith("sqlite") else url.rsplit("@", 1)[-1]
    hint = ""
    if "disk I/O" in cause and url.startswith("sqlite") and _no_room(where):
        cause = "the disk is full"
    if "locked" in cause:
        hint = "another program holds the database; close it, or find it with: fuser " + where
    elif "full" in cause:
        hint = "free some disk space, then start again; nothing half-written is kept"
    elif "readonly" in cause or "read-only" in cause or "unable to open" in cause:
        hint = "make the state directory writable for this user"
    elif isinstance(exc, OperationalError) and not url.startswith("sqlite"):
        hint = "is the Postgres server up, and EXECUTOR_DATABASE_URL right?"
    return StoreError(f"the store at {where} failed: {cause.splitlines()[0]}", hint=hint)


def _no_room(where: str) -> bool:
    """SQLite calls it an I/O error when the file it shares between processes cannot grow."""
    try:
        return shutil.disk_usage(Path(where).parent).free < 1_000_000
    except OSError:
        return False
