"""The phases of a change before and after it is applied: deciding what is open, planning, consent, and the receipt at the end.

Each phase may be run again after a crash: it looks at what stands before it does anything.
"""

import logging
from dataclasses import dataclass, replace
from datetime import timedelta

from executor_tui.agents.device import Device, Json, Plan, plan_to_json
from executor_tui.core.alerts import raise_alert
from executor_tui.core.changes import mandate, receipts, words
from executor_tui.core.changes.outcome import Outcome
from executor_tui.core.changes.policy import FROZEN_TEXT, Ruling, ruling
from executor_tui.core.changes.risk import risk_of
from executor_tui.core.changes.runtime import ChangeHands, OfficeLostError, Runtime
from executor_tui.domain.agent import AgentState
from executor_tui.domain.alert import Alert, Severity
from executor_tui.domain.approval import Approval, ApprovalKind, ApprovalStatus
from executor_tui.domain.change import Change, ChangeStatus, Receipt, Risk
from executor_tui.domain.crash import crash_point
from executor_tui.domain.errors import ExecutorError, StoreError
from executor_tui.domain.event import Event, Level
from executor_tui.domain.ids import new_id
from executor_tui.domain.recovery import Checkpoint

log = logging.getLogger(__name__)
RESOLVED = "resolved"
_UNFINISHED = (ChangeStatus.PLANNED, ChangeStatus.WAITING, ChangeStatus.APPLYING)


@dataclass(frozen=True, slots=True)
class Planned:
    """What planning came to: a plan to ask consent for, or the end of the change."""

    plan: Json | None = None
    risk: Risk = Risk.READ
    outcome: Outcome | None = None


@dataclass(frozen=True, slots=True)
class Consent:
    """Who said yes, or the end of the change."""

    by: str = ""
    outcome: Outcome | None = None


