"""kill -9 at every named point of a change: after a restart it is done or rolled back, once, and says which."""

from typing import Any

import pytest

from executor_tui.config.places import Places
from executor_tui.domain.crash import POINTS
from tests.core.changes.conftest import write_registry
from tests.core.changes.lives import Lives, told
from tests.infra.proxmox.conftest import pve  # noqa: F401 - a fixture

CREATE = [{"op": "lxc.create", "hostname": "web", "memory_mb": 512}]
ALL = sorted(name for name in POINTS if name.startswith("change."))
ON_FAILURE = ["rolled_back"]


def short(point: str) -> str:
    return point.removeprefix("change.")


@pytest.mark.parametrize("point", [name for name in map(short, ALL) if name not in ON_FAILURE])
async def test_a_creation_killed_at_any_point_is_finished_once(
    point: str, lives: Lives, places: Places, pve: Any, fakepve_cafile: str  # noqa: F811
) -> None:  # fmt: skip
    write_registry(places, pve.host, pve.port, fakepve_cafile)
    await lives.killed(CREATE, point)
    said = await lives.to_the_end(CREATE)
    assert said["status"] == "done", said
    assert await told(places) == ("done", ["done"])
    assert [ct.vmid for ct in pve.cts] == [100] and pve.ct(100).status == "running"
    assert [task["type"] for task in pve.tasklog].count("vzcreate") == 1


async def test_killed_between_two_calls_the_second_is_made_and_the_first_is_not_repeated(
    lives: Lives, places: Places, pve: Any, fakepve_cafile: str  # noqa: F811
) -> None:  # fmt: skip
    write_registry(places, pve.host, pve.port, fakepve_cafile)
    await lives.killed(CREATE, "calling:2")
    assert pve.ct(100).status == "stopped"
    said = await lives.to_the_end(CREATE)
    assert said == {"status": "done", "detail": "interrupted; finished after the restart"}
    assert pve.ct(100).status == "running"
    assert [task["type"] for task in pve.tasklog] == ["vzcreate", "vzstart"]


@pytest.mark.parametrize("point", ["called:1", *ON_FAILURE])
async def test_a_change_that_fails_and_is_killed_leaves_nothing_behind(
    point: str, lives: Lives, places: Places, pve: Any, fakepve_cafile: str  # noqa: F811
) -> None:  # fmt: skip
    write_registry(places, pve.host, pve.port, fakepve_cafile)
    pve.fail("POST", "/nodes/pve1/lxc/100/status/start", 500, "startup for container '100' failed")
    await lives.killed(CREATE, point)
    said = await lives.to_the_end(CREATE)
    assert said["status"] == "rolled_back" and "startup for container '100' failed" in said["detail"]
    assert await told(places) == ("rolled_back", ["rolled_back"])
    assert pve.cts == []


async def test_killed_three_times_it_still_ends_once(
    lives: Lives, places: Places, pve: Any, fakepve_cafile: str  # noqa: F811
) -> None:  # fmt: skip
    write_registry(places, pve.host, pve.port, fakepve_cafile)
    await lives.killed(CREATE, "consented", "called", "receipted")
    said = await lives.to_the_end(CREATE)
    assert said["status"] == "done"
    assert await told(places) == ("done", ["done"])
    assert len(pve.cts) == 1
