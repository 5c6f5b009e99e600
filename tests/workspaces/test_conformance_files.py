"""Files: the same answers from every kind of workspace."""

import os
from pathlib import Path

import pytest

from executor_tui.workspaces.base import RunLimits, Workspace
from executor_tui.workspaces.errors import (
    BinaryFileError,
    EditRefusedError,
    FileMissingError,
    PathRefusedError,
    PatternRefusedError,
    TooLargeError,
    WorkspaceError,
)

BAD_PATHS = ["", "  ", "/etc/passwd", "..", "../x", "a/../../x", "a/../b", ".", ".git", ".git/config", "a/.git/hooks/x", ".GIT/config"]
WEIRD_PATHS = ["x\0y", "a\nb", "a\x1b[2Jb", "half\ud800", "x" * 300, "d/" * 800 + "x"]


async def test_a_written_file_reads_back(workspace: Workspace) -> None:
    await workspace.write("src/deep/a.py", "print('häß')\n")
    assert await workspace.read("src/deep/a.py") == "print('häß')\n"
    await workspace.write("./src//deep/a.py", "new")
    assert await workspace.read("src/deep/a.py") == "new"


async def test_a_range_of_lines_is_read(workspace: Workspace) -> None:
    await workspace.write("a", "one\ntwo\nthree\nfour")
    assert await workspace.read("a", 2, 3) == "two\nthree\n"
    assert await workspace.read("a", 4) == "four"
    assert await workspace.read("a", 9) == ""
    with pytest.raises(PathRefusedError, match="no range"):
        await workspace.read("a", 3, 2)


@pytest.mark.parametrize("path", BAD_PATHS + WEIRD_PATHS)
async def test_a_path_that_is_not_the_workspaces_business_is_refused_in_one_printable_line(local: Workspace, path: str) -> None:
    for attempt in (local.read(path), local.write(path, "x"), local.edit(path, "a", "b")):
        with pytest.raises(PathRefusedError) as caught:
            await attempt
        assert caught.value.message.isprintable() and len(caught.value.message) < 400


async def test_the_remote_side_checks_paths_itself(remote: Workspace) -> None:
    for path in ("../x", "/etc/passwd", ".git/config", "x\0y"):
        with pytest.raises(PathRefusedError):
            await remote.write(path, "x")


