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
    "last_state.stopped": "the clean stop is on disk",
    "outbox.intent": "the attempt is recorded, the message not yet sent",
    "outbox.sent": "the channel has taken the message, the delivery does not say so yet",
    "outbox.recorded": "the delivery is recorded as sent",
    "telegram.decided": "a decision from Telegram is committed, the update not yet confirmed to Telegram",
    "telegram.created": "a project asked for over Telegram is committed, the update not yet confirmed to Telegram",
    "telegram.answered": "an answer from Telegram is committed, the update not yet confirmed to Telegram",
    "secret.chat_sealed": "a secret of notification.json is in the vault, the file still has it in the clear",
    "secret.key_sealed": "the keys of hydra_keys.json are in the vault, the file still has them in the clear",
    "secret.device_sealed": "the passwords of fleet_registry.json are in the vault, the file still has them in the clear",
    "call.consent_used": "a yes for one call is used up, the call is not yet on record",
    "call.begun": "a call is on record as in flight, nothing has been sent",
    "call.answered": "a provider has answered a call, it is not settled",
    "call.settled": "a call is settled with its cost, its client may not have its answer",
    "backup.copied": "a backup's copy is complete under its temporary name",
    "restore.aside": "the database in use is set aside, the backup not yet in its place",
    "pipeline.enqueued": "a project's workflow is recorded, its row does not name it yet",
    "pipeline.forked": "the workspace of a fork stands, its workflow is not yet recorded",
    "pipeline.step": "a step has begun and done nothing",
    "pipeline.recorded": "a step's result is in the journal, the next step not begun",
    "pipeline.prepared": "a project's workspace stands, its row does not say where",
    "pipeline.thought": "a model has answered, nothing of it is kept",
    "pipeline.thought_told": "a model's answer is in the step's row, not in the journal",
    "pipeline.acted": "a turn's calls are carried out, nothing of them is kept",
    "pipeline.results_told": "a turn's results are in the step's row, its changes not committed",
    "pipeline.committed": "a turn's changes are committed, the step's row does not say so",
    "pipeline.commit_told": "the step's row names the commit, the journal does not have it",
    "pipeline.tested": "the tests were run, their outcome is not kept",
    "pipeline.evidence": "the evidence is committed, nothing says so",
    "pipeline.asked": "a question is asked, the project's row does not say so",
    "pipeline.waiting_told": "the project's row says that it waits, its workflow is not put aside",
    "pipeline.put_aside": "a workflow is put aside, its run not ended",
    "pipeline.woken": "the project's row says that it goes on, its workflow is still aside",
    "travel.kept": "a commit is kept in the database of several machines, its step is not",
    "travel.unpacked": "a repository from another machine is unpacked here, the project's row does not say so",
    "pipeline.pushed": "the branch is in the user's repository, the project's row does not say delivered",
    "pipeline.delivered": "the project's row says delivered, its workflow has not ended",
    "change.asked": "a change is asked for, its workflow is not yet recorded",
    "change.resolved": "what a change leaves open is decided and kept, nothing is planned",
    "change.planned": "the plan of a change is in its row, nobody has been asked",
    "change.consent_asked": "the approval of a change is asked for, nobody has answered",
    "change.consented": "a change is consented to, its device is untouched",
    "change.begun": "a change holds its device, nothing has been said to it",
    "change.intended": "the journal says that a change begins, its guard is not up",
    "change.guarded": "the guard of a change is up, no call is made",
    "change.calling": "the journal says that a call begins, it is not made",
    "change.called": "a call is made, the journal does not say so",
    "change.applied": "every call of a change is made, nothing is read back",
    "change.verified": "a change is read back and good, it is not committed",
    "change.committing": "the journal says that a change is being committed, it is not yet",
    "change.committed": "a change is committed, nothing says so",
    "change.rolled_back": "a change is taken back, nothing says so",
    "change.receipted": "the receipt of a change is written, its row does not say how it ended",
    "change.concluded": "the row of a change says how it ended, its workflow has not ended",
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
