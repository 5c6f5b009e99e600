"""Schema migrations: forward only, at start, with a backup of a SQLite file first. Alembic is loaded only when there is something to do."""

import asyncio
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, inspect, text
from sqlalchemy.exc import SQLAlchemyError

from executor_tui.domain.clock import Clock
from executor_tui.domain.errors import StoreError
from executor_tui.store.database import Database, translated

HEAD = "0001"
_MIGRATIONS = Path(__file__).parent / "migrations"


async def upgrade(db: Database, clock: Clock) -> None:
    """Bring the tables to this program's revision. Raises StoreError for a damaged database or one of a newer program."""
    if db.path is not None:
        db.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        revision = await _revision(db)
        if revision == HEAD:
            return
        if revision is not None and revision > HEAD:
            raise StoreError(
                f"the store is of a newer Executor (revision {revision}, this one knows {HEAD})",
                hint="upgrade Executor on this machine; nothing was changed",
            )
        if revision is not None and db.path is not None:
            await asyncio.to_thread(_backup, db.path, clock.now().strftime("%Y%m%dT%H%M%S"), revision)
        run = _alembic()  # loaded before the transaction: nobody is kept waiting meanwhile
        async with db.write() as conn:
            await conn.run_sync(run)
    except (SQLAlchemyError, sqlite3.DatabaseError) as exc:
        if isinstance(exc, SQLAlchemyError):
            raise translated(exc, db.url) from exc
        raise StoreError(f"the store at {db.path} cannot be backed up before migrating: {exc}") from exc


async def _revision(db: Database) -> str | None:
    async with db.read() as conn:
        if not await conn.run_sync(lambda c: inspect(c).has_table("alembic_version")):
            return None
        row = (await conn.execute(text("SELECT version_num FROM alembic_version"))).first()
        return None if row is None else str(row[0])


def _backup(path: Path, stamp: str, revision: str) -> None:
    folder = path.parent / "backups"
    folder.mkdir(exist_ok=True, mode=0o700)
    with (
        sqlite3.connect(path) as source,
        sqlite3.connect(folder / f"executor-{stamp}-before-{HEAD}-from-{revision}.db") as target,
    ):
        source.backup(target)


def _alembic() -> Callable[[Connection], None]:
    from alembic import command
    from alembic.config import Config

    def run(connection: Connection) -> None:
        if connection.dialect.name == "postgresql":
            # Two nodes may start at once: the second waits here and then finds nothing to do.
            connection.execute(text("SELECT pg_advisory_xact_lock(742113)"))
        config = Config()
        config.set_main_option("script_location", str(_MIGRATIONS))
        attributes: dict[str, Any] = config.attributes
        attributes["connection"] = connection
        command.upgrade(config, "head")

    return run
