"""`executor lxc` and `executor changes` as an operator uses them, against fakepve started as a program."""

import contextlib
import hashlib
import io
import json
import os
import ssl
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from executor_tui.cli.main import main

SECRET = "lab-password-4711"
TEMPLATE = "debian-12-standard_12.7-1_amd64.tar.zst"


@pytest.fixture(scope="module")
def fakepve_program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, int]]:
    """The program on a loopback socket: one node, one stopped container, one template."""
    guests = tmp_path_factory.mktemp("fakepve") / "guests.json"
    guests.write_text(json.dumps({"guests": [{"vmid": 100, "name": "stranger", "type": "lxc", "node": "pve1"}]}))
    command = [str(Path(sys.executable).with_name("fakepve")), str(guests), "--host", "127.0.0.1", "--port", "0", "--time-scale", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PVE_PASS": SECRET}) as process:
        assert process.stdout is not None
        url = process.stdout.readline().split()[-1]
        try:
            _upload_template(url)
            yield "127.0.0.1", int(url.rsplit(":", 1)[1])
        finally:
            process.terminate()


def _upload_template(url: str) -> None:
    api = f"{url}/api2/json"
    login = requests.post(f"{api}/access/ticket", data={"username": "root@pam", "password": SECRET}, verify=False, timeout=10).json()[
        "data"
    ]
    answer = requests.post(
        f"{api}/nodes/pve1/storage/local/upload", data={"content": "vztmpl"}, files={"filename": (TEMPLATE, b"not really a template")},
        cookies={"PVEAuthCookie": login["ticket"]}, headers={"CSRFPreventionToken": login["CSRFPreventionToken"]}, verify=False, timeout=10,
    )  # fmt: skip
    assert answer.status_code == 200, answer.text


@dataclass(frozen=True)
class Done:
    returncode: int
    stdout: str
    stderr: str


class Operator:
    """Runs the command, in this process, on directories of its own."""

    def __init__(self, folder: Path, address: tuple[str, int], approvals: dict[str, Any], patch: pytest.MonkeyPatch) -> None:
        self.patch = patch
        self.config, self.state = folder / "config", folder / "state"
        self.config.mkdir()
        pem = ssl.get_server_certificate(address)
        fingerprint = hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest()
        device = {
            "kind": "proxmox",
            "host": address[0],
            "port": address[1],
            "user": "root@pam",
            "password": SECRET,
            "fingerprint": fingerprint,
        }
        agents = [{"id": "proxmox-001", "name": "Proxmox Agent", "role": "proxmox", "device": device}]
        (self.config / "fleet_registry.json").write_text(json.dumps({"agents": agents}))
        (self.config / "executor.json").write_text(json.dumps({"approvals": approvals}))

    def run(self, *words: str) -> Done:
        argv = ["executor", *words, "--config", str(self.config), "--state", str(self.state)]
        out, err = io.StringIO(), io.StringIO()
        self.patch.setattr(sys, "argv", argv)
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), pytest.raises(SystemExit) as ended:
            main()
        return Done(int(str(ended.value.code or 0)), out.getvalue(), err.getvalue())

    def json(self, *words: str, code: int = 0) -> Any:
        done = self.run(*words, "--json")
        assert done.returncode == code, done.stdout + done.stderr
        return json.loads(done.stdout)


@pytest.fixture
def operator(tmp_path: Path, fakepve_program: tuple[str, int], monkeypatch: pytest.MonkeyPatch) -> Operator:
    return Operator(tmp_path, fakepve_program, {"auto_approve": ["read", "restorable"]}, monkeypatch)


def test_the_life_of_a_container_on_the_command_line(operator: Operator) -> None:
    plan = operator.run("lxc", "create", "web", "--memory", "1G", "--plan")
    assert plan.returncode == 0 and "+ container 101 web on pve1" in plan.stdout and "risk: restorable" in plan.stdout
    made = operator.json("lxc", "create", "web", "--memory", "1G")
    assert made["change"]["status"] == "done" and made["receipt"]["after"]["101"]["memory_mb"] == 1024
    assert [c["vmid"] for c in operator.json("lxc", "list")["containers"]] == [101]
    assert "stranger" in operator.run("lxc", "list", "--all").stdout
    grown = operator.json("lxc", "resize", "web", "--cores", "4")
    assert grown["change"]["diff"] == ["~ container 101 web: cores 2 → 4"]
    undone = operator.json("changes", "undo", grown["change"]["id"])
    assert undone["change"]["diff"] == ["~ container 101 web: cores 4 → 2"]
    assert operator.json("lxc", "start", "web")["change"]["status"] == "nothing_to_do"
    waiting = operator.run("lxc", "delete", "web")
    assert waiting.returncode == 3 and "executor approvals approve apr-" in waiting.stdout
    wrong = operator.run("lxc", "delete", "web", "--confirm", "wob")
    assert wrong.returncode == 3 and "the word to confirm with is 'web'" in wrong.stderr
    for change in operator.json("changes", "list", "--open")["changes"]:
        operator.json("approvals", "deny", change["approval_id"])
    assert [c["status"] for c in operator.json("changes", "run")["changes"]] == ["refused", "refused"]
    gone = operator.json("lxc", "delete", "web", "--confirm", "web")
    assert gone["change"]["status"] == "done" and operator.json("lxc", "list")["containers"] == []
    checked = operator.json("changes", "verify")
    assert checked["whole"] and checked["receipts"] == 7


def test_the_password_is_taken_from_the_file_and_found_nowhere_in_the_state(operator: Operator) -> None:
    operator.run("lxc", "nodes")
    assert SECRET not in (operator.config / "fleet_registry.json").read_text()
    for path in operator.state.rglob("*"):
        assert not path.is_file() or SECRET.encode() not in path.read_bytes(), path


def test_an_unknown_command_names_the_known_ones(operator: Operator) -> None:
    done = operator.run("lxc", "lst")
    assert done.returncode == 2 and "there are: apply, backup, clone" in done.stderr


def test_without_a_device_the_message_says_what_to_write(operator: Operator) -> None:
    (operator.config / "fleet_registry.json").write_text('{"agents": []}')
    done = operator.run("lxc", "list")
    assert done.returncode == 2 and "no agent with a proxmox device" in done.stderr
