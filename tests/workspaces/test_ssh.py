"""A workspace on another machine: who is trusted, what survives its loss, and where fresh copies go."""

import ast
import asyncio
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import asyncssh
import pytest

from executor_tui.workspaces import inside, link
from executor_tui.workspaces.base import RunLimits, clean_copy
from executor_tui.workspaces.errors import RepositoryDamagedError, UnreachableError, WorkspaceError
from executor_tui.workspaces.link import SshLink, SshTarget, host_key_of
from executor_tui.workspaces.lxc import ClonedContainers, LxcWorkspace, what_is_missing
from executor_tui.workspaces.ssh import SshWorkspace


class Sshd(Protocol):
    def target(self) -> SshTarget: ...

    def cut(self) -> None: ...


def new_key() -> str:
    return asyncssh.generate_private_key("ssh-ed25519").export_private_key().decode()


async def test_another_host_key_than_the_pinned_one_is_refused(sshd: Sshd, tmp_path: Path) -> None:
    other = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode()
    with pytest.raises(UnreachableError, match="another host key than the pinned SHA256:") as caught:
        await SshWorkspace.create(replace(sshd.target(), host_key=other), str(tmp_path / "there"), tmp_path / "mirror")
    assert "pin its new key" in caught.value.hint
    assert not (tmp_path / "there").exists()


async def test_the_key_a_machine_shows_can_be_pinned(sshd: Sshd) -> None:
    target = sshd.target()
    assert (await host_key_of(target.host, target.port)).split()[:2] == target.host_key.split()[:2]


async def test_a_key_the_machine_does_not_know_is_one_clear_line(sshd: Sshd) -> None:
    with pytest.raises(UnreachableError, match=r"refuses our key SHA256:"):
        await SshLink(replace(sshd.target(), private_key=new_key())).ask("facts", {})


async def test_a_machine_that_is_not_there_and_a_broken_key_are_one_clear_line(sshd: Sshd) -> None:
    with pytest.raises(UnreachableError, match="cannot be reached"):
        await SshLink(replace(sshd.target(), port=1)).ask("facts", {})
    with pytest.raises(UnreachableError, match="cannot be read") as caught:
        await SshLink(replace(sshd.target(), private_key="PRIVATE canary-4711")).ask("facts", {})
    assert "canary-4711" not in str(caught.value)


async def test_the_private_key_is_in_no_repr(sshd: Sshd, remote: SshWorkspace) -> None:
    target = sshd.target()
    for text in (repr(target), str(target), repr(remote), remote.describe(), repr(vars(remote))):
        assert target.private_key.splitlines()[1] not in text


async def test_a_directory_that_is_not_absolute_is_refused(sshd: Sshd, tmp_path: Path) -> None:
    for directory in ("there", "/srv/../etc", ""):
        with pytest.raises(WorkspaceError, match="absolute directory"):
            SshWorkspace(sshd.target(), directory, tmp_path / "mirror")


async def test_work_goes_on_after_the_connection_was_cut(sshd: Sshd, remote: SshWorkspace) -> None:
    await remote.write("a", "x")
    sshd.cut()
    assert await remote.read("a") == "x"
    await remote.commit("Add a")
    sshd.cut()
    assert (await remote.run("cat a", RunLimits(time_s=60))).output == "x"


async def test_a_command_whose_connection_is_cut_ends_there_and_says_so_here(sshd: Sshd, remote: SshWorkspace) -> None:
    ready = asyncio.Event()
    command = "exec 9>held; flock 9; echo ready; sleep 1000"
    running = asyncio.create_task(remote.run(command, RunLimits(time_s=100), lambda _: ready.set()))
    await ready.wait()
    sshd.cut()
    with pytest.raises(UnreachableError, match="was lost"):
        await running
    await asyncio.to_thread(subprocess.run, ["flock", f"{remote.directory}/held", "true"], check=True)


