"""last_state.json: the last sign of life of this node, replaced whole at every heartbeat.

A file that cannot be read is set aside under a name that says why and when; it never stops a start.
"""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from executor_tui.config.places import write_atomically
from executor_tui.core.recovery.suspects import Suspect
from executor_tui.domain.clock import Clock
from executor_tui.domain.errors import StoreError
from executor_tui.domain.recovery import OutageKind

FORMAT = 1
MAX_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Unreported:
    """An outage whose report is not yet written: it lasts until then, however often the node falls over while recovering."""

    report_id: str
    kind: OutageKind
    sure: str
    down_from: datetime | None
    up_at: datetime
    boot_id_before: str = ""
    restarts: int = 0
    quarantined: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NodeState:
    """What the file says. `monotonic_s` was read together with `heartbeat_at` and compares within one boot only."""

    node_id: str
    boot_id: str
    pid: int
    started_at: datetime
    heartbeat_at: datetime
    monotonic_s: float = 0.0
    clean: bool = False
    suspects: tuple[Suspect, ...] = ()
    unreported: Unreported | None = None
    agents: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Read:
    """What was found: the state, or none and, where a file had to be set aside, a line that says so."""

    state: NodeState | None
    note: str = ""


class LastState:
    """The file. Every method does its I/O in a thread; writes follow one another."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self.path, self._clock = path, clock
        self._writing = asyncio.Lock()
        self._agents: Mapping[str, str] = {}
        self._agents_text = "{}"

    async def read(self) -> Read:
        """The state of the run before this one. Raises StoreError when the state directory itself cannot be used."""
        return await asyncio.to_thread(self._read)

    async def write(self, state: NodeState) -> None:
        """On disk, whole, when this returns. Raises StoreError."""
        async with self._writing:
            if state.agents != self._agents:
                self._agents, self._agents_text = dict(state.agents), json.dumps(dict(state.agents))
            text = encode(state, self._agents_text)
            try:
                await asyncio.to_thread(write_atomically, self.path, text)
            except OSError as exc:
                raise StoreError(f"{self.path} cannot be written: {exc.strerror}", hint=_hint(exc, self.path.parent)) from exc

    def _read(self) -> Read:
        try:
            self._sweep()
            if not self.path.exists():
                return Read(None)
            if self.path.stat().st_size > MAX_BYTES:
                return self._set_aside("damaged", "it is far too large")
            text = self.path.read_bytes()
        except OSError as exc:
            raise StoreError(f"{self.path} cannot be read: {exc.strerror}", hint=_hint(exc, self.path.parent)) from exc
        try:
            return Read(decode(text))
        except NewerFormatError as exc:
            return self._set_aside("newer", str(exc))
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as exc:
            return self._set_aside("damaged", "it is empty" if not text else f"it is not what this program writes ({type(exc).__name__})")

    def _set_aside(self, word: str, why: str) -> Read:
        kept = self.path.with_name(f"{self.path.name}.{word}-{self._clock.now():%Y%m%dT%H%M%S%f}")
        try:
            self.path.replace(kept)
        except OSError as exc:
            raise StoreError(f"{self.path} is {word} and cannot be set aside: {exc.strerror}", hint=_hint(exc, self.path.parent)) from exc
        return Read(None, f"{self.path.name} could not be used, {why}; it is kept as {kept.name}")

    def _sweep(self) -> None:
        """Temporary files of writes that a crash cut short."""
        for left in self.path.parent.glob(f".{self.path.name}.*"):
            left.unlink(missing_ok=True)


class NewerFormatError(ValueError):
    """The file is of a newer Executor."""


def encode(state: NodeState, agents_text: str | None = None) -> str:
    """The file's text; `agents_text` is the agents' states where the caller has them as JSON already."""
    head: dict[str, object] = {
        "format": FORMAT, "node_id": state.node_id, "boot_id": state.boot_id, "pid": state.pid,
        "started_at": state.started_at.isoformat(), "heartbeat_at": state.heartbeat_at.isoformat(), "monotonic_s": state.monotonic_s,
        "clean": state.clean, "suspects": [[s.work, s.at, s.crashes] for s in state.suspects],
        "unreported": _unreported_out(state.unreported),
    }  # fmt: skip
    agents = agents_text if agents_text is not None else json.dumps(dict(state.agents))
    return json.dumps(head)[:-1] + f', "agents": {agents}}}\n'


def decode(text: bytes) -> NodeState:
    """The state in a file's bytes. Raises NewerFormatError, or one of the errors that malformed data brings."""
    data = json.loads(text.decode("utf-8"))
    if int(data["format"]) > FORMAT:
        raise NewerFormatError(f"it is of a newer Executor (format {int(data['format'])}, this one knows {FORMAT})")
    return NodeState(
        node_id=_text(data["node_id"]), boot_id=_text(data["boot_id"]), pid=int(data["pid"]), started_at=_time(data["started_at"]),
        heartbeat_at=_time(data["heartbeat_at"]), monotonic_s=float(data["monotonic_s"]), clean=data["clean"] is True,
        suspects=tuple(Suspect(_text(w), _text(a), int(n)) for w, a, n in data["suspects"]),
        unreported=_unreported_in(data["unreported"]), agents={_text(k): _text(v) for k, v in data["agents"].items()},
    )  # fmt: skip


def _unreported_out(item: Unreported | None) -> dict[str, object] | None:
    if item is None:
        return None
    return {
        "report_id": item.report_id, "kind": item.kind.value, "sure": item.sure,
        "down_from": item.down_from.isoformat() if item.down_from else None, "up_at": item.up_at.isoformat(),
        "boot_id_before": item.boot_id_before, "restarts": item.restarts, "quarantined": list(item.quarantined), "notes": list(item.notes),
    }  # fmt: skip


def _unreported_in(data: Mapping[str, object] | None) -> Unreported | None:
    if data is None:
        return None
    down_from, quarantined, notes = data["down_from"], data["quarantined"], data["notes"]
    assert isinstance(quarantined, list) and isinstance(notes, list)
    return Unreported(
        report_id=_text(data["report_id"]), kind=OutageKind(_text(data["kind"])), sure=_text(data["sure"]),
        down_from=None if down_from is None else _time(down_from), up_at=_time(data["up_at"]),
        boot_id_before=_text(data["boot_id_before"]), restarts=int(str(data["restarts"])),
        quarantined=tuple(_text(q) for q in quarantined), notes=tuple(_text(n) for n in notes),
    )  # fmt: skip


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("text expected")
    return value


def _time(value: object) -> datetime:
    moment = datetime.fromisoformat(_text(value))
    if moment.tzinfo is None:
        raise ValueError("a time without a zone")
    return moment


def _hint(exc: OSError, folder: Path) -> str:
    import errno

    if exc.errno in (errno.ENOSPC, errno.EDQUOT):
        return "free some disk space; what was there before is untouched"
    return f"make {folder} writable for this user"