class Engine:
    """Plans, asks and concludes. Applying is in applying.py."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self._store = runtime.store

    # -- planning ------------------------------------------------------------------------------------------------------------------

    async def prepare(self, change_id: str) -> Planned:
        """Decide what is open (once), plan against the live state, and keep the plan in the row."""
        await self.runtime.office()
        change = await self._store.changes.get(change_id)
        if change.status.final:
            return Planned(outcome=Outcome(change.status, change.detail))
        try:
            device = await self.runtime.open_device(change.device)
            change = await words.proposed(self.runtime, change, device)
            change = await self._resolved(change, device)
            plan = await device.plan(change.operations, change_id, done_calls(change))
        except (StoreError, OfficeLostError):
            raise
        except ExecutorError as exc:
            if change.status is ChangeStatus.APPLYING:  # interrupted half-way: applying.py finds out what can be done
                return Planned(plan=_kept_plan(change), risk=change.risk)
            detail = f"{exc.message}; nothing was changed" + (f" ({exc.hint})" if exc.hint else "")
            return Planned(outcome=Outcome(ChangeStatus.FAILED, detail))
        if change.status is ChangeStatus.APPLYING:
            return Planned(plan=_kept_plan(change) or plan_to_json(plan), risk=change.risk)
        return await self._keep_plan(change, plan)

    async def _resolved(self, change: Change, device: Device) -> Change:
        if change.journal.get(RESOLVED):
            return change
        async with self.runtime.planning(change.device):
            others = [
                dict(operation)
                for other in await self._store.changes.in_status(*_UNFINISHED)
                if other.device == change.device and other.id != change.id and other.journal.get(RESOLVED)
                for operation in other.operations
            ]
            operations = await device.resolve(change.operations, others, ChangeHands(self.runtime, change))
            change = replace(change, operations=operations, journal={**change.journal, RESOLVED: True})
            await self._store.changes.update(change.id, operations=operations, journal=change.journal)
        crash_point("change.resolved")
        return change

    async def _keep_plan(self, change: Change, plan: Plan) -> Planned:
        risk = risk_of(plan.risks)
        raw = plan_to_json(plan)
        calls = raw["calls"]
        assert isinstance(calls, list)
        event = Event(
            "change.planned", f"change {change.id} on {change.device}: {plan.summary}", Level.INFO, change.device, change.project_id,
            change.id, {"risk": str(risk), "calls": len(calls), "plan_hash": plan.hash, "warnings": list(plan.warnings)},
        )  # fmt: skip
        await self._store.changes.update(
            change.id, event, plan=tuple(calls), diff=plan.diff, plan_hash=plan.hash, risk=risk, targets=plan.targets,
            summary=change.summary or plan.summary, status=ChangeStatus.PLANNED,
            journal={**change.journal, "plan": raw},
        )  # fmt: skip
        crash_point("change.planned")
        if plan.nothing_to_do:
            return Planned(outcome=Outcome(ChangeStatus.NOTHING_TO_DO, "everything is as wanted already", plan.before, plan.before))
        return Planned(plan=raw, risk=risk)

    # -- consent -------------------------------------------------------------------------------------------------------------------

    async def consent(self, change_id: str, risk: Risk) -> Consent:
        """What the policy says, or what a person answers. Waits for as long as it takes; a restart waits on."""
        await self.runtime.office()
        while True:
            change = await self._store.changes.get(change_id)
            if change.status.final:
                return Consent(outcome=Outcome(change.status, change.detail))
            if change.status is ChangeStatus.APPLYING:
                return Consent(by=str(change.journal.get("consented_by") or ""))
            decided = ruling(self.runtime.config().executor.approvals, risk, self.runtime.clock.now())
            if decided.ruling is Ruling.GO and not (words.by_model(change) and risk is not Risk.READ):
                crash_point("change.consented")
                return Consent(by=decided.by)
            if decided.ruling is Ruling.FROZEN:
                return Consent(outcome=Outcome(ChangeStatus.REFUSED, f"{FROZEN_TEXT}; nothing was changed"))
            if decided.ruling is Ruling.WAIT:
                await self._wait(change, f"quiet hours until {decided.until:%Y-%m-%d %H:%M} UTC")
                continue
            by = await mandate.given(self._store, change)
            if by:
                crash_point("change.consented")
                return Consent(by=by)
            answer = await self._asked(change, risk)
            if answer is not None:
                crash_point("change.consented")
                return answer

    async def _asked(self, change: Change, risk: Risk) -> Consent | None:
        """The answer to this plan's approval; None while there is none."""
        approval = await self._store.approvals.find(approval_id(change)) or await self._ask(change, risk)
        now = self.runtime.clock.now()
        if approval.status is ApprovalStatus.PENDING:
            if approval.expires_at is not None and approval.expires_at <= now:
                await self._store.approvals.expire(now)
                return None
            await self._wait(change, f"waits for consent: {approval.id}")
            return None
        if approval.status is ApprovalStatus.APPROVED:
            return Consent(by=f"{approval.decided_by} via {approval.decided_via}")
        words = {ApprovalStatus.DENIED: f"denied by {approval.decided_by}", ApprovalStatus.EXPIRED: "nobody consented in time"}
        detail = words.get(approval.status, f"withdrawn: {approval.decided_by}")
        return Consent(outcome=Outcome(ChangeStatus.REFUSED, f"{detail}; nothing was changed", consented_by=""))

    async def _ask(self, change: Change, risk: Risk) -> Approval:
        plan = change.journal.get("plan")
        plan = plan if isinstance(plan, dict) else {}
        expires = self.runtime.clock.now() + timedelta(minutes=self.runtime.config().executor.approvals.expire_minutes)
        why = str(change.journal.get("why") or "") or f"asked for by {change.requested_by or 'somebody'}"
        details: Json = {
            "change": change.id, "device": change.device, "diff": list(change.diff), "plan_hash": change.plan_hash,
            "calls": [str(call.get("about", "")) for call in change.plan], "warnings": plan.get("warnings", []),
            "guard": plan.get("guard", ""), "undo": bool(plan.get("undo")),
        }  # fmt: skip
        approval = Approval(
            id=approval_id(change), kind=ApprovalKind.CHANGE, subject=f"{change.device}: {change.summary}", why=why,
            if_denied="nothing is changed", agent_id=change.agent_id or change.device, project_id=change.project_id or None,
            subject_id=change.id, risk=str(risk), confirm_word=str(plan.get("confirm_word") or "") if risk is Risk.DESTRUCTIVE else "",
            details=details, expires_at=expires,
        )  # fmt: skip
        approval = await self._store.approvals.request(approval)
        await self._store.changes.update(change.id, approval_id=approval.id, status=ChangeStatus.WAITING)
        crash_point("change.consent_asked")
        return approval

    async def _wait(self, change: Change, detail: str) -> None:
        if change.detail != detail or change.status is not ChangeStatus.WAITING:
            await self._store.changes.update(change.id, status=ChangeStatus.WAITING, detail=detail)
            await self.mark_agent(change, AgentState.WAITING, detail)
        await self.runtime.news()

    # -- the end -------------------------------------------------------------------------------------------------------------------

    async def conclude(self, change_id: str, outcome: Outcome) -> None:
        """The receipt, then the row, then the alert; each once, however often this runs."""
        await self.runtime.office()
        change = await self._store.changes.get(change_id)
        await self._withdraw_approval(change, outcome)
        receipt = await receipts.append(self._store, Receipt(
            id=f"rcp-{change_id}", change_id=change_id, outcome=outcome.status, device=change.device, summary=change.summary,
            detail=outcome.detail, operations=change.operations, before=outcome.before, after=outcome.after,
            consented_by=outcome.consented_by, undo=outcome.undo,
        ))  # fmt: skip
        crash_point("change.receipted")
        journal = {name: value for name, value in change.journal.items() if name != "plan"}
        await self._store.changes.update(change_id, status=receipt.outcome, detail=receipt.detail, journal=journal)
        await self._release_agent(change)
        if outcome.status in (ChangeStatus.FAILED, ChangeStatus.ROLLED_BACK):
            word = outcome.status.replace("_", " ")
            alert = Alert(
                new_id("alr"), f"change:{change_id}:{word}", Severity.WARNING, f"Change on {change.device} {word}: {change.summary}",
                outcome.detail, f"changes {word}", change_id,
            )  # fmt: skip
            await raise_alert(self._store, self.runtime.config().notification, alert)
        crash_point("change.concluded")
        self.runtime.tell()

    async def _withdraw_approval(self, change: Change, outcome: Outcome) -> None:
        approval = await self._store.approvals.find(change.approval_id) if change.approval_id else None
        if approval is not None and approval.status is ApprovalStatus.PENDING:
            await self._store.approvals.cancel(approval.id, f"the change is over: {outcome.status.replace('_', ' ')}")

    async def mark_agent(self, change: Change, state: AgentState, reason: str) -> None:
        """Show on the fleet what the device's agent is at, and keep it as its checkpoint; one that is not in the registry has no row."""
        if await self._store.agents.find(change.device) is None:
            return
        task = change.summary if state is not AgentState.ONLINE else ""
        project = (change.project_id or None) if state is not AgentState.ONLINE else None
        await self._store.agents.set_state(change.device, state, reason, task=task, project_id=project)
        kept = Checkpoint(change.device, state)
        if state is not AgentState.ONLINE:
            step, data = len(done_calls(change)), dict[str, object](change=change.id)
            kept = Checkpoint(change.device, state, task, project or "", change.workflow_id, step, change.targets, data)
        await self._store.checkpoints.save(kept)

    async def _release_agent(self, change: Change) -> None:
        """The agent goes on to another change of its device that is open, or has nothing to do."""
        others = await self._store.changes.in_status(ChangeStatus.APPLYING, ChangeStatus.WAITING)
        other = next((c for c in others if c.device == change.device and c.id != change.id), None)
        if other is None:
            await self.mark_agent(change, AgentState.ONLINE, "")
        else:
            state = AgentState.BUSY if other.status is ChangeStatus.APPLYING else AgentState.WAITING
            await self.mark_agent(other, state, other.detail if state is AgentState.WAITING else "")


def approval_id(change: Change) -> str:
    """A consent belongs to one plan: its id carries the plan's hash, so that no other plan can use it."""
    return f"apr-{change.id}-{change.plan_hash[:6]}"


def done_calls(change: Change) -> frozenset[str]:
    """The calls the journal knows to have been made."""
    done = change.journal.get("done")
    return frozenset(str(item) for item in done) if isinstance(done, list | tuple) else frozenset()


def _kept_plan(change: Change) -> Json | None:
    plan = change.journal.get("plan")
    return plan if isinstance(plan, dict) else None
