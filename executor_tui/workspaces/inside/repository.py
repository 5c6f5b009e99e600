"""The repository of a workspace: made, seeded, committed to, rewound and read. Every function is for one tree given by its root.

Commits are on the disk before a function returns (core.fsync), so a commit that was reported survives a power cut.
"""

# Descriptors and raw paths throughout: pathlib cannot say "relative to this open directory".
# ruff: noqa: PTH103, PTH112
from __future__ import annotations

import contextlib
import os
import stat
import subprocess
from collections.abc import Mapping
from typing import TypedDict

from executor_tui.workspaces.inside import faults, git
from executor_tui.workspaces.inside.exchange import server_command, unbundle, url_of
from executor_tui.workspaces.inside.faults import Fault, shown

MAX_FILES = 20_000
MAX_COMMITTED_BYTES = 50 * 1024 * 1024
MAX_DIFF_BYTES = 1024 * 1024
MAX_MESSAGE_CHARS = 8000
MAX_COMMITS = 500
STEP_TRAILER = "%(trailers:key=Executor-Step,valueonly,separator=%x2C)"
MAX_NESTING = 20
DEFAULT_BRANCH = "main"


class CommitRow(TypedDict):
    """One commit: `time_s` is seconds since 1970-01-01 UTC, `step` the value of its Executor-Step trailer."""

    sha: str
    author: str
    time_s: int
    subject: str
    step: str


def create(root: str) -> str:
    """Make an empty repository at `root`, with one empty commit; returns that commit. An existing one is left as it is."""
    if os.path.isdir(os.path.join(root, ".git")) and _has_head(root):
        return head(root)
    os.makedirs(root, mode=0o755, exist_ok=True)
    git.run(["init", "--quiet", "--template=", f"--initial-branch={DEFAULT_BRANCH}", "."], root, {})
    git.write_config(root, "sha1")
    return commit(root, "Start the project", allow_empty=True)


def _has_head(root: str) -> bool:
    return git.run(["rev-parse", "--verify", "--quiet", "HEAD"], root, git.in_tree(root), allowed=(0, 1, 128)).status == 0


def clone(source: str, root: str, branch: str | None = None, base: str | None = None) -> str:
    """Copy the repository at `source` to a new directory `root` and return its head.

    `base` is the commit or branch to start from (the source's HEAD when None); `branch` names the branch to make there. Objects are copied
    over the wire protocol, never hard-linked, and the copy remembers nothing of where it came from.
    """
    if branch is not None:
        git.check_branch(branch)
    if os.path.lexists(root):
        raise Fault(faults.GIT, f"{shown(root)} exists already; a copy needs a new directory")
    try:
        words = [
            "clone",
            "--quiet",
            "--template=",
            "--no-local",
            "--no-checkout",
            f"--upload-pack={server_command(source, 'upload-pack')}",
        ]
        git.run([*words, "--", url_of(source), root], "/", {})
        _settle(root, branch, base)
    except BaseException:
        remove(root)
        raise
    return head(root)


def _settle(root: str, branch: str | None, base: str | None) -> None:
    tree = git.in_tree(root)
    object_format = git.run(["rev-parse", "--show-object-format"], root, tree).text.strip()
    start = _start_of(root, base)
    git.write_config(root, object_format)
    _forget_remotes(root)
    if start is None:
        git.run(["symbolic-ref", "HEAD", f"refs/heads/{branch or DEFAULT_BRANCH}"], root, tree)
        commit(root, "Start the project", allow_empty=True)
        return
    if branch is not None:
        git.run(["update-ref", f"refs/heads/{branch}", start], root, tree)
        git.run(["symbolic-ref", "HEAD", f"refs/heads/{branch}"], root, tree)
    elif base is not None:
        git.run(["update-ref", "HEAD", start], root, tree)
    git.run(["reset", "--quiet", "--hard", start], root, tree)


def _forget_remotes(root: str) -> None:
    tree = git.in_tree(root)
    names = git.run(["for-each-ref", "--format=%(refname)", "refs/remotes"], root, tree).text.split()
    git.run(
        ["update-ref", "--no-deref", "--stdin"],
        root,
        tree,
        stdin="".join(f"delete {name}\n" for name in names).encode(),
    )


def _start_of(root: str, base: str | None) -> str | None:
    tree = git.in_tree(root)
    if base is None:
        found = git.run(["rev-parse", "--verify", "--quiet", "HEAD"], root, tree, allowed=(0, 1, 128))
        return found.text.strip() if found.status == 0 else None
    for name in (f"refs/remotes/origin/{base}", f"refs/tags/{base}", base):
        if base.startswith("-"):
            break
        found = git.run(
            ["rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}"],
            root,
            tree,
            allowed=(0, 1, 128),
        )
        if found.status == 0:
            return found.text.strip()
    raise Fault(faults.GIT, f"the repository has no branch, tag or commit {shown(base)} to start from")


