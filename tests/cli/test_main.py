"""The command line's contract: exit codes, one clear line, JSON, and what is not imported."""

import json
import subprocess
import sys

import pytest

from executor_tui.config.places import Places

HEAVY = ("textual", "litellm", "dbos", "telegram", "proxmoxer")


def executor(places: Places, *args: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "executor_tui.cli.main", *args, "--config", str(places.config_dir), "--state", str(places.state_dir)]
    return subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("frobnicate",), "no command 'frobnicate'"),
        (("fleet", "frobnicate"), "No such command 'frobnicate'"),
        (("approvals", "approve"), "Missing argument 'ID'"),
        (("approvals", "approve", "apr-1", "--scope", "ever"), "--scope 'ever' is not one of"),
        (("approvals", "approve", "apr-1"), "no approval 'apr-1'"),
        (("fleet", "pause", "nobody"), "no agent 'nobody'"),
        (("config", "schema", "x.json"), "no configuration file 'x.json'"),
        ((), "the console needs a terminal; without one use: executor --no-ui"),
    ],
)
def test_bad_usage_exits_2_with_one_clear_line(places: Places, args: tuple[str, ...], said: str) -> None:
    done = executor(places, *args)
    assert done.returncode == 2
    assert done.stdout == ""
    assert said in done.stderr.splitlines()[0]
    assert "Traceback" not in done.stderr


def test_with_json_an_error_is_a_document_on_stdout(places: Places) -> None:
    done = executor(places, "approvals", "deny", "apr-1", "--json")
    assert done.returncode == 2
    assert json.loads(done.stdout)["error"] == {
        "message": "no approval 'apr-1'",
        "hint": "see what there is with: executor approvals list",
        "code": 2,
    }


def test_a_broken_configuration_exits_2_and_names_the_place(places: Places) -> None:
    (places.config_dir / "executor.json").write_text('{"node": {"lease_s": "long"}}')
    done = executor(places, "config", "validate")
    assert done.returncode == 2
    assert "node.lease_s: found 'long'" in done.stderr


def test_a_state_directory_that_cannot_be_used_is_one_line(places: Places) -> None:
    (places.state_dir / "executor.db").write_bytes(b"x" * 5000)
    done = executor(places, "fleet", "list")
    assert done.returncode == 1
    assert "not a database" in done.stderr.splitlines()[0]


@pytest.mark.parametrize("args", [("--help",), ("keys", "list"), ("project", "list"), ("fleet", "list"), ("config", "validate")])
def test_small_commands_import_nothing_heavy(places: Places, args: tuple[str, ...]) -> None:
    probe = (
        "import sys\n"
        f"sys.argv = ['executor', *{args!r}, '--config', {str(places.config_dir)!r}, '--state', {str(places.state_dir)!r}]\n"
        "from executor_tui.cli.main import main\n"
        "try:\n    main()\nexcept SystemExit as exc:\n    assert not exc.code, exc.code\n"
        f"print('HEAVY', sorted(set(sys.modules) & set({HEAVY!r})))\n"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.splitlines()[-1] == "HEAVY []", done.stderr


def test_doctor_on_a_new_machine_finds_nothing_broken(places: Places) -> None:
    done = executor(places, "doctor", "--json")
    checks = {c["name"]: c for c in json.loads(done.stdout)["checks"]}
    assert done.returncode == 0, done.stdout
    assert checks["keys"]["mend"].startswith("executor keys add")
    assert {"python", "git", "disk", "state directory", "configuration", "sandbox", "identity", "database", "clock"} <= set(checks)


def test_doctor_names_an_identity_others_can_read_and_how_to_mend_it(places: Places) -> None:
    places.identity_file.write_text("AGE-SECRET-KEY-1")
    places.identity_file.chmod(0o644)
    done = executor(places, "doctor")
    assert done.returncode == 1
    assert f"chmod 600 {places.identity_file}" in done.stdout
