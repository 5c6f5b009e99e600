"""What kind of outage it was. Pure: evidence in, verdict out; only `shutdown_recorded` reads a file.

| boot id | flag  | other evidence                    | verdict               |
|---------|-------|-----------------------------------|-----------------------|
| same    | clean |                                   | clean stop            |
| same    | none  | process gone, or its id reused    | crash                 |
| changed | clean |                                   | clean stop            |
| changed | none  | wtmp has an orderly shutdown      | reboot                |
| changed | none  | wtmp has the boot but no shutdown | power loss, certain   |
| changed | none  | no wtmp                           | power loss, likely    |
| unknown | none  |                                   | crash, unknown        |

An orderly reboot stops the service and so sets the flag; a reboot without it means that the stop was cut short.
"""

import hashlib
import platform
import struct
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from executor_tui.core.recovery.last_state import NodeState
from executor_tui.domain.recovery import Outage, OutageKind

WTMP = Path("/var/log/wtmp")
_RECORD = struct.Struct("hxxi32s4s32s256shhiiiiiii20x")
_RUN_LEVEL, _BOOT_TIME = 1, 2
_BACKWARDS_S, _JUMP_S = 1.0, 60.0


@dataclass(frozen=True, slots=True)
class Here:
    """This start: when, on which boot, and what the machine remembers. `shutdown`: was an orderly one recorded since? None: unknown."""

    at: datetime
    monotonic_s: float
    boot_id: str
    pid_alive: bool = False
    shutdown: bool | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    outage: Outage
    note: str = ""


def classify(old: NodeState | None, here: Here) -> Verdict:
    """The outage between the old state and this start."""
    if old is None:
        return Verdict(Outage(OutageKind.FIRST_START, None, here.at, boot_id_now=here.boot_id))
    down_from, note = _last_life(old, here)
    kind, sure = _kind(old, here)
    return Verdict(Outage(kind, down_from, here.at, sure, old.boot_id, here.boot_id), note)


def _kind(old: NodeState, here: Here) -> tuple[OutageKind, str]:
    if old.clean:
        return OutageKind.CLEAN_STOP, "certain"
    if not old.boot_id or not here.boot_id:
        return OutageKind.CRASH, "unknown"
    if old.boot_id == here.boot_id:
        return OutageKind.CRASH, "likely" if here.pid_alive else "certain"
    if here.shutdown is None:
        return OutageKind.POWER_LOSS, "likely"
    return (OutageKind.REBOOT if here.shutdown else OutageKind.POWER_LOSS), "certain"


def _last_life(old: NodeState, here: Here) -> tuple[datetime, str]:
    """When it was last alive. Within one boot by monotonic time, which no clock change touches."""
    asleep_s = here.monotonic_s - old.monotonic_s
    if old.boot_id and old.boot_id == here.boot_id and old.monotonic_s > 0 and asleep_s >= 0:
        by_monotonic = here.at - timedelta(seconds=asleep_s)
        jump_s = (old.heartbeat_at - by_monotonic).total_seconds()
        if jump_s > _JUMP_S:
            return by_monotonic, f"the machine's clock was set back by {jump_s / 3600:.1f} h meanwhile; the downtime is right all the same"
        if jump_s < -_JUMP_S:
            return old.heartbeat_at, f"meanwhile the machine slept, or its clock was set forward, by {-jump_s / 3600:.1f} h"
        return by_monotonic, ""
    if (old.heartbeat_at - here.at).total_seconds() > _BACKWARDS_S:
        return here.at, f"the machine's clock stands before the last sign of life ({old.heartbeat_at:%Y-%m-%d %H:%M} UTC); downtime unknown"
    return min(old.heartbeat_at, here.at), ""


def report_id(old: NodeState) -> str:
    """The same for the same outage, however often it is looked at."""
    key = f"{old.node_id}|{old.started_at.isoformat()}|{old.heartbeat_at.isoformat()}"
    return "rec-" + hashlib.sha256(key.encode()).hexdigest()[:10]


def shutdown_recorded(since: datetime, wtmp: Path = WTMP) -> bool | None:
    """Whether an orderly shutdown stands in wtmp(5) after `since`; None when there is no record of the boot either.

    The record is glibc's `struct utmp` where time is 32 bits (x86 and 32-bit ARM); elsewhere the file is not read.
    """
    if platform.machine() not in ("x86_64", "i686", "i386", "armv7l"):
        return None
    try:
        data = wtmp.read_bytes()[-_RECORD.size * 4096 :]
    except OSError:
        return None
    booted = False
    for offset in range(len(data) % _RECORD.size, len(data), _RECORD.size):
        fields = _RECORD.unpack_from(data, offset)
        kind, user, seconds = fields[0], fields[4].split(b"\0")[0], fields[9]
        if datetime.fromtimestamp(seconds & 0xFFFFFFFF, UTC) < since:
            continue
        if kind == _RUN_LEVEL and user == b"shutdown":
            return True
        booted = booted or kind == _BOOT_TIME
    return False if booted else None