def seed(root: str, bundle: str, sha: str, branch: str, keep_tree: bool = False) -> str:
    """Bring `root` to commit `sha` on `branch` from the bundle file `bundle` (empty when nothing is missing here).

    Makes the repository anew where there is none or it is damaged. With `keep_tree` the files stay as they are.
    """
    git.check_branch(branch)
    os.makedirs(root, mode=0o755, exist_ok=True)
    try:
        git.check_repository(root)
    except Fault:
        remove(os.path.join(root, ".git"))
        git.run(["init", "--quiet", "--template=", f"--initial-branch={DEFAULT_BRANCH}", "."], root, {})
        git.write_config(root, "sha1")
    with git.locked(root):
        tree = git.in_tree(root)
        if bundle:
            unbundle(os.path.join(root, ".git"), bundle, sha)
        git.run(["update-ref", f"refs/heads/{branch}", sha], root, tree)
        git.run(["symbolic-ref", "HEAD", f"refs/heads/{branch}"], root, tree)
        if keep_tree:
            git.run(["reset", "--quiet", "--mixed", sha], root, tree)
        else:
            _put_back(root, sha)
        return sha


def head(root: str) -> str:
    """The commit the workspace stands on."""
    git.check_repository(root)
    return git.run(["rev-parse", "--verify", "HEAD^{commit}"], root, git.in_tree(root)).text.strip()


def branch_of(root: str) -> str:
    """The branch the workspace is on."""
    return git.run(["symbolic-ref", "--short", "HEAD"], root, git.in_tree(root)).text.strip()


def commit(root: str, message: str, author: str = "Executor", allow_empty: bool = False) -> str:
    """Record everything in the tree and return the commit; with nothing changed, the one that stands.

    Files over `MAX_COMMITTED_BYTES` are refused rather than left out.
    """
    text = message.replace("\0", "").strip()[:MAX_MESSAGE_CHARS] or "Change"
    with git.locked(root):
        tree = git.in_tree(root)
        _drop_inner_repositories(root)
        _refuse_huge(root, tree)
        _add_all(root, tree)
        changed = git.run(["diff", "--cached", "--quiet", "--no-ext-diff", "HEAD"], root, tree, allowed=(0, 1, 128)).status != 0
        if changed or allow_empty:
            words = ["commit", "--quiet", "--no-verify", "--allow-empty", "--cleanup=verbatim", "--file=-"]
            git.run(words, root, {**tree, **_identity(author)}, stdin=text.encode("utf-8", "replace"))
        return git.run(["rev-parse", "--verify", "HEAD^{commit}"], root, tree).text.strip()


def _identity(author: str) -> dict[str, str]:
    name = "".join(c for c in author if c.isprintable() and c not in "<>").strip() or "Executor"
    mail = "executor@localhost"
    return {
        "GIT_AUTHOR_NAME": name,
        "GIT_AUTHOR_EMAIL": mail,
        "GIT_COMMITTER_NAME": "Executor",
        "GIT_COMMITTER_EMAIL": mail,
    }


def _add_all(root: str, tree: Mapping[str, str]) -> None:
    """Stage everything. Git only warns about a directory it may not open, and would leave its files out."""
    words = ["add", "--all", "--", "."]
    done = git.run(words, root, tree, allowed=(0, 1, 128))
    if done.status != 0 or "Permission denied" in done.stderr:
        make_readable(root)
        git.run(words, root, tree)


def make_readable(root: str) -> None:
    """Give the owner back what a command took away: everything on directories, read on files. Others are not touched."""
    closed = ["-type", "d", "!", "-perm", "-u=rwx", "-exec", "chmod", "u+rwx", "--", "{}", ";"]
    unread = ["-type", "f", "!", "-perm", "-u=r", "-exec", "chmod", "u+r", "--", "{}", "+"]
    words = ["find", root, "-path", os.path.join(root, ".git"), "-prune", "-o", *closed, "-o", *unread]
    subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)


def _drop_inner_repositories(root: str) -> None:
    """Remove `.git` below the top: git would record a nested repository as a bare link and lose its files."""
    for _ in range(MAX_NESTING):
        words = ["ls-files", "-z", "--others", "--exclude-standard"]
        inner = [name for name in _names(git.run(words, root, git.in_tree(root))) if name.endswith("/")]
        for name in inner:
            remove(os.path.join(root, name, ".git"))
        if not inner:
            return


