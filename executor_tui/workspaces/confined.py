"""One command in the sandbox: its directories made ready, its job written, its result read."""

import asyncio
import base64
import os
from collections.abc import Sequence
from pathlib import Path

from executor_tui.workspaces import helper, talk
from executor_tui.workspaces.base import RunLimits, RunResult
from executor_tui.workspaces.inside.job import Job
from executor_tui.workspaces.ownership import give_tree
from executor_tui.workspaces.sandbox import Sandbox, prepare_scratch, uid_of


async def run_confined(sandbox: Sandbox, tree: Path, scratch: Path, argv: Sequence[str], limits: RunLimits) -> RunResult:
    """Run words in the sandbox, without a workspace around them."""
    job = await asyncio.to_thread(confined_job, sandbox, tree, scratch, argv, limits, stream=False)
    return talk.result_of(await helper.ask_process("run", job), argv[0], limits)


def confined_job(sandbox: Sandbox, tree: Path, scratch: Path, argv: Sequence[str], limits: RunLimits, *, stream: bool) -> dict[str, object]:
    """Make the directories ready and return the job that runs `argv` in the sandbox."""
    prepare_scratch(tree, scratch, sandbox.leave_root)
    if sandbox.leave_root:
        give_tree(tree, uid_of(tree))
    job = Job(
        argv=sandbox.command_line(tree, scratch, argv, limits.processes, limits.environment),
        cwd="/",
        env={"PATH": os.defpath},
        watched=[str(tree), str(scratch)],
        time_s=limits.time_s,
        memory_bytes=limits.memory_bytes,
        processes=limits.processes,
        output_bytes=limits.output_bytes,
        disk_bytes=limits.disk_bytes,
        stream=stream,
        wrapped=True,
        filter=base64.b64encode(sandbox.filter).decode("ascii"),
    )
    return dict(vars(job))
