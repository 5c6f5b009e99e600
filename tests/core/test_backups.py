"""Backups: taken while in use, whole or not at all, rotated, put back with the old files kept."""

import asyncio
import contextlib
import sqlite3
from datetime import timedelta
from pathlib import Path

import pytest

from executor_tui.config.general import BackupSettings
from executor_tui.config.places import Places
from executor_tui.core import backups
from executor_tui.core.backups import Backups, check_at_start, found, restore, superfluous, take
from executor_tui.domain.clock import ManualClock
from executor_tui.domain.errors import ConflictError, StoreError, UsageError
from executor_tui.domain.project import Project
from executor_tui.store import backup
from executor_tui.store.store import Store, default_url


async def projects_in(path: Path, clock: ManualClock) -> set[str]:
    store = await Store.open(f"sqlite:///{path}", clock)
    try:
        return {p.id for p in await store.projects.list()}
    finally:
        await store.close()


def damaged(path: Path) -> None:
    """Overwrite pages in the middle, as a bad disk does."""
    with path.open("r+b") as handle:
        handle.seek(4096)
        handle.write(b"\xa5" * (path.stat().st_size - 8192))


def test_the_workflow_journal_has_the_name_the_engine_gives_it() -> None:
    from executor_tui.core import durable

    assert backups.WORKFLOWS_FILE == durable.WORKFLOWS_FILE


async def test_a_backup_taken_in_the_middle_of_writing_is_whole(store: Store, places: Places, clock: ManualClock) -> None:
    async def write() -> int:
        done = 0
        with contextlib.suppress(asyncio.CancelledError):
            while True:
                await store.projects.create(Project(f"prj-{done}", "x" * 500))
                done += 1
        return done

    writing = asyncio.create_task(write())
    while len(await store.projects.list()) < 20:
        await asyncio.sleep(0)
    made = await asyncio.to_thread(take, places, clock, 5)
    writing.cancel()
    await asyncio.gather(writing, return_exceptions=True)
    assert len(await projects_in(made.path, clock)) >= 20
    assert made.path.stat().st_mode & 0o777 == 0o600
    assert [p.name for p in made.path.parent.iterdir() if p.name.startswith(".")] == []


async def test_the_workflow_journal_goes_with_the_store(store: Store, places: Places, clock: ManualClock) -> None:
    with contextlib.closing(sqlite3.connect(places.state_dir / "workflows.db")) as conn:
        conn.execute("CREATE TABLE w (id TEXT)")
        conn.execute("INSERT INTO w VALUES ('wf-1')")
        conn.commit()
    made = take(places, clock, 5)
    assert made.workflows is not None and found(places.state_dir)[0].workflows == made.workflows
    await store.close()
    (places.state_dir / "workflows.db").unlink()
    restored = restore(places, made.path, clock)
    with contextlib.closing(sqlite3.connect(places.state_dir / "workflows.db")) as conn:
        assert conn.execute("SELECT id FROM w").fetchall() == [("wf-1",)]
    assert [p.name for p in restored.kept] == [f"executor.db.before-restore-{clock.now():%Y%m%dT%H%M%S}"]


async def test_rotation_keeps_the_newest_and_those_before_migrations_apart(store: Store, places: Places, clock: ManualClock) -> None:
    folder = places.state_dir / "backups"
    folder.mkdir()
    (folder / "executor-20200101T000000-before-0002-from-0001.db").write_bytes(b"")
    for _ in range(6):
        await clock.advance(3600)
        take(places, clock, 3)
    left = found(places.state_dir)
    assert [b.why for b in left] == ["", "", "", "before-0002-from-0001"]
    assert left[0].taken_at == clock.now().replace(microsecond=0)
    assert superfluous(left, 1) == left[1:3]


async def test_what_came_after_the_backup_is_gone_after_restoring_but_kept_beside(store: Store, places: Places, clock: ManualClock) -> None:
    await store.projects.create(Project("prj-before", "x"))
    made = take(places, clock, 5)
    await store.projects.create(Project("prj-after", "x"))
    await store.close()
    done = restore(places, made.path, clock)
    assert await projects_in(places.state_dir / "executor.db", clock) == {"prj-before"}
    assert await projects_in(done.kept[0], clock) == {"prj-before", "prj-after"}


async def test_a_damaged_backup_is_refused_and_nothing_is_touched(store: Store, places: Places, clock: ManualClock) -> None:
    await store.projects.create(Project("prj-a", "x"))
    made = take(places, clock, 5)
    await store.close()
    damaged(made.path)
    before = (places.state_dir / "executor.db").read_bytes()
    with pytest.raises(StoreError, match="is damaged and was not touched"):
        restore(places, made.path, clock)
    assert (places.state_dir / "executor.db").read_bytes() == before


