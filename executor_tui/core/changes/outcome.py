"""How a change ended, as data that survives a restart."""

from dataclasses import asdict, dataclass, field

from executor_tui.agents.device import Json
from executor_tui.domain.change import ChangeStatus


@dataclass(frozen=True, slots=True)
class Outcome:
    """`before` and `after` are the device's state by meaning; `undo` the operations that take the change back."""

    status: ChangeStatus
    detail: str = ""
    before: Json = field(default_factory=dict)
    after: Json = field(default_factory=dict)
    undo: tuple[Json, ...] = ()
    consented_by: str = ""

    def to_json(self) -> Json:
        return {**asdict(self), "status": str(self.status), "undo": list(self.undo)}

    @staticmethod
    def from_json(raw: Json) -> "Outcome":
        undo = raw.get("undo")
        before, after = raw.get("before"), raw.get("after")
        return Outcome(
            ChangeStatus(str(raw["status"])), str(raw.get("detail") or ""), before if isinstance(before, dict) else {},
            after if isinstance(after, dict) else {}, tuple(undo) if isinstance(undo, list | tuple) else (),
            str(raw.get("consented_by") or ""),
        )  # fmt: skip
