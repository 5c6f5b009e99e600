"""Backups of a SQLite state directory: taken while it is in use, verified, rotated, put back on request. Never by themselves put back.

The store and the workflow journal are copied one after the other under one time stamp and belong together. Postgres is left to its own
tools.
"""

import asyncio
import json
import logging
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from executor_tui.config.general import BackupSettings
from executor_tui.config.places import Places
from executor_tui.domain.clock import Clock
from executor_tui.domain.errors import StoreError, UsageError
from executor_tui.domain.event import Event, Level
from executor_tui.store import backup
from executor_tui.store.store import DATABASE_FILE, Store

log = logging.getLogger(__name__)

FOLDER = "backups"
WORKFLOWS_FILE = "workflows.db"
"""As core.durable names it, which is not imported here: the workflow engine takes a second to load."""
STAMP = "%Y%m%dT%H%M%S"
RETRY_S = 600.0
KEPT_BEFORE_MIGRATIONS = 3
_NAME = re.compile(r"^(executor|workflows)-(\d{8}T\d{6})(?:-(.+))?\.db$")
POSTGRES = "the store is on Postgres: use its own tools (pg_dump, pg_basebackup); Executor keeps nothing else that cannot be made again"


@dataclass(frozen=True, slots=True)
class Backup:
    """One backup: the store's copy, and the workflow journal's where there was one. `why` is set for those made before a migration."""

    path: Path
    taken_at: datetime
    size_bytes: int
    why: str = ""
    workflows: Path | None = None


@dataclass(frozen=True, slots=True)
class Restored:
    """What was put back, and where the files that were there before are kept."""

    backup: Path
    revision: str
    kept: tuple[Path, ...]


def found(state_dir: Path) -> tuple[Backup, ...]:
    """Every backup of a state directory, newest first."""
    out = []
    for path in (state_dir / FOLDER).glob("executor-*.db"):
        name = _NAME.match(path.name)
        if name is None:
            continue
        workflows = path.with_name(f"workflows-{name.group(2)}.db")
        taken_at = datetime.strptime(name.group(2), STAMP).replace(tzinfo=UTC)
        out.append(Backup(path, taken_at, path.stat().st_size, name.group(3) or "", workflows if workflows.exists() else None))
    return tuple(sorted(out, key=lambda b: (b.taken_at, b.path.name), reverse=True))


def superfluous(backups: Sequence[Backup], keep: int) -> tuple[Backup, ...]:
    """Those that rotation removes: of the regular ones all but the newest `keep`, of those before migrations all but three. Pure."""
    newest_first = sorted(backups, key=lambda b: b.taken_at, reverse=True)
    regular = [b for b in newest_first if not b.why]
    before = [b for b in newest_first if b.why]
    return (*regular[keep:], *before[KEPT_BEFORE_MIGRATIONS:])


def take(places: Places, clock: Clock, keep: int) -> Backup:
    """Back up now, then rotate. Blocks. Raises StoreError; then the backups there were are still there."""
    source = places.state_dir / DATABASE_FILE
    if not source.exists():
        raise UsageError(f"there is no store at {source} yet", hint="it is made when a node first starts: executor --no-ui")
    stamp = clock.now().strftime(STAMP)
    folder = places.state_dir / FOLDER
    for half in folder.glob(".*.part*"):
        half.unlink(missing_ok=True)  # of a run that died while copying
    journal = places.state_dir / WORKFLOWS_FILE
    workflows = None
    if journal.exists():
        # Before the store: a step that the store knows and the journal does not is run again; the other way about it would be skipped.
        workflows = folder / f"workflows-{stamp}.db"
        backup.copy(journal, workflows)
    target = folder / f"executor-{stamp}.db"
    size = backup.copy(source, target)
    for old in superfluous(found(places.state_dir), keep):
        old.path.unlink(missing_ok=True)
        if old.workflows is not None:
            old.workflows.unlink(missing_ok=True)
    return Backup(target, clock.now(), size, workflows=workflows)


