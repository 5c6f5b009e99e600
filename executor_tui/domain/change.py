"""Changes to machines: planned, consented, guarded, applied, verified, and then committed or rolled back; each leaves a receipt."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class Risk(StrEnum):
    READ = "read"
    RESTORABLE = "restorable"
    DISRUPTIVE = "disruptive"
    DESTRUCTIVE = "destructive"


class ChangeStatus(StrEnum):
    PLANNED = "planned"
    WAITING = "waiting"
    APPLYING = "applying"
    DONE = "done"
    NOTHING_TO_DO = "nothing_to_do"
    ROLLED_BACK = "rolled_back"
    REFUSED = "refused"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Change:
    """`operations` are the typed operations asked for; `plan` the ordered device calls; `diff` the lines shown for consent."""

    id: str
    device: str
    kind: str
    summary: str
    status: ChangeStatus
    risk: Risk
    operations: tuple[dict[str, object], ...] = ()
    plan: tuple[dict[str, object], ...] = ()
    diff: tuple[str, ...] = ()
    plan_hash: str = ""
    agent_id: str = ""
    project_id: str = ""
    requested_by: str = ""
    approval_id: str = ""
    workflow_id: str = ""
    detail: str = ""
    created_at: datetime | None = None
    updated_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a change left behind. `digest` chains to `previous_digest`, so a receipt altered later shows."""

    id: str
    change_id: str
    outcome: ChangeStatus
    before: dict[str, object] = field(default_factory=dict)
    after: dict[str, object] = field(default_factory=dict)
    consented_by: str = ""
    undo: tuple[dict[str, object], ...] = ()
    previous_digest: str = ""
    digest: str = ""
    created_at: datetime | None = None