async def test_a_link_out_of_the_workspace_is_refused_and_nothing_out_there_changes(
    workspace: Workspace, limits: RunLimits, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("kept")
    command = (
        f"ln -s {outside}/secret absolute; ln -s ../../../../../../../../{outside}/secret climbing; ln -s {outside} folder; ln -s .git repo"
    )
    await workspace.run(command, limits)
    for path in ("absolute", "climbing", "folder/secret", "folder/new", "repo/config"):
        with pytest.raises(PathRefusedError):
            await workspace.read(path)
        with pytest.raises(PathRefusedError):
            await workspace.write(path, "changed")
    assert (outside / "secret").read_text() == "kept"
    assert [path.name for path in outside.iterdir()] == ["secret"]


async def test_a_link_within_the_workspace_is_followed(workspace: Workspace, limits: RunLimits) -> None:
    await workspace.write("real/a.txt", "here")
    await workspace.run("ln -s real alias; ln -s ../real/a.txt real/again; ln -s endless endless", limits)
    assert await workspace.read("alias/a.txt") == "here"
    await workspace.write("alias/again", "changed")
    assert await workspace.read("real/a.txt") == "changed"
    with pytest.raises(PathRefusedError, match="without an end"):
        await workspace.read("endless")


async def test_what_is_no_regular_file_is_refused_without_waiting(workspace: Workspace, limits: RunLimits) -> None:
    await workspace.run("mkdir folder; mkfifo pipe", limits)
    with pytest.raises(PathRefusedError, match="not a regular file"):
        await workspace.read("pipe")
    with pytest.raises(PathRefusedError, match="directory"):
        await workspace.read("folder")
    with pytest.raises(PathRefusedError, match="directory"):
        await workspace.write("folder", "x")
    with pytest.raises(PathRefusedError, match="a file, not a directory"):
        await workspace.write("pipe/x", "x")


async def test_a_missing_file_is_named(workspace: Workspace) -> None:
    with pytest.raises(FileMissingError, match=r"no/such\.py does not exist"):
        await workspace.read("no/such.py")


async def test_a_binary_file_is_refused_with_its_size(workspace: Workspace, tree: Path) -> None:
    (tree / "logo.png").write_bytes(b"\x89PNG\0" + bytes(100))
    with pytest.raises(BinaryFileError, match=r"logo\.png is a binary file of 105 bytes"):
        await workspace.read("logo.png")
    with pytest.raises(BinaryFileError):
        await workspace.edit("logo.png", "PNG", "x")


async def test_bytes_that_are_no_utf8_are_replaced_when_read_and_kept_when_edited(workspace: Workspace, tree: Path) -> None:
    (tree / "latin").write_bytes(b"caf\xe9 one\n")
    assert await workspace.read("latin") == "caf\ufffd one\n"
    await workspace.edit("latin", "one", "two")
    assert (tree / "latin").read_bytes() == b"caf\xe9 two\n"


async def test_a_huge_file_is_read_by_lines_only(workspace: Workspace, tree: Path) -> None:
    (tree / "huge").write_text("".join(f"line {number}\n" for number in range(1, 100_001)))
    with pytest.raises(TooLargeError, match="read a range"):
        await workspace.read("huge")
    assert await workspace.read("huge", 99_999, 100_000) == "line 99999\nline 100000\n"
    with pytest.raises(TooLargeError, match="read fewer"):
        await workspace.read("huge", 1, 100_000)


async def test_a_huge_or_broken_text_is_not_written(workspace: Workspace) -> None:
    with pytest.raises(TooLargeError):
        await workspace.write("a", "x" * (5 * 1024 * 1024))
    with pytest.raises(PathRefusedError, match="surrogate"):
        await workspace.write("a", "half \ud800")
    with pytest.raises(FileMissingError):
        await workspace.read("a")


async def test_a_script_stays_executable_when_it_is_written_again(workspace: Workspace, limits: RunLimits) -> None:
    await workspace.write("run.sh", "#!/bin/sh\necho one\n")
    await workspace.run("chmod +x run.sh", limits)
    await workspace.write("run.sh", "#!/bin/sh\necho two\n")
    assert (await workspace.run("./run.sh", limits)).output == "two\n"


async def test_an_edit_replaces_the_one_place_and_tells_the_line(workspace: Workspace) -> None:
    await workspace.write("a", "one\ntwo\nthree\n")
    assert await workspace.edit("a", "two", "2") == 2
    assert await workspace.read("a") == "one\n2\nthree\n"


async def test_an_edit_that_is_not_exact_is_refused_and_says_why(workspace: Workspace) -> None:
    await workspace.write("a", "one\none\n")
    for old, new, why in (
        ("zwei", "x", "does not occur"),
        ("one", "x", "occurs 2 times"),
        ("", "x", "empty"),
        ("one\none", "one\none", "same"),
    ):
        with pytest.raises(EditRefusedError, match=why):
            await workspace.edit("a", old, new)
    assert await workspace.read("a") == "one\none\n"


async def test_an_edit_given_with_lf_fits_a_file_with_crlf(workspace: Workspace, tree: Path) -> None:
    (tree / "dos").write_bytes(b"one\r\ntwo\r\nthree\r\n")
    await workspace.edit("dos", "two\nthree", "2\n3")
    assert (tree / "dos").read_bytes() == b"one\r\n2\r\n3\r\n"


async def test_a_search_finds_lines_by_pattern_and_glob(workspace: Workspace, tree: Path) -> None:
    await workspace.write("src/a.py", "x = 1\ndef add(a, b):\n")
    await workspace.write("b.py", "add(1, 2)\n")
    await workspace.write("notes.md", "add more\n")
    await workspace.write("node_modules/left/pad.py", "add\n")
    (tree / "bin.py").write_bytes(b"add\0")
    assert [(m.path, m.line, m.text) for m in await workspace.search(r"\badd\(", "*.py")] == [
        ("b.py", 1, "add(1, 2)"),
        ("src/a.py", 2, "def add(a, b):"),
    ]
    assert [m.path for m in await workspace.search("add", "src/**")] == ["src/a.py"]
    assert await workspace.list_files() == ["b.py", "bin.py", "notes.md", "src/a.py"]


async def test_a_search_stops_at_two_hundred_matches_and_cuts_long_lines(workspace: Workspace) -> None:
    await workspace.write("many", ("x" * 1000 + "\n") * 300)
    found = await workspace.search("x")
    assert len(found) == 200
    assert len(found[0].text) == 400


async def test_a_bad_pattern_or_glob_is_refused(workspace: Workspace) -> None:
    with pytest.raises(PatternRefusedError, match="no regular expression"):
        await workspace.search("(")
    with pytest.raises(PathRefusedError, match="glob"):
        await workspace.search("x", "../*")


async def test_a_search_does_not_read_through_a_link_that_leaves(workspace: Workspace, limits: RunLimits) -> None:
    await workspace.run("ln -s /etc/passwd users", limits)
    assert await workspace.search("root") == []


async def test_a_file_nobody_may_read_is_one_clear_line_to_all_but_root(workspace: Workspace, limits: RunLimits) -> None:
    await workspace.run("echo x > a; chmod 000 a", limits)
    if os.geteuid() == 0:
        assert await workspace.read("a") == "x\n"
        return
    with pytest.raises(WorkspaceError, match="permission denied"):
        await workspace.read("a")
