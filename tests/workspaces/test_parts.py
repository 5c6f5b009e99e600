"""The small parts, each with the input that would break it."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from executor_tui.workspaces import helper, talk
from executor_tui.workspaces.base import Ended, RunLimits, RunResult, Toolchain
from executor_tui.workspaces.decoding import TextFeed
from executor_tui.workspaces.errors import PathRefusedError, PatternRefusedError, UnreachableError, WorkspaceError
from executor_tui.workspaces.inside import files, job, proctree
from executor_tui.workspaces.inside.capture import HEAD_BYTES, TAIL_BYTES, Capture
from executor_tui.workspaces.inside.faults import Fault, shown
from executor_tui.workspaces.local import LocalWorkspace
from executor_tui.workspaces.tree import tools_in


async def stream(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


async def test_a_reply_is_read_however_it_is_cut() -> None:
    seen: list[str] = []
    whole = b'{"out": "YQ=="}\n{"out": "w7Y="}\n{"ok": 7}\n'
    assert await talk.reply(stream(*(whole[i : i + 1] for i in range(len(whole)))), seen.append) == 7
    assert seen == ["a", "ö"]


@pytest.mark.parametrize("said", [b"", b"bash: python3: not found\n", b"[1]\n", b'{"out": "YQ=="}\n', b'{"ok": 1'])
async def test_a_helper_that_breaks_off_or_says_something_else_is_unreachable(said: bytes) -> None:
    with pytest.raises(UnreachableError):
        await talk.reply(stream(said))


async def test_an_error_keeps_its_kind_over_the_wire() -> None:
    with pytest.raises(PathRefusedError, match="no way"):
        await talk.reply(stream(b'{"error": {"code": "path", "message": "no way"}}\n'))
    with pytest.raises(WorkspaceError, match="new kind"):
        await talk.reply(stream(b'{"error": {"code": "from the future", "message": "new kind"}}\n'))


async def test_a_pattern_that_never_ends_is_given_up_and_blocks_nobody(local: LocalWorkspace) -> None:
    await local.write("a", "a" * 100 + "!\n")
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            ticks += 1
            await asyncio.sleep(0)

    ticking = asyncio.create_task(tick())
    with pytest.raises(PatternRefusedError, match="did not end within 1 s"):
        await helper.ask_process("search", {"root": str(local.root), "pattern": "(a+)+$"}, give_up_s=1)
    ticking.cancel()
    assert ticks > 1000


async def test_a_cancelled_search_leaves_no_process(local: LocalWorkspace) -> None:
    await local.write("a", "a" * 100 + "!\n")
    others = {process.pid for process in proctree.descendants(os.getpid())}  # servers that other tests of this run share
    searching = asyncio.create_task(local.search("(a+)+$"))
    while not (ours := {process.pid for process in proctree.descendants(os.getpid())} - others):
        await asyncio.sleep(0)
    searching.cancel()
    with pytest.raises(asyncio.CancelledError):
        await searching
    assert not ours & {process.pid for process in proctree.descendants(os.getpid())}


def test_short_output_is_whole_and_long_output_keeps_both_ends() -> None:
    short = Capture()
    short.add(b"a" * HEAD_BYTES)
    short.add(b"b" * TAIL_BYTES)
    assert not short.truncated
    assert short.ends() == (b"", b"a" * HEAD_BYTES + b"b" * TAIL_BYTES)
    long = Capture()
    for number in range(100_000):
        long.add(b"%06d\n" % number)
    head, tail = long.ends()
    assert long.truncated and long.total_bytes == 700_000
    assert (len(head), len(tail)) == (HEAD_BYTES, TAIL_BYTES)
    assert head.startswith(b"000000\n000001\n") and tail.endswith(b"099998\n099999\n")


def test_output_arriving_at_once_is_kept_like_output_arriving_in_pieces() -> None:
    data = os.urandom(5 * TAIL_BYTES)
    whole, pieces = Capture(), Capture()
    whole.add(data)
    for start in range(0, len(data), 1000):
        pieces.add(data[start : start + 1000])
    assert whole.ends() == pieces.ends() == (data[:HEAD_BYTES], data[-TAIL_BYTES:])


def test_a_character_cut_in_two_waits_for_its_rest() -> None:
    feed = TextFeed()
    assert [feed.add(b"\xc3"), feed.add(b"\xb6\xff"), feed.add(b"\xe2\x82"), feed.end()] == ["", "ö\ufffd", "", "\ufffd"]


@pytest.mark.parametrize(
    ("code", "ended"),
    [
        (0, "exit"),
        (1, "exit"),
        (127, "exit"),
        (128, "exit"),
        (137, "signal"),
        (139, "signal"),
        (143, "signal"),
        (153, "disk"),
        (255, "exit"),
    ],
)
def test_the_end_behind_an_exit_code(code: int, ended: str) -> None:
    assert job.ended_by_itself(code) == ended


def test_what_is_no_job_is_refused() -> None:
    with pytest.raises(Fault, match="cannot be run"):
        job.Job.of({"argv": ["true"]})


def result(**changes: object) -> RunResult:
    base: dict[str, object] = {
        "command": "x",
        "exit_code": 0,
        "stdout_tail": "end",
        "output_truncated": False,
        "output_bytes": 3,
        "duration_s": 1.25,
        "ended": Ended.EXIT,
    }
    return RunResult(**(base | changes))  # type: ignore[arg-type]


def test_a_result_says_in_one_line_how_it_ended() -> None:
    assert result(exit_code=2).summary == "exit code 2 (1.2 s)"
    for ended in Ended:
        summary = result(ended=ended, exit_code=None).summary
        assert summary.isprintable() and summary.endswith("(1.2 s)")
    assert not result(ended=Ended.TIMEOUT).ok and not result(exit_code=1).ok and result().ok


def test_cut_output_shows_where() -> None:
    text = result(output_truncated=True, output_bytes=99_999, stdout_head="begin").output
    assert text == "begin\n[… part of 99999 bytes of output left out …]\nend"


def test_a_limit_of_nothing_is_refused() -> None:
    for name in ("time_s", "memory_bytes", "processes", "output_bytes", "disk_bytes"):
        with pytest.raises(ValueError, match=name):
            RunLimits(**{name: 0})


def test_tools_are_read_from_what_the_script_printed_and_nothing_else() -> None:
    output = "tool\tgit\t/usr/bin/git\nnoise\ntool\tbroken\npython\t3.12.1\tTrue\n"
    assert tools_in(result(stdout_tail=output)) == Toolchain({"git": "/usr/bin/git"}, "3.12.1", True)
    assert tools_in(result(stdout_tail="")).describe() == "Tools: none. no Python."


def test_text_for_a_message_is_one_printable_line() -> None:
    assert shown("a\nb\x1b[31m\u202ec\ud800") == "a\\nb\\x1b[31m\\u202ec\\ud800"
    assert len(shown("x" * 1000)) == 160


def test_a_directory_swapped_for_a_link_between_two_steps_leads_nowhere(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    (root / "a").mkdir(parents=True)
    outside.mkdir()
    with files.located(str(root), "a/new") as (directory, name):
        (root / "a").rename(root / "moved")
        (root / "a").symlink_to(outside)
        os.close(os.open(name, os.O_WRONLY | os.O_CREAT, dir_fd=directory))
    assert (root / "moved" / "new").exists() and list(outside.iterdir()) == []


def test_the_tree_of_processes_is_found_whole_and_ended() -> None:
    pid = os.fork()
    if pid == 0:
        for _ in range(3):
            if os.fork():
                break
        signal.pause()
        os._exit(0)
    while len(found := proctree.descendants(pid)) < 3:
        pass
    assert {process.pid for process in found} == {process.pid for process in proctree.all_descendants(pid)}
    assert all(process.threads == 1 and process.resident_bytes > 0 for process in found)
    assert proctree.shared_out_bytes(found) < sum(process.resident_bytes for process in found)
    os.kill(pid, signal.SIGSTOP)
    assert proctree.end_all(pid)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
