"""Projects, their steps, and questions to the user."""

from dataclasses import replace
from typing import Any

from sqlalchemy import func, insert, select, update

from executor_tui.domain.errors import ConflictError
from executor_tui.domain.event import Event
from executor_tui.domain.node import Lease
from executor_tui.domain.project import Project, ProjectStatus, Question, Step
from executor_tui.store import tables
from executor_tui.store.codec import out_values, to_row
from executor_tui.store.repository import Repository, record


class Projects(Repository[Project]):
    table, cls, topic, noun = tables.projects, Project, "project", "project"

    async def create(self, project: Project) -> Project:
        """A new row, queued, with its event. On disk when this returns: the goal is now ours to keep."""
        now = self.clock.now()
        project = replace(project, created_at=project.created_at or now, updated_at=now)
        await self._insert(project, Event("project.queued", f"project {project.id} queued: {project.goal}", project_id=project.id))
        return project

    async def list(self) -> tuple[Project, ...]:
        """Every project, newest first."""
        return await self._many(select(self.table).order_by(self.table.c.created_at.desc(), self.table.c.id))

    async def in_status(self, *statuses: ProjectStatus) -> tuple[Project, ...]:
        """Projects in any of these states, oldest first."""
        wanted = [s.value for s in statuses]
        return await self._many(select(self.table).where(self.table.c.status.in_(wanted)).order_by(self.table.c.created_at))

    async def update(self, project_id: str, event: Event | None = None, fence: Lease | None = None, **values: Any) -> None:
        """Set some fields by name; `updated_at` moves along."""
        await self._update(project_id, event, fence, updated_at=self.clock.now(), **values)

    async def move(
        self,
        project_id: str,
        source: tuple[ProjectStatus, ...],
        target: ProjectStatus,
        event: Event | None = None,
        **values: Any,
    ) -> bool:
        """Change status only if it is one of `source` now; says whether it did. Two nodes cannot both start one project."""
        c = self.table.c
        changes = out_values({"status": target, "updated_at": self.clock.now(), **values})
        async with self.db.write(*self._topics(event)) as conn:
            where = (c.id == project_id, c.status.in_([s.value for s in source]))
            moved = (await conn.execute(update(self.table).where(*where).values(**changes))).rowcount == 1
            await record(conn, self.clock, event if moved else None)
        return moved


class Steps(Repository[Step]):
    table, cls, topic, noun = tables.steps, Step, "steps", "step"

    async def put(self, step: Step, event: Event | None = None) -> None:
        """Add or replace a step by its id: a durable step that runs twice writes one row, and its event only when the status is new.

        Its cost is added up from calls, not here.
        """
        async with self.db.write(*self._topics(event), "project") as conn:
            row = to_row(step)
            known = (await conn.execute(select(self.table.c.seq, self.table.c.status).where(self.table.c.id == step.id))).first()
            if known is not None:
                row["seq"] = known[0]
            elif step.seq <= 0:
                last = select(func.coalesce(func.max(self.table.c.seq), 0)).where(self.table.c.project_id == step.project_id)
                row["seq"] = int((await conn.execute(last)).scalar_one()) + 1
            await conn.execute(self.db.upsert(self.table, row))
            await record(conn, self.clock, event if known is None or known[1] != step.status else None)

    async def of(self, project_id: str) -> tuple[Step, ...]:
        """The steps of a project in order."""
        return await self._many(select(self.table).where(self.table.c.project_id == project_id).order_by(self.table.c.seq))

    async def latest(self, project_id: str, limit: int = 20) -> tuple[Step, ...]:
        """The newest steps of a project, oldest of them first."""
        query = select(self.table).where(self.table.c.project_id == project_id).order_by(self.table.c.seq.desc()).limit(limit)
        return tuple(reversed(await self._many(query)))

    async def last_seqs(self) -> dict[str, int]:
        """Project id → the number of its newest step; projects without a step are not in it."""
        c = self.table.c
        rows = await self.db.all(select(c.project_id, func.max(c.seq).label("seq")).group_by(c.project_id))
        return {row["project_id"]: int(row["seq"]) for row in rows}


class Questions(Repository[Question]):
    table, cls, topic, noun = tables.questions, Question, "questions", "question"

    async def ask(self, question: Question) -> Question:
        """Ask once: a question with a known id is left as it is, so a step that runs twice asks once."""
        known = await self.find(question.id)
        if known is not None:
            return known
        question = replace(question, created_at=question.created_at or self.clock.now())
        event = Event("question.asked", question.text, project_id=question.project_id or "", subject_id=question.id)
        await self._insert(question, event)
        return question

    async def open(self) -> tuple[Question, ...]:
        """Questions nobody has answered, oldest first."""
        c = self.table.c
        return await self._many(select(self.table).where(c.answered_at.is_(None)).order_by(c.created_at))

    async def of(self, project_id: str) -> tuple[Question, ...]:
        """Every question of a project, oldest first."""
        c = self.table.c
        return await self._many(select(self.table).where(c.project_id == project_id).order_by(c.created_at))

    async def answer(self, question_id: str, text: str, by: str) -> None:
        """Answer a question. The first answer wins: a second raises ConflictError."""
        c = self.table.c
        question = await self.get(question_id)
        values = {"answer": text, "answered_at": self.clock.now(), "answered_by": by}
        async with self.db.write("questions", "events") as conn:
            done = await conn.execute(update(self.table).where(c.id == question_id, c.answered_at.is_(None)).values(**values))
            if done.rowcount == 0:
                raise ConflictError(f"question {question_id} was already answered by {question.answered_by or 'someone'}")
            event = Event(
                "question.answered",
                f"{by} answered: {text}",
                project_id=question.project_id or "",
                subject_id=question_id,
            )
            await record(conn, self.clock, event)


async def insert_rows(repo: Steps, steps: tuple[Step, ...]) -> None:
    """Bulk insert, for benchmarks and forks."""
    async with repo.db.write(repo.topic) as conn:
        await conn.execute(insert(repo.table), [to_row(s) for s in steps])
