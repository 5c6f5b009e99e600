"""What generated code cannot do to the machine it runs on."""

import asyncio
import errno
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from executor_tui.workspaces.base import MIB, Ended, RunLimits
from executor_tui.workspaces.errors import RepositoryDamagedError, SandboxUnavailableError
from executor_tui.workspaces.local import LocalWorkspace
from executor_tui.workspaces.ownership import give_tree
from executor_tui.workspaces.probe import SETTINGS, diagnose, probe, shown_prefixes
from executor_tui.workspaces.sandbox import FIRST_UID, UIDS, Sandbox, uid_of


@pytest.mark.parametrize("place", ["/", "/usr", "/usr/local", "/etc", "/dev", "/home", "/proc/sys/kernel", "/var/tmp", "/workspace/.git"])
async def test_nothing_can_be_written_outside(local: LocalWorkspace, limits: RunLimits, place: str) -> None:
    result = await local.run(f"touch {place}/planted", limits)
    assert result.exit_code != 0
    assert not (Path(place) / "planted").exists()


async def test_the_real_path_of_the_workspace_and_what_lies_beside_it_are_not_there(
    local: LocalWorkspace, limits: RunLimits, tmp_path: Path
) -> None:
    (tmp_path / "state.db").write_text("secret")
    result = await local.run(f"cat {tmp_path}/state.db; ls {tmp_path}; echo x > {tmp_path}/planted", limits)
    assert "secret" not in result.output
    assert not (tmp_path / "planted").exists()


@pytest.mark.parametrize("path", ["/etc/shadow", "/etc/sudoers", "/etc/ssh/sshd_config", "/root/.ssh", "/var/log", "/run", "/sys", "/boot"])
async def test_the_hosts_secrets_are_not_there(local: LocalWorkspace, limits: RunLimits, path: str) -> None:
    assert "No such file" in (await local.run(["cat", path], limits)).output


