"""The genuine `opencode` program: found, its version checked, run in a sandbox with a network and nothing else of this machine.

Its free models answer only the program itself (since September 2026 any other client is refused), so this route runs it. Nothing of its
protocol is imitated.
"""

import asyncio
import json
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

OLDEST = (1, 18)
INSTALL = "install it with: npm install -g opencode-ai"
AGENT = "executor"
HOME = "/home/agent"
_CHECK_S = 30.0
_SYSTEM = ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
_ETC = ("/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf", "/etc/ssl", "/etc/pki", "/etc/ca-certificates", "/etc/localtime")


@dataclass(frozen=True, slots=True)
class Program:
    """What runs. `shown` is the directory with the program's files, made visible inside."""

    path: Path
    shown: Path
    version: str
    bwrap: str

    def command(self, arguments: Sequence[str], cache: Path, environment: Mapping[str, str]) -> list[str]:
        """The words that run the program: read-only system, a home in memory, only the cache of model lists kept."""
        words = [self.bwrap, "--unshare-all", "--share-net", "--die-with-parent", "--new-session", "--hostname", "opencode"]
        words += ["--unshare-user", "--uid", "1000", "--gid", "1000", "--cap-drop", "ALL", "--ro-bind", "/usr", "/usr"]
        for name in _SYSTEM:
            found = Path(name)
            if found.is_symlink():
                words += ["--symlink", str(found.readlink()), name]
            elif found.is_dir():
                words += ["--ro-bind", name, name]
        for name in _ETC:
            words += ["--ro-bind-try", os.path.realpath(name), name]
        words += ["--proc", "/proc", "--remount-ro", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", "--tmpfs", HOME]  # noqa: S108
        if not str(self.shown).startswith("/usr/"):
            words += ["--ro-bind", str(self.shown), str(self.shown)]
        words += ["--bind", str(cache), f"{HOME}/.cache", "--dir", f"{HOME}/work", "--chdir", f"{HOME}/work", "--clearenv"]
        for name, value in environment.items():
            words += ["--setenv", name, value]
        return [*words, "--", str(self.path), *arguments]


@dataclass(frozen=True, slots=True)
class Absent:
    """Why the route is off, in one line, with what to do."""

    reason: str


async def detect(cache: Path) -> Program | Absent:
    """Find the program on PATH, ask its version inside the sandbox, and thereby see that the sandbox works."""
    found, bwrap = shutil.which("opencode"), shutil.which("bwrap")
    if found is None:
        return Absent(f"the opencode program is not on PATH; {INSTALL}")
    if bwrap is None:
        return Absent("opencode is run in a sandbox only, and bubblewrap is not installed; install it with: apt install bubblewrap")
    path = Path(found).resolve()
    program = Program(path, _shown(path), "", bwrap)
    cache.mkdir(parents=True, exist_ok=True, mode=0o700)
    process = await asyncio.create_subprocess_exec(
        *program.command(["--version"], cache, environment({})),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(_CHECK_S):
            out, err = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        return Absent(f"{found} --version did not answer within {_CHECK_S:g} s")
    if process.returncode != 0:
        said = (err or out).decode(errors="replace").strip().splitlines()
        return Absent(f"opencode does not run in the sandbox: {said[-1][:200] if said else f'exit code {process.returncode}'}")
    version = out.decode(errors="replace").strip()
    numbers = re.match(r"v?(\d+)\.(\d+)", version)
    if numbers is None or (int(numbers[1]), int(numbers[2])) < OLDEST:
        need = ".".join(map(str, OLDEST))
        return Absent(f"opencode {version[:20]!r} is too old, its free models need {need} or later; {INSTALL}@latest")
    return Program(path, program.shown, version, bwrap)


def environment(overrides: Mapping[str, Any]) -> dict[str, str]:
    """All the program gets to know: no variable of ours, a configuration that takes every tool away from it."""
    config = {
        "share": "disabled", "autoupdate": False, "snapshot": False, "tools": {"*": False}, "permission": {"*": "deny"},
        "agent": {AGENT: {"mode": "primary", "description": "Answers.", "prompt": _prompt(), "tools": {"*": False}}}, **overrides,
    }  # fmt: skip
    return {
        "PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": HOME, "LANG": "C.UTF-8", "TERM": "dumb", "NO_COLOR": "1",
        "OPENCODE_CONFIG_CONTENT": json.dumps(config), "OPENCODE_DISABLE_AUTOUPDATE": "1",
    }  # fmt: skip


def _prompt() -> str:
    from executor_tui.hydra.providers.opencode_prompt import SYSTEM

    return SYSTEM


def _shown(path: Path) -> Path:
    """The outermost `node_modules` the program lies in, or its own directory."""
    for parent in reversed(path.parents):
        if parent.name == "node_modules":
            return parent
    return path.parent
