"""Consent that was given once for a project's whole stay in its container: to its making, its copies for test runs, and its end.

The plan of the making says all of that, so whoever consents to it consents to the rest. The rest is still planned, guarded, verified and
receipted call by call, and the planner lets it touch only containers that the project made for itself. Nothing else can use this: no model
and no command may name a change to stand under, and what a freeze or quiet hours hold back stays held back.
"""

from executor_tui.domain.change import Change, ChangeStatus
from executor_tui.store.store import Store

UNDER = "under"
"""In a change's journal: the change whose consent covers it."""
OWN = "lxc.run."
"""What every entry of the risk table begins with that is about a project's own containers."""


async def given(store: Store, change: Change) -> str:
    """Who consented to this as part of an earlier change; empty when nobody did."""
    under, plan = change.journal.get(UNDER), change.journal.get("plan")
    risks = plan.get("risks") if isinstance(plan, dict) else None
    if not isinstance(under, str) or not isinstance(risks, list) or not risks or not all(str(risk).startswith(OWN) for risk in risks):
        return ""
    made, receipt = await store.changes.find(under), await store.receipts.of_change(under)
    if made is None or receipt is None or made.status is not ChangeStatus.DONE or not change.project_id:
        return ""
    same = (made.project_id, made.device) == (change.project_id, change.device)
    for_the_run = any(operation.get("run") == change.project_id for operation in made.operations)
    return f"{receipt.consented_by} (with change {under})" if same and for_the_run and receipt.consented_by else ""
