"""A town to kill in: simulated providers, a fake Proxmox, Telegram and Discord, all recording what reaches them, and the processes of one
installation: a node with its gateway, and a console on a terminal of its own."""

import asyncio
import contextlib
import fcntl
import hashlib
import json
import os
import pty
import signal
import ssl
import struct
import sys
import termios
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from executor_tui.config.places import Places
from executor_tui.domain.clock import SystemClock
from executor_tui.lab.chat.discord import FakeDiscord
from executor_tui.lab.chat.telegram import TOKEN, FakeTelegram
from executor_tui.lab.upstreams.accounts import Quota
from executor_tui.lab.world import World
from executor_tui.store.store import Store, default_url

NURSERY = Path(__file__).with_name("nursery.py")
DEVICE, PASSWORD, CHAT = "proxmox-001", "secret", "4242"
TEMPLATE = "vztmpl/debian-12-standard_12.7-1_amd64.tar.zst"


@dataclass
class Town:
    """Everything outside the installation, and its store seen from outside."""

    places: Places
    world: World
    pve: Any
    telegram: FakeTelegram
    discord: FakeDiscord
    store: Store


@contextlib.asynccontextmanager
async def town(folder: Path) -> AsyncIterator[Town]:
    """Build it, with the configuration of the installation in it."""
    places = Places(folder / "config", folder / "state")
    places.config_dir.mkdir(parents=True)
    places.state_dir.mkdir(mode=0o700)
    async with contextlib.AsyncExitStack() as stack:
        world = World(places, live=False)
        for spec in world.upstreams.specs.values():
            for account in spec.accounts:
                account.quotas = {"*": Quota()}  # limits have tests of their own; here they would only slow things down
        await stack.enter_async_context(world)
        pve = await _proxmox(folder, stack)
        telegram = await stack.enter_async_context(FakeTelegram())
        discord = await stack.enter_async_context(FakeDiscord())
        _configure(places, pve, folder / "fakepve.crt", telegram, discord)
        store = await Store.open(default_url(places.state_dir), SystemClock())
        stack.push_async_callback(store.close)
        yield Town(places, world, pve, telegram, discord, store)


async def _proxmox(folder: Path, stack: contextlib.AsyncExitStack) -> Any:
    from fakepve.certs import make_cert
    from fakepve.server import FakePve

    pve = FakePve(user="root@pam", password=PASSWORD, host="127.0.0.1", port=0)
    pve.time_scale = 0.1  # a task takes a moment, so that a kill can fall into it
    certificate, key, _ = make_cert(str(folder), hosts=("127.0.0.1",))
    await pve.start(certificate, key)
    stack.push_async_callback(pve.stop)
    pve.storages["local"].setdefault("volumes", {})[TEMPLATE] = {"content": "vztmpl", "size": 120_000_000, "ctime": 0, "format": "tzst"}
    return pve


def _configure(places: Places, pve: Any, certificate: Path, telegram: FakeTelegram, discord: FakeDiscord) -> None:
    fingerprint = hashlib.sha256(ssl.PEM_cert_to_DER_cert(certificate.read_text())).hexdigest()
    device = {"kind": "proxmox", "host": pve.host, "port": pve.port, "user": "root@pam", "password": PASSWORD, "fingerprint": fingerprint}
    registry = json.loads((places.config_dir / "fleet_registry.json").read_text())
    agents = [a for a in registry["agents"] if not a.get("device")]
    agents.append({"id": DEVICE, "name": "Proxmox Agent", "role": "proxmox", "device": device})
    settings = {
        # Being down three times running at one place is what this loop does for a living: quarantine has tests of its own.
        "recovery": {"quarantine_after": 0},
        "gateway": {"port": 0, "approval_wait_s": 300}, "node": {"ping_every_s": 5, "heartbeat_s": 1.0}, "projects": {"budget_usd": 5.0},
    }  # fmt: skip
    notification = {
        "telegram": {"enabled": True, "bot_token": TOKEN, "chat_id": CHAT, "base_url": telegram.base_url},
        "discord": {"enabled": True, "webhook_url": discord.webhook_url}, "coalesce_s": 0.5,
    }  # fmt: skip
    for name, document in (("fleet_registry", {"agents": agents}), ("executor", settings), ("notification", notification)):
        (places.config_dir / f"{name}.json").write_text(json.dumps(document))


