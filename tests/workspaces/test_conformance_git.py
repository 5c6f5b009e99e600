"""History: the same answers from every kind of workspace, and nothing in a tree is ever executed by git."""

import os
import subprocess
from pathlib import Path

import pytest

from executor_tui.workspaces.base import RunLimits, Workspace, clean_copy
from executor_tui.workspaces.errors import DeliveryRefusedError, GitError, TooLargeError


def git(where: Path, *words: str) -> str:
    identity = ["-c", "user.name=Tester", "-c", "user.email=tester@localhost"]
    return subprocess.run(["git", *identity, *words], cwd=where, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A repository somebody works in, with one commit."""
    path = tmp_path / "their repo %41"
    path.mkdir()
    git(path, "init", "-q", "-b", "trunk")
    (path / "kept.txt").write_text("kept\n")
    git(path, "add", ".")
    git(path, "commit", "-q", "-m", "Theirs")
    return path


async def test_a_new_workspace_stands_on_a_first_commit(workspace: Workspace) -> None:
    commits = await workspace.log()
    assert [commit.sha for commit in commits] == [await workspace.head()]
    assert git(workspace.root, "status", "--porcelain") == ""


async def test_a_commit_holds_the_tree_and_is_signed_with_the_role(workspace: Workspace) -> None:
    await workspace.write("a b/ä.txt", "x")
    sha = await workspace.commit("Add a file\n\nWith a body.", "coder")
    newest = (await workspace.log())[0]
    assert (newest.sha, newest.author, newest.subject) == (sha, "Executor coder", "Add a file")
    assert git(workspace.root, "show", "--format=%an <%ae>", "-s", sha) == "Executor coder <executor@localhost>"
    assert (workspace.root / "a b/ä.txt").read_text() == "x"


async def test_a_commit_of_nothing_new_is_the_one_that_stands(workspace: Workspace) -> None:
    await workspace.write("a", "x")
    first = await workspace.commit("Add a")
    assert await workspace.commit("Add a again") == first == await workspace.head()
    assert len(await workspace.log()) == 2


@pytest.mark.parametrize("message", ["", "--amend", "-m x\0y", "a " * 10_000, "half \ud800", "# looks like a comment"])
async def test_any_text_is_a_commit_message(local: Workspace, message: str) -> None:
    await local.write("a", "x")
    before = await local.head()
    assert await local.commit(message) != before
    assert (await local.log())[1].sha == before


async def test_a_diff_between_two_commits_is_shown(workspace: Workspace) -> None:
    await workspace.write("a", "one\n")
    first = await workspace.commit("One")
    await workspace.write("a", "two\n")
    second = await workspace.commit("Two")
    diff = await workspace.diff(first, second)
    assert "-one\n+two\n" in diff
    assert await workspace.diff(first) == diff
    assert await workspace.diff("HEAD~1", "HEAD") == diff


async def test_a_huge_diff_is_cut(local: Workspace) -> None:
    before = await local.head()
    await local.write("a", "line\n" * 500_000)
    await local.commit("Much")
    diff = await local.diff(before)
    assert len(diff) < 1_100_000 and diff.endswith("(diff cut at 1048576 bytes)\n")


@pytest.mark.parametrize("revision", ["--output=/tmp/x", "main..HEAD", "HEAD; true", "", "@{-1}", "v1.0"])
async def test_what_is_no_commit_is_refused_before_git_sees_it(workspace: Workspace, revision: str) -> None:
    with pytest.raises(GitError, match="not a commit"):
        await workspace.diff(revision)
    with pytest.raises(GitError, match="not a commit"):
        await workspace.reset_to(revision)


async def test_a_reset_puts_tree_and_branch_back_and_keeps_what_is_ignored(workspace: Workspace, tree: Path, limits: RunLimits) -> None:
    await workspace.write("a", "one")
    first = await workspace.commit("One")
    await workspace.write("a", "two")
    second = await workspace.commit("Two")
    await workspace.write("new/file", "x")
    await workspace.write("node_modules/x.js", "cached")
    await workspace.run("mkdir -p closed/in; touch closed/in/x; chmod 000 closed; git init -q nested", limits)
    assert await workspace.reset_to(first) == first == await workspace.head()
    assert await workspace.read("a") == "one"
    assert sorted(path.name for path in tree.iterdir() if path.name != "held") == [".git", "a", "node_modules"]
    assert await workspace.reset_to(second) == second
    assert await workspace.read("a") == "two"


async def test_the_operators_own_git_works_in_the_tree_after_commands_ran_there(
    workspace: Workspace, tree: Path, limits: RunLimits
) -> None:
    await workspace.run("echo x > made; mkdir d; echo y > d/made", limits)
    assert git(tree, "status", "--porcelain").splitlines() == ["?? d/", "?? made"]
    sha = await workspace.commit("Make them")
    assert git(tree, "log", "--format=%H", "-1") == sha
    assert {path.stat().st_uid for path in tree.rglob("*")} == {os.getuid()}


async def test_an_inner_repository_is_committed_as_plain_files(workspace: Workspace, limits: RunLimits) -> None:
    await workspace.run("mkdir -p app/lib; cd app; git init -q; echo x > a; cd lib; git init -q; echo y > b", limits)
    await workspace.commit("Add an app")
    assert git(workspace.root, "ls-tree", "-r", "--name-only", "HEAD").splitlines() == ["app/a", "app/lib/b"]


async def test_a_huge_file_is_not_committed_and_named(workspace: Workspace, tree: Path) -> None:
    await workspace.write("a", "x")
    with (tree / "model.bin").open("wb") as stream:
        stream.truncate(60 * 1024 * 1024)
    before = await workspace.head()
    with pytest.raises(TooLargeError, match=r"model\.bin has 60 MiB"):
        await workspace.commit("Add all")
    assert await workspace.head() == before
    await workspace.write(".gitignore", "*.bin\n")
    assert await workspace.commit("Add all") != before


async def test_git_runs_nothing_that_a_tree_or_a_planted_configuration_names(
    workspace: Workspace, limits: RunLimits, tmp_path: Path
) -> None:
    trap = tmp_path / "sprung"
    touch = f"touch {trap}"
    await workspace.write(".gitattributes", "* filter=trap diff=trap merge=trap\n")
    await workspace.write("a", "x")
    await workspace.run(
        f"""
        for hook in pre-commit post-commit commit-msg post-checkout reference-transaction post-index-change; do
            mkdir -p .git/hooks; printf '#!/bin/sh\\n{touch}\\n' > .git/hooks/$hook; chmod +x .git/hooks/$hook
        done
        git config core.fsmonitor '{touch}'; git config filter.trap.clean '{touch}; cat'; git config filter.trap.smudge '{touch}; cat'
        git config diff.trap.command '{touch}'; git config diff.trap.textconv '{touch}; cat'; git config core.hooksPath .git/hooks
        git config diff.external '{touch}'; git config core.editor '{touch}'
        git config gpg.program '{touch}'; git config commit.gpgSign true
        mkdir -p elsewhere; cp .git/config elsewhere/config; echo ../elsewhere > .git/commondir
        """,
        limits,
    )
    before = await workspace.head()
    after = await workspace.commit("Step")
    await workspace.diff(before, after)
    await workspace.log()
    await workspace.list_files()
    await workspace.reset_to(before)
    await workspace.reset_to(after)
    async with clean_copy(workspace) as copy:
        await copy.head()
    assert before != after
    assert not trap.exists()


async def test_hooks_planted_without_a_word_in_the_configuration_do_not_run(workspace: Workspace, tree: Path, tmp_path: Path) -> None:
    trap = tmp_path / "sprung"
    for name in ("post-commit", "post-checkout", "reference-transaction", "post-index-change", "post-rewrite"):
        hook = tree / ".git" / "hooks" / name
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(f"#!/bin/sh\ntouch {trap}\n")
        hook.chmod(0o755)
    before = await workspace.head()
    await workspace.write("a", "x")
    assert await workspace.commit("Step") != before
    await workspace.reset_to(before)
    assert not trap.exists()


async def test_history_survives_a_command_that_deletes_it(workspace: Workspace, limits: RunLimits) -> None:
    await workspace.write("a", "x")
    first = await workspace.commit("Add a")
    await workspace.run("rm -rf .git; echo y > b", limits)
    second = await workspace.commit("Add b")
    assert [commit.sha for commit in await workspace.log()][:2] == [second, first]
    assert await workspace.list_files() == ["a", "b"]


async def test_locks_of_a_git_that_died_do_not_stand_in_the_way(workspace: Workspace, tree: Path) -> None:
    for name in ("index.lock", "HEAD.lock", "refs/heads/main.lock"):
        (tree / ".git" / name).touch()
    await workspace.write("a", "x")
    sha = await workspace.commit("Add a")
    assert await workspace.head() == sha


async def test_a_fresh_copy_is_head_and_nothing_else(workspace: Workspace, limits: RunLimits) -> None:
    await workspace.write("a", "committed")
    await workspace.commit("Add a")
    await workspace.write("a", "changed")
    await workspace.write("left-behind", "x")
    async with clean_copy(workspace) as copy:
        assert await copy.list_files() == ["a"]
        assert await copy.read("a") == "committed"
        assert await copy.head() == await workspace.head()
        await copy.write("in-copy", "x")
        assert (await copy.run("ls", limits)).output.split() == ["a", "in-copy"]
        root = copy.root
    assert not [path for path in root.parent.iterdir() if path.name.startswith(root.name)]
    assert await workspace.list_files() == ["a", "left-behind"]


async def test_a_fresh_copy_goes_away_whatever_was_done_in_it(workspace: Workspace, limits: RunLimits) -> None:
    async with clean_copy(workspace) as copy:
        deep = "for i in $(seq 300); do mkdir ddddddddddddddddddddd && cd ddddddddddddddddddddd; done; touch x"
        await copy.run(f"{deep}; cd /; mkdir -p closed/in; touch closed/in/x; chmod 000 closed/in closed", limits)
        root = copy.root
    assert not root.exists()


async def test_a_branch_is_delivered_and_the_checkout_stays_as_it_is(workspace: Workspace, source: Path) -> None:
    (source / "kept.txt").write_text("being edited\n")
    (source / "untracked").write_text("x")
    before = (git(source, "status", "--porcelain"), git(source, "rev-parse", "HEAD"), git(source, "symbolic-ref", "HEAD"))
    await workspace.write("made.txt", "x")
    sha = await workspace.commit("Make it")
    done = await workspace.deliver(source, "executor/made")
    assert (done.branch, done.sha) == ("executor/made", sha)
    assert git(source, "rev-parse", "executor/made") == sha
    assert (git(source, "status", "--porcelain"), git(source, "rev-parse", "HEAD"), git(source, "symbolic-ref", "HEAD")) == before
    assert (source / "kept.txt").read_text() == "being edited\n"


async def test_a_delivery_can_be_repeated_and_continued_but_never_overwrites(workspace: Workspace, source: Path) -> None:
    await workspace.write("a", "1")
    await workspace.commit("One")
    assert await workspace.deliver(source, "work") == await workspace.deliver(source, "work")
    await workspace.write("a", "2")
    sha = await workspace.commit("Two")
    assert (await workspace.deliver(source, "work")).sha == sha
    await workspace.reset_to("HEAD~1")
    await workspace.write("a", "3")
    await workspace.commit("Another two")
    with pytest.raises(DeliveryRefusedError, match="choose another name"):
        await workspace.deliver(source, "work")
    assert git(source, "rev-parse", "work") == sha


async def test_the_branch_that_is_checked_out_is_not_pushed_to(workspace: Workspace, source: Path) -> None:
    before = git(source, "rev-parse", "trunk")
    with pytest.raises(GitError):
        await workspace.deliver(source, "trunk")
    assert git(source, "rev-parse", "trunk") == before


async def test_a_bare_repository_receives_a_branch(workspace: Workspace, tmp_path: Path) -> None:
    bare = tmp_path / "bare.git"
    git(tmp_path, "init", "-q", "--bare", str(bare))
    sha = await workspace.head()
    await workspace.deliver(bare, "work")
    assert git(bare, "rev-parse", "work") == sha


async def test_a_delivery_runs_no_hook_at_either_end(workspace: Workspace, source: Path, tmp_path: Path) -> None:
    trap = tmp_path / "sprung"
    for repository in (source, workspace.root):
        for name in ("pre-receive", "update", "post-receive", "post-update", "pre-push", "reference-transaction", "push-to-checkout"):
            hook = repository / ".git" / "hooks" / name
            hook.parent.mkdir(exist_ok=True)
            hook.write_text(f"#!/bin/sh\ntouch {trap}\n")
            hook.chmod(0o755)
    await workspace.deliver(source, "work")
    assert git(source, "rev-parse", "work") == await workspace.head()
    assert not trap.exists()


@pytest.mark.parametrize("name", ["", "-f", "a..b", "a b", "refs/heads/x", "x.lock", "a\nb", "@{-1}", "HEAD~1"])
async def test_a_name_that_is_no_branch_is_refused(local: Workspace, source: Path, name: str) -> None:
    with pytest.raises(GitError, match="cannot be the name of a branch"):
        await local.deliver(source, name)


async def test_a_place_that_is_no_repository_is_named(local: Workspace, tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    with pytest.raises(GitError, match="not a git repository"):
        await local.deliver(tmp_path / "plain", "work")
