"""The console at the end of a real SSH connection, in tmux and without, at 80×24, by keyboard alone."""

import asyncio
import base64
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from seed import seed
from ssh_line import Line, processes_naming, sshd_module, wait_for

from executor_tui.config.places import Places
from executor_tui.domain.approval import ApprovalStatus
from executor_tui.domain.clock import SystemClock
from executor_tui.domain.key import Key
from executor_tui.store.store import Store, default_url

KEY = "sk-proj-over-the-line-Qm3x9vTzR7bLk2wNc8dYf5hJ"
CTRL_B, CTRL_D, CTRL_Y, ESCAPE = "\x02", "\x04", "\x19", "\x1b"
TMUX_CONF = "set -g allow-passthrough on\nset -g escape-time 10\nset -g status off\nset -g default-terminal tmux-256color\n"
MISSING = [name for name in ("ssh", "tmux") if shutil.which(name) is None]
pytestmark = [
    pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}"),
    pytest.mark.skipif(
        shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:/sbin:/usr/bin") is None, reason="not installed: openssh-server"
    ),
    pytest.mark.timeout(400),
]


@dataclass
class Remote:
    """A machine with a lively fleet's store, reached by SSH."""

    places: Places
    folder: Path
    sshd: Any

    @property
    def socket(self) -> str:
        return f"executor-test-{os.getpid()}-{self.folder.name}"

    @property
    def console(self) -> str:
        return f"{sys.executable} -m executor_tui.cli.main --config {self.places.config_dir} --state {self.places.state_dir}"

    def tmux(self, *args: str) -> str:
        done = subprocess.run(["tmux", "-L", self.socket, *args], capture_output=True, text=True, check=False)
        return done.stdout

    def screen(self) -> str:
        """What stands in the pane."""
        return self.tmux("capture-pane", "-p", "-t", "0")

    def see(self, *texts: str) -> None:
        wait_for(lambda: all(text in self.screen() for text in texts), f"{texts}", self.screen)

    def connect(self, command: str) -> Line:
        target = self.sshd.target()
        key = self.folder / "user_key"
        key.write_text(target.private_key)
        key.chmod(0o600)
        options = (
            "StrictHostKeyChecking=no",
            "UserKnownHostsFile=/dev/null",
            "LogLevel=ERROR",
            "IdentitiesOnly=yes",
            "ServerAliveInterval=0",
        )
        asked = [part for option in options for part in ("-o", option)]
        ssh = ["ssh", "-F", "/dev/null", *asked, "-i", str(key), "-p", str(target.port), "-tt", f"{target.username}@{target.host}", command]
        return Line(ssh, {"PATH": os.environ["PATH"], "TERM": "xterm-256color", "HOME": str(self.folder), "LANG": "C.UTF-8"})

    def ask(self, question: str) -> Any:
        """Something of the store, read beside the console."""

        async def read() -> Any:
            store = await Store.open(default_url(self.places.state_dir), SystemClock())
            try:
                if question == "approvals":
                    return {a.id: a.status for a in await store.approvals.list()}
                if question == "operators":
                    return await store.operators.present()
                return await store.keys.list()
            finally:
                await store.close()

        return asyncio.run(read())


@pytest.fixture
def remote(places: Places, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Remote]:
    async def fill() -> None:
        store = await Store.open(default_url(places.state_dir), SystemClock())
        await seed(store)
        await store.close()

    asyncio.run(fill())
    sshd = sshd_module().Sshd(tmp_path_factory.mktemp("sshd"))
    (tmp_path / "tmux.conf").write_text(TMUX_CONF)
    found = Remote(places, tmp_path, sshd)
    yield found
    found.tmux("kill-server")
    sshd.stop()
    for pid in processes_naming(str(places.state_dir)):
        os.kill(pid, signal.SIGKILL)


def copied(line: Line) -> str:
    """What the last OSC 52 put into the clipboard of the terminal at our end."""
    found = re.findall(rb"\x1b\]52;c?;([A-Za-z0-9+/=]+)(?:\x07|\x1b\\)", line.got)
    return base64.b64decode(found[-1]).decode() if found else ""


