"""A project's container: made by a change, reached over SSH with a key it proved to be its own, copied for each test run.

Nothing is assumed of an earlier life of this process: the cluster is looked at first, and only what is missing is asked for.
"""

import secrets
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from executor_tui.agents.containers.making import OWN_KEY
from executor_tui.agents.containers.planning import belongs, own_tags
from executor_tui.agents.containers.resolving import proof_ref
from executor_tui.agents.containers.state import Seen, marker
from executor_tui.agents.credentials import open_secret
from executor_tui.agents.devices import PROXMOX, entry_of_kind, open_device
from executor_tui.agents.proxmox import ProxmoxDevice
from executor_tui.config.general import ContainerSettings
from executor_tui.config.load import Config
from executor_tui.config.places import Places
from executor_tui.core.containers.asking import ChangeFailedError, ask, carried_out, change_id
from executor_tui.core.containers.record import Record, read_record, write_record
from executor_tui.core.pipeline.parts import ProjectFailedError, WaitError
from executor_tui.domain.change import Change, ChangeStatus
from executor_tui.domain.errors import ExecutorError
from executor_tui.domain.event import Event, Level
from executor_tui.domain.project import Project
from executor_tui.infra.proxmox.errors import ProxmoxError
from executor_tui.infra.proxmox.model import Container, Power
from executor_tui.store.store import Store
from executor_tui.workspaces.errors import UnreachableError, WorkspaceError
from executor_tui.workspaces.link import SshTarget
from executor_tui.workspaces.lxc import equip, first_contact, what_is_missing

BASE = "executor-base"
"""The snapshot that test runs are copied from: the container as it was made, with python3 and git, before anything of the project."""
ATTEMPTS = 3
"""How many changes may fail to make the container before the project is told that it cannot be had."""
RETRY_S, LONGEST_S = 15.0, 900.0
BOOT_S, LOOK_S = 120.0, 1.0
"""How long a container may take from its start to its SSH server, and how often it is looked for."""

_FAILED = (ChangeStatus.FAILED, ChangeStatus.ROLLED_BACK)


