"""Commits in and out of a workspace: from and to another repository on this machine, and as bundles over a wire."""

# Descriptors and raw paths throughout: pathlib cannot say "relative to this open directory".
# ruff: noqa: PTH100, PTH112, PTH116
from __future__ import annotations

import os
import shlex
import subprocess
import urllib.parse
from dataclasses import dataclass

from executor_tui.workspaces.inside import faults, git
from executor_tui.workspaces.inside.faults import Fault, shown

_SERVER_SETTINGS = (
    "safe.directory=*",
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.fsync=committed,reference",
    "receive.autogc=false",
    "gc.auto=0",
    "maintenance.auto=false",
)


@dataclass(frozen=True)
class Delivered:
    """A branch that now stands in the source repository."""

    branch: str
    sha: str


def url_of(path: str) -> str:
    """The file URL of a repository; such a URL makes git copy over its protocol rather than by links."""
    return f"file://{urllib.parse.quote(os.path.abspath(path))}"


def server_command(source: str, service: str) -> str:
    """The command git starts at the other end, without that repository's hooks, as the owner of that repository.

    Run by root on somebody else's repository, git would leave objects there which their owner cannot replace.
    """
    words = ["git"] + [word for setting in _SERVER_SETTINGS for word in ("-c", setting)] + [service]
    owner = os.stat(source)
    if os.geteuid() == 0 and owner.st_uid != 0:
        words = ["setpriv", f"--reuid={owner.st_uid}", f"--regid={owner.st_gid}", "--clear-groups", *words]
    return shlex.join(words)


def top_of(source: str) -> str:
    """The directory of the repository that holds `source`: the top of the checkout, or the bare repository itself."""
    if not os.path.isdir(source):
        raise Fault(faults.NOT_FOUND, f"there is no directory {shown(source)}")
    found = git.run(["rev-parse", "--is-bare-repository", "--absolute-git-dir"], source, {}, allowed=(0, 128))
    if found.status != 0:
        raise Fault(faults.GIT, f"{shown(source)} is not a git repository; run git init there, or give another")
    bare, directory = found.text.splitlines()[:2]
    if bare == "true":
        return directory
    return git.run(["rev-parse", "--show-toplevel"], source, {}).text.rstrip("\n")


def deliver(root: str, source: str, branch: str) -> Delivered:
    """Push the head of the workspace to `source` as `branch`; nothing else in `source` changes.

    The same delivery again is done at once. A branch of that name with other commits is left alone and refused.
    """
    git.check_branch(branch)
    git.check_repository(root)
    tree = git.in_tree(root)
    sha = git.run(["rev-parse", "--verify", "HEAD^{commit}"], root, tree).text.strip()
    standing = _standing(root, source, branch)
    if standing == sha:
        return Delivered(branch, sha)
    if standing and not _is_ancestor(root, standing):
        raise Fault(
            faults.DELIVERY,
            f"{shown(source)} already has a branch {shown(branch)} with other commits; choose another name",
        )
    words = ["push", "--quiet", "--no-verify", f"--receive-pack={server_command(source, 'receive-pack')}", "--"]
    git.run([*words, url_of(source), f"{sha}:refs/heads/{branch}"], root, tree)
    return Delivered(branch, sha)


def _standing(root: str, source: str, branch: str) -> str:
    words = [
        "ls-remote",
        f"--upload-pack={server_command(source, 'upload-pack')}",
        "--",
        url_of(source),
        f"refs/heads/{branch}",
    ]
    return git.run(words, root, git.in_tree(root)).text.split("\t")[0].strip()


def _is_ancestor(root: str, sha: str) -> bool:
    words = ["merge-base", "--is-ancestor", sha, "HEAD"]
    return git.run(words, root, git.in_tree(root), allowed=(0, 1, 128)).status == 0


def bundle(repository: str, have: str, path: str) -> str:
    """Write the commits of HEAD that `have` does not reach to a bundle at `path`; returns HEAD, and writes nothing when there are none.

    `repository` is a `.git` directory or a bare repository. See git-bundle(1).
    """
    where = git.bare(repository)
    sha = git.run(["rev-parse", "--verify", "HEAD^{commit}"], repository, where).text.strip()
    known = bool(have) and git.run(["cat-file", "-e", f"{have}^{{commit}}"], repository, where, allowed=(0, 1, 128)).status == 0
    since = [f"^{have}"] if known else []
    missing = git.run(["rev-list", "--max-count=1", sha, *since], repository, where).text.strip()
    if missing:
        git.run(["bundle", "create", "--quiet", path, "HEAD", *since], repository, where)
    return sha


def unbundle(repository: str, path: str, sha: str) -> None:
    """Take the objects of a bundle into a repository after checking them (transfer.fsckObjects); `sha` must be among them."""
    if not git.SHA.fullmatch(sha):
        raise Fault(faults.GIT, f"{shown(sha)} is not the name of a commit")
    where = git.bare(repository)
    git.run(["fetch", "--quiet", "--no-tags", "--no-write-fetch-head", path, "HEAD"], repository, where)
    if git.run(["cat-file", "-e", f"{sha}^{{commit}}"], repository, where, allowed=(0, 1, 128)).status != 0:
        raise Fault(faults.GIT, f"the commits that arrived do not hold {sha[:12]}")


def git_version() -> str:
    """The version of git here, empty when there is none."""
    try:
        found = subprocess.run(["git", "--version"], capture_output=True, text=True, check=False, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return found.stdout.strip().removeprefix("git version ")
