"""Where several machines are one Executor: a project's commits are kept in the store too, so that any of them can go on with it.

With SQLite the store lies on the same disk as the repository, and nothing is kept twice.
"""

import logging
from pathlib import Path

from executor_tui.domain.crash import crash_point
from executor_tui.domain.event import Event, Level
from executor_tui.domain.project import Project
from executor_tui.store.store import Store
from executor_tui.workspaces.errors import WorkspaceError
from executor_tui.workspaces.packing import Piece, pack, unpack

log = logging.getLogger(__name__)

MOST_BYTES = 64 * 1024 * 1024
"""A step that adds more is not kept: the project then stays bound to its machine, and its log says so."""


class Travel:
    """Keeps the histories of projects, and unpacks one where its repository is not there."""

    def __init__(self, store: Store) -> None:
        self._store = store

    @property
    def wanted(self) -> bool:
        """Whether the store is anywhere else than on this machine's disk."""
        return not self._store.db.is_sqlite

    async def keep(self, project_id: str, root: Path) -> None:
        """Keep what HEAD of the repository has beyond what is kept. Done again it does nothing. Raises StoreError."""
        if not self.wanted or await self._bound(project_id) is not None:
            return
        have = await self._store.histories.last_sha(project_id)
        try:
            piece = await pack(root, have)
        except WorkspaceError as exc:
            log.error("project %s: its commits cannot be packed: %s", project_id, exc.message)
            return
        if piece.sha == have:
            return
        if len(piece.data) > MOST_BYTES:
            await self._bind(project_id, len(piece.data))
            return
        await self._store.histories.add(project_id, piece.sha, piece.branch, piece.data)
        crash_point("travel.kept")

    async def unpack(self, project: Project, root: Path) -> bool:
        """Make the repository at `root` from what is kept; says whether there was anything. Raises GitError, StoreError."""
        rows = await self._store.histories.of(project.id) if self.wanted else ()
        if not rows:
            return False
        await unpack(root, [Piece(row.sha, row.branch, row.data) for row in rows])
        crash_point("travel.unpacked")
        text = f"project {project.id} goes on here: its repository was unpacked to {root}, up to commit {rows[-1].sha[:12]}"
        await self._store.projects.update(project.id, Event("project.travelled", text, project_id=project.id), repo_path=str(root))
        return True

    async def _bound(self, project_id: str) -> object | None:
        return await self._store.notes.get(f"pipeline.bound.{project_id}")

    async def _bind(self, project_id: str, size: int) -> None:
        await self._store.notes.put(f"pipeline.bound.{project_id}", size)
        text = f"project {project_id} stays on this machine: a step of {size / 1e6:.0f} MB is too much to keep in the store"
        await self._store.events.add(Event("project.bound", text, Level.WARNING, project_id=project_id))
