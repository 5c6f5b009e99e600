"""A project delivered from a container of its own: one consent, real SSH, a copy for each test run, and nothing left behind."""

import json
from pathlib import Path
from typing import Any

from executor_tui.config.places import Places
from executor_tui.core.changes.receipts import check_store
from executor_tui.domain.approval import Decision
from executor_tui.domain.change import ChangeStatus
from executor_tui.domain.project import ProjectStatus
from executor_tui.lab.script.model import GOALS
from tests.core.changes.conftest import write_registry
from tests.core.containers.conftest import PROJECT, Boxed, Machines, boxed

TEMPERATURE = GOALS[1]


async def consent(box: Boxed, approved: bool = True) -> Any:
    async def asked() -> Any:
        pending = await box.store.approvals.pending()
        return pending[0] if pending else None

    approval = await box.until(asked)
    await box.store.approvals.decide(approval.id, Decision(approved, "ada", "console"))
    return approval


async def test_a_project_is_delivered_from_its_container_with_one_consent_over_a_restart_and_nothing_is_left(
    places: Places, machines: Machines, pve: Any, fakepve_cafile: str, tmp_path: Path
) -> None:  # fmt: skip
    write_registry(places, pve.host, pve.port, fakepve_cafile)
    async with boxed(places, machines, tmp_path / "srv" / "project") as box:
        proof = await box.prepare_secrets()
        await box.begin(TEMPERATURE)
        approval = await consent(box)
        assert approval.project_id == PROJECT and "while project prj-box is at work: copies of it" in " ".join(approval.details["diff"])

        async def coding() -> bool:
            return any(step.stage == "coder" and step.commit for step in await box.store.steps.of(PROJECT))

        await box.until(coding)
    async with boxed(places, machines, tmp_path / "srv" / "project") as box:
        await delivered(box, pve, proof)


async def delivered(box: Boxed, pve: Any, proof: str) -> None:
    done = await box.final()
    assert done.status == "delivered", done.detail
    evidence = json.loads((Path(done.repo_path) / "docs/qa/round-1.json").read_text())
    assert (evidence["exit_code"], evidence["passed"]) == (0, True)
    assert (Path(done.repo_path) / "convert.py").exists()
    prepared = next(e for e in await box.store.events.tail(1000) if e.kind == "project.prepared")
    assert prepared.message.startswith("container root@127.0.0.1:")

    async def put_away() -> bool:
        return any(e.kind == "container.over" for e in await box.store.events.tail(1000))

    await box.until(put_away)
    assert pve.cts == []
    tasks = [task["type"] for task in pve.tasklog]
    copies = tasks.count("vzclone")
    assert copies >= 1 and tasks.count("vzcreate") == 1 and tasks.count("vzdestroy") == copies + 1
    assert len(await box.store.approvals.list()) == 1
    receipts = await box.store.receipts.list()
    assert {r.outcome for r in receipts} == {ChangeStatus.DONE}, [(r.change_id, r.outcome, r.summary) for r in receipts]
    assert receipts[0].consented_by == "ada via console"
    assert {r.consented_by for r in receipts[1:]} == {f"ada via console (with change chg-{PROJECT}-make-1)"}
    assert (await check_store(box.store)).whole
    for path in box.places.state_dir.rglob("*"):
        assert not path.is_file() or proof.encode() not in path.read_bytes(), path
    await a_fork_gets_a_container_of_its_own(box, pve)


async def a_fork_gets_a_container_of_its_own(box: Boxed, pve: Any) -> None:
    steps = await box.store.steps.of(PROJECT)
    fork = await box.pipeline.fork(PROJECT, str(steps[-2].seq))
    await box.prepare_secrets(project_id=fork.id)
    await box.store.projects.move(fork.id, (ProjectStatus.QUEUED,), ProjectStatus.RUNNING)
    await box.pipeline.start(await box.store.projects.get(fork.id))
    await consent(box)
    done = await box.final(fork.id)
    assert (done.status, done.head) == ("delivered", (await box.store.projects.get(PROJECT)).head), done.detail
    assert [task["type"] for task in pve.tasklog].count("vzcreate") == 2


async def test_without_consent_there_is_no_container_and_the_project_says_why(box: Boxed, pve: Any) -> None:
    await box.prepare_secrets()
    await box.begin(TEMPERATURE)
    await consent(box, approved=False)
    done = await box.final()
    assert done.status == "failed" and "denied by ada" in done.detail and "--where local" in done.detail
    assert pve.cts == []


async def test_a_machine_that_does_not_hold_the_secret_is_not_believed(box: Boxed, pve: Any) -> None:
    await box.prepare_secrets()
    box.machines.replace("127.0.0.1")
    await box.begin(TEMPERATURE)
    await consent(box)

    async def waits() -> str:
        return (await box.store.projects.get(PROJECT)).detail

    async def refused() -> bool:
        return "did not prove to be the container that was made" in await waits()

    await box.until(refused)
    assert box.server.requests == []


async def test_cancelled_while_consent_is_waited_for_the_request_is_withdrawn(box: Boxed, pve: Any) -> None:
    await box.prepare_secrets()
    await box.begin(TEMPERATURE)

    async def asked() -> bool:
        return bool(await box.store.approvals.pending())

    await box.until(asked)
    await box.pipeline.cancel(PROJECT)

    async def withdrawn() -> bool:
        change = await box.store.changes.get(f"chg-{PROJECT}-make-1")
        return change.status is ChangeStatus.REFUSED

    await box.until(withdrawn)
    assert pve.cts == [] and "prj-box is cancelled" in (await box.store.changes.get(f"chg-{PROJECT}-make-1")).detail
