"""A history in pieces becomes the same repository elsewhere."""

from pathlib import Path

import pytest

from executor_tui.workspaces.errors import GitError
from executor_tui.workspaces.local import LocalWorkspace
from executor_tui.workspaces.packing import Piece, pack, unpack


async def pieces_of(workspace: LocalWorkspace) -> list[Piece]:
    """Three pieces: the beginning, then one for each of two commits."""
    made = [await pack(workspace.root, "")]
    for number in (1, 2):
        await workspace.write(f"docs/file{number}.md", "x" * number)
        await workspace.commit(f"Step {number}")
        made.append(await pack(workspace.root, made[-1].sha))
    return made


async def test_pieces_in_order_make_the_same_commits_files_and_branch(tmp_path: Path) -> None:
    workspace = await LocalWorkspace.create(tmp_path / "here", unsafe_local=True)
    pieces = await pieces_of(workspace)
    assert len({p.sha for p in pieces}) == 3
    await unpack(tmp_path / "elsewhere" / "repo", pieces)
    there = await LocalWorkspace.open(tmp_path / "elsewhere" / "repo", unsafe_local=True)
    assert [c.sha for c in await there.log()] == [c.sha for c in await workspace.log()]
    assert await there.read("docs/file2.md") == await workspace.read("docs/file2.md")
    await there.write("more", "y")
    assert await there.commit("Go on") != pieces[-1].sha


async def test_nothing_new_is_an_empty_piece(tmp_path: Path) -> None:
    workspace = await LocalWorkspace.create(tmp_path / "here", unsafe_local=True)
    first = await pack(workspace.root, "")
    assert await pack(workspace.root, first.sha) == Piece(first.sha, first.branch, b"")


@pytest.mark.parametrize("damage", ["missing", "cut", "swapped"])
async def test_pieces_that_do_not_fit_are_refused_and_nothing_is_left(tmp_path: Path, damage: str) -> None:
    workspace = await LocalWorkspace.create(tmp_path / "here", unsafe_local=True)
    first, second, third = await pieces_of(workspace)
    bad = {
        "missing": [first, third],
        "cut": [first, Piece(second.sha, second.branch, second.data[:-40]), third],
        "swapped": [first, Piece(third.sha, third.branch, second.data)],
    }[damage]
    with pytest.raises(GitError):
        await unpack(tmp_path / "elsewhere" / "repo", bad)
    assert list((tmp_path / "elsewhere").iterdir()) == []
