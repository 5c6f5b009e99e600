"""A workspace in a container of its own: `ssh` for the work, and somebody who makes and removes containers for the rest.

Who that is (an agent on top of the Proxmox driver) lives on a higher floor and hands in a `Containers`.

A container's host key is pinned at first contact, and believed only with proof. When the container was made, a secret went into root's
authorized_keys over the hypervisor's API, whose certificate is pinned; nobody on the network between has seen it. At first contact the
machine that answers must hash that secret with a number of ours and with the very host key it shows. A stranger in between has not got the
secret, and cannot have it computed by the container either: our login to him is no login there.
"""

import asyncio
import hashlib
import hmac
import secrets
import shlex
from contextlib import suppress
from typing import Protocol

import asyncssh

from executor_tui.workspaces.errors import UnreachableError, WorkspaceError
from executor_tui.workspaces.inside.faults import shown
from executor_tui.workspaces.link import SshLink, SshTarget, connect, host_key_of
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


# -- first contact -----------------------------------------------------------------------------------------------------------------------

PROOF_S, EQUIP_S = 30.0, 900.0
_PROVE = r"""p=$(sed -n 's/.*executor-proof-\([0-9a-f]*\).*/\1/p' "$HOME/.ssh/authorized_keys" | head -n 1)
printf '%s\n%s\n%s' "$p" "$1" "$p" | sha256sum"""
_EQUIP = """
if command -v apt-get; then
  export DEBIAN_FRONTEND=noninteractive
  apt-get -q update && apt-get -qy install --no-install-recommends python3 git
elif command -v apk; then apk add --no-cache python3 git
elif command -v dnf; then dnf -y install python3 git
elif command -v pacman; then pacman -Sy --noconfirm python git
else echo 'no package manager that is known here' >&2; exit 1; fi
"""


async def first_contact(host: str, private_key: str, proof: str, *, port: int = 22, username: str = "root") -> SshTarget:
    """The container at `host` with its host key, to be pinned from now on; raises `UnreachableError` unless it proves who it is."""
    target = SshTarget(host, await host_key_of(host, port), private_key, username, port)
    challenge = f"{secrets.token_hex(16)} {target.host_key}"
    said = await _told(target, f"sh -c {shlex.quote(_PROVE)} sh {shlex.quote(challenge)}", PROOF_S)
    wanted = hashlib.sha256(f"{proof}\n{challenge}\n{proof}".encode()).hexdigest()
    if not proof or not hmac.compare_digest(said.split(" ", 1)[0].strip(), wanted):
        hint = "somebody may stand in between, or the address belongs to another machine; its key was not pinned"
        raise UnreachableError(f"{target} did not prove to be the container that was made; refused", hint=hint)
    return target


async def equip(target: SshTarget) -> None:
    """Install what `what_is_missing` found missing; raises `WorkspaceError` when that is not possible."""
    try:
        await _told(target, f"sh -c {shlex.quote(_EQUIP)}", EQUIP_S)
    except UnreachableError:
        raise
    except WorkspaceError as error:
        hint = "use a template that has them (containers.template in executor.json), or give containers a way to their package mirror"
        raise WorkspaceError(f"{target} lacks python3 or git, and installing them failed: {error.message}", hint=hint) from error


async def _told(target: SshTarget, command: str, seconds: float) -> str:
    """What a command prints; raises `WorkspaceError` with its last line when it fails."""
    connection = await connect(target)
    try:
        async with asyncio.timeout(seconds):
            done = await connection.run(command, stdin=asyncssh.DEVNULL, encoding="utf-8", errors="replace")
    except (asyncssh.Error, OSError) as error:
        raise UnreachableError(f"the connection to {target} was lost: {shown(str(error))}") from error
    except TimeoutError as error:
        raise UnreachableError(f"{target} gave no answer within {seconds:.0f} s") from error
    finally:
        connection.close()
    if done.exit_status != 0:
        lines = str(done.stderr or done.stdout or "").strip().splitlines()
        raise WorkspaceError(shown(lines[-1]) if lines else f"exit code {done.exit_status}")
    return str(done.stdout)
