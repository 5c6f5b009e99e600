"""An SSH session that is dropped in the middle of an approval: the question still waits with its deadline, and both terminals are clean."""

import asyncio
import contextlib
import os
import pty
import shlex
import shutil
import sys
import termios
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from executor_tui.config.places import Places
from executor_tui.domain.approval import Approval, ApprovalKind, ApprovalStatus
from executor_tui.domain.clock import SystemClock
from executor_tui.store.store import Store, default_url
from tests.workspaces.conftest import SSHD, Sshd

LFLAG, WAIT_S = 3, 60
pytestmark = [pytest.mark.timeout(180), pytest.mark.skipif(SSHD is None or shutil.which("ssh") is None, reason="OpenSSH is not installed")]


class Session:
    """`ssh -tt` to a real sshd on loopback, on a terminal of 80×24, with the console at the other end."""

    def __init__(self, server: Sshd, folder: Path, places: Places) -> None:
        target = server.target()
        key = folder / "key"
        key.write_text(target.private_key)
        key.chmod(0o600)
        own = ["--config", str(places.config_dir), "--state", str(places.state_dir)]
        console = shlex.join(["env", "TERM=xterm-256color", sys.executable, "-m", "executor_tui.cli.main", *own])
        self._words = [
            "ssh", "-tt", "-F", "none", "-i", str(key), "-p", str(target.port), "-o", "StrictHostKeyChecking=no", "-o", "LogLevel=ERROR",
            "-o", f"UserKnownHostsFile={folder / 'known'}", "-o", "BatchMode=yes", f"{target.username}@127.0.0.1", console,
        ]  # fmt: skip
        self.text, self._more = "", asyncio.Event()

    async def __aenter__(self) -> "Session":
        self.master, self.slave = pty.openpty()
        termios.tcsetwinsize(self.slave, (24, 80))
        self.process = await asyncio.create_subprocess_exec(
            *self._words, stdin=self.slave, stdout=self.slave, stderr=self.slave, start_new_session=True
        )
        os.set_blocking(self.master, False)
        asyncio.get_running_loop().add_reader(self.master, self._read)
        return self

    async def __aexit__(self, *_: object) -> None:
        asyncio.get_running_loop().remove_reader(self.master)
        if self.process.returncode is None:
            self.process.kill()
            await self.process.wait()
        os.close(self.master)
        os.close(self.slave)

    def _read(self) -> None:
        with contextlib.suppress(OSError):
            self.text += os.read(self.master, 65536).decode(errors="replace")
        self._more.set()

    async def see(self, text: str) -> None:
        try:
            async with asyncio.timeout(WAIT_S):
                while text not in self.text:
                    self._more.clear()
                    await self._more.wait()
        except TimeoutError:
            raise AssertionError(f"never seen: {text}; at last: {self.text[-1500:]!r}") from None

    @property
    def echoes(self) -> bool:
        return bool(termios.tcgetattr(self.slave)[LFLAG] & termios.ECHO)


@pytest.fixture
async def store(places: Places) -> AsyncIterator[Store]:
    """Some node leads, so that the console starts none."""
    store = await Store.open(default_url(places.state_dir), SystemClock())
    await store.leases.take("node-elsewhere", 3600)
    yield store
    await store.close()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Sshd]:
    folder = tmp_path / "sshd"
    folder.mkdir()
    server = Sshd(folder)
    yield server
    server.stop()


async def consoles(places: Places, many: int) -> None:
    """Until so many consoles of this state directory run."""
    mine = str(places.state_dir).encode()

    def count() -> int:
        found = 0
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                words = (entry / "cmdline").read_bytes() if entry.name.isdigit() else b""
                found += mine in words and words.split(b"\0")[0] not in (b"ssh", b"sh", b"bash")
        return found

    async with asyncio.timeout(WAIT_S):
        while count() != many:
            await asyncio.sleep(0.05)


async def test_a_session_dropped_in_the_middle_of_an_approval_leaves_it_waiting(
    server: Sshd, store: Store, places: Places, tmp_path: Path
) -> None:
    until = store.clock.now() + timedelta(hours=1)
    async with Session(server, tmp_path, places) as session:
        await session.see("\x1b[?1049h")
        await store.approvals.request(Approval("apr-1", ApprovalKind.CRITICAL_MODEL, "use claude-opus", expires_at=until))
        await session.see("^y approve")
        assert not session.echoes, "the console has the terminal"
        server.cut()
        assert await asyncio.wait_for(session.process.wait(), WAIT_S) == 255
        assert session.echoes, "the terminal at hand is as it was"
    await consoles(places, 0)
    approval = await store.approvals.get("apr-1")
    assert (approval.status, approval.expires_at, approval.decided_by) == (ApprovalStatus.PENDING, until, "")
    assert await store.operators.present() == () and not list(places.state_dir.glob("*crash*"))
    async with Session(server, tmp_path, places) as again:
        await again.see("^y approve")