async def test_every_commit_is_in_the_mirror_and_a_lost_machine_is_rebuilt_from_it(sshd: Sshd, remote: SshWorkspace) -> None:
    await remote.write("a", "one")
    first = await remote.commit("One")
    await remote.write("a", "two")
    second = await remote.commit("Two")
    assert (remote.root / "a").read_text() == "two"
    shutil.rmtree(remote.directory)
    again = await SshWorkspace.open(sshd.target(), remote.directory, remote.root)
    assert await again.read("a") == "two"
    assert await again.reset_to(first) == first
    assert await again.read("a") == "one"
    assert await again.reset_to(second) == second
    assert await again.read("a") == "two"
    await again.close()


async def test_a_machine_rolled_back_to_a_snapshot_is_brought_forward_again(sshd: Sshd, remote: SshWorkspace, tmp_path: Path) -> None:
    await remote.write("a", "one")
    await remote.commit("One")
    shutil.copytree(remote.directory, tmp_path / "snapshot")
    await remote.write("a", "two")
    second = await remote.commit("Two")
    shutil.rmtree(remote.directory)
    shutil.move(tmp_path / "snapshot", remote.directory)
    again = await SshWorkspace.open(sshd.target(), remote.directory, remote.root)
    assert (await again.head(), await again.read("a")) == (second, "two")
    await again.close()


async def test_a_commit_that_was_made_there_but_never_arrived_is_fetched(sshd: Sshd, remote: SshWorkspace) -> None:
    await remote.write("a", "one")
    words = ["git", "-c", "user.name=x", "-c", "user.email=x@x", "-C", remote.directory]
    subprocess.run([*words, "add", "."], check=True)
    subprocess.run([*words, "commit", "-q", "-m", "Made before the power went"], check=True)
    again = await SshWorkspace.open(sshd.target(), remote.directory, remote.root)
    assert (await again.log())[0].subject == "Made before the power went"
    await again.close()


async def test_history_rewritten_there_is_not_taken_over(remote: SshWorkspace) -> None:
    await remote.write("a", "one")
    first = await remote.commit("One")
    await remote.write("b", "two")
    rewrite = (
        "git checkout -q --orphan forged; git -c user.name=x -c user.email=x@x commit -q --allow-empty -m Forged; git branch -M forged main"
    )
    await remote.run(rewrite, RunLimits(time_s=60))
    second = await remote.commit("Two")
    assert [commit.sha for commit in await remote.log()][:2] == [second, first]
    assert await remote.list_files() == ["a", "b"]


async def test_leaving_clears_the_machine_and_keeps_the_mirror(sshd: Sshd, tmp_path: Path) -> None:
    workspace = await SshWorkspace.create(sshd.target(), str(tmp_path / "there"), tmp_path / "mirror")
    await workspace.write("a", "kept")
    sha = await workspace.commit("Keep")
    await workspace.leave()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mirror", "mirror.lock"]
    assert await workspace.head() == sha
    assert (tmp_path / "mirror" / "a").read_text() == "kept"


async def test_without_a_mirror_there_is_nothing_to_open(sshd: Sshd, tmp_path: Path) -> None:
    with pytest.raises(RepositoryDamagedError):
        await SshWorkspace.open(sshd.target(), str(tmp_path / "there"), tmp_path / "mirror")


async def test_a_branch_of_an_existing_repository_is_worked_on_and_delivered(sshd: Sshd, tmp_path: Path) -> None:
    source = tmp_path / "source"
    git = ["git", "-C", str(source), "-c", "user.name=x", "-c", "user.email=x@x"]
    subprocess.run(["git", "init", "-q", "-b", "trunk", str(source)], check=True)
    (source / "kept").write_text("kept")
    subprocess.run([*git, "add", "."], check=True)
    subprocess.run([*git, "commit", "-q", "-m", "Theirs"], check=True)
    workspace = await SshWorkspace.from_repo(source, "executor/more", sshd.target(), str(tmp_path / "there"), tmp_path / "mirror")
    assert await workspace.read("kept") == "kept"
    await workspace.write("more", "x")
    sha = await workspace.commit("More")
    await workspace.deliver(source, "executor/more")
    assert subprocess.run([*git, "rev-parse", "executor/more"], check=True, capture_output=True, text=True).stdout.strip() == sha
    await workspace.destroy()


