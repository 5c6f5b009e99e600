"""The history of each project's repository, in pieces: kept where several machines work for one Executor, so that none of them is the only
one who has it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, insert, select

from executor_tui.domain.clock import Clock
from executor_tui.store import tables
from executor_tui.store.database import Database


@dataclass(frozen=True, slots=True)
class HistoryPiece:
    """The commits up to `sha` on `branch` that the pieces before lack, as a git bundle; `seq` counts from 1 in each project."""

    project_id: str
    seq: int
    sha: str
    branch: str
    data: bytes


class Histories:
    """Pieces are added, never changed."""

    topic = "histories"

    def __init__(self, db: Database, clock: Clock) -> None:
        self.db, self.clock = db, clock

    async def last_sha(self, project_id: str) -> str:
        """The commit the history reaches; empty when nothing is kept."""
        c = tables.histories.c
        row = await self.db.one(select(c.sha).where(c.project_id == project_id).order_by(c.seq.desc()).limit(1))
        return str(row["sha"]) if row else ""

    async def add(self, project_id: str, sha: str, branch: str, data: bytes) -> None:
        """One piece more. On disk when this returns."""
        c = tables.histories.c
        async with self.db.write(self.topic) as conn:
            last = select(func.coalesce(func.max(c.seq), 0)).where(c.project_id == project_id)
            seq = int((await conn.execute(last)).scalar_one()) + 1
            values = {"project_id": project_id, "seq": seq, "sha": sha, "branch": branch, "data": data, "created_at": self.clock.now()}
            await conn.execute(insert(tables.histories).values(**values))

    async def of(self, project_id: str) -> Sequence[HistoryPiece]:
        """Every piece of a project, in order."""
        c = tables.histories.c
        rows = await self.db.all(select(tables.histories).where(c.project_id == project_id).order_by(c.seq))
        return [HistoryPiece(r["project_id"], int(r["seq"]), r["sha"], r["branch"], bytes(r["data"])) for r in rows]
