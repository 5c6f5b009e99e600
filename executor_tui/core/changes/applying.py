"""Applying a plan that has consent: hold the device, see that nothing changed, guard up, call, read back, commit or roll back.

Whatever ends an attempt, an error or a crash, the device's own state decides what is said of it: as before, as wanted, or in between.
"""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from executor_tui.agents.device import Call, Device, Guarded, Json, Plan, RollbackError, plan_from_json, plan_to_json
from executor_tui.core.changes.engine import Engine, done_calls
from executor_tui.core.changes.outcome import Outcome
from executor_tui.core.changes.policy import FROZEN_TEXT, Ruling, ruling, still_fresh
from executor_tui.core.changes.runtime import ChangeHands, OfficeLostError, Runtime
from executor_tui.domain.agent import AgentState
from executor_tui.domain.change import Change, ChangeStatus
from executor_tui.domain.crash import crash_point
from executor_tui.domain.errors import ExecutorError, StoreError
from executor_tui.domain.event import Event

log = logging.getLogger(__name__)
APPLYING, COMMITTING, TAKING_BACK = "applying", "committing", "taking back"
"""The phases an application goes through, as the journal names them."""
MAX_ATTEMPTS = 2
"""How often an application that a crash interrupted is begun again."""
PROOF_TRIES, PROOF_WAIT_S = 30, 2.0
"""How long the device is asked for its state after a failure, before it is given up as unreachable."""


class FrozenError(ExecutorError):
    """The freeze switch was thrown while a change was being applied."""

    exit_code = 3


@dataclass
class _Attempt:
    """One application. `begun` and `done` are ids of calls, kept in the row's journal so that a restart knows."""

    change: Change
    plan: Plan
    device: Device
    hands: ChangeHands
    consented_by: str
    journal: Json
    begun: list[str] = field(default_factory=list)
    done: list[str] = field(default_factory=list)
    writing: asyncio.Lock = field(default_factory=asyncio.Lock)

    def calls(self, ids: Sequence[str]) -> list[Call]:
        return [call for call in self.plan.calls if call.id in ids]


