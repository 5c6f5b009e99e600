"""kill -9 at every named point of a change: after a restart it is done or rolled back, once, and says which."""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from executor_tui.config.places import Places
from executor_tui.core.changes.receipts import check_store
from executor_tui.domain.clock import SystemClock
from executor_tui.domain.crash import CRASH_ENV, POINTS
from executor_tui.store.store import Store, default_url
from tests.core.changes.conftest import write_registry
from tests.core.changes.runner import CHANGE_ID
from tests.infra.proxmox.conftest import pve  # noqa: F401 - a fixture

RUNNER = Path(__file__).with_name("runner.py")
CREATE = [{"op": "lxc.create", "hostname": "web", "memory_mb": 512}]
ALL = sorted(name for name in POINTS if name.startswith("change."))
ON_FAILURE = ["change.rolled_back"]


async def run(places: Places, operations: list[dict[str, Any]], crash_at: str = "") -> tuple[int, dict[str, str]]:
    """One life of the process: its exit code, and what it said."""
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3]), CRASH_ENV: crash_at}
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(RUNNER), str(places.config_dir), str(places.state_dir), json.dumps(operations),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env=env,
    )  # fmt: skip
    async with asyncio.timeout(60):
        out, errors = await process.communicate()
    code = process.returncode or 0
    assert code in (0, -signal.SIGKILL), errors.decode()[-2000:]
    return code, json.loads(out) if out else {}


async def told(places: Places) -> tuple[str, list[str]]:
    """The status of the change, and the outcomes of its receipts, from a chain that must be whole."""
    store = await Store.open(default_url(places.state_dir), SystemClock())
    try:
        assert (await check_store(store)).faults == ()
        change = await store.changes.get(CHANGE_ID)
        return change.status, [r.outcome for r in await store.receipts.list()]
    finally:
        await store.close()


@pytest.mark.parametrize("point", [name for name in ALL if name not in ON_FAILURE])
async def test_a_creation_killed_at_any_point_is_finished_once(point: str, places: Places, pve: Any, fakepve_cafile: str) -> None:  # noqa: F811
    write_registry(places, pve.host, pve.port, fakepve_cafile)
    code, _ = await run(places, CREATE, point)
    assert code == -signal.SIGKILL, f"{point} was never reached"
    code, said = await run(places, CREATE)
    assert (code, said["status"]) == (0, "done"), said
    assert await told(places) == ("done", ["done"])
    assert [ct.vmid for ct in pve.cts] == [100] and pve.ct(100).status == "running"
    assert [task["type"] for task in pve.tasklog].count("vzcreate") == 1


async def test_killed_between_two_calls_the_second_is_made_and_the_first_is_not_repeated(
    places: Places, pve: Any, fakepve_cafile: str  # noqa: F811
) -> None:  # fmt: skip
    write_registry(places, pve.host, pve.port, fakepve_cafile)
    await run(places, CREATE, "change.calling:2")
    assert pve.ct(100).status == "stopped"
    _, said = await run(places, CREATE)
    assert said == {"status": "done", "detail": "interrupted; finished after the restart"}
    assert pve.ct(100).status == "running"
    assert [task["type"] for task in pve.tasklog] == ["vzcreate", "vzstart"]


@pytest.mark.parametrize("point", ["change.called:1", *ON_FAILURE])
async def test_a_change_that_fails_and_is_killed_leaves_nothing_behind(
    point: str, places: Places, pve: Any, fakepve_cafile: str  # noqa: F811
) -> None:  # fmt: skip
    write_registry(places, pve.host, pve.port, fakepve_cafile)
    pve.fail("POST", "/nodes/pve1/lxc/100/status/start", 500, "startup for container '100' failed")
    code, _ = await run(places, CREATE, point)
    assert code == -signal.SIGKILL
    _, said = await run(places, CREATE)
    assert said["status"] == "rolled_back" and "startup for container '100' failed" in said["detail"]
    assert await told(places) == ("rolled_back", ["rolled_back"])
    assert pve.cts == []


async def test_killed_three_times_it_still_ends_once(places: Places, pve: Any, fakepve_cafile: str) -> None:  # noqa: F811
    write_registry(places, pve.host, pve.port, fakepve_cafile)
    for point in ("change.consented", "change.called", "change.receipted"):
        code, _ = await run(places, CREATE, point)
        assert code == -signal.SIGKILL
    _, said = await run(places, CREATE)
    assert said["status"] == "done"
    assert await told(places) == ("done", ["done"])
    assert len(pve.cts) == 1
