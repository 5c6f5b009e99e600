"""executor service: a node that systemd starts at boot, watches and stops."""

import getpass
import shutil
import subprocess
import sys
from pathlib import Path

import click

from executor_tui.cli.context import Cli, common
from executor_tui.domain.errors import ExecutorError

_TIMEOUT_S = 30.0


@click.group()
def group() -> None:
    """Run Executor as a systemd service."""


@group.command("install")
@click.option("--print-system", is_flag=True, help="Print the unit for the system manager instead of installing one for this user.")
@click.option("--credential", type=click.Path(path_type=Path), help="Age identity to hand over as a systemd credential (.cred: encrypted).")
@click.option("--no-start", is_flag=True, help="Write the unit, start nothing.")
@common
def install(cli: Cli, print_system: bool, credential: Path | None, no_start: bool) -> None:
    """Write the user unit, enable it, start it."""
    from executor_tui.config.places import write_atomically
    from executor_tui.core.service_unit import NAME, Unit
    from executor_tui.core.systemd import lingers, user_unit

    secret = credential.absolute() if credential else None
    unit = Unit(_program(), cli.places.config_dir, cli.places.state_dir, secret, getpass.getuser() if print_system else "")
    if print_system:
        cli.emit({"unit": unit.text(), "path": f"/etc/systemd/system/{NAME}"}, unit.text().rstrip())
        return
    path = user_unit()
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, unit.text(), mode=0o644)
    notes = [] if no_start else _start(NAME)
    linger = lingers()
    if not linger:
        notes.append(f"it stops with your last session; to run from boot on: loginctl enable-linger {getpass.getuser()}")
    cli.emit({"path": path, "started": not no_start and _state(NAME) == "active", "lingers": linger}, "\n".join([f"wrote {path}", *notes]))


@group.command("status")
@common
def status(cli: Cli) -> None:
    """Whether the service is installed, enabled and running. Exit code 1 when it does not run."""
    from executor_tui.core.service_unit import NAME
    from executor_tui.core.systemd import lingers, user_unit

    installed = user_unit().exists()
    state = _state(NAME) if installed else "not installed"
    enabled = installed and _systemctl("is-enabled", NAME)[1] == "enabled"
    words = f"{NAME}: {state}{', enabled' if enabled else ''}\nits lines: journalctl --user -u {NAME} -f"
    document = {"installed": installed, "state": state, "enabled": enabled, "lingers": lingers(), "path": user_unit()}
    cli.emit(document, words if installed else "not installed; install it with: executor service install")
    if state != "active":
        click.get_current_context().exit(1)


@group.command("uninstall")
@common
def uninstall(cli: Cli) -> None:
    """Stop the service and remove its unit. Configuration and state stay."""
    from executor_tui.core.service_unit import NAME
    from executor_tui.core.systemd import user_unit

    path = user_unit()
    if not path.exists():
        cli.emit({"removed": None}, "not installed")
        return
    _systemctl("disable", "--now", NAME)
    path.unlink()
    _systemctl("daemon-reload")
    cli.emit({"removed": path}, f"removed {path}; configuration and state are untouched")


def _program() -> tuple[str, ...]:
    """How to start this very installation, whatever the PATH will be then."""
    beside = Path(sys.executable).with_name("executor")
    return (str(beside),) if beside.exists() else (sys.executable, "-m", "executor_tui.cli.main")


def _start(name: str) -> list[str]:
    for words in (("daemon-reload",), ("enable", "--now", name)):
        code, said = _systemctl(*words)
        if code != 0:
            return [f"not started: {said or 'systemctl failed'}; start it with: systemctl --user enable --now {name}"]
    return [f"started; its lines: journalctl --user -u {name} -f"]


def _state(name: str) -> str:
    return _systemctl("is-active", name)[1] or "unknown"


def _systemctl(*words: str) -> tuple[int, str]:
    """Exit code and first line of what `systemctl --user` said; code 127 where there is no systemd."""
    program = shutil.which("systemctl")
    if program is None:
        return 127, "there is no systemctl on this machine"
    try:
        done = subprocess.run([program, "--user", *words], capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired as exc:
        raise ExecutorError(f"systemctl {words[0]} did not answer within {_TIMEOUT_S:g} s", hint="is the user manager running?") from exc
    return done.returncode, next(iter((done.stdout + done.stderr).strip().splitlines()), "")
