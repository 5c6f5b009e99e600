"""A workspace on this machine, its commands behind bubblewrap."""

import asyncio
import os
import secrets
from pathlib import Path
from typing import Self, cast

from executor_tui.workspaces import helper, talk
from executor_tui.workspaces.base import Command, Delivery, OnOutput, RunLimits, RunResult, Toolchain
from executor_tui.workspaces.confined import confined_job
from executor_tui.workspaces.errors import error_of
from executor_tui.workspaces.inside import faults, repository
from executor_tui.workspaces.inside.job import Job
from executor_tui.workspaces.ownership import give_top, give_tree
from executor_tui.workspaces.probe import probe
from executor_tui.workspaces.sandbox import Sandbox, plain_environment, prepare_scratch
from executor_tui.workspaces.tree import TOOL_SCRIPT, Tree, shown_command, tools_in, words_of

FRESH = ".fresh-"
BELONGINGS = (".scratch", ".lock")


class LocalWorkspace(Tree):
    """A tree at `root`; beside it lie `ROOT.scratch` (its home, /tmp and /dev/shm) and `ROOT.lock`.

    Without a sandbox nothing is made or opened, unless `unsafe_local` says that commands may run as this user, with this user's files and
    network. Limits hold either way.
    """

    def __init__(self, root: Path, sandbox: Sandbox | None) -> None:
        self._root = root
        self._sandbox = sandbox
        self._one_at_a_time = asyncio.Lock()

    @classmethod
    async def create(cls, root: Path, *, sandbox: Sandbox | None = None, unsafe_local: bool = False) -> Self:
        """A workspace with an empty repository at `root`; one that is there already is opened."""
        workspace = cls(root.absolute(), await _confinement(sandbox, unsafe_local))
        await workspace._call("create", root=workspace._place)
        return workspace

    @classmethod
    async def open(cls, root: Path, *, sandbox: Sandbox | None = None, unsafe_local: bool = False) -> Self:
        """The workspace at `root` as an earlier run left it; raises `RepositoryDamagedError` when there is none."""
        workspace = cls(root.absolute(), await _confinement(sandbox, unsafe_local))
        await workspace._call("check", root=workspace._place)
        return workspace

    @classmethod
    async def from_repo(
        cls, source: Path, branch: str, root: Path, *, base: str | None = None, sandbox: Sandbox | None = None, unsafe_local: bool = False
    ) -> Self:
        """A workspace at `root` with a clone of the repository at `source`, on a new branch `branch` made from `base` (default: its HEAD).

        Uncommitted changes of the source are not part of it. `deliver` brings the branch back.
        """
        workspace = cls(root.absolute(), await _confinement(sandbox, unsafe_local))
        top = await workspace._call("top", source=str(source.absolute()))
        await workspace._call("clone", source=top, root=workspace._place, branch=branch, base=base)
        return workspace

    @staticmethod
    async def sweep(parent: Path) -> list[Path]:
        """Remove fresh copies that a crash left in `parent`, and return them. Only for when no workspace there is in use."""
        stale = [path for path in await asyncio.to_thread(lambda: sorted(parent.glob(f"*{FRESH}*"))) if not path.name.endswith(BELONGINGS)]
        for path in stale:
            await _remove(path)
        return stale

    @property
    def root(self) -> Path:
        """The tree, which is the repository."""
        return self._root

    @property
    def sandboxed(self) -> bool:
        """Whether commands are confined."""
        return self._sandbox is not None

    @property
    def _place(self) -> str:
        return str(self._root)

    @property
    def _scratch(self) -> Path:
        return Path(f"{self._root}.scratch")

    def describe(self) -> str:
        """Where the tree is and how its commands are confined."""
        if self._sandbox is None:
            return f"{self._root}: UNSAFE, commands run without a sandbox, with this user's files and network"
        user = ", as a user of its own" if self._sandbox.leave_root else ""
        return f"{self._root}: commands run in a bubblewrap sandbox, without network{user}"

    async def _call(self, op: str, **args: object) -> object:
        return await helper.call(op, args)

    async def run(self, command: Command, limits: RunLimits | None = None, on_output: OnOutput | None = None) -> RunResult:
        """See `Workspace.run`. Commands of one workspace run one after the other."""
        bounds = limits or RunLimits()
        async with self._one_at_a_time:
            await self._call("check", root=self._place)
            job = await asyncio.to_thread(self._job, command, bounds, on_output is not None)
            try:
                return talk.result_of(await helper.ask_process("run", job, on_output), shown_command(command), bounds)
            finally:
                if self._leaves_root:
                    give_top(self._root, os.getuid())

    async def commit(self, message: str, role: str = "") -> str:
        """See `Workspace.commit`. Run by root, it also takes the files back from the user commands run as."""
        async with self._one_at_a_time:
            if self._leaves_root:
                await asyncio.to_thread(give_tree, self._root, os.getuid())
            return await super().commit(message, role)

    @property
    def _leaves_root(self) -> bool:
        return self._sandbox is not None and self._sandbox.leave_root

    def _job(self, command: Command, limits: RunLimits, stream: bool) -> dict[str, object]:
        if self._sandbox is not None:
            words = words_of(command, self._sandbox.shell)
            return confined_job(self._sandbox, self._root, self._scratch, words, limits, stream=stream)
        prepare_scratch(self._root, self._scratch, leave_root=False)
        env = {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(self._scratch / "home"), "TMPDIR": str(self._scratch / "tmp")}
        job = Job(
            argv=words_of(command, "/bin/bash" if Path("/bin/bash").exists() else "/bin/sh"),
            cwd=self._place,
            env={**env, **plain_environment(), **dict(limits.environment)},
            watched=[self._place, str(self._scratch)],
            time_s=limits.time_s,
            memory_bytes=limits.memory_bytes,
            processes=limits.processes,
            output_bytes=limits.output_bytes,
            disk_bytes=limits.disk_bytes,
            stream=stream,
        )
        return dict(vars(job))

    async def toolchain(self) -> Toolchain:
        """See `Workspace.toolchain`."""
        return tools_in(await self.run(TOOL_SCRIPT))

    async def fresh_copy(self) -> "LocalWorkspace":
        """A clone of HEAD beside this workspace, with a home and a scratch of its own."""
        root = self._root.with_name(f"{self._root.name}{FRESH}{secrets.token_hex(4)}")
        await self._call("clone", source=f"{self._place}/.git", root=str(root))
        return LocalWorkspace(root, self._sandbox)

    async def deliver(self, source: Path, branch: str) -> Delivery:
        """See `Workspace.deliver`. Doing it again does nothing more."""
        top = str(await self._call("top", source=str(source.absolute())))
        done = cast("dict[str, str]", await self._call("deliver", root=self._place, source=top, branch=branch))
        return Delivery(top, done["branch"], done["sha"])

    async def destroy(self) -> None:
        """Remove the tree, its home and its lock."""
        await _remove(self._root)


async def _confinement(sandbox: Sandbox | None, unsafe_local: bool) -> Sandbox | None:
    if unsafe_local:
        return None
    return sandbox or (await probe()).require()


async def _remove(root: Path) -> None:
    for path in (str(root), *(f"{root}{suffix}" for suffix in BELONGINGS)):
        try:
            await asyncio.to_thread(repository.remove, path)
        except faults.Fault as fault:
            raise error_of(fault.code, fault.message) from fault
