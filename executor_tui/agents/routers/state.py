"""The live state that planning looks at, and the part of it that a consent is bound to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from executor_tui.agents.device import digest_of
from executor_tui.infra.routeros.connection import Row
from executor_tui.infra.routeros.schema import STATE

FASTTRACK = "fasttrack rules"
"""Not a menu: the enabled filter rules that let traffic pass queues and filter by."""
_NOT_FACTS = STATE | {".id", "timeout", "extra-info"}


@dataclass(frozen=True, slots=True)
class State:
    """What was read. `sessions` are the addresses Executor's own sessions come from; `host` and `port` are where they go."""

    version: tuple[int, ...]
    menus: Mapping[str, tuple[Row, ...]]
    sessions: tuple[str, ...] = ()
    host: str = ""
    port: int = 0

    @property
    def has_safe_mode(self) -> bool:
        return self.version >= (7, 18)

    def rows(self, menu: str) -> tuple[Row, ...]:
        return self.menus.get(menu, ())


@dataclass(frozen=True, slots=True)
class Survey:
    """What resolving may choose from, besides the state: addresses of the containers that were named."""

    state: State
    containers: Mapping[str, str] = field(default_factory=dict)


def facts(row: Row | None) -> dict[str, str] | None:
    """A row by what was configured: no counters, nothing that moves by itself, no identity."""
    if row is None:
        return None
    return {name: text for name, text in sorted(row.items()) if name not in _NOT_FACTS}


def is_dynamic(row: Row) -> bool:
    return row.get("dynamic") == "true"


def is_enabled(row: Row) -> bool:
    return row.get("disabled") != "true" and row.get("invalid") != "true"


def digest_of_rows(rows: Sequence[Row]) -> str:
    """What a menu holds and in which order; rows that come and go by themselves do not count."""
    return digest_of([facts(row) for row in rows if not is_dynamic(row)])[:32]
