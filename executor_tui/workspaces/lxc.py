"""A workspace in a container of its own: `ssh` for the work, and somebody who makes and removes containers for the rest.

Who that is (an agent on top of the Proxmox driver) lives on a higher floor and hands in a `Containers`.
"""

import secrets
from contextlib import suppress
from typing import Protocol

from executor_tui.workspaces.errors import UnreachableError
from executor_tui.workspaces.link import SshLink, SshTarget
from executor_tui.workspaces.ssh import FreshPlace, SshWorkspace

WORK_DIRECTORY = "/srv/project"


class Containers(Protocol):
    """Makes and removes the containers of one project. Both may be asked for again after a crash and then find what is there."""

    async def clone_for_run(self, purpose: str) -> SshTarget:
        """A running container cloned from the project container's snapshot, reachable with its own pinned host key."""
        ...

    async def remove(self, target: SshTarget) -> None:
        """Destroy a container that `clone_for_run` made."""
        ...


class ClonedContainers:
    """Fresh copies in containers cloned from a snapshot: nothing a run leaves behind can reach the next one."""

    def __init__(self, containers: Containers, directory: str = WORK_DIRECTORY) -> None:
        self._containers = containers
        self._directory = directory

    async def acquire(self) -> FreshPlace:
        """A new container, and a directory in it that its snapshot does not have."""
        target = await self._containers.clone_for_run("qa")
        return FreshPlace(target, f"{self._directory}.fresh-{secrets.token_hex(4)}")

    async def release(self, place: FreshPlace) -> None:
        """Remove the container."""
        await self._containers.remove(place.target)


class LxcWorkspace(SshWorkspace):
    """A project's container. `destroy` and `leave` clear the tree; the container itself is its maker's to keep or remove."""

    def describe(self) -> str:
        """Where the tree is and what bounds its commands."""
        return f"container {self.target}:{self.directory}: commands run there over SSH; the container is their boundary"


async def what_is_missing(target: SshTarget) -> list[str]:
    """What a container still needs before a workspace can live in it: `python3`, `git`, or nothing.

    Raises `UnreachableError` when the container cannot be reached at all.
    """
    link = SshLink(target)
    try:
        facts = await link.ask("facts", {})
    except UnreachableError as error:
        if error.message.endswith("has no python3"):
            return ["python3", "git"]
        raise
    finally:
        with suppress(UnreachableError):
            await link.close()
    return [] if isinstance(facts, dict) and facts.get("git") else ["git"]
