"""The lab's Proxmox: a program of its own that our driver can use, gone with whoever started it, and told of when it is missing."""

import asyncio
import sys
from pathlib import Path

import pytest

from executor_tui.domain.clock import SystemClock
from executor_tui.infra.proxmox.driver import Proxmox
from executor_tui.infra.proxmox.target import ProxmoxTarget
from executor_tui.lab import hypervisor
from executor_tui.lab.hypervisor import TEMPLATE, Hypervisor

KILLED = """
import asyncio, os, signal
from pathlib import Path
from executor_tui.lab.hypervisor import Hypervisor

async def main():
    pve = Hypervisor(Path({folder!r}))
    assert await pve.start() == ""
    print(pve._process.pid, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


async def test_it_has_guests_and_a_template_and_is_reached_by_its_pinned_certificate(tmp_path: Path) -> None:
    pve = Hypervisor(tmp_path)
    assert await pve.start() == ""
    try:
        target = ProxmoxTarget("pve", pve.host, "root@pam", pve.port, password=pve.password, fingerprint=pve.fingerprint)
        driver = Proxmox(target, SystemClock())
        cluster = await driver.cluster()
        assert [c.name for c in cluster.containers] == ["db", "wiki"] and 110 in cluster.taken_ids
        assert [t.name for t in await driver.templates(cluster)] == [TEMPLATE]
        driver.close()
    finally:
        process = pve._process
        await pve.stop()
    assert process is not None and process.returncode is not None


async def test_it_ends_when_the_lab_is_killed(tmp_path: Path) -> None:
    lab = await asyncio.create_subprocess_exec(
        sys.executable, "-c", KILLED.format(folder=str(tmp_path)), stdout=asyncio.subprocess.PIPE
    )  # fmt: skip
    out, _ = await lab.communicate()
    assert lab.returncode == -9
    pidfd = _opened(int(out))
    if pidfd is not None:
        gone = asyncio.Event()
        asyncio.get_running_loop().add_reader(pidfd, gone.set)
        async with asyncio.timeout(20):
            await gone.wait()
        asyncio.get_running_loop().remove_reader(pidfd)


def _opened(pid: int) -> int | None:
    import os

    try:
        return os.pidfd_open(pid)
    except ProcessLookupError:
        return None


async def test_without_the_extra_the_lab_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    said = await Hypervisor(tmp_path).start()
    assert said == hypervisor.MISSING and "executor-tui[lab]" in said and "\n" not in said
