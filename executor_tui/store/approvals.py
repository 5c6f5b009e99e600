"""Approvals: asked once, decided once. The first decision wins, in the store."""

from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy import and_, or_, select, update

from executor_tui.domain.approval import Approval, ApprovalScope, ApprovalStatus, Decision
from executor_tui.domain.errors import ConflictError
from executor_tui.domain.event import Event, Level
from executor_tui.store import tables
from executor_tui.store.codec import out_values, to_row
from executor_tui.store.repository import Repository, record


class Approvals(Repository[Approval]):
    table, cls, topic, noun = tables.approvals, Approval, "approvals", "approval"

    async def request(self, approval: Approval) -> Approval:
        """Ask. An approval with a known id is returned as it stands, so asking again after a restart neither doubles nor decides."""
        known = await self.find(approval.id)
        if known is not None:
            return known
        approval = replace(approval, created_at=approval.created_at or self.clock.now())
        event = Event(
            "approval.requested", approval.subject, Level.WARNING, approval.agent_id, approval.project_id or "", approval.id,
            {"estimate_usd": approval.estimate_usd, "model": approval.model_id, "kind": str(approval.kind)},
        )  # fmt: skip
        async with self.db.write("approvals", "events") as conn:
            if (await conn.execute(self.db.insert_new(self.table, to_row(approval)))).first() is not None:
                await record(conn, self.clock, event)
                return approval
        return await self.get(approval.id)

    async def pending(self) -> tuple[Approval, ...]:
        """Waiting for a person, oldest first."""
        c = self.table.c
        return await self._many(select(self.table).where(c.status == ApprovalStatus.PENDING.value).order_by(c.created_at))

    async def list(self) -> tuple[Approval, ...]:
        """All, newest first."""
        return await self._many(select(self.table).order_by(self.table.c.created_at.desc()))

    async def decide(self, approval_id: str, decision: Decision) -> Approval:
        """Record a decision. Raises ConflictError when somebody decided before or the deadline has passed."""
        before = await self.get(approval_id)
        now = self.clock.now()
        status = ApprovalStatus.APPROVED if decision.approved else ApprovalStatus.DENIED
        after = replace(
            before, status=status, scope=decision.scope, limit_usd=decision.limit_usd, decided_at=now, decided_by=decision.by,
            decided_via=decision.via,
            valid_until=now + timedelta(minutes=decision.minutes) if decision.approved and decision.minutes else None,
        )  # fmt: skip
        if before.status is ApprovalStatus.PENDING and before.expires_at is not None and before.expires_at <= now:
            await self.expire(now)
            raise ConflictError(f"approval {approval_id} expired at {before.expires_at:%H:%M:%S}; silence meant no")
        fields = ("status", "scope", "limit_usd", "decided_at", "decided_by", "decided_via", "valid_until")
        await self._close(before, out_values({f: getattr(after, f) for f in fields}), f"{status} by {decision.by}")
        return after

    async def cancel(self, approval_id: str, reason: str) -> None:
        """Withdraw a request nobody needs any more; no effect once decided."""
        before = await self.get(approval_id)
        if before.status is ApprovalStatus.PENDING:
            values = {"status": ApprovalStatus.CANCELLED.value, "decided_at": self.clock.now(), "decided_by": reason}
            with suppress(ConflictError):  # decided between the look and the write: that counts
                await self._close(before, values, f"withdrawn: {reason}")

    async def _close(self, before: Approval, values: dict[str, object], outcome: str) -> None:
        c = self.table.c
        async with self.db.write("approvals", "events") as conn:
            where = (c.id == before.id, c.status == ApprovalStatus.PENDING.value)
            if (await conn.execute(update(self.table).where(*where).values(**values))).rowcount == 0:
                raise ConflictError(f"approval {before.id} was already decided: {before.status} by {before.decided_by or 'someone else'}")
            event = Event(
                "approval.decided", f"{before.subject}: {outcome}", Level.INFO, before.agent_id, before.project_id or "", before.id,
                {"status": str(values["status"]), "by": str(values.get("decided_by", ""))},
            )  # fmt: skip
            await record(conn, self.clock, event)

    async def expire(self, now: datetime) -> int:
        """Close every pending approval past its deadline; says how many."""
        c = self.table.c
        late = and_(c.status == ApprovalStatus.PENDING.value, c.expires_at.is_not(None), c.expires_at <= now)
        if await self.db.one(select(c.id).where(late)) is None:
            return 0
        async with self.db.write("approvals", "events") as conn:
            rows = (await conn.execute(select(self.table).where(late))).mappings().all()
            values = {"status": ApprovalStatus.EXPIRED.value, "decided_at": now, "decided_by": "deadline"}
            await conn.execute(update(self.table).where(late).values(**values))
            for row in rows:
                message = f"{row['subject']}: expired unanswered, taken as no"
                event = Event("approval.expired", message, Level.WARNING, row["agent_id"], row["project_id"] or "", row["id"])
                await record(conn, self.clock, event)
        return len(rows)

    async def standing(self, project_id: str | None, model_id: str) -> tuple[Approval, ...]:
        """Approved scopes that still reach: this model, this project (up to its limit) or the minutes not yet over."""
        c, now = self.table.c, self.clock.now()
        per_project = and_(c.scope == ApprovalScope.PROJECT.value, c.project_id == (project_id or ""))
        in_time = and_(c.scope == ApprovalScope.MINUTES.value, c.valid_until > now)
        where = (c.status == ApprovalStatus.APPROVED.value, c.model_id == model_id, or_(per_project, in_time))
        found = await self._many(select(self.table).where(*where).order_by(c.decided_at.desc()))
        return tuple(a for a in found if a.limit_usd is None or a.spent_usd < a.limit_usd)

    async def about(self, subject_id: str) -> tuple[Approval, ...]:
        """Every request about one thing, newest first."""
        c = self.table.c
        return await self._many(select(self.table).where(c.subject_id == subject_id).order_by(c.created_at.desc(), c.id.desc()))

    async def use_once(self, approval_id: str) -> bool:
        """Take a yes that holds for one call. True for the first taker only, whichever process asks."""
        c = self.table.c
        unused = (c.id == approval_id, c.status == ApprovalStatus.APPROVED.value, c.valid_until.is_(None))
        async with self.db.write("approvals") as conn:
            return (await conn.execute(update(self.table).where(*unused).values(valid_until=self.clock.now()))).rowcount == 1

    async def spend(self, approval_id: str, cost_usd: float) -> None:
        """Add to what has been spent under an approved scope."""
        c = self.table.c
        async with self.db.write("approvals") as conn:
            await conn.execute(update(self.table).where(c.id == approval_id).values(spent_usd=c.spent_usd + cost_usd))
