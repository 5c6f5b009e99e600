"""A workspace's history in a few pieces that can be kept elsewhere: each holds the commits since the one before (git-bundle(1))."""

import asyncio
import os
import secrets
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from executor_tui.workspaces.errors import error_of
from executor_tui.workspaces.inside import exchange, faults, repository

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Piece:
    """The commits up to `sha` that the pieces before it lack, as the bytes of a git bundle; empty when there are none."""

    sha: str
    branch: str
    data: bytes


async def pack(root: Path, have: str) -> Piece:
    """What HEAD of the repository at `root` has beyond commit `have` ("" for everything). Raises GitError."""
    return await _in_thread(lambda: _pack(root, have))


def _pack(root: Path, have: str) -> Piece:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "out.bundle"
        sha = exchange.bundle(f"{root}/.git", have, str(path))
        return Piece(sha, repository.branch_of(str(root)), path.read_bytes() if path.exists() else b"")


async def unpack(root: Path, pieces: Sequence[Piece]) -> None:
    """Make the repository at `root`, which must not exist, from its pieces in order. Raises GitError; then nothing is left at `root`."""
    await _in_thread(lambda: _unpack(root, pieces))


def _unpack(root: Path, pieces: Sequence[Piece]) -> None:
    root.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
    half_made = root.with_name(f"{root.name}.unpacking-{secrets.token_hex(4)}")
    try:
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / "in.bundle"
            for piece in pieces:
                path.write_bytes(piece.data)
                repository.seed(str(half_made), str(path) if piece.data else "", piece.sha, piece.branch)
        os.rename(half_made, root)  # noqa: PTH104
    finally:
        for left in (half_made, f"{half_made}.lock"):
            repository.remove(str(left))


async def _in_thread(work: Callable[[], T]) -> T:
    try:
        return await asyncio.to_thread(work)
    except faults.Fault as fault:
        raise error_of(fault.code, fault.message) from fault
