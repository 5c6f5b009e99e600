"""A workspace on this machine: made, opened again, and grown out of an existing repository."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import executor_tui
from executor_tui.workspaces.base import RunLimits
from executor_tui.workspaces.errors import GitError, RepositoryDamagedError, WorkspaceError
from executor_tui.workspaces.local import LocalWorkspace
from executor_tui.workspaces.sandbox import Sandbox


def git(where: Path, *words: str) -> str:
    identity = ["-c", "user.name=Tester", "-c", "user.email=tester@localhost", "-c", "safe.directory=*"]
    return subprocess.run(["git", *identity, *words], cwd=where, check=True, capture_output=True, text=True).stdout.strip()


def commit(where: Path, name: str, text: str) -> str:
    (where / name).write_text(text)
    git(where, "add", ".")
    git(where, "commit", "-q", "-m", f"Write {name}")
    return git(where, "rev-parse", "HEAD")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source"
    path.mkdir()
    git(path, "init", "-q", "-b", "trunk")
    commit(path, "kept.txt", "kept\n")
    return path


async def test_a_workspace_is_found_again_after_a_restart(local: LocalWorkspace, sandbox: Sandbox) -> None:
    await local.write("a", "x")
    sha = await local.commit("Add a")
    await local.write("b", "not yet committed")
    again = await LocalWorkspace.open(local.root, sandbox=sandbox)
    assert (await again.head(), await again.read("b")) == (sha, "not yet committed")
    same = await LocalWorkspace.create(local.root, sandbox=sandbox)
    assert (await same.head(), await same.list_files()) == (sha, ["a", "b"])


async def test_what_is_no_workspace_is_not_opened(tmp_path: Path, sandbox: Sandbox) -> None:
    for path in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(RepositoryDamagedError):
            await LocalWorkspace.open(path, sandbox=sandbox)


async def test_a_half_made_repository_is_finished(tmp_path: Path, sandbox: Sandbox) -> None:
    root = tmp_path / "project"
    (root / ".git").mkdir(parents=True)
    workspace = await LocalWorkspace.create(root, sandbox=sandbox)
    assert len(await workspace.log()) == 1


async def test_destroying_leaves_nothing(tmp_path: Path, sandbox: Sandbox, limits: RunLimits) -> None:
    workspace = await LocalWorkspace.create(tmp_path / "project", sandbox=sandbox)
    await workspace.run("mkdir -p closed/in; chmod 000 closed; touch ~/x /tmp/x", limits)
    await workspace.destroy()
    assert list(tmp_path.iterdir()) == []


async def test_an_existing_repository_is_cloned_onto_a_new_branch(source: Path, tmp_path: Path, sandbox: Sandbox) -> None:
    (source / "kept.txt").write_text("being edited\n")
    workspace = await LocalWorkspace.from_repo(source, "executor/work", tmp_path / "project", sandbox=sandbox)
    assert await workspace.head() == git(source, "rev-parse", "HEAD")
    assert await workspace.read("kept.txt") == "kept\n"
    assert git(workspace.root, "branch", "--show-current") == "executor/work"
    assert git(workspace.root, "remote") == git(workspace.root, "branch", "--remotes") == ""
    assert git(workspace.root, "config", "--list", "--local", "--name-only").splitlines() == [
        "core.repositoryformatversion",
        "core.filemode",
        "core.bare",
        "core.logallrefupdates",
    ]
    await workspace.write("made", "x")
    sha = await workspace.commit("Make it")
    assert (await workspace.deliver(source, "executor/work")).source == str(source)
    assert git(source, "rev-parse", "executor/work") == sha
    assert git(source, "status", "--porcelain") == "M kept.txt"


async def test_a_clone_can_start_from_a_branch_a_tag_or_a_commit(source: Path, tmp_path: Path, sandbox: Sandbox) -> None:
    first = git(source, "rev-parse", "HEAD")
    git(source, "tag", "v1")
    git(source, "branch", "old")
    commit(source, "new.txt", "new")
    for number, base in enumerate(("old", "v1", first)):
        workspace = await LocalWorkspace.from_repo(source, "work", tmp_path / f"p{number}", base=base, sandbox=sandbox)
        assert await workspace.head() == first
        assert await workspace.list_files() == ["kept.txt"]
    for base in ("gone", "-x", "--upload-pack=touch"):
        with pytest.raises(GitError, match="no branch, tag or commit"):
            await LocalWorkspace.from_repo(source, "work", tmp_path / "refused", base=base, sandbox=sandbox)
    assert not (tmp_path / "refused").exists()


async def test_a_subdirectory_a_worktree_and_a_detached_head_will_do(source: Path, tmp_path: Path, sandbox: Sandbox) -> None:
    (source / "deep").mkdir()
    sha = commit(source, "deep/a", "x")
    git(source, "worktree", "add", "-q", str(tmp_path / "linked"), "-b", "side")
    git(source, "checkout", "-q", "--detach")
    for number, place in enumerate((source / "deep", tmp_path / "linked", source)):
        workspace = await LocalWorkspace.from_repo(place, "work", tmp_path / f"p{number}", sandbox=sandbox)
        assert await workspace.head() == sha
        await workspace.deliver(place, f"work{number}")
        assert git(source, "rev-parse", f"work{number}") == sha


async def test_an_empty_repository_gets_its_first_branch(tmp_path: Path, sandbox: Sandbox) -> None:
    git(tmp_path, "init", "-q", "--bare", "empty.git")
    workspace = await LocalWorkspace.from_repo(tmp_path / "empty.git", "work", tmp_path / "project", sandbox=sandbox)
    await workspace.write("a", "x")
    sha = await workspace.commit("Add a")
    await workspace.deliver(tmp_path / "empty.git", "work")
    assert git(tmp_path / "empty.git", "rev-parse", "work") == sha


async def test_a_repository_with_sha256_names_will_do(tmp_path: Path, sandbox: Sandbox) -> None:
    git(tmp_path, "init", "-q", "--object-format=sha256", "-b", "trunk", "long")
    commit(tmp_path / "long", "a", "x")
    workspace = await LocalWorkspace.from_repo(tmp_path / "long", "work", tmp_path / "project", sandbox=sandbox)
    await workspace.write("a", "y")
    sha = await workspace.commit("Change a")
    assert len(sha) == 64
    await workspace.deliver(tmp_path / "long", "work")
    assert git(tmp_path / "long", "rev-parse", "work") == sha


async def test_what_is_no_repository_and_a_root_that_is_taken_are_named(source: Path, tmp_path: Path, sandbox: Sandbox) -> None:
    with pytest.raises(WorkspaceError, match="there is no directory"):
        await LocalWorkspace.from_repo(tmp_path / "gone", "work", tmp_path / "project", sandbox=sandbox)
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "mine").touch()
    with pytest.raises(GitError, match="exists already"):
        await LocalWorkspace.from_repo(source, "work", tmp_path / "taken", sandbox=sandbox)
    assert (tmp_path / "taken" / "mine").exists()


async def test_cloning_runs_nothing_the_source_configures(source: Path, tmp_path: Path, sandbox: Sandbox) -> None:
    trap = tmp_path / "sprung"
    for name, value in {
        "core.fsmonitor": f"touch {trap}",
        "filter.trap.smudge": f"touch {trap}; cat",
        "uploadpack.packObjectsHook": f'touch {trap}; "$@"',
    }.items():
        git(source, "config", name, value)
    commit(source, ".gitattributes", "* filter=trap\n")
    trap.unlink(missing_ok=True)
    workspace = await LocalWorkspace.from_repo(source, "work", tmp_path / "project", sandbox=sandbox)
    assert await workspace.read("kept.txt") == "kept\n"
    await workspace.deliver(source, "work")
    assert not trap.exists()


@pytest.fixture
def open_directory() -> Iterator[Path]:
    """A directory that users other than the one who runs the tests can reach."""
    path = Path(tempfile.mkdtemp(prefix="executor-test-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root works on repositories of others")
async def test_run_by_root_a_delivery_leaves_files_their_owner_can_replace(open_directory: Path, sandbox: Sandbox) -> None:
    source = open_directory / "theirs"
    source.mkdir()
    git(source, "init", "-q", "-b", "trunk")
    commit(source, "kept.txt", "kept\n")
    subprocess.run(["chown", "-R", "65534:65534", str(source)], check=True)
    workspace = await LocalWorkspace.from_repo(source, "work", open_directory / "project", sandbox=sandbox)
    await workspace.write("made", "x")
    sha = await workspace.commit("Make it")
    await workspace.deliver(source, "work")
    assert git(source, "rev-parse", "work") == sha
    assert {path.lstat().st_uid for path in source.rglob("*")} == {65534}


ORDINARY = """
import asyncio, json
from pathlib import Path
from executor_tui.workspaces.base import RunLimits
from executor_tui.workspaces.local import LocalWorkspace

