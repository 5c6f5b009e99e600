"""The checks of `executor doctor`, one function each. A check never raises: what it cannot find out is its finding."""

import asyncio
import getpass
import os
import shutil
import stat
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum

from executor_tui.config.load import Config, load
from executor_tui.config.places import Places
from executor_tui.domain.clock import SystemClock
from executor_tui.domain.errors import ConfigError, ExecutorError, VaultError
from executor_tui.domain.key import KeyState
from executor_tui.store.store import Store, default_url

CLOCK_LIMIT_S = 60.0
REACH_S = 6.0
DISK_LOW_BYTES = 500 * 1024 * 1024


class Result(StrEnum):
    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Check:
    """`mend` says what to do; empty when there is nothing to."""

    name: str
    result: Result
    found: str
    mend: str = ""


def run_checks(places: Places) -> list[Check]:
    """Every check, in the order a user would mend them."""
    return asyncio.run(_run(places))


async def _run(places: Places) -> list[Check]:
    checks = [_python(), _git(), _disk(places), _directory(places)]
    config, found = _config(places)
    checks.append(found)
    checks.append(await _sandbox())
    checks.append(_identity(places))
    checks += await _with_store(places, config)
    checks += [_terminal(), _lingering()]
    return checks


def _python() -> Check:
    version = ".".join(str(n) for n in sys.version_info[:3])
    if sys.version_info < (3, 11):  # noqa: UP036 - run from a checkout, nothing else would have said it
        return Check("python", Result.FAIL, version, "install Python 3.11 or newer")
    return Check("python", Result.OK, f"{version} at {sys.executable}")


def _git() -> Check:
    path = shutil.which("git")
    if path is None:
        return Check("git", Result.FAIL, "not found", "apt-get install git (projects are git repositories)")
    done = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=10, check=False)
    return Check("git", Result.OK, done.stdout.strip())


def _disk(places: Places) -> Check:
    folder = next(p for p in (places.state_dir, *places.state_dir.parents) if p.exists())
    free = shutil.disk_usage(folder).free
    found = f"{free // 1024**2} MiB free at {folder}"
    if free < DISK_LOW_BYTES:
        return Check("disk", Result.WARN, found, "free some space: at zero nothing can be recorded and work stops")
    return Check("disk", Result.OK, found)


def _directory(places: Places) -> Check:
    state = places.state_dir
    try:
        state.mkdir(parents=True, exist_ok=True, mode=0o700)
        probe = state / ".doctor"
        probe.write_text("x")
        probe.unlink()
    except OSError as exc:
        return Check(
            "state directory", Result.FAIL, f"{state}: {exc.strerror}", f"make it writable: chown $USER {state}, or use --state DIR"
        )
    mode = stat.S_IMODE(state.stat().st_mode)
    if mode & 0o077:
        return Check("state directory", Result.WARN, f"{state} is open to others (mode {mode:03o})", f"chmod 700 {state}")
    return Check("state directory", Result.OK, str(state))


def _config(places: Places) -> tuple[Config | None, Check]:
    try:
        config = load(places.config_dir)
    except ConfigError as exc:
        return None, Check("configuration", Result.FAIL, exc.message.replace("\n", "; "), "mend the file; see: executor config schema")
    files = ", ".join(config.sources) or "defaults only"
    return config, Check("configuration", Result.OK, f"{places.config_dir} ({files})")


async def _sandbox() -> Check:
    from executor_tui.workspaces.probe import probe

    found = await probe()
    if found.sandbox is not None:
        return Check("sandbox", Result.OK, found.message)
    return Check("sandbox", Result.WARN, found.message, found.fix + " (without it no project runs, unless started with --unsafe-local)")


def _identity(places: Places) -> Check:
    from executor_tui.vault.age import IDENTITY_ENV, check_permissions, load_identity

    if not os.environ.get(IDENTITY_ENV) and not os.environ.get("CREDENTIALS_DIRECTORY") and not places.identity_file.exists():
        return Check("identity", Result.OK, "none yet; made when the first key is added")
    try:
        if not os.environ.get(IDENTITY_ENV) and not os.environ.get("CREDENTIALS_DIRECTORY"):
            check_permissions(places.identity_file)
        load_identity(places.identity_file)
    except VaultError as exc:
        return Check("identity", Result.FAIL, exc.message, exc.hint)
    return Check("identity", Result.OK, f"{places.identity_file}, readable by you alone")


async def _with_store(places: Places, config: Config | None) -> list[Check]:
    if config is None:
        return [Check("database", Result.WARN, "not tried: the configuration cannot be read")]
    try:
        store = await Store.open(config.database_url(default_url(places.state_dir)), SystemClock())
    except ExecutorError as exc:
        return [Check("database", Result.FAIL, exc.message, exc.hint or "executor recovery restore FILE brings the last good backup back")]
    try:
        where = store.db.url.rsplit("@", 1)[-1]
        checks = [Check("database", Result.OK, where)]
        checks += await _node(store)
        checks += await _keys(store, config)
        checks += await _providers(store, config)
    finally:
        await store.close()
    return checks


