"""A workspace on another machine: files and commands over SSH, commits in both directions as git bundles.

The tree lives there; a mirror with every acknowledged commit lives here. History is read from the mirror, and a commit counts once the
mirror has it, so a machine that is lost, rolled back or damaged by what ran on it is rebuilt from the mirror without losing a step. That
machine is the boundary of what its commands can reach.
"""

import asyncio
import secrets
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self, TypedDict, cast

from executor_tui.workspaces import helper, talk
from executor_tui.workspaces.base import Command, Commit, Delivery, OnOutput, RunLimits, RunResult, Toolchain
from executor_tui.workspaces.errors import GitError, RepositoryDamagedError, UnreachableError, WorkspaceError, error_of
from executor_tui.workspaces.inside import exchange, faults, repository
from executor_tui.workspaces.inside.job import Job
from executor_tui.workspaces.link import SshLink, SshTarget
from executor_tui.workspaces.sandbox import plain_environment
from executor_tui.workspaces.tree import TOOL_SCRIPT, Tree, commits_of, shown_command, tools_in, words_of

ANSWER_SLACK_S = 45.0
MAX_BUNDLE_BYTES = 1024 * 1024 * 1024


class Facts(TypedDict):
    """What the other machine offers (`inside.serve.facts`)."""

    python: str
    git: str
    uid: int
    home: str
    path: str
    shell: str
    own_pids: bool


@dataclass(frozen=True, slots=True)
class FreshPlace:
    """Where a fresh copy goes: a machine, and a directory on it that does not exist yet."""

    target: SshTarget
    directory: str


class FreshPlaces(Protocol):
    """Finds places for fresh copies, such as a container cloned from a snapshot."""

    async def acquire(self) -> FreshPlace:
        """A place of its own; raises `WorkspaceError`."""
        ...

    async def release(self, place: FreshPlace) -> None:
        """The copy is destroyed; the place may go."""
        ...


class BesideOriginal:
    """The default: another directory on the same machine."""

    def __init__(self, target: SshTarget, directory: str) -> None:
        self._target = target
        self._directory = directory

    async def acquire(self) -> FreshPlace:
        """A new name next to the workspace."""
        return FreshPlace(self._target, f"{self._directory}.fresh-{secrets.token_hex(4)}")

    async def release(self, place: FreshPlace) -> None:
        """Nothing to give back."""