def restore(places: Places, file: Path, clock: Clock) -> Restored:
    """Put a backup back; the databases that were there are kept beside it. Blocks; no node may run on this state directory.

    Raises StoreError when the backup is not sound, ConflictError while the database is in use.
    """
    revision = backup.verify(file)
    name = _NAME.match(file.name)
    workflows = file.with_name(f"workflows-{name.group(2)}.db") if name else None
    both = workflows is not None and workflows.exists()
    if both and workflows is not None:
        backup.verify(workflows)
    stamp = clock.now().strftime(STAMP)
    kept = [backup.restore(file, places.state_dir / DATABASE_FILE, stamp)]
    if both and workflows is not None:
        kept.append(backup.restore(workflows, places.state_dir / WORKFLOWS_FILE, stamp))
    return Restored(file, revision, tuple(path for path in kept if path is not None))


async def check_at_start(places: Places, url: str) -> None:
    """Look for damage before anything opens the databases; every page is read unless the last stop was a clean one.

    Raises StoreError that names the file, what is wrong and the newest backup that is sound. The damaged file is left as it is.
    """
    if not url.startswith("sqlite"):
        return
    clean = await asyncio.to_thread(_stopped_cleanly, places.last_state_file)
    for path in (places.state_dir / DATABASE_FILE, places.state_dir / WORKFLOWS_FILE):
        wrong = await asyncio.to_thread(_header_damage if clean else backup.damage, path)
        if wrong:
            offer = await asyncio.to_thread(_newest_sound, places.state_dir)
            hint = "there is no sound backup; keep the file, it may still be read with: sqlite3 FILE .recover"
            if offer is not None:
                of = f"{offer.taken_at:%Y-%m-%d %H:%M} UTC"
                hint = f"the last good backup is of {of}; put it back with: executor recovery restore {offer.path}"
            raise StoreError(f"the database {path} is damaged: {wrong}; it was left as it is", hint=hint)


class Backups:
    """The schedule. `run()` until cancelled; it ends at once on Postgres."""

    def __init__(self, store: Store, places: Places, settings: Callable[[], BackupSettings]) -> None:
        self._store, self._places, self._settings, self._clock = store, places, settings, store.clock

    async def run(self) -> None:
        """A backup whenever the newest one is old enough, over restarts too."""
        if not self._store.db.is_sqlite:
            log.info("%s", POSTGRES)
            return
        while True:
            wait_s = await asyncio.to_thread(self._due_in_s)
            if wait_s > 0:
                await self._clock.sleep(min(wait_s, 3600.0))
                continue
            try:
                await self.now()
            except StoreError as exc:
                log.error("backup: %s", exc.message)
                await self._clock.sleep(RETRY_S)

    async def now(self) -> Backup:
        """Back up and say so. Raises StoreError, having said that too."""
        try:
            made = await asyncio.to_thread(take, self._places, self._clock, self._settings().keep)
        except StoreError as exc:
            self._store.events.emit(Event("backup.failed", exc.message, Level.ERROR))
            raise
        words = f"backed up to {made.path.name} ({made.size_bytes / 1e6:.1f} MB)"
        await self._store.events.add(Event("backup.taken", words, data={"path": str(made.path), "bytes": made.size_bytes}))
        return made

    def _due_in_s(self) -> float:
        regular = [b for b in found(self._places.state_dir) if not b.why]
        if not regular:
            return 0.0
        age = self._clock.now() - regular[0].taken_at
        return 0.0 if age < timedelta(0) else (timedelta(hours=self._settings().every_hours) - age).total_seconds()


def _stopped_cleanly(last_state: Path) -> bool:
    try:
        data = json.loads(last_state.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(data, dict) and data.get("clean") is True


def _header_damage(path: Path) -> str:
    if not path.exists() or path.stat().st_size == 0 or backup.is_sqlite_file(path):
        return ""
    return "it does not begin as a SQLite database does"


def _newest_sound(state_dir: Path) -> Backup | None:
    for candidate in found(state_dir):
        try:
            backup.verify(candidate.path)
        except StoreError as exc:
            log.warning("backup passed over: %s", exc.message)
            continue
        return candidate
    return None
