"""Events: each thing that happened, structured, in the order the store saw it. The console shows and replays these."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class Level(StrEnum):
    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Event:
    """`kind` is `noun.verb_in_past` (`project.delivered`, `key.parked`, `log.line`); `data` is small JSON; `seq` is set by the store."""

    kind: str
    message: str
    level: Level = Level.INFO
    agent_id: str = ""
    project_id: str = ""
    subject_id: str = ""
    data: dict[str, object] = field(default_factory=dict)
    at: datetime | None = None
    seq: int = 0
