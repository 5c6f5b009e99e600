"""The durable workflow of one change. Its inputs and outputs are ids and JSON; everything it works with is set when a host starts.

A step that a crash interrupts runs again from its beginning; each looks at what stands first, so twice is the same as once.
"""

import logging

from dbos import DBOS

from executor_tui.agents.device import Json
from executor_tui.core.changes.applying import Applier
from executor_tui.core.changes.engine import Engine
from executor_tui.core.changes.outcome import Outcome
from executor_tui.core.changes.runtime import OfficeLostError
from executor_tui.domain.change import ChangeStatus, Risk
from executor_tui.domain.errors import StoreError

log = logging.getLogger(__name__)
NAME = "change"
MAX_PLANS = 5
"""How often a device may change under a plan before the change is given up."""

_engine: Engine | None = None


def use(engine: Engine | None) -> None:
    """Set what the workflows of this process work with."""
    global _engine
    _engine = engine


def engine() -> Engine:
    if _engine is None:
        raise RuntimeError("no host of changes runs in this process")
    return _engine


def _worth_retrying(error: BaseException) -> bool:
    """Losing the right to act ends no change: the step begins again, by waiting until the right is held."""
    return isinstance(error, StoreError | OfficeLostError)


@DBOS.step(name="change.prepare", retries_allowed=True, max_attempts=10, should_retry=_worth_retrying)
async def _prepare(change_id: str) -> Json:
    planned = await engine().prepare(change_id)
    return {"plan": planned.plan, "risk": str(planned.risk), "outcome": planned.outcome.to_json() if planned.outcome else None}


@DBOS.step(name="change.consent", retries_allowed=True, max_attempts=10, should_retry=_worth_retrying)
async def _consent(change_id: str, risk: str) -> Json:
    consent = await engine().consent(change_id, Risk(risk))
    return {"by": consent.by, "outcome": consent.outcome.to_json() if consent.outcome else None}


@DBOS.step(name="change.carry_out", retries_allowed=True, max_attempts=10, should_retry=_worth_retrying)
async def _carry_out(change_id: str, plan: Json, consented_by: str) -> Json:
    outcome = await Applier(engine()).carry_out(change_id, plan, consented_by)
    return {"outcome": outcome.to_json() if outcome else None}


@DBOS.step(name="change.conclude", retries_allowed=True, max_attempts=10, should_retry=_worth_retrying)
async def _conclude(change_id: str, outcome: Json) -> None:
    await engine().conclude(change_id, Outcome.from_json(outcome))


@DBOS.workflow(name=NAME)
async def change_workflow(change_id: str) -> str:
    """Plan, ask, apply, and write the receipt; plan again when the device changed meanwhile. Gives the outcome's status."""
    outcome: object = None
    for _ in range(MAX_PLANS):
        planned = await _prepare(change_id)
        outcome = planned["outcome"]
        if outcome is None:
            consent = await _consent(change_id, str(planned["risk"]))
            outcome = consent["outcome"]
            if outcome is None:
                plan = planned["plan"]
                assert isinstance(plan, dict)
                outcome = (await _carry_out(change_id, plan, str(consent["by"])))["outcome"]
        if outcome is not None:
            break
    if outcome is None:
        detail = f"the device changed under each of {MAX_PLANS} plans; nothing was changed"
        outcome = Outcome(ChangeStatus.FAILED, detail).to_json()
    assert isinstance(outcome, dict)
    await _conclude(change_id, outcome)
    return str(outcome["status"])