async def main():
    workspace = await LocalWorkspace.create(Path("tree"))
    bounds = RunLimits(time_s=30, processes=40)
    await workspace.run("mkdir -p closed/in; echo x > closed/in/a; chmod 000 closed/in/a closed/in closed", bounds)
    said = await workspace.run("id -u; touch /usr/x .git/x /x /dev/x; : 1<> /proc/sys/kernel/core_pattern; unshare -Ur true", bounds)
    bomb = await workspace.run("bomb() { bomb | bomb & }; bomb; sleep 1000", bounds)
    sha = await workspace.commit("All")
    files = await workspace.list_files()
    await workspace.run("chmod 000 closed .", bounds)
    await workspace.destroy()
    print(json.dumps([workspace.sandboxed, said.output, bomb.ended, files, [path.name for path in Path().iterdir()]]))

asyncio.run(main())
"""


@pytest.mark.skipif(os.geteuid() != 0 or not Path("/usr/bin/python3.11").exists(), reason="needs root and a Python everybody may run")
def test_an_ordinary_user_is_confined_as_well(open_directory: Path) -> None:
    package = Path(next(iter(executor_tui.__path__)))
    for name in ("__init__.py", "domain", "workspaces"):
        copy = shutil.copytree if (package / name).is_dir() else shutil.copy
        (open_directory / "lib" / "executor_tui").mkdir(parents=True, exist_ok=True)
        copy(package / name, open_directory / "lib" / "executor_tui" / name)
    (open_directory / "home").mkdir()
    os.chown(open_directory / "home", 65534, 65534)
    user = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    env = {"PATH": "/usr/bin:/bin", "HOME": str(open_directory / "home"), "PYTHONPATH": str(open_directory / "lib")}
    ran = subprocess.run(
        [*user, "/usr/bin/python3.11", "-c", ORDINARY], cwd=open_directory / "home", env=env, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    sandboxed, said, bomb, files, left = json.loads(ran.stdout)
    assert sandboxed and bomb == "processes" and files == ["closed/in/a"] and left == []
    assert said.startswith("65534\n")
    assert [said.count(why) for why in ("Read-only file system", "Permission denied", "Operation not permitted")] == [4, 1, 1]


def test_the_room_can_be_entered_without_the_rest_of_the_house() -> None:
    probe = "import sys, executor_tui.workspaces.local; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True).stdout.split()
    assert "executor_tui.workspaces.inside.serve" in loaded
    assert not {"asyncssh", "sqlalchemy", "litellm", "textual"} & set(loaded)