async def test_the_home_directory_is_an_empty_one_of_its_own(
    local: LocalWorkspace, limits: RunLimits, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = await local.run("echo $HOME; ls -A ~ | wc -l; touch ~/kept", limits)
    assert result.output == "/home/agent\n0\n"
    assert (await local.run("ls ~", limits)).output == "kept\n"
    own = Path.home()
    shown = (await local.run(["ls", "-A", str(own)], limits)).output
    assert not {".ssh", ".bashrc", ".profile", ".config", ".gitconfig"} & set(shown.split())


async def test_our_environment_cannot_be_read_through_proc(
    local: LocalWorkspace, limits: RunLimits, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CANARY", "canary-4711")
    result = await local.run("cat /proc/*/environ /proc/*/cmdline 2>/dev/null | tr '\\0' '\\n'; ls -d /proc/[0-9]*", limits)
    assert "canary-4711" not in result.output
    assert f"/proc/{os.getpid()}\n" not in result.output or os.getpid() < 20


async def test_without_a_sandbox_our_environment_cannot_be_read_from_the_helper_either(
    tmp_path: Path, limits: RunLimits, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CANARY", "canary-4711")
    workspace = await LocalWorkspace.create(tmp_path / "project", unsafe_local=True)
    result = await workspace.run("cat /proc/$PPID/environ | tr '\\0' '\\n'", limits)
    assert "HOME=/nonexistent" in result.output
    assert "canary-4711" not in result.output


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0)
        yield server


async def test_there_is_no_network_not_even_to_this_machine(local: LocalWorkspace, limits: RunLimits, listener: socket.socket) -> None:
    port = listener.getsockname()[1]
    await local.write(
        "call.py",
        "import socket\n"
        f"for where in (('127.0.0.1', {port}), ('192.0.2.1', 80), ('localhost', {port})):\n"
        "    try:\n        socket.create_connection(where, 2)\n        print('reached', where)\n"
        "    except OSError as error:\n        print(type(error).__name__)\n",
    )
    result = await local.run("python3 call.py; tail -n +3 /proc/net/dev | cut -d: -f1", limits)
    assert "reached" not in result.output
    assert result.output.split()[-1] == "lo"
    with pytest.raises(BlockingIOError):
        listener.accept()


async def test_a_server_and_its_client_can_talk_inside(local: LocalWorkspace, limits: RunLimits) -> None:
    await local.write(
        "talk.py",
        "import socket\nserver = socket.create_server(('127.0.0.1', 0))\n"
        "client = socket.create_connection(server.getsockname())\nserver.accept()[0].sendall(b'hello')\nprint(client.recv(5))\n",
    )
    assert (await local.run("python3 talk.py", limits)).output == "b'hello'\n"


async def test_a_command_is_not_root_and_has_no_way_to_become_it(local: LocalWorkspace, limits: RunLimits) -> None:
    result = await local.run("id -u; grep -E 'CapEff|CapPrm|NoNewPrivs' /proc/self/status; su -c id 2>&1; sudo id 2>&1", limits)
    lines = result.output.splitlines()
    assert lines[0] != "0"
    assert [line.split()[1] for line in lines[1:4]] == ["0" * 16, "0" * 16, "1"]
    assert "uid=0" not in result.output


@pytest.mark.parametrize("path", ["/proc/sys/kernel/core_pattern", "/proc/sys/vm/drop_caches", "/proc/sysrq-trigger", "/proc/1/mem"])
async def test_the_kernels_settings_cannot_even_be_opened_for_writing(local: LocalWorkspace, limits: RunLimits, path: str) -> None:
    result = await local.run(f": 1<> {path} && echo opened", limits)
    assert "opened" not in result.output


async def test_mounts_cannot_be_undone(local: LocalWorkspace, limits: RunLimits) -> None:
    result = await local.run(
        "mount -o remount,rw /usr || umount /workspace/.git || mount -t tmpfs none /tmp || mount --bind /tmp /usr", limits
    )
    assert result.exit_code != 0
    assert (await local.run("touch /usr/planted .git/planted", limits)).exit_code != 0


@pytest.mark.skipif(shutil.which("gcc") is None, reason="needs a C compiler")
async def test_no_user_namespace_can_be_made_inside(local: LocalWorkspace, limits: RunLimits) -> None:
    for command in ("unshare --user --map-root-user id", "bwrap --unshare-user --ro-bind / / true"):
        assert (await local.run(command, limits)).exit_code != 0
    await local.write(
        "make.c",
        "#define _GNU_SOURCE\n#include <errno.h>\n#include <sched.h>\n#include <stdio.h>\n"
        "#include <sys/syscall.h>\n#include <unistd.h>\n"
        'int main(void) {\n  errno = 0; syscall(SYS_clone, CLONE_NEWUSER, 0, 0, 0, 0); printf("%d ", errno);\n'
        '  errno = 0; syscall(SYS_clone3, 0, 0); printf("%d ", errno);\n'
        '  errno = 0; syscall(SYS_keyctl, 0, 0, 0); printf("%d", errno);\n}\n',
    )
    assert (await local.run("gcc -o make make.c && ./make", limits)).output == f"{errno.EPERM} {errno.ENOSYS} {errno.EPERM}"


async def test_threads_processes_and_pipes_work_inside(local: LocalWorkspace, limits: RunLimits) -> None:
    command = "python3 -c 'import multiprocessing as m; print(m.Pool(2).map(abs, [-1, -2]))'"
    assert (await local.run(command, limits)).output == "[1, 2]\n"


async def test_the_repository_is_there_to_read_and_not_to_write(local: LocalWorkspace, limits: RunLimits) -> None:
    await local.write("a", "x")
    sha = await local.commit("Add a")
    result = await local.run(
        "git log --format=%H -1; git status --short; rm -rf .git; mv .git elsewhere; git commit --allow-empty -m x", limits
    )
    assert result.output.startswith(f"{sha}\n")
    assert "Read-only file system" in result.output
    assert await local.head() == sha


async def test_what_is_written_to_tmp_or_shared_memory_counts_as_disk(local: LocalWorkspace, limits: RunLimits) -> None:
    for place in ("/tmp", "/dev/shm", "$HOME"):
        command = f"for i in 1 2 3; do head -c 10M /dev/zero > {place}/part$i; done; sleep 1000"
        assert (await local.run(command, replace(limits, disk_bytes=15 * MIB))).ended is Ended.DISK


async def test_a_file_that_is_deleted_while_open_counts_as_disk(local: LocalWorkspace, limits: RunLimits) -> None:
    await local.write(
        "hidden.py",
        "import os, signal\nfor n in range(4):\n    f = os.open('x', os.O_CREAT | os.O_WRONLY); os.unlink('x')\n"
        "    os.write(f, os.urandom(10_000_000)); os.fsync(f)\nsignal.pause()\n",
    )
    result = await local.run("python3 hidden.py", replace(limits, time_s=20, disk_bytes=15 * MIB))
    assert result.ended is Ended.DISK


async def test_a_shell_fork_bomb_is_stopped(local: LocalWorkspace, limits: RunLimits) -> None:
    result = await local.run("bomb() { bomb | bomb & }; bomb; sleep 1000", replace(limits, processes=64))
    assert result.ended is Ended.PROCESSES
    assert (await local.run("echo alive", limits)).output == "alive\n"


async def test_a_sandbox_that_does_not_start_is_no_failed_test_run(local: LocalWorkspace, sandbox: Sandbox, tmp_path: Path) -> None:
    broken = replace(sandbox, extra_read_only=("/no/such/toolchain",))
    workspace = LocalWorkspace(local.root, broken)
    with pytest.raises(SandboxUnavailableError, match=r"did not start: bwrap: .*/no/such/toolchain"):
        await workspace.run("true")


async def test_extra_toolchains_are_shown_read_only(local: LocalWorkspace, sandbox: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "tools").mkdir(mode=0o755)
    (tmp_path / "tools" / "greet").write_text("#!/bin/sh\necho hello\n")
    (tmp_path / "tools" / "greet").chmod(0o755)
    workspace = LocalWorkspace(local.root, replace(sandbox, extra_read_only=(str(tmp_path / "tools"),)))
    result = await workspace.run(f"{tmp_path}/tools/greet; touch {tmp_path}/tools/planted")
    assert result.output.startswith("hello\n")
    assert [path.name for path in (tmp_path / "tools").iterdir()] == ["greet"]


async def test_without_bubblewrap_nothing_is_made_and_the_fix_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    found = await probe()
    assert not found.ok and found.sandbox is None
    with pytest.raises(SandboxUnavailableError, match="bubblewrap") as caught:
        await LocalWorkspace.create(tmp_path / "project")
    assert "apt install bubblewrap" in caught.value.hint
    assert not (tmp_path / "project").exists()


async def test_a_bubblewrap_that_is_refused_is_found_out_and_the_fix_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = tmp_path / "bwrap"
    fake.write_text("#!/bin/sh\necho 'bwrap: setting up uid map: Permission denied' >&2\nexit 1\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    found = await probe()
    assert not found.ok
    assert "setting up uid map: Permission denied" in found.message
    assert found.fix


async def test_a_bubblewrap_that_confines_nothing_is_found_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = tmp_path / "bwrap"
    fake.write_text(
        "#!/bin/bash\n"
        "while [ $# -gt 0 ] && [ $1 != prlimit ]; do\n"
        "    case $1 in --json-status-fd) fd=$2;; --bind) [ $3 = /workspace ] && cd $2;; esac; shift\n"
        "done\n"
        "[ $# = 0 ] && exit 0\n"
        'HOME=$PWD "$@"; code=$?; eval "echo \'{ \\"exit-code\\": 0 }\' >&$fd"; exit $code\n'
    )
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    found = await probe()
    assert not found.ok
    assert "does not confine commands: the sandbox is writable outside the workspace" in found.message


async def test_unsafe_local_runs_without_a_sandbox_under_the_same_limits_and_says_so(tmp_path: Path, limits: RunLimits) -> None:
    (tmp_path / "outside").write_text("seen")
    workspace = await LocalWorkspace.create(tmp_path / "project", unsafe_local=True)
    assert not workspace.sandboxed
    assert "UNSAFE" in workspace.describe()
    assert (await workspace.run(f"cat {tmp_path}/outside", limits)).output == "seen"
    assert (await workspace.run("yes", limits)).ended is Ended.OUTPUT_LIMIT
    detached = "(setsid sh -c 'exec 9>held; flock 9; touch locked; exec sleep 1000' &) ; while [ ! -e locked ]; do sleep 0.02; done"
    assert (await workspace.run(detached, limits)).ok
    await asyncio.to_thread(subprocess.run, ["flock", str(workspace.root / "held"), "true"], check=True)
    assert (await workspace.run("for i in $(seq 200); do sleep 1000 & done; wait", replace(limits, processes=50))).ended is Ended.PROCESSES
    await workspace.run("rm -rf .git", limits)
    with pytest.raises(RepositoryDamagedError, match="gone or damaged"):
        await workspace.commit("Lost")
    await workspace.destroy()
    assert [path.name for path in tmp_path.iterdir()] == ["outside"]


async def test_a_sandboxed_workspace_says_so(local: LocalWorkspace) -> None:
    assert local.sandboxed
    assert "bubblewrap sandbox, without network" in local.describe()


@pytest.mark.parametrize(
    ("said", "settings", "fix"),
    [
        ("bwrap: setting up uid map: Permission denied", {SETTINGS[0]: "1"}, "/etc/apparmor.d/bwrap"),
        ("bwrap: No permissions to create new namespace", {SETTINGS[1]: "0"}, "kernel.unprivileged_userns_clone=1"),
        ("bwrap: Creating new namespace failed: Operation not permitted", {SETTINGS[2]: "0"}, "user.max_user_namespaces"),
        ("bwrap: Can't mount proc on /newroot/proc: Operation not permitted", {}, "nesting=1"),
        ("something new", {}, "bwrap --unshare-all"),
    ],
)
def test_the_fix_fits_what_bubblewrap_said(said: str, settings: dict[str, str], fix: str) -> None:
    assert fix in diagnose(said, settings)


def test_a_python_prefix_that_holds_secrets_is_not_shown(tmp_path: Path) -> None:
    for name in ("python/bin", "home/.ssh", "venv"):
        (tmp_path / name).mkdir(parents=True)
    prefixes = ["/usr", "/usr/local", "/", *(str(tmp_path / name) for name in ("python", "python", "home", "venv", "gone"))]
    assert shown_prefixes(prefixes, [tmp_path / "home" / ".ssh"]) == [str(tmp_path / "python"), str(tmp_path / "venv")]
    assert shown_prefixes(prefixes, [tmp_path / "venv" / "state"]) == [str(tmp_path / "python"), str(tmp_path / "home")]


def test_the_command_line_of_an_ordinary_user_makes_a_user_namespace_and_forbids_more(tmp_path: Path) -> None:
    words = Sandbox(bwrap="bwrap", version=(0, 8, 0)).command_line(tmp_path, tmp_path, ["true"], 10)
    assert words[:3] == ["bwrap", "--unshare-user", "--disable-userns"]
    assert words[words.index("--cap-drop") + 1] == "ALL"
    assert "--cap-add" not in words and "setpriv" not in words
    assert "--disable-userns" not in Sandbox(bwrap="bwrap", version=(0, 6, 1)).command_line(tmp_path, tmp_path, ["true"], 10)
    assert words[-4:] == ["prlimit", "--nproc=18", "--", "true"]


def test_the_command_line_of_root_leaves_root_before_the_command(tmp_path: Path) -> None:
    words = Sandbox(bwrap="bwrap", leave_root=True).command_line(tmp_path, tmp_path, ["true"], 10)
    after = words[words.index("--") + 1 :]
    assert after[0] == "setpriv" and f"--reuid={uid_of(tmp_path)}" in after and after[-1] == "true"
    assert FIRST_UID <= uid_of(tmp_path) < FIRST_UID + UIDS


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_giving_a_tree_away_follows_no_link_and_leaves_the_repository(tmp_path: Path) -> None:
    outside, tree = tmp_path / "outside", tmp_path / "tree"
    for directory in (outside, tree / ".git", tree / "src" / ".git"):
        directory.mkdir(parents=True)
    (outside / "kept").touch()
    (tree / "src" / "a").touch()
    (tree / "folder").symlink_to(outside)
    (tree / "file").symlink_to(outside / "kept")
    give_tree(tree, 61500)
    assert {path.lstat().st_uid for path in (tree, tree / "src", tree / "src" / "a", tree / "src" / ".git", tree / "file")} == {61500}
    assert {path.stat().st_uid for path in (outside, outside / "kept", tree / ".git")} == {0}


async def test_two_commands_of_one_workspace_run_one_after_the_other(local: LocalWorkspace, limits: RunLimits) -> None:
    command = "mkdir busy && sleep 0.2 && rmdir busy"
    results = await asyncio.gather(*(local.run(command, limits) for _ in range(3)))
    assert [result.exit_code for result in results] == [0, 0, 0]


async def test_fresh_copies_that_a_crash_left_behind_are_swept(local: LocalWorkspace, limits: RunLimits, tmp_path: Path) -> None:
    copy = await local.fresh_copy()
    await copy.run("touch x; chmod 000 .", limits)
    assert await LocalWorkspace.sweep(tmp_path) == [copy.root]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["project", "project.lock"]
