"""Crash points: named places where a test may kill the process, to prove that a restart puts everything right.

A point sits just before or just after something becomes durable. With EXECUTOR_CRASH_AT=`name` the first visit of that point is the
process's last moment; with `name:n` the n-th. Nothing is flushed and nothing is cleaned up: SIGKILL, as in a power cut.
"""

import os
import signal

CRASH_ENV = "EXECUTOR_CRASH_AT"

POINTS: dict[str, str] = {
    "recovery.begun": "the new last_state.json is on disk, the old one gone; nothing has been recovered yet",
    "recovery.settled": "calls caught in flight are marked lost, overdue approvals expired",
    "recovery.resumed": "work has been resumed, the report is not yet written",
    "recovery.reported": "the report's row is written, its alert not yet raised",
    "recovery.alerted": "the alert is raised; last_state.json still says that recovery is under way",
    "recovery.checkpoint": "a checkpoint has been committed, its caller not yet told",
    "last_state.written": "the temporary file of last_state.json is on disk, not yet in its place",
    "last_state.stopped": "the clean stop is on disk",
    "outbox.intent": "the attempt is recorded, the message not yet sent",
    "outbox.sent": "the channel has taken the message, the delivery does not say so yet",
    "outbox.recorded": "the delivery is recorded as sent",
    "telegram.decided": "a decision from Telegram is committed, the update not yet confirmed to Telegram",
    "telegram.created": "a project asked for over Telegram is committed, the update not yet confirmed to Telegram",
    "backup.copied": "a backup's copy is complete under its temporary name",
    "restore.aside": "the database in use is set aside, the backup not yet in its place",
}
"""Every point of the program and what is true there. The tests visit each of them."""

_visits: dict[str, int] = {}


def crash_point(name: str) -> None:
    """Die here if the environment says so; otherwise nothing at all."""
    wanted = os.environ.get(CRASH_ENV)
    if not wanted:
        return
    at, _, nth = wanted.partition(":")
    if at != name:
        return
    _visits[name] = _visits.get(name, 0) + 1
    if _visits[name] >= int(nth or 1):
        os.kill(os.getpid(), signal.SIGKILL)
