"""Tasks: what Proxmox does in the background, named by a UPID. A task is over when its status says so, and good only if its end says OK."""

import re

from executor_tui.domain.clock import Clock
from executor_tui.infra.proxmox.errors import DroppedError, ProxmoxError, TaskTimeoutError, UnreachableError, from_words
from executor_tui.infra.proxmox.model import OnLine, TaskResult
from executor_tui.infra.proxmox.reading import row, rows, text
from executor_tui.infra.proxmox.session import Session

LOG_PAGE = 500
MAX_LINES_KEPT = 200
_WARNINGS = re.compile(r"WARNINGS: (\d+)")


def node_of(upid: str) -> str:
    """The node a task runs on: the second field of its UPID."""
    parts = upid.split(":")
    return parts[1] if len(parts) > 2 and parts[0] == "UPID" else ""


async def wait(
    session: Session, clock: Clock, upid: str, what: str, *, timeout_s: float, poll_s: float, on_line: OnLine | None = None
) -> TaskResult:
    """Follow a task to its end, handing over its log as it grows.

    Raises the error its end tells (see errors.py), and TaskTimeoutError when it still runs after `timeout_s`. A connection that breaks in
    between is taken up again: the task runs on without us.
    """
    device, node = session.target.name, node_of(upid)
    if not node:
        raise ProxmoxError(device, f"{what}: the answer is no task id: {upid[:80]!r}")
    path = f"nodes/{node}/tasks/{upid}"
    deadline = clock.monotonic_s() + timeout_s
    lines: list[str] = []
    read, trouble = 0, None
    while True:
        try:
            state = row(await session.get(f"{path}/status"))
            read = await _read_log(session, path, read, lines, on_line)
            trouble = None
        except (DroppedError, UnreachableError) as exc:
            state, trouble = {}, exc
        if text(state.get("status")) == "stopped":
            return _ended(device, upid, what, text(state.get("exitstatus")), lines)
        if clock.monotonic_s() >= deadline:
            raise trouble or TaskTimeoutError(device, upid, what, timeout_s)
        await clock.sleep(poll_s)


async def _read_log(session: Session, path: str, read: int, lines: list[str], on_line: OnLine | None) -> int:
    """Read what is new in the log; says how many lines have been read in all."""
    while True:
        page = rows(await session.get(f"{path}/log", start=read, limit=LOG_PAGE))
        for entry in page:
            line = text(entry.get("t"))
            if line == "no content":  # PVE's answer for a log that is still empty
                return read
            lines.append(line)
            if on_line is not None:
                on_line(line)
        del lines[:-MAX_LINES_KEPT]
        read += len(page)
        if len(page) < LOG_PAGE:
            return read


def _ended(device: str, upid: str, what: str, end: str, lines: list[str]) -> TaskResult:
    if end == "OK":
        return TaskResult(upid, 0, tuple(lines))
    warned = _WARNINGS.fullmatch(end)
    if warned:
        return TaskResult(upid, int(warned[1]), tuple(lines))
    raise from_words(device, end or "the task ended without saying how", what)
