"""Writes to a state directory as a node does and says what was acknowledged, until it is killed. Run as a program.

Reads lines `STATE_DIR SEED` from stdin and forks one writer for each, so that the imports are paid once. The writer prints `pid N`, then
`ack …` after each thing that has been promised to be kept, and `gone` is printed when it has been killed.
"""

import asyncio
import os
import sys
from datetime import timedelta
from pathlib import Path

from executor_tui.config.files import NotificationSettings
from executor_tui.config.places import Places
from executor_tui.core.alerts import raise_alert
from executor_tui.core.power_recovery import PowerRecovery
from executor_tui.domain.alert import Alert, Severity
from executor_tui.domain.approval import Approval, ApprovalKind, Decision
from executor_tui.domain.call import Call, CallStatus
from executor_tui.domain.clock import SystemClock
from executor_tui.domain.key import Park, ParkScope, ParkSource
from executor_tui.domain.project import Project, Stage, Step
from executor_tui.domain.recovery import Checkpoint
from executor_tui.store.store import Store, default_url


def say(*words: object) -> None:
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


async def work(state_dir: Path, seed: str) -> None:
    clock = SystemClock()
    store = await Store.open(default_url(state_dir), clock)
    settings = NotificationSettings.model_validate({"discord": {"enabled": True, "webhook_url": "http://127.0.0.1:1/x"}})
    recovery = PowerRecovery(store, Places(state_dir, state_dir), clock, "node-a", notification=lambda: settings, boot_id=lambda: seed)
    await recovery.begin()
    say("ack", "began", seed)

    async def nothing() -> object:
        return []

    report = await recovery.recover(nothing, nothing)
    if report is not None:
        say("ack", "report", report.id)
    for n in range(100_000):
        name = f"{seed}-{n}"
        await store.projects.create(Project(f"prj-{name}", "a goal"))
        say("ack", "project", f"prj-{name}")
        await store.steps.put(Step(f"stp-{name}", f"prj-{name}", 0, Stage.PM, 1, "turn", "x"))
        say("ack", "step", f"stp-{name}")
        await store.approvals.request(Approval(f"apr-{name}", ApprovalKind.CRITICAL_MODEL, "use opus"))
        await store.approvals.decide(f"apr-{name}", Decision(n % 2 == 0, "ops", "console"))
        say("ack", "approval", f"apr-{name}", "approved" if n % 2 == 0 else "denied")
        await recovery.save_checkpoint(Checkpoint("agent-1", "busy", name, step=n))
        say("ack", "checkpoint", name)
        await store.calls.begin([Call(f"call-{name}", CallStatus.IN_FLIGHT, "opus", estimate_usd=0.01, started_at=clock.now())])
        say("ack", "call", f"call-{name}")
        until = clock.now() + timedelta(hours=1)
        await store.parks.park(
            Park(f"prk-{name}", ParkScope.POOL, f"pool-{name}", "", "", "credit", ParkSource.PROVIDER, clock.now(), until)
        )
        say("ack", "park", f"prk-{name}")
        await raise_alert(store, settings, Alert(f"alr-{name}", f"key-{name}", Severity.INFO, "x"))
        say("ack", "alert", f"alr-{name}")
        await recovery.beat()
        say("ack", "beat", clock.now().isoformat())


def main() -> None:
    for line in sys.stdin:
        state_dir, seed = line.split()
        pid = os.fork()
        if pid == 0:
            say("pid", os.getpid())
            asyncio.run(work(Path(state_dir), seed))
            os._exit(0)
        os.waitpid(pid, 0)
        say("gone")


if __name__ == "__main__":
    main()