class Processes:
    """The installation's own: started here, found by the state directory in their command line, killed by their number."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self._nursery: asyncio.subprocess.Process | None = None
        self._console: asyncio.subprocess.Process | None = None
        self._screen: int | None = None

    def _command(self, *words: str) -> list[str]:
        own = ["--config", str(self._places.config_dir), "--state", str(self._places.state_dir)]
        return [sys.executable, "-m", "executor_tui.cli.main", *words, *own]

    async def start_node(self) -> None:
        """A node. Where one runs already, started by the console, this one says so and ends: two at once are part of it."""
        if self._nursery is None:
            words = [sys.executable, str(NURSERY), str(self._places.config_dir), str(self._places.state_dir), "--no-ui"]
            self._nursery = await asyncio.create_subprocess_exec(*words, stdin=asyncio.subprocess.PIPE)
        assert self._nursery.stdin is not None
        self._nursery.stdin.write(b"start\n")
        await self._nursery.stdin.drain()

    async def start_console(self) -> None:
        """The console on a terminal of 80×24 that somebody reads; one at a time."""
        if self._console is not None:
            return
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        env = {**os.environ, "TERM": "xterm-256color"}
        self._console = await asyncio.create_subprocess_exec(
            *self._command(), stdin=theirs, stdout=theirs, stderr=theirs, env=env, start_new_session=True
        )
        os.close(theirs)
        os.set_blocking(ours, False)
        asyncio.get_running_loop().add_reader(ours, _drain, ours)
        self._screen = ours

    async def kill_console(self) -> bool:
        """SIGKILL; says whether there was one."""
        console, self._console = self._console, None
        if console is None:
            return False
        with contextlib.suppress(ProcessLookupError):
            console.kill()
        await console.wait()
        if self._screen is not None:
            asyncio.get_running_loop().remove_reader(self._screen)
            os.close(self._screen)
            self._screen = None
        return True

    def node(self) -> int | None:
        """The process that holds the node's lock."""
        holders = [int(entry) for entry in (self._places.state_dir / "node.lock").read_text().split()] if self._locked() else []
        return next((pid for pid in holders if self._mentions(pid)), None)

    def gateway(self) -> int | None:
        """The gateway's process."""
        return next((pid for pid in self.all() if b"executor_tui.gateway" in _command_of(pid)), None)

    def all(self) -> list[int]:
        """Every process that has this state directory in its command line, but for the one that forks the nodes."""
        found = [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if self._mentions(pid)]
        return [pid for pid in found if self._nursery is None or pid != self._nursery.pid]

    def starting(self) -> bool:
        """Whether a node is on its way, though it does not hold the lock yet."""
        return any(b"--no-ui" in _command_of(pid) for pid in self.all())

    async def gone(self, pid: int) -> None:
        """Until a killed process is really gone: a zombie holds no lock."""
        while _command_of(pid):
            await asyncio.sleep(0.01)

    async def stop(self, within_s: float = 60.0) -> list[str]:
        """Stop node and console in good order; whatever is left afterwards is returned, and killed."""
        await self.kill_console()
        if (pid := self.node()) is not None:
            os.kill(pid, signal.SIGTERM)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while self.all():
                    await asyncio.sleep(0.1)
        left = {pid: _command_of(pid).replace(b"\0", b" ").decode()[:200] for pid in self.all()}
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if self._nursery is not None:
            self._nursery.kill()
            await self._nursery.wait()
        return [f"process {pid} was left: {command}" for pid, command in left.items()]

    def _locked(self) -> bool:
        path = self._places.state_dir / "node.lock"
        if not path.exists():
            return False
        with path.open("rb") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False

    def _mentions(self, pid: int) -> bool:
        return pid != os.getpid() and str(self._places.state_dir).encode() in _command_of(pid)


def _command_of(pid: int) -> bytes:
    """Its command line; empty for a process that is gone, or a zombie."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def _drain(descriptor: int) -> None:
    with contextlib.suppress(OSError):
        os.read(descriptor, 65536)
