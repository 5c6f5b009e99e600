"""Reading a delivered repository: which files, what a commit changed. Read-only, on this machine, with git's own configuration kept out."""

import os
import subprocess
from pathlib import Path

from executor_tui.domain.errors import ExecutorError

TIMEOUT_S = 10.0
MOST_BYTES = 2_000_000
_SETTINGS = ("core.hooksPath=/dev/null", "core.fsmonitor=false", "diff.external=", "core.pager=cat", "protocol.allow=never")


def _git(repo: str, *args: str) -> str:
    """Output of a git command, cut at 2 MB. Raises ExecutorError."""
    if not repo or not Path(repo).is_dir():
        raise ExecutorError(
            f"the repository {repo or '(none yet)'} is not on this machine", hint="it appears when the first step is committed"
        )
    env = {"PATH": os.environ.get("PATH", ""), "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null", "LC_ALL": "C.UTF-8"}
    env |= {"GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0", "HOME": "/nonexistent"}
    settings = [part for setting in (*_SETTINGS, f"safe.directory={repo}") for part in ("-c", setting)]
    command = ["git", *settings, "-C", repo, *args]
    try:
        done = subprocess.run(command, env=env, capture_output=True, timeout=TIMEOUT_S, check=False)
    except FileNotFoundError as exc:
        raise ExecutorError("git is not installed here", hint="install git to see diffs and files") from exc
    except subprocess.TimeoutExpired as exc:
        raise ExecutorError(f"git did not answer within {TIMEOUT_S:.0f} s in {repo}") from exc
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip().splitlines() or ["failed"]
        raise ExecutorError(f"git in {repo}: {said[0]}")
    return done.stdout[:MOST_BYTES].decode(errors="replace")


def diff_of(repo: str, commit: str) -> str:
    """What a commit changed, with a summary by file first."""
    return _git(
        repo, "show", "--no-color", "--no-ext-diff", "--no-textconv", "--stat", "--patch", "--format=%s%n", "--end-of-options", commit
    )


def files_of(repo: str) -> list[tuple[str, int]]:
    """(path, bytes) of every file at HEAD."""
    rows = _git(repo, "ls-tree", "-r", "-l", "-z", "HEAD").split("\0")
    found = []
    for row in rows:
        head, _, path = row.partition("\t")
        size = head.split()[-1] if head else "-"
        if path:
            found.append((path, int(size) if size.isdigit() else 0))
    return found


def file_at(repo: str, path: str) -> str:
    """The text of a file at HEAD."""
    return _git(repo, "show", "--no-ext-diff", "--no-textconv", "--end-of-options", f"HEAD:{path}")
