"""Every point of recovery, outbox, Telegram and backups: the process dies there, starts again, and everything is as it should be."""

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from executor_tui.config.places import Places
from executor_tui.core import backups
from executor_tui.core.alerts import approval_alert, question_alert
from executor_tui.core.recovery.last_state import LastState, NodeState
from executor_tui.domain.agent import Agent, AgentState, AgentType, Role
from executor_tui.domain.approval import Approval, ApprovalKind, ApprovalStatus
from executor_tui.domain.call import Call, CallStatus
from executor_tui.domain.clock import SystemClock
from executor_tui.domain.crash import CRASH_ENV, POINTS
from executor_tui.domain.project import Project, ProjectStatus, Question, Stage
from executor_tui.domain.recovery import OutageKind
from executor_tui.lab.chat.discord import FakeDiscord
from executor_tui.lab.chat.telegram import FakeTelegram, Sent
from executor_tui.store.store import Store, default_url
from tests.core.changes.test_changes_crash import ALL as CHANGES
from tests.core.test_pipeline_crashes import FORKED, WAY
from tests.crash.test_call_points import CALLS, CONSENT, SECRETS
from tests.e2e.test_cluster import TRAVEL

HOUSE = Path(__file__).with_name("house.py")
ROOMS = ("recovery.", "last_state.", "outbox.", "telegram.", "backup.")
RESTORE = "restore.aside"
MINE = [name for name in POINTS if name.startswith(ROOMS)]
TOLD_TWICE = {"outbox.sent"}
"""Where a message may come a second time: it had been taken, and nobody had noted it yet."""


async def power_was_cut(places: Places) -> None:
    """The state directory of a node that went down with a project, a call and an approval in hand."""
    clock = SystemClock()
    store = await Store.open(default_url(places.state_dir), clock)
    then = datetime.now(UTC) - timedelta(hours=1)
    await store.agents.put(Agent("coder-1", "Coder", AgentType.PROJECT, Role.CODER, AgentState.BUSY))
    await store.projects.create(Project("prj-a", "a goal", ProjectStatus.RUNNING, Stage.CODER, node_id="node-a"))
    await store.calls.begin([Call("call-1", CallStatus.IN_FLIGHT, "opus", estimate_usd=0.12, started_at=then)])
    approval = Approval("apr-1", ApprovalKind.CRITICAL_MODEL, "use opus", expires_at=datetime.now(UTC) + timedelta(hours=1))
    await store.approvals.request(approval)
    await store.alerts.raise_(approval_alert(approval), ("telegram",))
    question = await store.questions.ask(Question("qst-1", "prj-a", "choice", "tabs or spaces?", ("tabs", "spaces")))
    await store.alerts.raise_(question_alert(question), ("telegram",))
    await store.close()
    await LastState(places.last_state_file, clock).write(NodeState("node-a", "boot-1", 1, then, then, agents={"coder-1": "busy"}))


class Houses:
    """The program that forks the nodes, and the person with the phone."""

    def __init__(self, process: asyncio.subprocess.Process, telegram: FakeTelegram, discord: FakeDiscord) -> None:
        self._process, self.telegram, self.discord = process, telegram, discord
        self.pressed: set[str] = set()

    async def run(self, places: Places, crash_at: str = "") -> int:
        """One run of a node; a person presses and asks for a project as soon as there is something to press."""
        assert self._process.stdin is not None and self._process.stdout is not None
        person = asyncio.create_task(self._person())
        try:
            words = f"{places.state_dir} {self.telegram.base_url} {self.discord.webhook_url} {crash_at}\n"
            self._process.stdin.write(words.encode())
            async with asyncio.timeout(60):
                return int((await self._process.stdout.readline()).split()[1])
        finally:
            person.cancel()
            await asyncio.gather(person, return_exceptions=True)

    async def _person(self) -> None:
        while True:
            await self.telegram.wait_for(lambda s: any(self._new(m) for m in s.messages), 60)
            message, words = next(found for m in self.telegram.messages if (found := self._new(m)))
            self.pressed.add(words)
            # Shielded: a node that dies in between must not take half of what the person does with it.
            await asyncio.shield(self.telegram.press(message, message.button(words)))
            if words == "Approve":
                await asyncio.shield(self.telegram.say("/new count words"))

    def _new(self, message: Sent) -> tuple[Sent, str] | None:
        """What has not been pressed yet."""
        there = {b["text"] for row in message.buttons for b in row}
        words = next((w for w in ("Approve", "spaces") if w in there and w not in self.pressed), None)
        return (message, words) if words else None


