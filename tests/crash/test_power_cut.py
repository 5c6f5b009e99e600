"""Fifty power cuts at random moments: nothing that was acknowledged is lost, and last_state.json is never empty.

Needs /dev/fuse, libfuse and the right to mount; where one is missing the tests are skipped and say so.
"""

import contextlib
import ctypes
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pytest

from executor_tui.core.recovery.last_state import decode
from executor_tui.domain.clock import SystemClock
from executor_tui.store import backup
from executor_tui.store.store import Store, default_url

HERE = Path(__file__).parent
CUTS = int(os.environ.get("EXECUTOR_TEST_CUTS", "50"))
ENOUGH_S = 75.0
"""No new cut is begun after this long; at least twenty are made."""
MNT_DETACH = 2


def _why_not() -> str:
    if not Path("/dev/fuse").exists():
        return "there is no /dev/fuse here"
    if os.getuid() != 0:
        return "mounting needs root"
    probe = subprocess.run([sys.executable, "-c", "import mfusepy"], capture_output=True, text=True, check=False)
    return "" if probe.returncode == 0 else "libfuse is not installed (apt-get install libfuse2)"


pytestmark = [pytest.mark.timeout(240)]


@pytest.fixture(scope="module", autouse=True)
def _fuse() -> None:
    reason = _why_not()
    if reason:
        pytest.skip(reason)


@dataclass
class Disk:
    """A mounted disk with a plug to pull."""

    mount: Path
    process: "subprocess.Popen[bytes]"

    def cut(self, into: Path) -> None:
        """Pull the plug; `into` then holds what the disk kept."""
        into.mkdir()
        descriptor = os.open(self.mount / ".cut", os.O_WRONLY | os.O_CREAT)
        os.write(descriptor, str(into).encode())
        with contextlib.suppress(OSError):
            os.close(descriptor)


@contextlib.contextmanager
def disk(folder: Path, content: Path, *, eager: bool) -> Iterator[Disk]:
    mount = folder / "mount"
    mount.mkdir(exist_ok=True)
    words = [sys.executable, str(HERE / "dropfs.py"), str(mount), str(content), *(["eager"] if eager else [])]
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        try:
            started = time.monotonic()
            while not os.path.ismount(mount):
                if process.poll() is not None or time.monotonic() - started > 20:
                    assert process.stderr is not None
                    pytest.fail(f"the disk did not come up: {process.stderr.read().decode()[-500:]}")
                time.sleep(0.005)
            yield Disk(mount, process)
        finally:
            ctypes.CDLL(None, use_errno=True).umount2(str(mount).encode(), MNT_DETACH)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(1)
            process.kill()


class Writers:
    """The program that writes, one forked child at a time."""

    def __init__(self) -> None:
        words = [sys.executable, str(HERE / "power_writer.py")]
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)

    def run_and_kill(self, state_dir: Path, seed: str, moment: random.Random) -> list[list[str]]:
        """Acknowledgements of one writer that is killed at a random moment after its first one."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(f"{state_dir} {seed}\n")
        self.process.stdin.flush()
        pid, acks, left = 0, list[list[str]](), moment.randint(2, 30)
        for line in self.process.stdout:
            words = line.split()
            if words[0] == "pid":
                pid = int(words[1])
            elif words[0] == "ack":
                acks.append(words[1:])
                left -= 1
                if left == 0:
                    time.sleep(moment.random() * 0.01)  # into the middle of whatever comes next
                    os.kill(pid, 9)
            elif words[0] == "gone":
                return acks
        raise AssertionError("the writer ended by itself")

    def close(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture
def writers() -> Iterator[Writers]:
    made = Writers()
    yield made
    made.close()


async def lost(kept: Path, acks: list[list[str]]) -> list[str]:
    """What was acknowledged and is not there."""
    store = await Store.open(default_url(kept), SystemClock())
    try:
        repositories = {
            "project": store.projects, "step": store.steps, "call": store.calls, "park": store.parks, "alert": store.alerts,
            "report": store.reports,
        }  # fmt: skip
        missing = []
        for kind, *words in acks:
            if kind in repositories and await repositories[kind].find(words[0]) is None:  # type: ignore[attr-defined]
                missing.append(f"{kind} {words[0]}")
            elif kind == "approval" and (await store.approvals.get(words[0])).status != words[1]:
                missing.append(f"decision on {words[0]}")
        checkpoints = [words[0] for kind, *words in acks if kind == "checkpoint"]
        if checkpoints:
            found = await store.checkpoints.get("agent-1")
            if found.task.rsplit("-", 1)[0] != checkpoints[-1].rsplit("-", 1)[0] or found.step < int(checkpoints[-1].rsplit("-", 1)[1]):
                missing.append(f"checkpoint {checkpoints[-1]}")
        return missing
    finally:
        await store.close()


async def test_fifty_power_cuts_lose_nothing_that_was_acknowledged(
    tmp_path: Path, writers: Writers, capsys: pytest.CaptureFixture[str]
) -> None:
    moment, began = random.Random(20261122), time.monotonic()
    content, done, acknowledged, reports = tmp_path / "kept-start", 0, 0, 0
    content.mkdir()
    for number in range(CUTS):
        if number >= 20 and time.monotonic() - began > ENOUGH_S:
            break
        kept = tmp_path / f"kept-{number}"
        with disk(tmp_path, content, eager=number % 2 == 0) as plugged:
            acks = writers.run_and_kill(plugged.mount, f"boot{number}", moment)
            plugged.cut(kept)
        assert backup.damage(kept / "executor.db") == ""
        assert await lost(kept, acks) == []
        state = decode((kept / "last_state.json").read_bytes())
        beats = [datetime.fromisoformat(words[0]) for kind, *words in acks if kind == "beat"]
        assert state.boot_id == f"boot{number}" and (not beats or (beats[-1] - state.heartbeat_at).total_seconds() < 1.0)
        reports += sum(kind == "report" for kind, *_ in acks)
        done, acknowledged, content = done + 1, acknowledged + len(acks), kept
    store = await Store.open(default_url(content), SystemClock())
    outages = [r.id for r in await store.reports.list()]
    await store.close()
    assert len(set(outages)) == len(outages) and reports <= len(outages) <= done
    with capsys.disabled():
        print(f"\n  {done} power cuts in {time.monotonic() - began:.0f} s: {acknowledged} acknowledgements, none lost")


def test_the_disk_does_forget_what_was_not_synced(tmp_path: Path) -> None:
    """The control: without fsync the very same disk loses a commit of SQLite and empties a renamed file."""
    content, kept = tmp_path / "start", tmp_path / "kept"
    content.mkdir()
    (content / "state.json").write_text("old")
    with disk(tmp_path, content, eager=True) as plugged:
        conn = sqlite3.connect(plugged.mount / "lazy.db", isolation_level=None)
        conn.execute("PRAGMA journal_mode=WAL")
        conn.execute("CREATE TABLE t (x)")
        conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        conn.execute("PRAGMA synchronous=NORMAL")
        conn.execute("INSERT INTO t VALUES ('acknowledged')")
        (plugged.mount / "state.json.tmp").write_text("new")
        os.replace(plugged.mount / "state.json.tmp", plugged.mount / "state.json")
        plugged.cut(kept)
        with contextlib.suppress(sqlite3.Error):
            conn.close()
    assert (kept / "state.json").read_text() == ""
    with contextlib.closing(sqlite3.connect(kept / "lazy.db")) as after:
        assert after.execute("SELECT count(*) FROM t").fetchone() == (0,)
    shutil.rmtree(kept)