def _refuse_huge(root: str, tree: Mapping[str, str]) -> None:
    for name in _names(git.run(["ls-files", "-z", "--others", "--modified", "--exclude-standard"], root, tree)):
        with contextlib.suppress(OSError):
            found = os.lstat(os.path.join(root, name))
            if stat.S_ISREG(found.st_mode) and found.st_size > MAX_COMMITTED_BYTES:
                limit = MAX_COMMITTED_BYTES // (1024 * 1024)
                size = found.st_size // (1024 * 1024)
                raise Fault(
                    faults.TOO_LARGE,
                    f"{shown(name)} has {size} MiB; files over {limit} MiB are not committed, delete it or name it in .gitignore",
                )


def _names(output: git.Output) -> list[str]:
    return [name for name in output.text.split("\0") if name]


def list_files(root: str, glob: str = "") -> list[str]:
    """Paths of the files in the tree, sorted, ignored ones left out; `glob` is a git pathspec glob (`**` crosses directories)."""
    git.check_repository(root)
    words = ["ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate"]
    if glob:
        words += ["--", f":(glob){_any_depth(glob)}"]
    found = []
    for name in _names(git.run(words, root, git.in_tree(root))):
        if not name.endswith("/") and _is_file(os.path.join(root, name)):
            found.append(name)
    return sorted(found)[:MAX_FILES]


def _any_depth(glob: str) -> str:
    if not glob.isprintable() or glob.startswith("/") or ".." in glob.split("/"):
        raise Fault(faults.PATH, f"{shown(glob)} is no glob within the workspace; use something like src/**/*.py")
    return glob if "/" in glob else f"**/{glob}"


def _is_file(path: str) -> bool:
    try:
        kind = os.lstat(path).st_mode
    except OSError:
        return False
    return stat.S_ISREG(kind) or stat.S_ISLNK(kind)


def reset_to(root: str, revision: str) -> str:
    """Put the tree and the branch back to a commit; files that commit does not know are removed, ignored ones are kept."""
    git.check_revision(revision)
    with git.locked(root):
        _put_back(root, revision)
        return git.run(["rev-parse", "--verify", "HEAD^{commit}"], root, git.in_tree(root)).text.strip()


def _put_back(root: str, revision: str) -> None:
    tree = git.in_tree(root)
    make_readable(root)
    git.run(["reset", "--quiet", "--hard", revision], root, tree)
    git.run(["clean", "--quiet", "-ffd"], root, tree)


def descends(root: str, old: str, new: str) -> bool:
    """Whether commit `new` has `old` among its ancestors (or is it)."""
    words = ["merge-base", "--is-ancestor", git.check_revision(old), git.check_revision(new)]
    return git.run(words, root, git.in_tree(root), allowed=(0, 1, 128)).status == 0


def log(root: str, limit: int = 100) -> list[CommitRow]:
    """The newest commits of the branch, newest first."""
    git.check_repository(root)
    count = max(1, min(limit, MAX_COMMITS))
    words = ["log", "-z", f"--max-count={count}", "--no-show-signature", f"--format=%H%x01%an%x01%ct%x01{STEP_TRAILER}%x01%s"]
    rows: list[CommitRow] = []
    for entry in _names(git.run(words, root, git.in_tree(root))):
        sha, author, when, step, subject = entry.split("\x01", 4)
        rows.append({"sha": sha, "author": author, "time_s": int(when), "subject": subject, "step": step.strip()})
    return rows


def diff(root: str, old: str, new: str) -> str:
    """The unified diff between two commits, cut at `MAX_DIFF_BYTES` with a line that says so."""
    git.check_repository(root)
    words = ["diff", "--no-ext-diff", "--no-textconv", "--no-color", "--ignore-submodules=all", "--end-of-options"]
    words += [git.check_revision(old), git.check_revision(new), "--"]
    output = git.run(words, root, git.in_tree(root), max_bytes=MAX_DIFF_BYTES)
    return f"{output.text}\n(diff cut at {MAX_DIFF_BYTES} bytes)\n" if output.cut else output.text


def remove(path: str) -> None:
    """Delete a directory whatever it holds: unreadable directories and trees deeper than a path may be long included."""
    if os.path.lexists(path):
        for command in (["rm", "-rf", "--", path], ["chmod", "-R", "u+rwX", "--", path], ["rm", "-rf", "--", path]):
            subprocess.run(command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
            if not os.path.lexists(path):
                return
        raise Fault(faults.OTHER, f"{shown(path)} could not be deleted; delete it by hand")