class Containers:
    """Stands for a hypervisor: every clone is the same sshd, which is enough to see who is asked for what."""

    def __init__(self, target: SshTarget) -> None:
        self._target = target
        self.events: list[str] = []

    async def clone_for_run(self, purpose: str) -> SshTarget:
        self.events.append(f"clone for {purpose}")
        return self._target

    async def remove(self, target: SshTarget) -> None:
        self.events.append(f"remove {target.host}")


async def test_a_fresh_copy_lives_in_a_cloned_container_and_the_container_goes_with_it(sshd: Sshd, tmp_path: Path) -> None:
    containers = Containers(sshd.target())
    (tmp_path / "clone").mkdir()
    places = ClonedContainers(containers, str(tmp_path / "clone" / "project"))
    workspace = await LxcWorkspace.create(sshd.target(), str(tmp_path / "there"), tmp_path / "mirror", fresh_places=places)
    await workspace.write("a", "x")
    await workspace.commit("Add a")
    async with clean_copy(workspace) as copy:
        assert containers.events == ["clone for qa"]
        assert (await copy.run("cat a; pwd", RunLimits(time_s=60))).output.startswith(f"x{tmp_path}/clone/project.fresh-")
        await copy.write("b", "only there")
        await copy.commit("Not in the original")
    assert containers.events == ["clone for qa", "remove 127.0.0.1"]
    assert list((tmp_path / "clone").iterdir()) == []
    assert await workspace.list_files() == ["a"]
    assert "container" in workspace.describe()
    await workspace.destroy()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clone"]


async def test_a_container_is_given_back_even_when_the_copy_cannot_be_made(sshd: Sshd, tmp_path: Path) -> None:
    containers = Containers(replace(sshd.target(), port=1))
    workspace = await LxcWorkspace.create(
        sshd.target(), str(tmp_path / "there"), tmp_path / "mirror", fresh_places=ClonedContainers(containers)
    )
    with pytest.raises(UnreachableError):
        await workspace.fresh_copy()
    assert containers.events == ["clone for qa", "remove 127.0.0.1"]
    await workspace.destroy()


async def test_a_machine_that_can_hold_a_workspace_misses_nothing(sshd: Sshd) -> None:
    assert await what_is_missing(sshd.target()) == []


async def test_what_a_machine_misses_is_named(sshd_without_python: Sshd, tmp_path: Path) -> None:
    target = sshd_without_python.target()
    assert await what_is_missing(target) == ["python3", "git"]
    with pytest.raises(UnreachableError, match="has no python3") as caught:
        await SshWorkspace.create(target, str(tmp_path / "there"), tmp_path / "mirror")
    assert "install python3 and git" in caught.value.hint


def test_what_is_sent_there_is_all_of_the_inside_and_old_pythons_can_read_it() -> None:
    directory = Path(next(iter(inside.__path__)))
    names = {path.stem for path in directory.glob("*.py")} - {"__init__"}
    assert set(link.MODULES) == names
    for name in names:
        ast.parse((directory / f"{name}.py").read_text(), feature_version=(3, 9))


def test_what_is_sent_there_imports_nothing_but_the_standard_library_and_itself() -> None:
    directory = Path(next(iter(inside.__path__)))
    for path in directory.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            modules += [str(node.module)] if isinstance(node, ast.ImportFrom) else []
            for module in modules:
                assert module.startswith("executor_tui.workspaces.inside") or module.split(".")[0] in sys.stdlib_module_names