def test_a_session_in_tmux_by_keyboard_alone_survives_detaching_and_a_dropped_line(remote: Remote) -> None:
    new = f"LC_ALL=C.UTF-8 tmux -L {remote.socket} -f {remote.folder}/tmux.conf new-session '{remote.console}'"
    attach = f"LC_ALL=C.UTF-8 tmux -L {remote.socket} attach"
    line = remote.connect(new)

    remote.see("architect-001", "Approve?")  # it opens by itself once nobody types
    first = "apr-opus" if "claude-opus" in remote.screen().split("Approve?")[1] else "apr-fire"
    press_until(line, CTRL_Y, lambda: remote.ask("approvals")[first] is ApprovalStatus.APPROVED, f"{first} approved", remote.screen)

    remote.see("Approve?", "rb5009-home" if first == "apr-opus" else "claude-opus")  # and the other one after it
    press_until(line, ESCAPE, lambda: "Approve?" not in remote.screen(), "the end of the questions", remote.screen)

    line.send("2")
    remote.see("Quota pool")
    line.send("e")
    remote.see("Enter API keys")
    line.send(f"\x1b[200~{KEY}\x1b[201~")
    remote.see("openai")
    line.send(CTRL_D)
    wait_for(lambda: any(k.tail == KEY[-4:] for k in keys(remote)), "the key in the store", remote.screen)
    everything = remote.tmux("capture-pane", "-p", "-S", "-", "-t", "0") + line.got.decode(errors="replace")
    assert KEY not in everything and KEY[8:24] not in everything
    line.send(ESCAPE)
    wait_for(lambda: "Enter API keys" not in remote.screen(), "the end of key entry", remote.screen)

    line.send("1")
    remote.see("pm-001")
    line.send("/coder\r")
    wait_for(lambda: "coder-002" in remote.screen() and "pm-001" not in remote.screen(), "the filter", remote.screen)
    line.send("y")
    wait_for(lambda: "coder-001" in copied(line), "the row in our clipboard", remote.screen)
    remote.see("1 line sent to the terminal's clipboard")
    line.send("\r")
    remote.see("Fleet › coder-001", "round 2: make test_empty_input pass")

    line.send(CTRL_B + "d")
    line.ended()
    again = remote.connect(attach)
    again.see("coder-001")
    remote.see("Fleet › coder-001")

    remote.sshd.cut()
    again.ended()
    third = remote.connect(attach)
    third.see("coder-001")
    third.send(ESCAPE)
    remote.see("coder-002")
    third.send("q")
    third.ended()
    for one in (line, again, third):
        one.close()
    wait_for(lambda: not remote.ask("operators"), "the operator gone", lambda: str(remote.ask("operators")))


def press_until(line: Line, key: str, true: Callable[[], bool], what: str, told: Callable[[], str]) -> None:
    """Press a key until it counts: the first presses may fall into the time in which keys are dead."""

    def done() -> bool:
        if true():
            return True
        line.send(key)
        return acted(true)

    wait_for(done, what, told)


def acted(true: Callable[[], bool]) -> bool:
    """Give a key the time to act, so that it is not pressed again meanwhile."""
    end = time.monotonic() + 2.0
    while not true():
        if time.monotonic() > end:
            return False
        threading.Event().wait(0.05)
    return True


def keys(remote: Remote) -> list[Key]:
    return list(remote.ask("keys"))


def test_a_line_dropped_in_the_middle_of_an_approval_decides_nothing_and_leaves_nobody_attached(remote: Remote) -> None:
    line = remote.connect(f"LC_ALL=C.UTF-8 {remote.console}")
    line.see("Approve?")
    assert remote.ask("operators")
    remote.sshd.cut()
    line.ended()
    wait_for(lambda: not processes_naming(str(remote.places.state_dir)), "the end of the console")
    waiting = {i for i, status in remote.ask("approvals").items() if status is ApprovalStatus.PENDING}
    assert waiting == {"apr-opus", "apr-fire"}
    assert not remote.ask("operators")
    line.close()


def test_a_console_told_to_end_in_the_middle_of_an_approval_leaves_the_terminal_clean(remote: Remote) -> None:
    line = remote.connect(f"LC_ALL=C.UTF-8 {remote.console}")
    line.see("Approve?")
    before = len(line.got)
    for pid in processes_naming(f"--state\0{remote.places.state_dir}"):
        os.kill(pid, signal.SIGTERM)
    line.ended()
    after = line.got[before:]
    for restored in (b"\x1b[?1049l", b"\x1b[?25h", b"\x1b[?1000l", b"\x1b[?2004l"):
        assert restored in after, restored
    assert after.rindex(b"\x1b[?1049l") > after.rfind(b"\x1b[?1049h")
    waiting = {i for i, status in remote.ask("approvals").items() if status is ApprovalStatus.PENDING}
    assert waiting == {"apr-opus", "apr-fire"}
    line.close()
