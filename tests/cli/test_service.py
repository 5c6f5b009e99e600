"""`executor service` against a systemctl that writes down what it is told, and what doctor says of a host without lingering."""

import getpass
import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from executor_tui.cli.doctor_checks import Result as Found
from executor_tui.cli.doctor_checks import _lingering
from executor_tui.cli.group import executor
from executor_tui.config.places import Places
from executor_tui.core import systemd

Run = Callable[..., Result]
SYSTEMCTL = """#!/bin/sh
echo "$@" >> "{log}"
shift
case "$1" in
  is-active) [ -e "{active}" ] && echo active || { echo inactive; exit 3; };;
  is-enabled) echo enabled;;
  enable) touch "{active}";;
  disable) rm -f "{active}";;
esac
"""


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user manager: its systemctl comes first on PATH, what it was told is in the file returned."""
    folder, log = tmp_path / "bin", tmp_path / "told"
    folder.mkdir()
    program = folder / "systemctl"
    program.write_text(SYSTEMCTL.replace("{log}", str(log)).replace("{active}", str(tmp_path / "active")))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    monkeypatch.setattr(systemd, "LINGER", tmp_path / "linger")
    monkeypatch.setattr(systemd, "RUNNING", tmp_path)
    (tmp_path / "linger").mkdir()
    log.touch()
    return log


@pytest.fixture
def run(places: Places) -> Run:
    def run(*words: str) -> Result:
        own = ["--config", str(places.config_dir), "--state", str(places.state_dir)]
        return CliRunner().invoke(executor, ["service", *words, *own])

    return run


def test_install_writes_the_unit_starts_it_and_says_how_it_runs_from_boot_on(run: Run, manager: Path, places: Places) -> None:
    done = run("install", "--credential", "/root/identity.cred")
    assert done.exit_code == 0 and f"loginctl enable-linger {getpass.getuser()}" in done.output
    unit = systemd.user_unit().read_text()
    for line in ("Type=notify", "WatchdogSec=60", "Restart=always", "WantedBy=default.target", f"--state {places.state_dir} --no-ui",
                 "LoadCredentialEncrypted=executor-identity:/root/identity.cred"):  # fmt: skip
        assert line in unit
    assert [line for line in manager.read_text().splitlines() if "is-" not in line] == [
        "--user daemon-reload", "--user enable --now executor.service",
    ]  # fmt: skip
    status = run("status")
    assert status.exit_code == 0 and "executor.service: active, enabled" in status.output and "journalctl --user -u" in status.output


def test_uninstall_stops_it_and_leaves_configuration_and_state(run: Run, manager: Path, places: Places) -> None:
    run("install")
    done = run("uninstall")
    assert "configuration and state are untouched" in done.output and not systemd.user_unit().exists()
    assert "--user disable --now executor.service" in manager.read_text()
    assert run("uninstall").output == "not installed\n"
    status = run("status")
    assert status.exit_code == 1 and "install it with: executor service install" in status.output


def test_the_system_unit_is_printed_and_nothing_is_installed(run: Run, manager: Path) -> None:
    document = json.loads(run("install", "--print-system", "--json").output)
    assert document["path"] == "/etc/systemd/system/executor.service"
    assert f"User={getpass.getuser()}" in document["unit"] and "After=network-online.target" in document["unit"]
    assert not systemd.user_unit().exists() and manager.read_text() == ""


def test_a_machine_without_systemctl_gets_the_unit_and_one_line(run: Run, manager: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    done = run("install")
    assert done.exit_code == 0 and "not started: there is no systemctl on this machine" in done.output


def test_doctor_sees_a_host_without_lingering(run: Run, manager: Path) -> None:
    assert _lingering().result is Found.OK, "nothing is installed that could stop"
    run("install")
    found = _lingering()
    assert found.result is Found.WARN and "stops when you log out" in found.found and "enable-linger" in found.mend
    (systemd.LINGER / getpass.getuser()).touch()
    assert _lingering().result is Found.OK


def test_the_unit_starts_the_very_program_that_installed_it(run: Run, manager: Path) -> None:
    run("install", "--no-start")
    (line,) = [part for part in systemd.user_unit().read_text().splitlines() if part.startswith("ExecStart=")]
    program = line.removeprefix("ExecStart=").split()[0]
    assert subprocess.run([program, "--version"], capture_output=True, check=False).returncode == 0
    assert "started" not in run("install", "--no-start").output
