"""Disks that are full, read-only or damaged, databases held by others or of the future: one clear line each, nothing destroyed."""

import asyncio
import contextlib
import hashlib
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from executor_tui.config.files import NotificationSettings
from executor_tui.config.places import Places
from executor_tui.core.identity import NodeLock
from executor_tui.core.power_recovery import PowerRecovery
from executor_tui.domain.clock import ManualClock, SystemClock
from executor_tui.domain.errors import ConflictError, StoreError
from executor_tui.domain.project import Project
from executor_tui.domain.recovery import Checkpoint
from executor_tui.store import database
from executor_tui.store.store import Store, default_url


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Four megabytes of its own."""
    mount = tmp_path / "disk"
    mount.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "none", str(mount)], capture_output=True, check=False)
    if done.returncode != 0:
        pytest.skip("mounting a small disk is not allowed here")
    yield mount
    subprocess.run(["umount", "-l", str(mount)], check=False)


def fill(disk: Path) -> Path:
    """Not a byte is left."""
    path = disk / "fill"
    with contextlib.suppress(OSError), path.open("wb", buffering=0) as handle:
        while True:
            handle.write(b"x" * 65536)
    with contextlib.suppress(OSError), path.open("ab", buffering=0) as handle:
        while True:
            handle.write(b"x")
    return path


def node(store: Store, state_dir: Path) -> PowerRecovery:
    return PowerRecovery(store, Places(state_dir, state_dir), store.clock, "node-a", notification=NotificationSettings)


async def prepared(state_dir: Path) -> None:
    store = await Store.open(default_url(state_dir), SystemClock())
    await store.projects.create(Project("prj-a", "a goal"))
    await store.close()


def start_node(places: Places) -> tuple[int, list[str]]:
    """`executor --no-ui`, expected to give up: exit code and its lines on stderr."""
    words = [sys.executable, "-m", "executor_tui.cli.main", "--no-ui", "--config", str(places.config_dir), "--state", str(places.state_dir)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=100, check=False, stdin=subprocess.DEVNULL)
    return done.returncode, done.stderr.splitlines()


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


async def test_a_disk_that_fills_while_running_loses_nothing_kept_and_recovers_when_there_is_room(small_disk: Path) -> None:
    store = await Store.open(default_url(small_disk), SystemClock())
    recovery = node(store, small_disk)
    await recovery.begin()
    await store.projects.create(Project("prj-before", "a goal"))
    before = (small_disk / "last_state.json").read_bytes()
    filler = fill(small_disk)
    with pytest.raises(StoreError) as caught:
        for n in range(200):
            await store.projects.create(Project(f"prj-{n}", "x" * 20_000))
    assert "full" in caught.value.message and "free some disk space" in caught.value.hint
    await recovery.beat()
    assert "last_state.json cannot be written: No space left" in recovery.trouble
    assert (small_disk / "last_state.json").read_bytes() == before
    filler.unlink()
    await recovery.beat()
    await store.projects.create(Project("prj-after", "a goal"))
    await recovery.save_checkpoint(Checkpoint("agent-1", "busy"))
    assert recovery.trouble == "" and (small_disk / "last_state.json").read_bytes() != before
    assert {"prj-before", "prj-after"} <= {p.id for p in await store.projects.list()}
    await store.close()


async def test_a_full_disk_at_the_start_is_one_line_and_the_store_is_as_it_was(small_disk: Path, places: Places) -> None:
    await prepared(small_disk)
    filler = fill(small_disk)
    code, lines = await asyncio.to_thread(start_node, Places(places.config_dir, small_disk))
    assert code == 1 and lines[0].startswith("executor: ") and ("full" in lines[0] or "No space left" in lines[0]), lines
    assert not any(line.startswith("Traceback") for line in lines)
    filler.unlink()
    store = await Store.open(default_url(small_disk), SystemClock())
    assert [p.id for p in await store.projects.list()] == ["prj-a"]
    await store.close()


async def test_a_read_only_state_directory_is_one_line(small_disk: Path, places: Places) -> None:
    await prepared(small_disk)
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    code, lines = await asyncio.to_thread(start_node, Places(places.config_dir, small_disk))
    assert code == 1 and "Read-only file system" in lines[0] and f"make {small_disk} writable" in lines[1], lines


async def test_a_damaged_database_stops_the_start_and_is_left_as_it_is(places: Places) -> None:
    await prepared(places.state_dir)
    path = places.state_dir / "executor.db"
    with path.open("r+b") as handle:
        handle.seek(4096)
        handle.write(b"\xa5" * (path.stat().st_size - 8192))
    before = digest(path)
    code, lines = await asyncio.to_thread(start_node, places)
    assert code == 1 and f"the database {path} is damaged" in lines[0] and "no sound backup" in lines[1], lines
    assert digest(path) == before


async def test_a_database_of_a_newer_program_stops_the_start_and_is_left_as_it_is(places: Places) -> None:
    await prepared(places.state_dir)
    with contextlib.closing(sqlite3.connect(places.state_dir / "executor.db")) as conn:
        conn.execute("UPDATE alembic_version SET version_num='9999'")
        conn.commit()
    code, lines = await asyncio.to_thread(start_node, places)
    assert code == 1 and "newer Executor (revision 9999" in lines[0] and "nothing was changed" in lines[1], lines
    with contextlib.closing(sqlite3.connect(places.state_dir / "executor.db")) as conn:
        assert conn.execute("SELECT count(*) FROM projects").fetchone() == (1,)


async def test_a_database_that_another_program_holds_is_named_with_the_way_to_find_it(
    places: Places, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "BUSY_TIMEOUT_S", 0.1)
    store = await Store.open(default_url(places.state_dir), clock)
    holder = sqlite3.connect(places.state_dir / "executor.db", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    recovery = node(store, places.state_dir)
    with pytest.raises(StoreError, match="database is locked") as caught:
        await recovery.save_checkpoint(Checkpoint("agent-1", "busy"))
    assert "fuser" in caught.value.hint
    holder.execute("ROLLBACK")
    holder.close()
    await recovery.save_checkpoint(Checkpoint("agent-1", "busy"))
    assert await recovery.load_checkpoint("agent-1") is not None
    await store.close()


def test_a_second_node_on_the_same_state_directory_is_told_who_was_first(places: Places) -> None:
    with NodeLock(places.state_dir), pytest.raises(ConflictError, match=f"process {os.getpid()}"):
        NodeLock(places.state_dir).__enter__()
    with NodeLock(places.state_dir):
        pass