class Applier:
    """Carries out one change at a time on each target."""

    def __init__(self, engine: Engine) -> None:
        self._engine, self._runtime, self._store = engine, engine.runtime, engine.runtime.store

    async def carry_out(self, change_id: str, raw_plan: Json, consented_by: str) -> Outcome | None:
        """Apply a plan. None: the device is no longer as it was when this was planned, so plan anew."""
        plan = plan_from_json(raw_plan)
        blocked = await self._hold(change_id)
        if blocked is not None:
            return blocked
        crash_point("change.begun")
        change = await self._store.changes.get(change_id)
        if change.status.final:
            return Outcome(change.status, change.detail)
        await self._engine.mark_agent(change, AgentState.BUSY, "")
        hands = ChangeHands(self._runtime, change)
        attempt_of = _Maker(self._runtime, change, hands, consented_by)
        try:
            device = await self._runtime.open_device(change.device)
            if change.journal.get("phase"):
                return await self._go_on(attempt_of(device, plan))
            fresh = await device.plan(change.operations, change_id)
        except (StoreError, OfficeLostError):
            raise
        except ExecutorError as exc:
            return Outcome(ChangeStatus.FAILED, f"{exc.message}; nothing was changed", plan.before, plan.before, consented_by=consented_by)
        if fresh.hash != plan.hash:
            await self._store.changes.update(change_id, status=ChangeStatus.PLANNED, detail="the device changed since; planned anew")
            self._runtime.tell()
            return None
        return await self._apply(attempt_of(device, plan))

    async def _hold(self, change_id: str) -> Outcome | None:
        """Wait until policy and other changes let us, then hold the targets; an outcome when policy forbids it."""
        while True:
            lease = await self._runtime.office()
            change = await self._store.changes.get(change_id)
            if change.status is not ChangeStatus.APPLYING:
                decided = ruling(self._runtime.config().executor.approvals, change.risk, self._runtime.clock.now())
                if decided.ruling is Ruling.FROZEN:
                    return Outcome(ChangeStatus.REFUSED, f"{FROZEN_TEXT}; nothing was changed")
                if decided.ruling is Ruling.WAIT:
                    await self._runtime.news()
                    continue
            other = await self._store.changes.begin(change_id, fence=lease, detail="")
            if other is None:
                return None
            await self._runtime.news()

    # -- the application -----------------------------------------------------------------------------------------------------------

    async def _apply(self, attempt: _Attempt) -> Outcome:
        await self._journal(attempt, APPLYING)
        event = Event(
            "change.applying", f"applying change {attempt.change.id}: {attempt.plan.summary}", agent_id=attempt.change.device,
            project_id=attempt.change.project_id, subject_id=attempt.change.id,
        )  # fmt: skip
        await self._store.events.add(event)
        crash_point("change.intended")
        try:
            async with attempt.device.guarded(attempt.plan, attempt.hands) as guard:
                crash_point("change.guarded")
                return await self._under_guard(attempt, guard)
        except (StoreError, OfficeLostError):
            raise
        except ExecutorError as exc:
            return await self._prove(attempt, exc)

    async def _under_guard(self, attempt: _Attempt, guard: Guarded) -> Outcome:
        try:
            await self._make_calls(attempt, guard)
            crash_point("change.applied")
            seen = await attempt.device.plan(attempt.plan.operations, attempt.change.id, frozenset(attempt.done))
            if not seen.nothing_to_do:
                raise ExecutorError("read back, it is not as wanted: " + "; ".join(seen.diff or [c.about for c in seen.calls]))
        except (StoreError, OfficeLostError):
            raise
        except ExecutorError as exc:
            return await self._take_back(attempt, guard, exc)
        crash_point("change.verified")
        await self._journal(attempt, COMMITTING)
        crash_point("change.committing")
        await guard.commit()
        crash_point("change.committed")
        return self._done(attempt, seen)

    async def _make_calls(self, attempt: _Attempt, guard: Guarded) -> None:
        """Every call of the plan: those of one lane in order, lanes beside each other. The first failure stops what has not begun."""
        lanes: dict[str, list[Call]] = {}
        for call in attempt.plan.calls:
            lanes.setdefault(call.lane, []).append(call)
        room, failed = asyncio.Semaphore(max(1, attempt.device.width)), asyncio.Event()
        results = await asyncio.gather(
            *(self._make_lane(attempt, guard, lane, room, failed) for lane in lanes.values()), return_exceptions=True
        )
        errors = [result for result in results if isinstance(result, BaseException)]
        for error in errors:
            if not isinstance(error, ExecutorError):
                raise error
        if errors:
            raise next((e for e in errors if isinstance(e, StoreError | OfficeLostError)), errors[0])

    async def _make_lane(
        self, attempt: _Attempt, guard: Guarded, calls: Sequence[Call], room: asyncio.Semaphore, failed: asyncio.Event
    ) -> None:  # fmt: skip
        async with room:
            for call in calls:
                if failed.is_set():
                    return
                try:
                    await self._make_call(attempt, guard, call)
                except BaseException:
                    failed.set()
                    raise

    async def _make_call(self, attempt: _Attempt, guard: Guarded, call: Call) -> None:
        if call.id in attempt.done:
            return
        self._runtime.require_office()
        if self._runtime.config().executor.approvals.freeze:
            raise FrozenError(FROZEN_TEXT)
        attempt.begun.append(call.id)
        await self._journal(attempt, APPLYING)
        crash_point("change.calling")
        attempt.hands.say(call.about)
        await guard.call(call)
        crash_point("change.called")
        attempt.done.append(call.id)
        await self._journal(attempt, APPLYING)

    def _done(self, attempt: _Attempt, seen: Plan, detail: str = "") -> Outcome:
        original = attempt.plan
        return Outcome(ChangeStatus.DONE, detail, original.before, seen.before, original.undo, attempt.consented_by)

    # -- when it does not go well --------------------------------------------------------------------------------------------------

    async def _take_back(self, attempt: _Attempt, guard: Guarded, error: ExecutorError) -> Outcome:
        attempt.hands.say(f"taking it back: {error.message}")
        attempt.journal["why"] = error.message + (f" ({error.hint})" if error.hint else "")
        await self._journal(attempt, TAKING_BACK)
        try:
            await guard.roll_back(attempt.calls(attempt.begun))
        except RollbackError as exc:
            error = ExecutorError(f"{error.message}; {exc.message}", hint=exc.hint)
        except (StoreError, OfficeLostError):
            raise
        except ExecutorError as exc:
            log.warning(
                "change %s: rolling back: %s", attempt.change.id, exc.message
            )  # the device may do it alone; what it did is read next
        crash_point("change.rolled_back")
        return await self._prove(attempt, error)

    async def _prove(self, attempt: _Attempt, error: ExecutorError) -> Outcome:
        """What the device says of itself after a failure: nothing is assumed."""
        plan, by = attempt.plan, attempt.consented_by
        why = error.message + (f" ({error.hint})" if error.hint else "")
        try:
            now = await self._look(attempt)
        except (StoreError, OfficeLostError):
            raise
        except ExecutorError as exc:
            detail = f"{why}; how the device stands now is not known: {exc.message}"
            return Outcome(ChangeStatus.FAILED, detail, plan.before, {}, plan.undo, by)
        if now.before == plan.before:
            if not attempt.begun:
                return Outcome(ChangeStatus.FAILED, f"{why}; nothing was changed", plan.before, now.before, consented_by=by)
            return Outcome(ChangeStatus.ROLLED_BACK, f"{why}; taken back, read back as before", plan.before, now.before, consented_by=by)
        if now.nothing_to_do:
            return self._done(attempt, now, f"{why}; but it is in force, read back as wanted")
        left = "; ".join(now.diff) or "its state is neither as before nor as wanted"
        return Outcome(ChangeStatus.FAILED, f"{why}; it stands half-way, still missing: {left}", plan.before, now.before, plan.undo, by)

    async def _look(self, attempt: _Attempt) -> Plan:
        """The device's state once nothing of this attempt is going on any more. Raises what the driver raises."""
        for number in range(1, PROOF_TRIES + 1):
            try:
                await attempt.device.settle(attempt.plan, attempt.hands)
                return await attempt.device.plan(attempt.plan.operations, attempt.change.id, frozenset(attempt.done))
            except (StoreError, OfficeLostError):
                raise
            except ExecutorError as exc:
                if number == PROOF_TRIES:
                    raise
                attempt.hands.say(f"cannot be read yet: {exc.message}")
                await self._runtime.clock.sleep(PROOF_WAIT_S)
        raise AssertionError("unreachable: the last round returns or raises")

    # -- after a restart -----------------------------------------------------------------------------------------------------------

    async def _go_on(self, attempt: _Attempt) -> Outcome:
        """An attempt that a crash interrupted: finished, begun again, or taken back, by what the device shows."""
        attempt.hands.say("an application of this change was interrupted; looking at how the device stands")
        attempt.begun, attempt.done = _ids(attempt.journal.get("begun")), sorted(done_calls(attempt.change))
        began = _time(attempt.journal.get("began_at"))
        for call in attempt.calls(attempt.begun):
            if not call.shows and call.id not in attempt.done and began is not None and await attempt.device.made(call, began):
                attempt.done.append(call.id)
        try:
            now = await self._look(attempt)
        except (StoreError, OfficeLostError):
            raise
        except ExecutorError as exc:
            detail = f"interrupted while it was being applied; how the device stands is not known: {exc.message}"
            return Outcome(ChangeStatus.FAILED, detail, attempt.plan.before, {}, attempt.plan.undo, attempt.consented_by)
        if now.nothing_to_do:
            return self._done(attempt, now, "interrupted; found finished after the restart")
        untouched = now.before == attempt.plan.before
        failed = str(attempt.journal.get("why") or "")
        if untouched and (failed or not await self._may_begin_again(attempt)):
            why = failed or "interrupted before it was finished"
            detail = f"{why}; taken back, read back as before"
            return Outcome(ChangeStatus.ROLLED_BACK, detail, attempt.plan.before, now.before, consented_by=attempt.consented_by)
        if failed and attempt.device.finishes_forward:
            async with attempt.device.guarded(attempt.plan, attempt.hands) as guard:
                return await self._take_back(attempt, guard, ExecutorError(failed))
        if untouched or attempt.device.finishes_forward:
            return await self._finish(attempt, now, untouched)
        detail = f"interrupted half-way and not taken back by its guard; still missing: {'; '.join(now.diff)}"
        return Outcome(ChangeStatus.FAILED, detail, attempt.plan.before, now.before, attempt.plan.undo, attempt.consented_by)

    async def _may_begin_again(self, attempt: _Attempt) -> bool:
        """Whether the consent still carries a new beginning: it is fresh, nothing forbids writing, and it has not failed twice."""
        tries = attempt.journal.get("attempts")
        policy, now = self._runtime.config().executor.approvals, self._runtime.clock.now()
        consented = _time(attempt.journal.get("began_at"))
        allowed = ruling(policy, attempt.change.risk, now).ruling in (Ruling.GO, Ruling.ASK)
        return allowed and isinstance(tries, int) and tries < MAX_ATTEMPTS and still_fresh(policy, consented, now)

    async def _finish(self, attempt: _Attempt, now: Plan, untouched: bool) -> Outcome:
        while self._runtime.config().executor.approvals.freeze:
            await self._store.changes.update(attempt.change.id, detail=f"interrupted half-way; {FROZEN_TEXT}")
            await self._runtime.news()
        tries = attempt.journal.get("attempts")
        attempt.journal["attempts"] = (tries if isinstance(tries, int) else 1) + 1
        missing = {call.id for call in now.calls}
        attempt.begun = [] if untouched else attempt.begun
        attempt.done = [call.id for call in attempt.plan.calls if call.id not in missing]
        outcome = await self._apply(attempt)
        if outcome.status is ChangeStatus.DONE and not outcome.detail:
            return Outcome(ChangeStatus.DONE, "interrupted; finished after the restart", outcome.before, outcome.after, outcome.undo,
                           outcome.consented_by)  # fmt: skip
        return outcome

    async def _journal(self, attempt: _Attempt, phase: str) -> None:
        async with attempt.writing:
            attempt.journal.update(
                phase=phase, begun=list(attempt.begun), done=list(attempt.done), consented_by=attempt.consented_by,
                plan=plan_to_json(attempt.plan),
            )  # fmt: skip
            lease = self._runtime.require_office()
            await self._store.changes.update(attempt.change.id, fence=lease, journal=dict(attempt.journal))


class _Maker:
    """Makes the record of an attempt."""

    def __init__(self, runtime: Runtime, change: Change, hands: ChangeHands, consented_by: str) -> None:
        self._runtime, self._change, self._hands, self._by = runtime, change, hands, consented_by

    def __call__(self, device: Device, plan: Plan) -> _Attempt:
        journal: Json = dict(self._change.journal)
        journal.setdefault("began_at", self._runtime.clock.now().isoformat())
        journal.setdefault("attempts", 1)
        return _Attempt(self._change, plan, device, self._hands, self._by, journal)


def _ids(value: object) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list | tuple) else []


def _time(value: object) -> datetime | None:
    return datetime.fromisoformat(value) if isinstance(value, str) else None
