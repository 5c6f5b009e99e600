"""Seeded kill -9 of node, gateway and console while projects, calls and changes run: a short round here, 200 with `make kills`."""

import asyncio
import os
import sys
from pathlib import Path

import pytest

KILLS, SEED = os.environ.get("EXECUTOR_TEST_KILLS", "6"), os.environ.get("EXECUTOR_TEST_SEED", "2")


@pytest.mark.timeout(600 + 20 * int(KILLS))
async def test_after_seeded_kills_nothing_is_lost_and_nothing_is_doubled(capsys: pytest.CaptureFixture[str]) -> None:
    words = [sys.executable, str(Path(__file__).with_name("kill_loop.py")), "--kills", KILLS, "--seed", SEED]
    process = await asyncio.create_subprocess_exec(*words, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE)
    out, errors = await process.communicate()
    with capsys.disabled():
        print(f"\n  {out.decode().strip()}")
    assert process.returncode == 0, out.decode() + errors.decode()[-3000:]
