"""Lives of a process that works on one change, ended at named points, and what they left in the store."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from executor_tui.config.places import Places
from executor_tui.core.changes.receipts import check_store
from executor_tui.domain.clock import SystemClock
from executor_tui.store.store import Store, default_url
from tests.core.changes.runner import CHANGE_ID

Operations = Sequence[dict[str, Any]]


class Lives:
    """Lives of a process that works on one change, each in the state the one before left."""

    def __init__(self, nursery: "subprocess.Popen[str]", places: Places) -> None:
        self._nursery, self._places = nursery, places

    async def killed(self, operations: Operations, *points: str) -> None:
        """One life for each point, ended there."""
        for point in points:
            code, said = await self._live(operations, f"change.{point}")
            assert code == -signal.SIGKILL, f"{point} was never reached: {said[-2000:]}"

    async def to_the_end(self, operations: Operations) -> dict[str, str]:
        """A life that nothing ends before the change has."""
        code, said = await self._live(operations, "")
        assert code == 0, said[-2000:]
        answer: dict[str, str] = json.loads(said.splitlines()[-1])
        return answer

    async def _live(self, operations: Operations, crash_at: str) -> tuple[int, str]:
        request = {
            "config": str(self._places.config_dir), "state": str(self._places.state_dir), "operations": json.dumps(operations),
            "crash_at": crash_at, "out": str(self._places.state_dir / "said.txt"),
        }  # fmt: skip

        def ask() -> dict[str, Any]:
            assert self._nursery.stdin is not None and self._nursery.stdout is not None
            self._nursery.stdin.write(json.dumps(request) + "\n")
            self._nursery.stdin.flush()
            answer: dict[str, Any] = json.loads(self._nursery.stdout.readline())
            return answer

        answer = await asyncio.to_thread(ask)
        return answer["code"], answer["out"]


@pytest.fixture(scope="module")
def nursery() -> "Iterator[subprocess.Popen[str]]":
    top = Path(__file__).parents[3]
    command = [sys.executable, str(Path(__file__).with_name("nursery.py"))]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(top)}
    ) as process:  # fmt: skip
        yield process
        assert process.stdin is not None
        process.stdin.close()


@pytest.fixture
def lives(nursery: "subprocess.Popen[str]", places: Places) -> Lives:
    return Lives(nursery, places)


async def told(places: Places) -> tuple[str, list[str]]:
    """The status of the change, and the outcomes of its receipts, from a chain that must be whole."""
    store = await Store.open(default_url(places.state_dir), SystemClock())
    try:
        assert (await check_store(store)).faults == ()
        change = await store.changes.get(CHANGE_ID)
        return change.status, [r.outcome for r in await store.receipts.list()]
    finally:
        await store.close()
