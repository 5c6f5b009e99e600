"""Commands: the same ends from every kind of workspace, and nothing left alive afterwards."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from executor_tui.workspaces.base import MIB, Ended, RunLimits, RunResult, Workspace
from executor_tui.workspaces.errors import CommandRefusedError
from executor_tui.workspaces.ssh import SshWorkspace

HOLD = """
import fcntl, os, signal, sys
held = open("held", "w")
fcntl.flock(held, fcntl.LOCK_EX)
{then}
print("ready", flush=True)
signal.pause()
"""
BOMB = """
for _ in range(300):
    try:
        if os.fork() == 0: signal.pause()
    except OSError:
        pass
"""
DETACH = """
if os.fork(): signal.pause()
os.setsid()
if os.fork(): os._exit(0)
for number in range(1, 32):
    if number not in (signal.SIGKILL, signal.SIGSTOP): signal.signal(number, signal.SIG_IGN)
"""


async def holding(workspace: Workspace, then: str = "") -> None:
    await workspace.write("hold.py", HOLD.format(then=then))


async def test_code_and_output_of_a_command_are_reported(workspace: Workspace, limits: RunLimits) -> None:
    result = await workspace.run("echo out; echo err >&2; exit 3", limits)
    assert (result.exit_code, result.ended, result.ok) == (3, Ended.EXIT, False)
    assert result.output == "out\nerr\n"
    assert (result.output_bytes, result.output_truncated) == (8, False)
    assert result.command == "echo out; echo err >&2; exit 3"
    assert (await workspace.run("true", limits)).ok


async def test_words_are_not_given_to_a_shell(workspace: Workspace, limits: RunLimits) -> None:
    result = await workspace.run(["printf", "%s|", "$HOME", "a b", "; exit 1"], limits)
    assert (result.output, result.exit_code) == ("$HOME|a b|; exit 1|", 0)


async def test_a_command_runs_at_the_top_of_the_tree_with_an_empty_stdin(workspace: Workspace, limits: RunLimits) -> None:
    await workspace.write("a", "x")
    result = await workspace.run("ls; cat; echo done", limits)
    assert result.output == "a\ndone\n"


async def test_output_comes_while_the_command_runs_and_is_whole_at_the_end(workspace: Workspace, limits: RunLimits) -> None:
    pieces: list[str] = []
    go = asyncio.Event()

    def on_output(text: str) -> None:
        pieces.append(text)
        go.set()

    command = "printf 'ö' | head -c 1; while [ ! -e go ]; do sleep 0.02; done; printf 'ö' | tail -c 1; echo; printf '\\377'"
    running = asyncio.create_task(workspace.run("echo first; " + command, limits, on_output))
    await go.wait()
    assert "".join(pieces) == "first\n"
    await workspace.write("go", "")
    result = await running
    assert "".join(pieces) == "first\nö\n\ufffd" == result.output


async def test_a_command_ended_by_a_signal_says_which(workspace: Workspace, limits: RunLimits) -> None:
    result = await workspace.run(["sh", "-c", "kill -SEGV $$"], limits)
    assert (result.ended, result.exit_code) == (Ended.SIGNAL, 128 + signal.SIGSEGV)
    assert "signal 11" in result.summary


async def test_a_command_that_does_not_exist_has_the_shells_code(workspace: Workspace, limits: RunLimits) -> None:
    result = await workspace.run("no-such-tool --flag", limits)
    assert result.exit_code == 127
    assert "not found" in result.output


NO_COMMANDS: dict[str, str | list[str]] = {
    "empty": "",
    "blank": "   ",
    "no words": [],
    "an empty word": [""],
    "NUL": "a\0b",
    "NUL in a word": ["a", "b\0"],
    "too long": "x" * 200_000,
    "half a character": "echo \ud800",
}


@pytest.mark.parametrize("command", NO_COMMANDS.values(), ids=NO_COMMANDS.keys())
async def test_what_cannot_be_a_command_is_refused(workspace: Workspace, command: str | list[str], limits: RunLimits) -> None:
    with pytest.raises(CommandRefusedError):
        await workspace.run(command, limits)


async def test_a_command_that_never_ends_is_stopped(workspace: Workspace, limits: RunLimits) -> None:
    result = await workspace.run("echo begun; while :; do :; done", replace(limits, time_s=1))
    assert (result.ended, result.exit_code, result.ok) == (Ended.TIMEOUT, None, False)
    assert result.output == "begun\n"
    assert "still running after 1 s" in result.summary


async def test_a_daemon_that_left_its_session_and_ignores_every_signal_dies_with_its_command(
    workspace: Workspace, limits: RunLimits, all_dead: Callable[[], None]
) -> None:
    await holding(workspace, DETACH)
    result = await workspace.run("python3 hold.py", replace(limits, time_s=2))
    assert (result.ended, result.output) == (Ended.TIMEOUT, "ready\n")
    await asyncio.to_thread(all_dead)


async def test_what_a_command_leaves_in_the_background_dies_when_it_ends_and_does_not_hold_it_up(
    workspace: Workspace, limits: RunLimits, all_dead: Callable[[], None]
) -> None:
    await holding(workspace, "open('locked', 'w')")
    result = await workspace.run("setsid python3 hold.py & while [ ! -e locked ]; do sleep 0.02; done; exit 4", limits)
    assert (result.ended, result.exit_code) == (Ended.EXIT, 4)
    await asyncio.to_thread(all_dead)


async def test_cancelling_kills_the_command_and_everything_it_started(
    workspace: Workspace, limits: RunLimits, all_dead: Callable[[], None]
) -> None:
    await holding(workspace, DETACH)
    ready = asyncio.Event()
    running = asyncio.create_task(workspace.run("python3 hold.py", limits, lambda _: ready.set()))
    await ready.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await asyncio.to_thread(all_dead)
    assert (await workspace.run("echo still usable", limits)).output == "still usable\n"


async def test_endless_output_is_stopped_at_the_cap_and_both_ends_are_kept(workspace: Workspace, limits: RunLimits) -> None:
    seen = 0

    def on_output(text: str) -> None:
        nonlocal seen
        seen += len(text)

    result = await workspace.run("echo beginning; yes", limits, on_output)
    assert (result.ended, result.exit_code, result.output_truncated) == (Ended.OUTPUT_LIMIT, None, True)
    assert limits.output_bytes < result.output_bytes < 2 * limits.output_bytes
    assert seen == limits.output_bytes
    assert result.output.startswith("beginning\ny\ny\n")
    assert f"part of {result.output_bytes} bytes" in result.output
    assert len(result.output) < 70_000


async def test_a_fork_bomb_is_stopped_at_the_limit_of_processes(
    workspace: Workspace, limits: RunLimits, all_dead: Callable[[], None]
) -> None:
    await holding(workspace, BOMB)
    result = await workspace.run("python3 hold.py", replace(limits, processes=40))
    assert (result.ended, result.exit_code) == (Ended.PROCESSES, None)
    assert result.peak_processes >= 40
    await asyncio.to_thread(all_dead)


async def test_too_many_threads_are_too_many_processes(workspace: Workspace, limits: RunLimits) -> None:
    await workspace.write("threads.py", "import threading\nfor _ in range(300): threading.Thread(target=threading.Event().wait).start()\n")
    assert (await workspace.run("python3 threads.py", replace(limits, processes=40))).ended is Ended.PROCESSES


async def test_a_command_that_takes_too_much_memory_is_stopped(workspace: Workspace, limits: RunLimits) -> None:
    await workspace.write("eat.py", "import signal\ntaken = bytearray(b'x' * (300 * 1024 * 1024))\nsignal.pause()\n")
    result = await workspace.run("python3 eat.py", replace(limits, memory_bytes=100 * MIB))
    assert (result.ended, result.exit_code) == (Ended.MEMORY, None)
    assert result.peak_memory_bytes > 100 * MIB
    assert "more than 100 MiB of memory" in result.summary


async def test_memory_is_counted_over_all_processes_together_and_shared_pages_once(workspace: Workspace, limits: RunLimits) -> None:
    big = "taken = bytearray(b'x' * (60 * 1024 * 1024))"
    child = "if os.fork() == 0:\n        {1}\n        os.mkdir(str(n)); signal.pause()"
    script = f"import os, signal\n{{0}}\nfor n in range(4):\n    {child}\nos.wait()\n"
    await workspace.write("apart.py", script.format("", big))
    await workspace.write("shared.py", script.format(big, "pass"))
    bounds = replace(limits, memory_bytes=200 * MIB)
    assert (await workspace.run("python3 apart.py; rmdir [0-3]", bounds)).ended is Ended.MEMORY
    all_up = "while [ ! -d 0 -o ! -d 1 -o ! -d 2 -o ! -d 3 ]; do sleep 0.05; done; sleep 0.3"
    shared = await workspace.run(f"rmdir [0-3]; python3 shared.py & {all_up}; echo through", bounds)
    assert (shared.ended, shared.exit_code) == (Ended.EXIT, 0)


async def test_one_huge_file_is_stopped(workspace: Workspace, tree: Path, limits: RunLimits) -> None:
    result = await workspace.run("head -c 1G /dev/zero > big", replace(limits, disk_bytes=20 * MIB))
    assert result.ended is Ended.DISK
    assert (tree / "big").stat().st_size == 20 * MIB


async def test_many_files_that_are_huge_together_are_stopped(workspace: Workspace, limits: RunLimits) -> None:
    command = "for i in 1 2 3 4 5 6; do head -c 10M /dev/zero > part$i; done; echo written; sleep 1000"
    result = await workspace.run(command, replace(limits, disk_bytes=30 * MIB))
    assert (result.ended, result.output) == (Ended.DISK, "written\n")


async def test_what_was_there_before_a_command_does_not_count_against_it(workspace: Workspace, tree: Path, limits: RunLimits) -> None:
    (tree / "before").write_bytes(os.urandom(30 * MIB))
    result = await workspace.run("head -c 10M /dev/zero > small; sleep 0.3", replace(limits, disk_bytes=20 * MIB))
    assert result.ok


async def test_nothing_of_our_environment_reaches_a_command(
    workspace: Workspace, limits: RunLimits, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CANARY", "canary-4711")
    result = await workspace.run("env; cat /proc/self/environ /proc/$PPID/environ 2>/dev/null", limits)
    assert "PATH=" in result.output
    assert "canary-4711" not in result.output


async def test_a_limit_must_be_more_than_nothing() -> None:
    with pytest.raises(ValueError, match="time_s must be more than 0"):
        RunLimits(time_s=0)


async def test_python_edited_twice_within_a_second_runs_as_edited(workspace: Workspace, limits: RunLimits) -> None:
    await workspace.write("value.py", "value = 1\n")
    for number in ("2", "3", "4"):
        await workspace.edit("value.py", f"value = {int(number) - 1}", f"value = {number}")
        assert (await workspace.run(["python3", "-c", "import value; print(value.value)"], limits)).output == f"{number}\n"


async def test_the_tools_of_the_workspace_are_known(workspace: Workspace) -> None:
    tools = await workspace.toolchain()
    assert "git" in tools.commands and "python3" in tools.commands
    assert "no-such-tool" not in tools.commands
    assert tools.python_version.startswith("3.")
    assert tools.test_command in ("python3 -m pytest", "python3 -m unittest")
    assert "Python 3." in tools.describe()


async def test_variables_that_are_given_are_there_and_no_others_of_ours(
    workspace: Workspace, limits: RunLimits, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OURS", "canary")
    given = replace(limits, environment=(("COLOUR", "teal and 'blue'"), ("PAGER", "more")))
    result = await workspace.run('echo "$COLOUR|$PAGER|$OURS|$NO_COLOR"', given)
    assert result.stdout_tail.strip() == "teal and 'blue'|more||1"


async def test_a_test_run_says_by_its_code_whether_it_passed(workspace: Workspace, limits: RunLimits) -> None:
    test = "import unittest\nclass T(unittest.TestCase):\n    def test_sum(self):\n        self.assertEqual(1 + 1, {})\n"
    command = (await workspace.toolchain()).test_command
    await workspace.write("test_sum.py", test.format(3))
    failed: RunResult = await workspace.run(f"{command} test_sum.py", limits)
    await workspace.write("test_sum.py", test.format(2))
    passed: RunResult = await workspace.run(f"{command} test_sum.py", limits)
    assert (failed.exit_code, passed.exit_code) == (1, 0)


NODE = """
import asyncio, json, sys
from pathlib import Path
from executor_tui.workspaces.base import RunLimits
from executor_tui.workspaces.link import SshTarget
from executor_tui.workspaces.local import LocalWorkspace
from executor_tui.workspaces.ssh import SshWorkspace

async def main():
    told = json.loads(sys.stdin.readline())
    root = Path(told["root"])
    if told["target"]:
        workspace = await SshWorkspace.open(SshTarget(**told["target"]), told["directory"], root)
    else:
        workspace = await LocalWorkspace.open(root)
    await workspace.run("python3 hold.py", RunLimits(time_s=100), lambda text: print(text, end="", flush=True))

asyncio.run(main())
"""


async def test_killing_the_node_kills_what_it_ran(workspace: Workspace, all_dead: Callable[[], None]) -> None:
    await holding(workspace, DETACH)
    told = {
        "root": str(workspace.root),
        "target": asdict(workspace.target) if isinstance(workspace, SshWorkspace) else None,
        "directory": workspace.directory if isinstance(workspace, SshWorkspace) else "",
    }
    node = await asyncio.create_subprocess_exec(sys.executable, "-c", NODE, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE)
    assert node.stdin is not None and node.stdout is not None
    node.stdin.write(json.dumps(told).encode() + b"\n")
    assert await node.stdout.readline() == b"ready\n"
    node.kill()
    await asyncio.to_thread(all_dead)
    await node.wait()