class SshWorkspace(Tree):
    """A tree at `directory` (absolute) on `target`, mirrored at `root` on this machine."""

    def __init__(self, target: SshTarget, directory: str, mirror: Path, fresh_places: FreshPlaces | None = None) -> None:
        if not directory.startswith("/") or ".." in directory.split("/"):
            raise WorkspaceError(f"{faults.shown(directory)} is no absolute directory to work in on {target}")
        self.target = target
        self.directory = directory.rstrip("/")
        self._mirror = mirror.absolute()
        self._link = SshLink(target)
        self._fresh_places = fresh_places or BesideOriginal(target, self.directory)
        self._facts: Facts | None = None
        self._release: FreshPlace | None = None
        self._lender: FreshPlaces | None = None
        self._one_at_a_time = asyncio.Lock()

    @classmethod
    async def create(cls, target: SshTarget, directory: str, mirror: Path, *, fresh_places: FreshPlaces | None = None) -> Self:
        """A workspace with an empty repository; what an earlier run left in the mirror or there is taken up."""
        workspace = cls(target, directory, mirror, fresh_places)
        await helper.call("create", {"root": str(workspace._mirror)})
        await workspace._meet()
        return workspace

    @classmethod
    async def open(cls, target: SshTarget, directory: str, mirror: Path, *, fresh_places: FreshPlaces | None = None) -> Self:
        """The workspace an earlier run left; raises `RepositoryDamagedError` when there is no mirror of it."""
        workspace = cls(target, directory, mirror, fresh_places)
        await helper.call("check", {"root": str(workspace._mirror)})
        await workspace._meet()
        return workspace

    @classmethod
    async def from_repo(
        cls,
        source: Path,
        branch: str,
        target: SshTarget,
        directory: str,
        mirror: Path,
        *,
        base: str | None = None,
        fresh_places: FreshPlaces | None = None,
    ) -> Self:
        """A workspace on a new branch of the repository at `source` on this machine; see `LocalWorkspace.from_repo`."""
        workspace = cls(target, directory, mirror, fresh_places)
        top = await helper.call("top", {"source": str(source.absolute())})
        await helper.call("clone", {"source": top, "root": str(workspace._mirror), "branch": branch, "base": base})
        await workspace._meet()
        return workspace

    @property
    def root(self) -> Path:
        """The mirror: an ordinary repository here, checked out at the last commit."""
        return self._mirror

    @property
    def sandboxed(self) -> bool:
        """Commands run on another machine, so they are away from this one's files and network."""
        return True

    @property
    def _place(self) -> str:
        return self.directory

    def describe(self) -> str:
        """Where the tree is and what bounds its commands."""
        return f"{self.target}:{self.directory}: commands run there over SSH; that machine is their boundary"

    async def _call(self, op: str, **args: object) -> object:
        ask = self._link.ask_alone if op == "search" else self._link.ask
        try:
            return await ask(op, args)
        except RepositoryDamagedError:
            await self._seed(have="", keep_tree=True)
            return await ask(op, args)

    async def _meet(self) -> None:
        """Bring both sides to one commit: theirs when it continues ours, else ours."""
        facts = await self.facts()
        if not facts["git"]:
            raise UnreachableError(f"{self.target} has no git", hint="install git there")
        theirs = await self._their_head()
        ours = await self.head()
        if theirs and theirs != ours:
            with suppress(GitError):
                await self._pull()
                return
        if theirs != ours:
            await self._seed(theirs, keep_tree=False)

    async def _their_head(self) -> str:
        try:
            return str(await self._link.ask("head", {"root": self.directory}))
        except GitError:
            return ""

    async def facts(self) -> Facts:
        """What the machine offers; asked once."""
        if self._facts is None:
            self._facts = cast("Facts", await self._link.ask("facts", {}))
        return self._facts

    async def commit(self, message: str, role: str = "") -> str:
        """See `Workspace.commit`. The commit is in the mirror when this returns."""
        await super().commit(message, role)
        try:
            return await self._pull()
        except GitError:
            await self._seed(have="", keep_tree=True)
            await super().commit(message, role)
            return await self._pull()

    async def head(self) -> str:
        """See `Workspace.head`."""
        return str(await self._here("head"))

    async def log(self, limit: int = 100) -> list[Commit]:
        """See `Workspace.log`."""
        return commits_of(await self._here("log", limit=limit))

    async def diff(self, old: str, new: str = "HEAD") -> str:
        """See `Workspace.diff`."""
        return str(await self._here("diff", old=old, new=new))

    async def reset_to(self, sha: str) -> str:
        """See `Workspace.reset_to`. Any commit the mirror ever had will do."""
        found = str(await self._here("reset_to", revision=sha))
        await self._seed(await self._their_head(), keep_tree=False)
        return found

    async def _here(self, op: str, **args: object) -> object:
        return await helper.call(op, {"root": str(self._mirror), **args})

    async def run(self, command: Command, limits: RunLimits | None = None, on_output: OnOutput | None = None) -> RunResult:
        """See `Workspace.run`. Limits are kept there, also when the connection is lost; a lost connection ends the command."""
        bounds = limits or RunLimits()
        facts = await self.facts()
        job = Job(
            argv=words_of(command, facts["shell"]),
            cwd=self.directory,
            env={"PATH": facts["path"], "HOME": facts["home"], **plain_environment(), **dict(bounds.environment)},
            watched=[self.directory],
            time_s=bounds.time_s,
            memory_bytes=bounds.memory_bytes,
            processes=bounds.processes,
            output_bytes=bounds.output_bytes,
            disk_bytes=bounds.disk_bytes,
            stream=on_output is not None,
            own_pids=facts["own_pids"],
        )
        async with self._one_at_a_time:
            reply = await self._link.ask_alone("run", vars(job), on_output=on_output, timeout_s=bounds.time_s + ANSWER_SLACK_S)
            return talk.result_of(reply, shown_command(command), bounds)

    async def toolchain(self) -> Toolchain:
        """See `Workspace.toolchain`."""
        return tools_in(await self.run(TOOL_SCRIPT))

    async def fresh_copy(self) -> "SshWorkspace":
        """A copy of HEAD as the mirror has it, in the place `fresh_places` gives."""
        place = await self._fresh_places.acquire()
        mirror = self._mirror.with_name(f"{self._mirror.name}.fresh-{secrets.token_hex(4)}")
        copy = SshWorkspace(place.target, place.directory, mirror)
        copy._release, copy._lender = place, self._fresh_places
        try:
            await helper.call("clone", {"source": f"{self._mirror}/.git", "root": str(mirror)})
            await copy._meet()
        except BaseException:
            await copy.destroy()
            raise
        return copy

    async def deliver(self, source: Path, branch: str) -> Delivery:
        """See `Workspace.deliver`."""
        top = str(await helper.call("top", {"source": str(source.absolute())}))
        done = cast("dict[str, str]", await self._here("deliver", source=top, branch=branch))
        return Delivery(top, done["branch"], done["sha"])

    async def leave(self) -> None:
        """Remove the tree there, keep the mirror here, and close the connection."""
        try:
            for path in (self.directory, f"{self.directory}.lock"):
                await self._link.ask("remove", {"path": path})
        finally:
            await self._link.close()

    async def close(self) -> None:
        """Close the connection; tree and mirror stay."""
        await self._link.close()

    async def destroy(self) -> None:
        """Remove the tree there and the mirror here."""
        try:
            await self.leave()
        finally:
            for path in (str(self._mirror), f"{self._mirror}.lock"):
                await helper.call("remove", {"path": path})
            if self._release is not None and self._lender is not None:
                await self._lender.release(self._release)

    async def _seed(self, have: str, keep_tree: bool) -> None:
        """Send what the other side lacks of the mirror's HEAD and put it there."""
        branch = str(await self._here("branch"))
        with tempfile.TemporaryDirectory() as directory:
            bundle = Path(directory) / "out.bundle"
            sha = await _in_thread(lambda: exchange.bundle(f"{self._mirror}/.git", have, str(bundle)))
            bundle.touch()
            size = bundle.stat().st_size
            args = {"root": self.directory, "sha": sha, "branch": branch, "keep_tree": keep_tree, "size": size}
            with bundle.open("rb") as data:
                await self._link.ask("seed", args, data=data)

    async def _pull(self) -> str:
        """Bring the other side's HEAD into the mirror; raises `GitError` when it does not continue the mirror's."""
        have = await self.head()
        branch = str(await self._here("branch"))
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / "in.bundle"
            with path.open("wb") as stream:
                take = _bounded(stream.write, MAX_BUNDLE_BYTES)
                sha = str(await self._link.ask("bundle", {"root": self.directory, "have": have}, on_data=take))
            return await _in_thread(lambda: _accept(str(self._mirror), str(path), have, sha, branch))


def _accept(mirror: str, bundle: str, have: str, sha: str, branch: str) -> str:
    if sha == have:
        return sha
    if Path(bundle).stat().st_size:
        exchange.unbundle(f"{mirror}/.git", bundle, sha)
    if not repository.descends(mirror, have, sha):
        raise faults.Fault(faults.GIT, f"the history there no longer holds {have[:12]}; it is not taken over")
    return repository.seed(mirror, "", sha, branch)


def _bounded(write: Callable[[bytes], int], limit: int) -> talk.OnData:
    left = limit

    def take(data: bytes) -> None:
        nonlocal left
        left -= len(data)
        if left < 0:
            raise WorkspaceError(f"the commits to fetch are more than {limit} bytes; nothing was taken over")
        write(data)

    return take


async def _in_thread(work: Callable[[], str]) -> str:
    try:
        return await asyncio.to_thread(work)
    except faults.Fault as fault:
        raise error_of(fault.code, fault.message) from fault
