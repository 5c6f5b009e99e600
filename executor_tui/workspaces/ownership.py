"""Handing a tree to the unprivileged user its commands run as. Only root does this."""

import os
import stat
from pathlib import Path

MAX_DEPTH = 200
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def give_top(root: Path, uid: int) -> None:
    """Make `uid` the owner of `root` itself. Git looks at the owner of the top alone before it trusts a tree."""
    os.chown(root, uid, uid, follow_symlinks=False)


def give_tree(root: Path, uid: int) -> None:
    """Make `uid` the owner of everything at and below `root` but the repository in `.git`.

    Goes by open directories and never follows a link, so whatever the tree holds, nothing outside of it changes hands. What lies deeper
    than `MAX_DEPTH` was made by a command and belongs to it already.
    """
    top = os.open(root, _DIRECTORY)
    try:
        if os.fstat(top).st_uid != uid:
            os.fchown(top, uid, uid)
        _give(top, uid, 0)
    finally:
        os.close(top)


def _give(directory: int, uid: int, depth: int) -> None:
    with os.scandir(directory) as entries:
        for entry in entries:
            if depth == 0 and entry.name == ".git":
                continue
            found = entry.stat(follow_symlinks=False)
            if found.st_uid != uid:
                os.chown(entry.name, uid, uid, dir_fd=directory, follow_symlinks=False)
            if stat.S_ISDIR(found.st_mode) and depth < MAX_DEPTH:
                _give_below(directory, entry.name, uid, depth)


def _give_below(directory: int, name: str, uid: int, depth: int) -> None:
    try:
        below = os.open(name, _DIRECTORY, dir_fd=directory)
    except (FileNotFoundError, NotADirectoryError):
        return
    try:
        _give(below, uid, depth + 1)
    finally:
        os.close(below)
