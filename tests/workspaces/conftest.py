"""Workspaces to test: one behind bubblewrap here, one behind a real sshd on loopback. Both must pass the same suite."""

import fcntl
import os
import pwd
import shutil
import socket
import subprocess
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import asyncssh
import pytest

from executor_tui.workspaces.base import MIB, RunLimits, Workspace
from executor_tui.workspaces.link import SshTarget
from executor_tui.workspaces.local import LocalWorkspace
from executor_tui.workspaces.probe import Probe, probe
from executor_tui.workspaces.sandbox import Sandbox
from executor_tui.workspaces.ssh import SshWorkspace

LIMITS = RunLimits(time_s=60, memory_bytes=512 * MIB, processes=100, output_bytes=MIB, disk_bytes=256 * MIB)
SSHD = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:/sbin:/usr/bin")


class Sshd:
    """sshd in inetd mode behind a loopback socket: one process for each connection, no fixed port, none of the machine's configuration."""

    def __init__(self, directory: Path, address: tuple[str, int] = ("127.0.0.1", 0), **options: str) -> None:
        self._directory = directory
        self._options = options
        self._children: list[subprocess.Popen[bytes]] = []
        self._host_key = asyncssh.generate_private_key("ssh-ed25519")
        self._user_key = asyncssh.generate_private_key("ssh-ed25519")
        self._socket = socket.create_server(address)
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._write_files()
        self._thread.start()

    @property
    def port(self) -> int:
        return int(self._socket.getsockname()[1])

    def authorize(self, line: str) -> None:
        """Let the holder of this key in, instead of whoever might come in before."""
        (self._directory / "authorized_keys").write_text(line + "\n")

    def target(self) -> SshTarget:
        return SshTarget(
            host="127.0.0.1",
            port=self.port,
            username=pwd.getpwuid(os.getuid()).pw_name,
            host_key=self._host_key.export_public_key().decode().strip(),
            private_key=self._user_key.export_private_key().decode(),
        )

    def cut(self) -> None:
        """End every connection as a power cut at the other end would."""
        for child in self._children:
            child.kill()

    def stop(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join()
        for child in self._children:
            child.kill()
            child.wait()

    def _write_files(self) -> None:
        key = self._directory / "host_key"
        key.write_bytes(self._host_key.export_private_key())
        key.chmod(0o600)
        (self._directory / "authorized_keys").write_bytes(self._user_key.export_public_key())
        options = {
            "HostKey": key,
            "AuthorizedKeysFile": self._directory / "authorized_keys",
            "PidFile": "none",
            "UsePAM": "no",
            "StrictModes": "no",
            "PermitRootLogin": "prohibit-password",
            "PasswordAuthentication": "no",
            "KbdInteractiveAuthentication": "no",
            "LogLevel": "ERROR",
            **self._options,
        }
        (self._directory / "sshd_config").write_text("".join(f"{name} {value}\n" for name, value in options.items()))
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection, (self._directory / "log").open("ab") as log:
                config = str(self._directory / "sshd_config")
                self._children.append(
                    subprocess.Popen([str(SSHD), "-i", "-e", "-f", config], stdin=connection, stdout=connection, stderr=log)
                )


@pytest.fixture(scope="session")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    if SSHD is None:
        pytest.skip("openssh-server is not installed")
    server = Sshd(tmp_path_factory.mktemp("sshd"))
    yield server
    server.stop()


@pytest.fixture
def sshd_without_python(tmp_path_factory: pytest.TempPathFactory, sshd: Sshd) -> Iterator[Sshd]:
    """A machine whose shell finds no python3."""
    server = Sshd(tmp_path_factory.mktemp("bare"), ForceCommand="exec no-such-python3")
    yield server
    server.stop()


_probed: list[Probe] = []


@pytest.fixture
async def sandbox() -> Sandbox:
    if shutil.which("bwrap") is None:
        pytest.skip("bubblewrap is not installed")
    if not _probed:
        _probed.append(await probe())
    return _probed[0].require()


@pytest.fixture
def limits() -> RunLimits:
    """Generous in time, so that only the limit under test can be met."""
    return LIMITS


@pytest.fixture
async def local(tmp_path: Path, sandbox: Sandbox) -> AsyncIterator[LocalWorkspace]:
    workspace = await LocalWorkspace.create(tmp_path / "project", sandbox=sandbox)
    yield workspace
    await workspace.destroy()


@pytest.fixture
async def remote(tmp_path: Path, sshd: Sshd) -> AsyncIterator[SshWorkspace]:
    workspace = await SshWorkspace.create(sshd.target(), str(tmp_path / "there" / "project"), tmp_path / "mirror")
    yield workspace
    await workspace.destroy()


@pytest.fixture(params=["local", "remote"])
def workspace(request: pytest.FixtureRequest) -> Workspace:
    return request.getfixturevalue(request.param)  # type: ignore[no-any-return]


@pytest.fixture
def tree(workspace: Workspace) -> Path:
    """Where the files of the workspace are; the machine behind sshd is this one."""
    return Path(workspace.directory) if isinstance(workspace, SshWorkspace) else workspace.root


@pytest.fixture
def all_dead(tree: Path) -> Callable[[], None]:
    """Waits until no process holds the lock that `HOLD` takes: the kernel frees it when the last of them is gone."""

    def wait() -> None:
        with (tree / "held").open("rb") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)

    return wait