def test_a_file_that_is_no_database_and_one_that_is_not_there_are_refused(places: Places, clock: ManualClock) -> None:
    text = places.state_dir / "executor-20260101T000000.db"
    text.write_text("hello, this is not a database at all")
    with pytest.raises(StoreError, match="does not begin as a SQLite database"):
        restore(places, text, clock)
    with pytest.raises(StoreError, match="there is no backup"):
        restore(places, places.state_dir / "none.db", clock)
    with pytest.raises(UsageError, match="no store"):
        take(places, clock, 3)


async def test_a_backup_of_a_newer_program_is_refused(store: Store, places: Places, clock: ManualClock) -> None:
    made = take(places, clock, 5)
    await store.close()
    with contextlib.closing(sqlite3.connect(made.path)) as conn:
        conn.execute("UPDATE alembic_version SET version_num='9999'")
        conn.commit()
    with pytest.raises(StoreError, match="newer Executor"):
        restore(places, made.path, clock)


async def test_a_store_somebody_writes_to_is_not_replaced(store: Store, places: Places, clock: ManualClock) -> None:
    made = take(places, clock, 5)
    async with store.db.write():
        with pytest.raises(ConflictError, match="is in use"):
            await asyncio.to_thread(restore, places, made.path, clock)


async def test_a_damaged_store_stops_the_start_with_the_last_good_backup_named_and_is_left_alone(
    store: Store, places: Places, clock: ManualClock
) -> None:
    for n in range(50):
        await store.projects.create(Project(f"prj-{n}", "x" * 1000))
    good = take(places, clock, 5)
    await clock.advance(60)
    bad = take(places, clock, 5)
    damaged(bad.path)
    await store.close()
    path = places.state_dir / "executor.db"
    damaged(path)
    before = path.read_bytes()
    with pytest.raises(StoreError, match=r"is damaged: .* left as it is") as caught:
        await check_at_start(places, default_url(places.state_dir))
    assert f"executor recovery restore {good.path}" in caught.value.hint and path.read_bytes() == before
    restore(places, good.path, clock)
    await check_at_start(places, default_url(places.state_dir))
    assert len(await projects_in(path, clock)) == 50


@pytest.mark.parametrize("cut", [0, 10, 5000])
async def test_a_truncated_store_is_damage_unless_it_is_empty(store: Store, places: Places, cut: int) -> None:
    await store.projects.create(Project("prj-a", "x"))
    await store.close()
    path = places.state_dir / "executor.db"
    path.write_bytes(path.read_bytes()[:cut])
    if cut == 0:
        await check_at_start(places, default_url(places.state_dir))
        return
    with pytest.raises(StoreError, match="is damaged") as caught:
        await check_at_start(places, default_url(places.state_dir))
    assert "no sound backup" in caught.value.hint and path.stat().st_size == cut


async def test_postgres_and_a_first_start_have_nothing_to_check(places: Places) -> None:
    await check_at_start(places, "postgresql://x/y")
    await check_at_start(places, default_url(places.state_dir))


async def test_the_schedule_goes_by_the_newest_backup_over_restarts(store: Store, places: Places, clock: ManualClock) -> None:
    taken = asyncio.Event()

    def schedule() -> "asyncio.Task[None]":
        made = Backups(store, places, lambda: BackupSettings(every_hours=6, keep=3))
        real = made.now

        async def now() -> backups.Backup:
            try:
                return await real()
            finally:
                taken.set()

        made.now = now  # type: ignore[method-assign]
        return asyncio.create_task(made.run())

    async def stop(task: "asyncio.Task[None]") -> None:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    first = schedule()
    await taken.wait()
    await stop(first)
    assert len(found(places.state_dir)) == 1
    await clock.advance(timedelta(hours=5, minutes=59).total_seconds())
    assert Backups(store, places, BackupSettings)._due_in_s() == pytest.approx(60.0)
    await clock.advance(61)
    taken.clear()
    second = schedule()
    await taken.wait()
    await stop(second)
    assert len(found(places.state_dir)) == 2


async def test_a_backup_that_cannot_be_made_is_said_and_leaves_no_half_of_one(store: Store, places: Places) -> None:
    (places.state_dir / "backups").write_text("a file where the folder should be")
    with pytest.raises(StoreError, match="cannot be backed up"):
        await Backups(store, places, BackupSettings).now()
    await store.events.flush()
    assert "backup.failed" in [e.kind for e in await store.events.tail()]


async def test_a_database_another_program_holds_is_not_called_damaged(store: Store, places: Places) -> None:
    async with store.db.write():
        assert await asyncio.to_thread(backup.damage, places.state_dir / "executor.db") == ""
