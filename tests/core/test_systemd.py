"""What the service tells systemd, and the unit that systemd is given."""

import asyncio
import os
import shutil
import socket
import subprocess
from pathlib import Path

import pytest

from executor_tui.core.service_unit import Unit, quoted
from executor_tui.core.systemd import Notifier, watchdog_interval_s
from executor_tui.domain.clock import ManualClock


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> socket.socket:
    """systemd's end of the socket."""
    path = tmp_path / "notify"
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    listening.bind(str(path))
    listening.setblocking(False)
    monkeypatch.setenv("NOTIFY_SOCKET", str(path))
    return listening


async def test_ready_is_said_once_and_the_watchdog_is_fed_at_half_its_interval(
    manager: socket.socket, monkeypatch: pytest.MonkeyPatch, clock: ManualClock
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "60000000")
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
    running = asyncio.create_task(Notifier(clock).run())
    await clock.advance(95)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    said = []
    while True:
        try:
            said.append(manager.recv(200).decode())
        except BlockingIOError:
            break
    manager.close()
    assert said == ["READY=1\nSTATUS=running", *["WATCHDOG=1"] * 4]


async def test_without_systemd_nothing_happens(monkeypatch: pytest.MonkeyPatch, clock: ManualClock) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    await Notifier(clock).run()
    Notifier(clock).stopping()


def test_an_abstract_socket_is_understood(monkeypatch: pytest.MonkeyPatch, clock: ManualClock) -> None:
    name = f"executor-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind("\0" + name)
        monkeypatch.setenv("NOTIFY_SOCKET", "@" + name)
        Notifier(clock).stopping("bye\nREADY=1")
        assert listening.recv(200).decode() == "STOPPING=1\nSTATUS=bye READY=1"


@pytest.mark.parametrize(
    ("usec", "pid", "expected"), [("60000000", "", 30.0), ("0", "", None), ("soon", "", None), ("60000000", "1", None), ("", "", None)]
)
def test_the_watchdogs_interval_is_read_with_suspicion(
    usec: str, pid: str, expected: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", usec)
    monkeypatch.delenv("WATCHDOG_PID", raising=False)
    if pid:
        monkeypatch.setenv("WATCHDOG_PID", pid)
    assert watchdog_interval_s() == expected


def test_words_with_blanks_signs_and_specifiers_mean_only_themselves() -> None:
    assert quoted("/plain/path") == "/plain/path"
    assert quoted("/with blank/100%/$HOME") == '"/with blank/100%%/$$HOME"'
    assert quoted('say "hi" \\') == '"say \\"hi\\" \\\\"'


@pytest.mark.parametrize("user", ["", "root"])
def test_systemd_accepts_the_unit(tmp_path: Path, user: str) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd-analyze is not on this machine")
    program = shutil.which("sleep")
    assert program is not None
    text = Unit((program,), tmp_path / "con fig", tmp_path / "100%", tmp_path / "identity.txt", user).text()
    path = tmp_path / "executor.service"
    path.write_text(text)
    done = subprocess.run([analyze, "verify", str(path)], capture_output=True, text=True, timeout=60, check=False)
    assert "executor.service" not in done.stderr, done.stderr
    assert ("User=root" in text) == bool(user) and "LoadCredential=executor-identity:" in text