@pytest.fixture
async def house() -> AsyncIterator[asyncio.subprocess.Process]:
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(sys.executable, str(HOUSE), stdin=pipe, stdout=pipe)
    yield process
    process.kill()
    await process.wait()


async def test_dying_at_any_point_loses_nothing_and_repeats_nothing(house: asyncio.subprocess.Process, tmp_path: Path) -> None:
    """All points in one test: the nodes are forked from one program that has paid for its imports."""
    for number, point in enumerate(MINE):
        places = Places(tmp_path / f"config-{number}", tmp_path / f"state-{number}")
        places.state_dir.mkdir()
        await power_was_cut(places)
        async with FakeTelegram() as telegram, FakeDiscord() as discord:
            houses = Houses(house, telegram, discord)
            assert await houses.run(places, point) == -9, f"{point} was not reached"
            if point != "last_state.stopped":
                assert await houses.run(places) == 0, f"after dying at {point}"
            await check(places, point, houses)


async def check(places: Places, point: str, houses: Houses) -> None:
    """Everything acknowledged is there, everything outside happened once, and each outage was told once."""
    store = await Store.open(default_url(places.state_dir), SystemClock())
    reports, projects = await store.reports.list(), await store.projects.list()
    approval, call = await store.approvals.get("apr-1"), await store.calls.get("call-1")
    question = await store.questions.get("qst-1")
    alerts = {a.dedupe_key: a for a in await store.alerts.list()}
    statuses = {str(d.status) for d in await store.deliveries.list()}
    await store.close()
    assert [r.kind for r in reports].count(OutageKind.POWER_LOSS) == 1, f"{point}: exactly one report of the power cut"
    assert len({r.id for r in reports}) == len(reports) and {r.kind for r in reports} <= {OutageKind.POWER_LOSS, OutageKind.CRASH}
    assert (approval.status, approval.decided_via) == (ApprovalStatus.APPROVED, "telegram"), f"{point}: decided once, by the person"
    assert call.status is CallStatus.LOST
    assert question.answer == "spaces", point
    assert sorted(p.goal for p in projects) == ["a goal", "count words"], f"{point}: no project lost or doubled"
    assert statuses == {"sent"}, point
    for server in (houses.telegram, houses.discord):
        for report in reports:
            told = [m.text for m in server.messages if alerts[f"recovery:{report.id}"].id in m.text]
            twice = point in TOLD_TWICE and len(told) == 2 and "second time" in told[1]
            assert len(told) == 1 or twice, f"{point}: {report.id} was told {len(told)} times"
    left = [*places.state_dir.glob(".last_state.json.*"), *(places.state_dir / "backups").glob(".*")]
    assert left == [], point


def test_every_point_in_the_code_has_a_name_and_is_visited_by_a_test() -> None:
    """Each list is what a test goes through one by one, asserting that the process died there; a point nobody visits is missed here."""
    code = "\n".join(p.read_text() for p in (HOUSE.parents[2] / "executor_tui").rglob("*.py"))
    in_code = re.findall(r'crash_point\("([^"]+)"\)', code)
    assert set(in_code) == set(POINTS), "a point of the code without a name, or a name without a point"
    visited = {*MINE, RESTORE, *CALLS, CONSENT, *SECRETS, *CHANGES, *(point.partition(":")[0] for point in WAY), FORKED, *TRAVEL}
    assert set(POINTS) - visited == set()


async def test_dying_in_the_middle_of_restoring_leaves_both_the_old_and_the_backup(places: Places) -> None:
    await power_was_cut(places)
    made = backups.take(places, SystemClock(), 5)
    words = (
        sys.executable,
        "-m",
        "executor_tui.cli.main",
        "recovery",
        "restore",
        str(made.path),
        "--yes",
        "--state",
        str(places.state_dir),
    )
    environment = {**os.environ, CRASH_ENV: RESTORE}
    process = await asyncio.create_subprocess_exec(*words, env=environment, stderr=asyncio.subprocess.DEVNULL)
    assert await process.wait() == -9
    assert not (places.state_dir / "executor.db").exists() and len(list(places.state_dir.glob("executor.db.before-restore-*"))) == 1
    process = await asyncio.create_subprocess_exec(*words, stdout=asyncio.subprocess.DEVNULL)
    assert await process.wait() == 0
    store = await Store.open(default_url(places.state_dir), SystemClock())
    assert [p.id for p in await store.projects.list()] == ["prj-a"]
    await store.close()