async def _node(store: Store) -> list[Check]:
    leader = await store.leases.leader()
    if leader is None:
        return [Check("node", Result.OK, "none runs now; the console starts one, or: executor --no-ui")]
    node = await store.nodes.find(leader.holder)
    if node is not None and node.unwell:
        return [Check("node", Result.WARN, f"{node.id} is unwell: {node.unwell}", "see its log: executor.log in the state directory")]
    return [Check("node", Result.OK, f"{leader.holder} leads" + (f", gateway at {node.gateway_url}" if node and node.gateway_url else ""))]


async def _keys(store: Store, config: Config) -> list[Check]:
    keys = await store.keys.list()
    if not keys:
        return [Check("keys", Result.WARN, "none", "executor keys add PROVIDER, or try everything without: executor lab")]
    bad = [k for k in keys if k.state is KeyState.INVALID]
    if bad:
        names = ", ".join(f"{k.id} ({k.provider} …{k.tail}: {k.state_reason})" for k in bad)
        return [Check("keys", Result.FAIL if len(bad) == len(keys) else Result.WARN, f"{len(bad)} of {len(keys)} refused: {names}",
                      "enter them again, or: executor keys remove ID")]  # fmt: skip
    untested = sum(k.state is KeyState.UNVERIFIED for k in keys)
    if untested:
        return [Check("keys", Result.WARN, f"{len(keys)}, of which {untested} not yet verified", "executor keys test")]
    return [Check("keys", Result.OK, f"{len(keys)} verified")]


async def _providers(store: Store, config: Config) -> list[Check]:
    """Only providers the user has keys for are contacted; the Date header of their answer is a clock to compare ours with."""
    import httpx

    used = {config.models.provider_named(k.provider) for k in await store.keys.list()}
    targets = {n: p.base_url for n, p in config.models.providers.items() if n in used and p.base_url}
    if not targets:
        return [Check("providers", Result.OK, "none in use"), _clock(None)]
    checks, offsets = [], []
    async with httpx.AsyncClient(timeout=REACH_S) as client:
        for name, url in targets.items():
            try:
                answer = await client.get(url)
            except httpx.HTTPError as exc:
                mend = "check the network, the proxy settings and base_url in models.json"
                checks.append(Check(f"provider {name}", Result.FAIL, f"{url}: {type(exc).__name__}", mend))
                continue
            checks.append(Check(f"provider {name}", Result.OK, f"{url} answers"))
            offsets += _offset(answer.headers.get("date"))
    return [*checks, _clock(min(offsets, key=abs) if offsets else None)]


def _offset(date: str | None) -> list[float]:
    try:
        return [(datetime.now(UTC) - parsedate_to_datetime(date or "")).total_seconds()]
    except (TypeError, ValueError):
        return []


def _clock(offset_s: float | None) -> Check:
    now = f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC"
    if datetime.now(UTC).year < 2026:
        return Check("clock", Result.FAIL, now, "the clock is years behind: timedatectl set-ntp true")
    if offset_s is None:
        return Check("clock", Result.OK, f"{now} (nothing to compare with)")
    if abs(offset_s) > CLOCK_LIMIT_S:
        return Check("clock", Result.WARN, f"{now}, {offset_s:+.0f} s from the providers'", "timedatectl set-ntp true; parks end by it")
    return Check("clock", Result.OK, f"{now}, within {abs(offset_s):.0f} s of the providers'")


def _terminal() -> Check:
    if not sys.stdout.isatty():
        return Check("terminal", Result.OK, "none here; the console needs one, the node does not")
    term, colours = os.environ.get("TERM", ""), os.environ.get("COLORTERM", "")
    size = shutil.get_terminal_size()
    found = f"TERM={term or '-'} {colours} {size.columns}x{size.lines}".strip()
    if term in ("", "dumb"):
        return Check("terminal", Result.WARN, found, "set TERM, e.g. export TERM=xterm-256color")
    if size.columns < 60 or size.lines < 20:
        return Check("terminal", Result.WARN, found, "make it at least 60x20; 80x24 shows everything")
    if "256" not in term and not colours and "NO_COLOR" not in os.environ:
        return Check("terminal", Result.WARN, f"{found}: 16 colours", "export TERM=xterm-256color, if your terminal can")
    return Check("terminal", Result.OK, found)


def _lingering() -> Check:
    """A user's service stops with the last session, and does not start at boot, unless lingering is on (loginctl(1))."""
    from executor_tui.core import systemd

    name = getpass.getuser()
    if not systemd.RUNNING.is_dir():
        return Check("service", Result.OK, "no systemd here; run `executor --no-ui` under your own supervisor")
    if systemd.lingers():
        return Check("service", Result.OK, "runs from boot on, and keeps running when you log out")
    mend = f"sudo loginctl enable-linger {name}"
    if systemd.user_unit().exists():
        return Check("service", Result.WARN, "it stops when you log out, and does not start at boot", mend)
    return Check("service", Result.OK, f"not installed (executor service install; to run from boot on it wants: {mend})")
