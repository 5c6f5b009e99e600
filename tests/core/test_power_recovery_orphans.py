"""Containers an outage left behind: found by their tags, collected only with consent, asked about once."""

from typing import Any

import pytest

from executor_tui.config.load import load
from executor_tui.config.places import Places
from executor_tui.core.recovery.orphans import collect
from executor_tui.domain.change import Change, ChangeStatus, Risk
from executor_tui.domain.clock import SystemClock
from executor_tui.domain.project import Project, ProjectStatus
from executor_tui.store.store import Store, default_url
from tests.core.changes.conftest import DEVICE, write_registry
from tests.infra.proxmox.conftest import pve  # noqa: F401 - a fixture


@pytest.fixture
async def real_store(places: Places) -> Any:
    store = await Store.open(default_url(places.state_dir), SystemClock())
    yield store
    await store.close()


async def left_behind(pve: Any, store: Store) -> None:  # noqa: F811
    """Of a project that is over, of a change taken back, of one still at work, of somebody else, and a stranger's."""
    await store.projects.create(Project("prj-over", "a goal", ProjectStatus.CANCELLED))
    await store.projects.create(Project("prj-busy", "a goal", ProjectStatus.RUNNING))
    await store.changes.put(Change("chg-back", DEVICE, "proxmox", "make one", ChangeStatus.ROLLED_BACK, Risk.RESTORABLE))
    for vmid, tags in enumerate(
        ("executor;run-prj-over", "executor;run-chg-back", "executor;run-prj-busy", "executor;run-prj-other", ""), 200
    ):
        pve.add_ct(vmid, f"box-{vmid}", status="running", config={"tags": tags} if tags else {})


async def test_orphans_are_asked_about_once_and_nothing_is_touched_before_the_answer(
    places: Places, real_store: Store, pve: Any, fakepve_cafile: str  # noqa: F811
) -> None:  # fmt: skip
    write_registry(places, pve.host, pve.port, fakepve_cafile)
    await left_behind(pve, real_store)
    config = load(places.config_dir)
    rows = await collect(real_store, config, places)
    assert {(r.id, r.outcome) for r in rows} == {
        ("200 box-200", "waiting"), ("201 box-201", "waiting"), ("203 box-203", "needs you"),
    }  # fmt: skip
    (change,) = [c for c in await real_store.changes.list() if c.requested_by == "power recovery"]
    assert [(o["op"], o["container"]) for o in change.operations] == [("lxc.delete", 200), ("lxc.delete", 201)]
    assert "project prj-over is cancelled" in rows[0].detail or "project prj-over is cancelled" in rows[1].detail
    assert len(pve.cts) == 5 and pve.tasklog == []
    await collect(real_store, config, places)
    assert len(await real_store.changes.list()) == 2, "a second recovery asks nothing new"
    await real_store.changes.update(change.id, None, status=ChangeStatus.REFUSED)
    assert [r.id for r in await collect(real_store, config, places)] == ["203 box-203"], "a no holds"


async def test_a_machine_that_does_not_answer_is_a_row_of_the_report(
    places: Places, real_store: Store, pve: Any, fakepve_cafile: str  # noqa: F811
) -> None:  # fmt: skip
    write_registry(places, pve.host, 9, fakepve_cafile)
    (row,) = await collect(real_store, load(places.config_dir), places)
    assert (row.id, row.outcome) == (DEVICE, "needs you") and "executor lxc orphans" in row.detail
