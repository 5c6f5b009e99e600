"""Every point of recovery, outbox, Telegram and backups: the process dies there, starts again, and everything is as it should be."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from executor_tui.config.places import Places
from executor_tui.core import backups
from executor_tui.core.alerts import approval_alert
from executor_tui.core.recovery.last_state import LastState, NodeState
from executor_tui.domain.agent import Agent, AgentState, AgentType, Role
from executor_tui.domain.approval import Approval, ApprovalKind, ApprovalStatus
from executor_tui.domain.call import Call, CallStatus
from executor_tui.domain.clock import SystemClock
from executor_tui.domain.crash import CRASH_ENV, POINTS
from executor_tui.domain.project import Project, ProjectStatus, Stage
from executor_tui.domain.recovery import OutageKind
from executor_tui.lab.chat.discord import FakeDiscord
from executor_tui.lab.chat.telegram import FakeTelegram
from executor_tui.store.store import Store, default_url

HOUSE = Path(__file__).with_name("house.py")
ROOMS = ("recovery.", "last_state.", "outbox.", "telegram.", "backup.")
MINE = [name for name in POINTS if name.startswith(ROOMS)]
TOLD_TWICE = {"outbox.sent"}
"""Where a message may come a second time: it had been taken, and nobody had noted it yet."""


@pytest.fixture
async def telegram() -> AsyncIterator[FakeTelegram]:
    async with FakeTelegram() as server:
        yield server


@pytest.fixture
async def discord() -> AsyncIterator[FakeDiscord]:
    async with FakeDiscord() as server:
        yield server


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
    await store.close()
    await LastState(places.last_state_file, clock).write(NodeState("node-a", "boot-1", 1, then, then, agents={"coder-1": "busy"}))


class Houses:
    """The program that forks the nodes."""

    def __init__(self, process: asyncio.subprocess.Process, telegram: FakeTelegram, discord: FakeDiscord) -> None:
        self._process, self.telegram, self.discord = process, telegram, discord
        self.pressed = False

    async def run(self, places: Places, crash_at: str = "") -> int:
        """One run of a node; a person presses Approve and asks for a project as soon as there is something to press."""
        assert self._process.stdin is not None and self._process.stdout is not None
        pressing = asyncio.create_task(self._person())
        try:
            words = f"{places.state_dir} {self.telegram.base_url} {self.discord.webhook_url} {crash_at}\n"
            self._process.stdin.write(words.encode())
            async with asyncio.timeout(60):
                return int((await self._process.stdout.readline()).split()[1])
        finally:
            pressing.cancel()
            await asyncio.gather(pressing, return_exceptions=True)

    async def _person(self) -> None:
        await self.telegram.wait_for(lambda s: any(m.buttons for m in s.messages), 60)
        if not self.pressed:
            self.pressed = True
            asking = next(m for m in self.telegram.messages if m.buttons)
            await self.telegram.press(asking, asking.button("Approve"))
            await self.telegram.say("/new count words")


@pytest.fixture
async def houses(telegram: FakeTelegram, discord: FakeDiscord) -> AsyncIterator[Houses]:
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(sys.executable, str(HOUSE), stdin=pipe, stdout=pipe)
    yield Houses(process, telegram, discord)
    process.kill()
    await process.wait()


async def test_dying_at_any_point_loses_nothing_and_repeats_nothing(houses: Houses, tmp_path: Path) -> None:
    """All points in one test: the nodes are forked from one program that has paid for its imports."""
    for number, point in enumerate(MINE):
        places = Places(tmp_path / f"config-{number}", tmp_path / f"state-{number}")
        places.state_dir.mkdir()
        houses.telegram.messages.clear()
        houses.discord.messages.clear()
        houses.pressed = False
        await power_was_cut(places)
        assert await houses.run(places, point) == -9, f"{point} was not reached"
        if point != "last_state.stopped":
            assert await houses.run(places) == 0, f"after dying at {point}"
        await check(places, point, houses)


async def check(places: Places, point: str, houses: Houses) -> None:
    """Everything acknowledged is there, everything outside happened once, and each outage was told once."""
    store = await Store.open(default_url(places.state_dir), SystemClock())
    reports, projects = await store.reports.list(), await store.projects.list()
    approval, call = await store.approvals.get("apr-1"), await store.calls.get("call-1")
    alerts = {a.dedupe_key: a for a in await store.alerts.list()}
    statuses = {str(d.status) for d in await store.deliveries.list()}
    await store.close()
    assert [r.kind for r in reports].count(OutageKind.POWER_LOSS) == 1, f"{point}: exactly one report of the power cut"
    assert len({r.id for r in reports}) == len(reports) and {r.kind for r in reports} <= {OutageKind.POWER_LOSS, OutageKind.CRASH}
    assert (approval.status, approval.decided_via) == (ApprovalStatus.APPROVED, "telegram"), f"{point}: decided once, by the person"
    assert call.status is CallStatus.LOST
    assert sorted(p.goal for p in projects) == ["a goal", "count words"], f"{point}: no project lost or doubled"
    assert statuses == {"sent"}, point
    for server in (houses.telegram, houses.discord):
        for report in reports:
            told = [m.text for m in server.messages if alerts[f"recovery:{report.id}"].id in m.text]
            twice = point in TOLD_TWICE and len(told) == 2 and "second time" in told[1]
            assert len(told) == 1 or twice, f"{point}: {report.id} was told {len(told)} times"
    left = [*places.state_dir.glob(".last_state.json.*"), *(places.state_dir / "backups").glob(".*")]
    assert left == [], point


async def test_every_point_of_these_rooms_is_visited_by_one_round(places: Places) -> None:
    """The list above comes from the registry; a name that is no longer in the code would never be reached."""
    code = "\n".join(p.read_text() for p in (HOUSE.parents[2] / "executor_tui").rglob("*.py"))
    assert [name for name in MINE if f'crash_point("{name}")' not in code] == []


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
    environment = {**os.environ, CRASH_ENV: "restore.aside"}
    process = await asyncio.create_subprocess_exec(*words, env=environment, stderr=asyncio.subprocess.DEVNULL)
    assert await process.wait() == -9
    assert not (places.state_dir / "executor.db").exists() and len(list(places.state_dir.glob("executor.db.before-restore-*"))) == 1
    process = await asyncio.create_subprocess_exec(*words, stdout=asyncio.subprocess.DEVNULL)
    assert await process.wait() == 0
    store = await Store.open(default_url(places.state_dir), SystemClock())
    assert [p.id for p in await store.projects.list()] == ["prj-a"]
    await store.close()
