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

    @property
    def final(self) -> bool:
        return self not in (ChangeStatus.PLANNED, ChangeStatus.WAITING, ChangeStatus.APPLYING)


@dataclass(frozen=True, slots=True)
class Change:
    """`operations` are the typed operations asked for; `plan` the ordered device calls; `diff` the lines shown for consent.

    `targets` are what no other change may touch while this one is applied. `journal` is what a restart needs to know of an application
    that was interrupted: its phase, when it began, and which calls were begun and done.
    """

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
    targets: tuple[str, ...] = ()
    journal: dict[str, object] = field(default_factory=dict)
    created_at: datetime | None = None
    updated_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a change left behind. `digest` covers everything else and chains to `previous_digest`, so that a receipt altered, added or taken
    away later shows. `seq` is its place in the chain."""

    id: str
    change_id: str
    outcome: ChangeStatus
    seq: int = 0
    device: str = ""
    summary: str = ""
    detail: str = ""
    operations: tuple[dict[str, object], ...] = ()
    before: dict[str, object] = field(default_factory=dict)
    after: dict[str, object] = field(default_factory=dict)
    consented_by: str = ""
    undo: tuple[dict[str, object], ...] = ()
    previous_digest: str = ""
    digest: str = ""
    created_at: datetime | None = None
