"""Opening a store that cannot be used: one clear line, nothing destroyed."""

import sqlite3
import subprocess
import sys

import pytest
from sqlalchemy import select, update

from executor_tui.config.places import Places
from executor_tui.domain.clock import ManualClock
from executor_tui.domain.errors import StoreError
from executor_tui.domain.project import Project
from executor_tui.store import tables
from executor_tui.store.store import DATABASE_FILE, Store, default_url


async def test_a_database_of_a_newer_executor_is_left_alone(places: Places, clock: ManualClock) -> None:
    store = await Store.open(default_url(places.state_dir), clock)
    await store.close()
    path = places.state_dir / DATABASE_FILE
    with sqlite3.connect(path) as conn:
        conn.execute("UPDATE alembic_version SET version_num = '9999'")
    before = path.read_bytes()
    with pytest.raises(StoreError, match="newer Executor"):
        await Store.open(default_url(places.state_dir), clock)
    assert path.read_bytes() == before


async def test_a_damaged_database_is_named_and_kept(places: Places, clock: ManualClock) -> None:
    path = places.state_dir / DATABASE_FILE
    path.write_bytes(b"this is not a database, but somebody's notes" * 100)
    with pytest.raises(StoreError, match="not a database"):
        await Store.open(default_url(places.state_dir), clock)
    assert path.read_bytes().startswith(b"this is not")


async def test_what_was_acknowledged_survives_a_killed_process(places: Places, clock: ManualClock) -> None:
    writer = """
import asyncio, os, signal, sys
from executor_tui.domain.clock import SystemClock
from executor_tui.domain.project import Project
from executor_tui.store.store import Store
async def main():
    store = await Store.open(sys.argv[1], SystemClock())
    for n in range(20):
        await store.projects.create(Project(f"prj-{n}", "goal"))
        print(n, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
asyncio.run(main())
"""
    url = default_url(places.state_dir)
    done = subprocess.run([sys.executable, "-c", writer, url], capture_output=True, text=True, check=False)
    acknowledged = {f"prj-{n}" for n in done.stdout.split()}
    assert len(acknowledged) == 20
    store = await Store.open(url, clock)
    assert {p.id for p in await store.projects.list()} >= acknowledged
    await store.close()


async def test_the_database_keeps_every_commit_through_a_power_cut(store: Store) -> None:
    async with store.db.read() as conn:
        assert (await conn.exec_driver_sql("PRAGMA synchronous")).scalar() == 2
        assert (await conn.exec_driver_sql("PRAGMA journal_mode")).scalar() == "wal"


async def test_a_failed_transaction_leaves_nothing(store: Store) -> None:
    await store.projects.create(Project("prj-1", "goal"))
    with pytest.raises(StoreError):
        await store.projects.create(Project("prj-1", "the same id"))
    assert len(await store.events.tail()) == 1


async def test_rows_of_one_that_froze_in_a_transaction_are_let_go(postgres_database: str, clock: ManualClock) -> None:
    frozen, successor = await Store.open(postgres_database, clock), await Store.open(postgres_database, clock)
    await frozen.projects.create(Project("prj-1", "goal"))
    with pytest.raises(StoreError, match="idle-in-transaction timeout"):
        async with frozen.db.write() as conn:
            await conn.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 1000")  # ms, for a short test
            await conn.execute(update(tables.projects).values(detail="never committed"))
            await successor.projects.update("prj-1", detail="went on")
            await conn.execute(select(tables.projects))
    assert [p.detail for p in await frozen.projects.list()] == ["went on"]
    await frozen.close()
    await successor.close()


async def test_every_connection_to_postgres_says_how_long_it_may_be_idle_with_rows_locked(
    postgres_database: str, clock: ManualClock
) -> None:
    store = await Store.open(postgres_database, clock)
    async with store.db.read() as conn:
        assert (await conn.exec_driver_sql("SHOW idle_in_transaction_session_timeout")).scalar() == "10s"
        await conn.rollback()
        assert (await conn.exec_driver_sql("SHOW idle_in_transaction_session_timeout")).scalar() == "10s"
    await store.close()
