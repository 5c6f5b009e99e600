"""A project's container across restarts and mishaps, and how far the one consent reaches."""

from typing import Any

import pytest

from executor_tui.agents.device import Asked
from executor_tui.agents.devices import open_device
from executor_tui.config.general import ApprovalPolicy
from executor_tui.core.changes.mandate import UNDER
from executor_tui.core.changes.requests import submit, wait_for
from executor_tui.core.containers.keeper import ending
from executor_tui.core.containers.record import read_record
from executor_tui.core.containers.room import ATTEMPTS
from executor_tui.core.pipeline.parts import ProjectFailedError, WaitError
from executor_tui.domain.change import Change, ChangeStatus
from executor_tui.domain.project import Project, ProjectStatus, Where
from executor_tui.workspaces.errors import UnreachableError
from executor_tui.workspaces.link import SshLink
from tests.core.changes.conftest import DEVICE
from tests.core.containers.conftest import PROJECT, Boxed

AUTO = ApprovalPolicy(auto_approve=("read", "restorable"))


@pytest.fixture
async def project(box: Boxed) -> Project:
    box.policy = AUTO
    await box.prepare_secrets()
    return await box.store.projects.create(Project(PROJECT, "a goal", ProjectStatus.RUNNING, where=Where.LXC))


async def test_it_is_found_again_after_a_restart_started_when_it_stopped_and_made_anew_when_it_is_gone(
    box: Boxed, project: Project, pve: Any
) -> None:  # fmt: skip
    first = await box.room(project).ready()
    assert (first.host, pve.ct(100).status) == ("127.0.0.1", "running")
    pve.ct(100).status = "stopped"
    assert await box.room(project).ready() == first and pve.ct(100).status == "running"
    left = await box.room(project).clone_for_run("qa")  # and the process dies before it removes it
    copy = await box.room(project).clone_for_run("qa")
    assert sorted(ct.vmid for ct in pve.cts) == [100, 101] and (left.host, copy.host) == ("127.0.0.2", "127.0.0.2")
    tasks = [task["type"] for task in pve.tasklog]
    assert (tasks.count("vzcreate"), tasks.count("vzclone"), tasks.count("vzdestroy")) == (1, 2, 1)
    pve.cts.clear()
    await box.prepare_secrets(attempt=2)
    assert (await box.room(project).ready()).host == "127.0.0.1"
    assert (await read_record(box.store, PROJECT)).made_by == f"chg-{PROJECT}-make-2"
    assert [e.kind for e in await box.store.events.tail(500, kinds=("container.",))] == ["container.gone"]


async def test_once_pinned_another_host_key_is_refused(box: Boxed, project: Project) -> None:
    target = await box.room(project).ready()
    box.machines.replace("127.0.0.1")
    again = await box.room(project).ready()
    assert again.host_key == target.host_key
    with pytest.raises(UnreachableError, match="another host key than the pinned"):
        await SshLink(again).ask("facts", {})


async def test_without_quorum_the_project_waits_and_nothing_is_asked_for(box: Boxed, project: Project, pve: Any) -> None:
    pve.lose_quorum()
    with pytest.raises(WaitError, match="no quorum"):
        await box.room(project).ready()
    assert await box.store.changes.list() == ()


async def test_a_storage_without_snapshots_ends_the_project_with_what_to_choose_instead(box: Boxed, project: Project, pve: Any) -> None:
    for attempt in range(ATTEMPTS):
        pve.fail("POST", "/nodes/pve1/lxc/100/snapshot", 500, "snapshot feature is not available")
        last = attempt == ATTEMPTS - 1
        with pytest.raises(ProjectFailedError if last else WaitError, match="snapshot feature is not available") as caught:
            await box.room(project).ready()
    assert "containers.storage" in str(getattr(caught.value, "hint", ""))
    assert [task["type"] for task in pve.tasklog].count("vzcreate") == 1


async def ask(box: Boxed, under: str, *operations: dict[str, object], project: str = PROJECT) -> Change:
    device = await open_device(DEVICE, box.store, box.config(), box.places)
    asked = Asked(DEVICE, operations, requested_by="tester", project_id=project, data={UNDER: under})
    change = await submit(box.store, device, asked)
    return await wait_for(box.store, change.id, until=lambda c: c.status.final or c.status is ChangeStatus.WAITING)


async def test_the_consent_reaches_the_projects_own_containers_and_no_further(box: Boxed, project: Project, pve: Any) -> None:
    await box.room(project).ready()
    under = f"chg-{PROJECT}-make-1"
    pve.add_ct(300, "precious", status="running", config={"tags": f"executor;run-{PROJECT}"})
    refused = await ask(box, under, {"op": "lxc.delete", "container": 300, "run": PROJECT})
    assert refused.status is ChangeStatus.FAILED and "is not one that project prj-box made for itself" in refused.detail
    for operations, of, consent in (
        (({"op": "lxc.delete", "container": 300},), PROJECT, under),  # no container of a run: an ordinary deletion
        (({"op": "lxc.delete", "container": 100, "run": PROJECT}, {"op": "lxc.delete", "container": 300}), PROJECT, under),
        (({"op": "lxc.delete", "container": 100, "run": PROJECT},), "prj-other", under),
        (({"op": "lxc.delete", "container": 100, "run": PROJECT},), PROJECT, "chg-unknown"),
    ):
        assert (await ask(box, consent, *operations, project=of)).status is ChangeStatus.WAITING
    assert sorted(ct.vmid for ct in pve.cts) == [100, 300]


async def test_a_freeze_holds_back_what_consent_was_given_for(box: Boxed, project: Project, pve: Any) -> None:
    await box.room(project).ready()
    box.policy = AUTO.model_copy(update={"freeze": True})
    frozen = await ask(box, f"chg-{PROJECT}-make-1", {"op": "lxc.delete", "container": 100, "run": PROJECT})
    assert frozen.status is ChangeStatus.REFUSED and pve.ct(100) is not None


@pytest.mark.parametrize(
    ("keep", "said"),
    [("destroy", ["delete 100", "delete 101"]), ("stop", ["shutdown 100", "delete 101"]), ("keep", ["delete 101"])],
)
def test_the_policy_says_what_becomes_of_it_and_copies_always_go(keep: str, said: list[str]) -> None:
    found = ending([(100, True), (101, False)], 100, keep, PROJECT)
    assert [f"{str(o['op']).removeprefix('lxc.')} {o['container']}" for o in found] == said