class Room:
    """One project's container; also the `Containers` of its workspace."""

    def __init__(self, project: Project, store: Store, places: Places, config: Callable[[], Config]) -> None:
        self.project, self._store, self._places, self._config = project, store, places, config
        self._copies: dict[SshTarget, int] = {}

    @property
    def _settings(self) -> ContainerSettings:
        return self._config().executor.containers

    async def device(self, record: Record) -> ProxmoxDevice:
        """The cluster it is on. Raises ConfigError."""
        entry = entry_of_kind(self._config(), PROXMOX, record.device or self._settings.device)
        device = await open_device(entry.id, self._store, self._config(), self._places)
        assert isinstance(device, ProxmoxDevice)
        return device

    # -- the project's own -----------------------------------------------------------------------------------------------------------

    async def ready(self) -> SshTarget:
        """The container, running, proven, equipped and with its base snapshot. Raises WaitError, ProjectFailedError, WorkspaceError."""
        record = await read_record(self._store, self.project.id)
        try:
            device = await self.device(record)
            await self._quorate(device)
            record, container = await self._standing(device, record)
            container = await self._running(device, record, container)
            target = await self._met(device, record, container)
            if not record.ready:
                await self._equipped(device, record, container, target)
            return target
        except (ProxmoxError, ChangeFailedError) as exc:
            raise await self._later(exc) from exc

    async def _later(self, exc: ExecutorError) -> WaitError:
        """Put the project aside for a while, longer the more changes of its own have failed: each of those is an alert."""
        failed = await self._failed("")
        wait_s = min(RETRY_S * 2.0 ** max(0, failed - 1), LONGEST_S)
        return WaitError("machine", exc.message, wake_at=self._store.clock.now() + timedelta(seconds=wait_s))

    async def _failed(self, called: str) -> int:
        """How many changes of this project, called like this, have failed."""
        begins = change_id(self.project, called)
        return sum(c.id.startswith(begins) and c.status in _FAILED for c in await self._store.changes.list())

    async def _quorate(self, device: ProxmoxDevice) -> None:
        if not (await device.driver.status()).quorate:
            raise WaitError("machine", f"{device.id} has no quorum: it can be read, not changed")

    async def _standing(self, device: ProxmoxDevice, record: Record) -> tuple[Record, Container]:
        """The container there is, or the one that is made now. One that is gone is made anew: the mirror holds every commit."""
        made = record if record.vmid else await self._made(device, record)
        found = await self._found(device, made)
        if found is None:
            gone = f"container {made.vmid} of project {self.project.id} is gone; another one is made"
            await self._store.events.add(Event("container.gone", gone, Level.WARNING, device.id, self.project.id))
            made = await self._made(device, Record(attempt=made.attempt + 1, device=device.id))
            found = await device.driver.container(made.vmid)
        return made, found

    async def _found(self, device: ProxmoxDevice, record: Record) -> Container | None:
        """The container of the record, if it is there and is still that one."""
        seen = next((s for s in await self.own(device) if s.info.vmid == record.vmid), None)
        return seen.info if seen is not None and marker(record.made_by) in seen.config.description else None

    async def own(self, device: ProxmoxDevice) -> list[Seen]:
        """Every container of this project there is, by its tags and by what its description says."""
        tags = set(own_tags(self.project.id, ""))
        found = [c for c in await device.driver.containers() if tags <= set(c.tags)]
        seen = [Seen(c, await device.driver.config(c.node, c.vmid)) for c in found]
        return [s for s in seen if belongs(s, self.project.id)]

    async def _made(self, device: ProxmoxDevice, record: Record) -> Record:
        """Have it made, or find that it was; the record says where it is."""
        await self._keep(record)
        operation: dict[str, object] = {
            "op": "lxc.create", "project": self.project.id, "run": self.project.id, "hostname": self._hostname("")
        }  # fmt: skip
        change = await self._attempt(device, record, operation)
        made = Record(record.attempt, change.id, device.id, _vmid(change))
        await self._keep(made)
        return made

    async def _attempt(self, device: ProxmoxDevice, record: Record, operation: dict[str, object]) -> Change:
        """The change that makes it. One that failed is asked for anew under another name, a few times."""
        change = await ask(
            self._store, device, self.project, f"make-{record.attempt}", (operation,), f"project {self.project.id} runs in a container"
        )
        try:
            return await carried_out(self._store, change)
        except ChangeFailedError as exc:
            if record.attempt >= ATTEMPTS:
                hint = "mend that, then go on with: executor project fork " + self.project.id + " --from 0"
                raise ProjectFailedError(f"no container could be made: {exc.message}", hint=hint) from exc
            await self._keep(replace(record, attempt=record.attempt + 1))
            raise

    async def _running(self, device: ProxmoxDevice, record: Record, container: Container) -> Container:
        if container.power is Power.RUNNING:
            return container
        await self._do(device, record, f"start-{_tail()}", "lxc.start", "its container does not run", container=container.vmid)
        return await device.driver.container(container.vmid)

    async def _met(self, device: ProxmoxDevice, record: Record, container: Container) -> SshTarget:
        """Where it is reached. Its host key is the pinned one, or is pinned now that it has proved to be its own."""
        key = await open_secret(self._store, self._config().executor.vault, self._places, OWN_KEY)
        if record.host_key:
            host = await self._address(device, container)
            return SshTarget(host, record.host_key, key, port=self._settings.ssh_port)
        target = await self._first_contact(device, record, container, key)
        await self._keep(replace(record, host_key=target.host_key))
        return target

    async def _first_contact(self, device: ProxmoxDevice, record: Record, container: Container, key: str) -> SshTarget:
        """Wait for the SSH server of a container that has just been started, then let it prove itself. Raises UnreachableError."""
        proof = await open_secret(self._store, self._config().executor.vault, self._places, proof_ref(record.made_by))
        clock, began_s = self._store.clock, self._store.clock.monotonic_s()
        while True:
            try:
                host = await self._address(device, container)
                return await first_contact(host, key, proof, port=self._settings.ssh_port)
            except UnreachableError as exc:
                if exc.hint or clock.monotonic_s() - began_s > BOOT_S:  # with a hint: it answered, and waiting mends nothing
                    raise
            await clock.sleep(LOOK_S)

    async def _address(self, device: ProxmoxDevice, container: Container) -> str:
        static = (await device.driver.config(container.node, container.vmid)).address
        found = (static,) if static else await device.driver.addresses(container.node, container.vmid)
        if not found:
            raise UnreachableError(f"container {container.vmid} has no address yet")
        return found[0]

    async def _equipped(self, device: ProxmoxDevice, record: Record, container: Container, target: SshTarget) -> None:
        try:
            if await what_is_missing(target):
                text = f"container {container.vmid} lacks python3 or git; installing them"
                await self._store.events.add(Event("container.equipping", text, agent_id=device.id, project_id=self.project.id))
                await equip(target)
        except UnreachableError:
            raise
        except WorkspaceError as exc:
            raise ProjectFailedError(exc.message, hint=exc.hint) from exc
        about = "the state its test runs start from"
        try:
            await self._do(device, record, f"base-{_tail()}", "lxc.snapshot", about, container=container.vmid, name=BASE)
        except ChangeFailedError as exc:
            if await self._failed("base-") < ATTEMPTS:
                raise
            hint = "choose a storage that takes snapshots (containers.storage): LVM-thin, ZFS, Ceph or Btrfs"
            raise ProjectFailedError(f"its test runs need a snapshot, and none can be taken: {exc.message}", hint=hint) from exc
        await self._keep(replace(await read_record(self._store, self.project.id), ready=True))

    # -- copies for test runs --------------------------------------------------------------------------------------------------------

    async def clone_for_run(self, purpose: str) -> SshTarget:
        """See `workspaces.lxc.Containers`. What an earlier run left behind goes first."""
        record = await read_record(self._store, self.project.id)
        try:
            device = await self.device(record)
            await self._sweep(device, record)
            operation = {"snapshot": BASE, "start": True, "hostname": self._hostname(f"-{purpose}"), "project": self.project.id}
            change = await self._do(
                device, record, f"{purpose}-{_tail()}", "lxc.clone", "a clean copy for a test run", container=record.vmid, **operation
            )
            container = await device.driver.container(_vmid(change))
            key = await open_secret(self._store, self._config().executor.vault, self._places, OWN_KEY)
            target = await self._first_contact(device, record, container, key)
        except (ProxmoxError, ChangeFailedError) as exc:
            raise await self._later(exc) from exc
        self._copies[target] = container.vmid
        return target

    async def remove(self, target: SshTarget) -> None:
        """See `workspaces.lxc.Containers`. A copy that cannot be removed now goes before the next run, or with the project."""
        vmid = self._copies.pop(target, 0)
        if not vmid:
            return
        record = await read_record(self._store, self.project.id)
        try:
            await self._drop(await self.device(record), record, vmid)
        except (ProxmoxError, ChangeFailedError, WaitError, ProjectFailedError) as exc:
            text = f"the copy {vmid} of project {self.project.id} is not removed yet: {exc}"
            await self._store.events.add(Event("container.left", text, Level.WARNING, record.device, self.project.id))

    async def _sweep(self, device: ProxmoxDevice, record: Record) -> None:
        for seen in await self.own(device):
            if seen.info.vmid != record.vmid and seen.info.vmid not in self._copies.values():
                await self._drop(device, record, seen.info.vmid)

    async def _drop(self, device: ProxmoxDevice, record: Record, vmid: int) -> None:
        await self._do(device, record, f"drop-{_tail()}", "lxc.delete", "its test run is over", container=vmid)

    async def _do(self, device: ProxmoxDevice, record: Record, called: str, op: str, why: str, **fields: object) -> Change:
        """A change under the consent that the making of the container has."""
        operation = {"op": op, "run": self.project.id, **fields}
        change = await ask(self._store, device, self.project, called, (operation,), why, record.made_by)
        return await carried_out(self._store, change)

    async def _keep(self, record: Record) -> None:
        await write_record(self._store, self.project.id, record)

    def _hostname(self, suffix: str) -> str:
        """A name DNS takes, of at most 63 characters."""
        clean = "".join(c if c.isascii() and c.isalnum() else "-" for c in self.project.id.lower()).strip("-")
        return f"{clean[: 60 - len(suffix)].strip('-') or 'project'}{suffix}"


def _vmid(change: Change) -> int:
    """The container that a creation or a copy made."""
    return int(str(change.operations[0]["vmid"]))


def _tail() -> str:
    return secrets.token_hex(3)
