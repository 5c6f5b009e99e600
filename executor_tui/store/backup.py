"""Copies of a SQLite database: taken while it is in use, verified, put back. The damaged original is always kept.

Everything here blocks: call it in a thread. Postgres has tools of its own for this (pg_dump, pg_basebackup).
"""

import contextlib
import os
import sqlite3
from contextlib import closing
from pathlib import Path

from executor_tui.domain.crash import crash_point
from executor_tui.domain.errors import ConflictError, StoreError
from executor_tui.store.migrate import HEAD

_MAGIC = b"SQLite format 3\0"
_SIDE_FILES = ("-wal", "-shm", "-journal")


def is_sqlite_file(path: Path) -> bool:
    """Whether a file begins as SQLite databases do (sqlite.org/fileformat.html, "The Database Header")."""
    try:
        with path.open("rb") as handle:
            return handle.read(len(_MAGIC)) == _MAGIC
    except OSError:
        return False


def damage(path: Path) -> str:
    """What is wrong with a database, in one line; empty when it is whole. A missing or empty file is not damage: it is a first start.

    `PRAGMA quick_check` reads every page (sqlite.org/pragma.html#pragma_quick_check): seconds for gigabytes.
    """
    if not path.exists() or path.stat().st_size == 0:
        return ""
    if not is_sqlite_file(path):
        return "it does not begin as a SQLite database does"
    try:
        with closing(_open(path)) as conn:
            rows = conn.execute("PRAGMA quick_check(3)").fetchall()
    except sqlite3.OperationalError as exc:
        # Locked, read-only or not to be opened is not damage; opening the store says those in its own words.
        return str(exc).splitlines()[0] if "disk I/O" in str(exc) else ""
    except sqlite3.DatabaseError as exc:
        return str(exc).splitlines()[0]
    found = [line for row in rows for line in str(row[0]).splitlines() if line != "ok"]
    return "; ".join(" ".join(line.split()) for line in found[:3])


def copy(source: Path, target: Path) -> int:
    """A consistent copy of a database in use, through SQLite's backup API; on disk, verified, under its name only when whole.

    Returns its size in bytes. Raises StoreError; then nothing is left behind.
    """
    temporary = target.with_name(f".{target.name}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        temporary.unlink(missing_ok=True)
        _copy_pages(source, temporary)
        wrong = damage(temporary)
        if wrong:
            raise StoreError(f"the copy of {source} is damaged: {wrong}", hint="the database itself may be: executor doctor")
        _sync(temporary)
        crash_point("backup.copied")
        temporary.replace(target)
        _sync(target.parent)
    except (OSError, sqlite3.Error) as exc:
        raise StoreError(f"{source} cannot be backed up to {target}: {exc}", hint="is there room, and is the folder writable?") from exc
    finally:
        _remove_with_sides(temporary)
    return target.stat().st_size


def verify(path: Path) -> str:
    """Checks that a backup can be put back and returns its schema revision (empty for a database that is not ours). Raises StoreError."""
    if not path.exists() or path.stat().st_size == 0:
        raise StoreError(f"there is no backup at {path}", hint="see them with: executor recovery list")
    wrong = damage(path)
    if wrong:
        raise StoreError(f"{path} is damaged and was not touched: {wrong}", hint="choose another one: executor recovery list")
    revision = _revision(path)
    if revision > HEAD:
        raise StoreError(f"{path} is of a newer Executor (revision {revision}, this one knows {HEAD})", hint="upgrade Executor first")
    return revision


def restore(backup: Path, target: Path, stamp: str) -> Path | None:
    """Put a verified backup where the database was; what was there is kept beside it and its path returned.

    Raises ConflictError while another program has the database open for writing, StoreError when a step fails.
    """
    verify(backup)
    _refuse_if_in_use(target)
    fresh = target.with_name(f".{target.name}.restoring")
    try:
        fresh.unlink(missing_ok=True)
        _copy_pages(backup, fresh)
        _sync(fresh)
        kept = set_aside(target, f"before-restore-{stamp}")
        crash_point("restore.aside")
        fresh.replace(target)
        target.chmod(0o600)
        _sync(target.parent)
    except (OSError, sqlite3.Error) as exc:
        raise StoreError(f"{backup} cannot be put back: {exc}", hint="is there room, and is the state directory writable?") from exc
    finally:
        _remove_with_sides(fresh)
    return kept


def set_aside(path: Path, word: str) -> Path | None:
    """Rename a database and its side files to `name.word`; returns the new path, or None when there was nothing."""
    if not path.exists():
        return None
    kept = path.with_name(f"{path.name}.{word}")
    for side in _SIDE_FILES:
        beside = path.with_name(path.name + side)
        if beside.exists():
            beside.replace(kept.with_name(kept.name + side))
    path.replace(kept)
    _sync(path.parent)
    return kept


def _open(path: Path) -> sqlite3.Connection:
    conn = sqlite3.connect(path, timeout=10.0, isolation_level=None)
    conn.execute("PRAGMA query_only=ON")
    return conn


def _copy_pages(source: Path, target: Path) -> None:
    with closing(_open(source)) as reader, closing(sqlite3.connect(target, isolation_level=None)) as writer:
        reader.backup(writer)
        # The copy is one file: a database left in WAL mode would want its side files back when opened read-only.
        writer.execute("PRAGMA journal_mode=DELETE")
    target.chmod(0o600)


def _revision(path: Path) -> str:
    with closing(_open(path)) as conn:
        known = conn.execute("SELECT 1 FROM sqlite_master WHERE type='table' AND name='alembic_version'").fetchone()
        row = conn.execute("SELECT version_num FROM alembic_version").fetchone() if known else None
    return str(row[0]) if row else ""


def _refuse_if_in_use(path: Path) -> None:
    if not path.exists() or not is_sqlite_file(path):
        return
    try:
        with closing(sqlite3.connect(path, timeout=0.5, isolation_level=None)) as conn:
            conn.execute("BEGIN IMMEDIATE")
            conn.execute("ROLLBACK")
    except sqlite3.OperationalError as exc:
        if "locked" in str(exc):
            raise ConflictError(f"{path} is in use", hint=f"stop the node first; who holds it: fuser {path}") from exc
    except sqlite3.DatabaseError:
        return  # damaged: that is why it is being replaced


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove_with_sides(path: Path) -> None:
    with contextlib.suppress(OSError):
        for name in (path.name, *(path.name + side for side in _SIDE_FILES)):
            path.with_name(name).unlink(missing_ok=True)
