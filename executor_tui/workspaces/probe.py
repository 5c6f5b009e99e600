"""Is there a sandbox here, and does it hold? Asked once at start; the answer carries the fix."""

import asyncio
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from executor_tui.workspaces.base import MIB, RunLimits, RunResult
from executor_tui.workspaces.confined import run_confined
from executor_tui.workspaces.errors import SandboxUnavailableError, WorkspaceError
from executor_tui.workspaces.sandbox import Sandbox

PROBE_LIMITS = RunLimits(time_s=20, memory_bytes=512 * MIB, processes=64, output_bytes=64 * 1024, disk_bytes=64 * MIB)
SETTINGS = (
    "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
    "/proc/sys/kernel/unprivileged_userns_clone",
    "/proc/sys/user/max_user_namespaces",
)
_CHECK = """
[ -w . ] && [ -w /tmp ] && [ -w "$HOME" ] && [ -w /dev/shm ] || echo "the workspace is not writable"
[ -w / ] || [ -w /usr ] || [ -w /etc ] || [ -w .git ] && echo "the sandbox is writable outside the workspace"
[ "$(id -u)" = 0 ] && echo "the command is still root"
[ -w /proc/sys/kernel/core_pattern ] && echo "the command can change the kernel's settings"
[ "$(tail -n +3 /proc/net/dev | grep -vc 'lo:')" = 0 ] || echo "the command has a network"
echo checked
"""
# Looks without touching: should nothing be confined, the check must leave no mark on the machine.


@dataclass(frozen=True, slots=True)
class Probe:
    """What was found: a sandbox that works, or why there is none (`message`) and what to do about it (`fix`)."""

    sandbox: Sandbox | None
    message: str
    fix: str = ""

    @property
    def ok(self) -> bool:
        """Commands can be confined here."""
        return self.sandbox is not None

    def require(self) -> Sandbox:
        """The sandbox; raises `SandboxUnavailableError` with the fix as its hint when there is none."""
        if self.sandbox is None:
            raise SandboxUnavailableError(f"generated code is not run here: {self.message}", hint=self.fix)
        return self.sandbox


async def probe(private: Sequence[Path] = (), extra_read_only: Sequence[Path] = ()) -> Probe:
    """Look for bubblewrap and try it with the checks that matter.

    `private` are directories no command may ever see, such as the state directory: a Python prefix that holds one is not shown.
    `extra_read_only` are toolchains outside /usr to show.
    """
    found = await asyncio.to_thread(_find, tuple(private), tuple(extra_read_only))
    if found.sandbox is None:
        return found
    with tempfile.TemporaryDirectory(prefix="executor-probe-") as directory:
        place = Path(directory)
        try:
            result = await _try(found.sandbox, place)
        except WorkspaceError as error:
            return Probe(None, error.message, diagnose(error.message, _settings()))
    lines = [line for line in result.output.splitlines() if line.strip()]
    if result.ok and lines == ["checked"]:
        return found
    message = lines[0] if lines else result.summary
    return Probe(None, f"bubblewrap does not confine commands: {message}", diagnose(message, _settings()))


def _find(private: Sequence[Path], extra: Sequence[Path]) -> Probe:
    bwrap = shutil.which("bwrap")
    if bwrap is None:
        fix = "install bubblewrap: apt install bubblewrap (Debian, Ubuntu), dnf install bubblewrap (Fedora), pacman -S bubblewrap (Arch)"
        return Probe(None, "bubblewrap (bwrap) is not installed", fix)
    for tool in ("prlimit", "setpriv"):
        if shutil.which(tool) is None:
            return Probe(None, f"{tool} is not installed", "install util-linux: apt install util-linux")
    hidden = [Path.home(), *private]
    prefixes = shown_prefixes((sys.prefix, sys.base_prefix, str(Path(sys.base_prefix).resolve())), hidden)
    sandbox = Sandbox(
        bwrap=bwrap,
        version=_version(bwrap),
        leave_root=os.geteuid() == 0,
        python_prefixes=tuple(prefixes),
        python_bin=tuple(f"{prefix}/bin" for prefix in prefixes),
        extra_read_only=tuple(shown_prefixes([str(path.resolve()) for path in extra], hidden)),
        machine=platform.machine(),
        shell="/bin/bash" if Path("/bin/bash").exists() else "/bin/sh",
    )
    return Probe(sandbox, f"bubblewrap {'.'.join(map(str, sandbox.version))}")


def shown_prefixes(prefixes: Sequence[str], hidden: Sequence[Path]) -> list[str]:
    """The directories worth showing: not below /usr, which is shown anyway, and not one that holds something hidden."""
    found: list[str] = []
    for prefix in prefixes:
        path = Path(prefix)
        holds_hidden = any(secret.resolve().is_relative_to(path.resolve()) for secret in hidden)
        if prefix not in found and path.is_dir() and not path.is_relative_to("/usr") and not holds_hidden:
            found.append(prefix)
    return found


def _version(bwrap: str) -> tuple[int, ...]:
    words = subprocess.run([bwrap, "--version"], capture_output=True, text=True, check=False, timeout=10).stdout.split()
    return tuple(int(part) for part in (words[-1] if words else "0").split(".") if part.isdigit())


async def _try(sandbox: Sandbox, place: Path) -> RunResult:
    tree, scratch = place / "tree", place / "scratch"
    (tree / ".git").mkdir(parents=True)
    return await run_confined(sandbox, tree, scratch, [sandbox.shell, "-c", _CHECK], PROBE_LIMITS)


def diagnose(said: str, settings: Mapping[str, str]) -> str:
    """What to do about a sandbox that does not start, from what bubblewrap said and the kernel's settings."""
    restricted, allowed, most = (settings.get(name, "") for name in SETTINGS)
    refused = any(word in said.lower() for word in ("namespace", "uid map", "permission", "not permitted"))
    if refused and restricted == "1":
        return (
            "AppArmor keeps bubblewrap from making user namespaces: write /etc/apparmor.d/bwrap with "
            "'abi <abi/4.0>, include <tunables/global> profile bwrap /usr/bin/bwrap flags=(unconfined) { userns, }' "
            "and run: systemctl reload apparmor"
        )
    if refused and allowed == "0":
        return "user namespaces are switched off: run sysctl -w kernel.unprivileged_userns_clone=1 (and set it in /etc/sysctl.d)"
    if refused and most == "0":
        return "user namespaces are switched off: run sysctl -w user.max_user_namespaces=15000 (and set it in /etc/sysctl.d)"
    if refused or "mount" in said.lower():
        return "in a container, allow nesting (Proxmox: pct set ID --features nesting=1); elsewhere see what bwrap says on its own"
    return "run `executor doctor`, or start bwrap by hand to see more: bwrap --unshare-all --ro-bind / / true"


def _settings() -> dict[str, str]:
    found: dict[str, str] = {}
    for name in SETTINGS:
        try:
            found[name] = Path(name).read_text(encoding="ascii").strip()
        except OSError:
            continue
    return found
