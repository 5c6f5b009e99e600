"""Carrying out a plan about containers, call by call, and taking it back.

A request whose answer was lost may have been carried out: then the cluster is looked at before anything is sent again.
"""

import secrets
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat, load_ssh_private_key

from executor_tui.agents.containers import planning as do
from executor_tui.agents.containers.state import marker
from executor_tui.agents.device import Call, Hands, Json, RollbackError, vault_ref
from executor_tui.domain.clock import Clock
from executor_tui.infra.proxmox.driver import Proxmox
from executor_tui.infra.proxmox.errors import DroppedError, MissingError, ProxmoxError, ShutdownTimeoutError, WrongStateError
from executor_tui.infra.proxmox.model import Container, NewContainer, Power, TaskResult

OWN_KEY = "ssh-executor"
"""Where the vault keeps the private half of the key that goes into every container."""
CLOCK_SLACK = timedelta(seconds=60)
"""How far a node's clock may be behind ours when its tasks are asked whether something was done."""
_TASK_KINDS = {do.REBOOT: "vzreboot", do.ROLLBACK: "vzrollback", do.BACKUP: "vzdump"}

Remaining = Callable[[Sequence[Json], str], Awaitable[frozenset[str]]]
"""Given operations and the change's id: the ids of the calls that are still missing."""


def new_ssh_key() -> str:
    """A fresh Ed25519 key in OpenSSH form."""
    key = Ed25519PrivateKey.generate()
    return key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode("ascii")


def new_proof() -> str:
    """A fresh secret of 256 bits, in hex."""
    return secrets.token_hex(32)


def proof_line(public_key: str, secret: str) -> str:
    """Our line of authorized_keys with the secret in its comment."""
    kind, key, *_ = public_key.split(" ")
    return f"{kind} {key} executor-proof-{secret}"


def public_ssh_key(private_key: str) -> str:
    """The line for authorized_keys."""
    key = load_ssh_private_key(private_key.encode(), None)
    return key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode("ascii") + " executor"


class Maker:
    """The guard of a plan about containers: Proxmox has no transactions, so what was done is taken back call by call."""

    def __init__(self, driver: Proxmox, hands: Hands, clock: Clock, operations: Sequence[Json], remaining: Remaining) -> None:
        self._driver, self._hands, self._clock, self._operations, self._remaining = driver, hands, clock, operations, remaining
        self.warnings = 0

    async def call(self, call: Call) -> None:
        """Make one call. Raises a ProxmoxError."""
        before = self._clock.now()
        try:
            result = await self._make(call)
        except DroppedError as exc:
            self._hands.say(f"{exc.message}; looking at what became of it")
            await self._settle(call)
            if await self._was_made(call, before):
                return
            result = await self._make(call)
        if result is not None and result.warnings:
            self.warnings += result.warnings
            self._hands.say(f"{call.about}: done with {result.warnings} warnings; see the task's log on the node")

    async def commit(self) -> None:
        """Nothing is pending on a Proxmox: what was called is in force."""

    async def roll_back(self, done: Sequence[Call]) -> None:
        """Undo the calls that were begun, last first. Raises RollbackError naming what could not be taken back."""
        left: list[str] = []
        for call in reversed(done):
            try:
                await self._settle(call)
                await self._take_back(call)
            except (ProxmoxError, RollbackError) as exc:
                left.append(f"{call.about}: {exc.message}")
        if left:
            raise RollbackError("not everything could be taken back: " + "; ".join(left), hint="look at: executor lxc list")

    async def _was_made(self, call: Call, since: datetime) -> bool:
        if call.shows:
            return call.id not in await self._remaining(self._operations, self._hands.change_id)
        return await ended_well(self._driver, call, since)

    async def _settle(self, call: Call) -> None:
        """Wait for tasks about the call's container that still run."""
        for task in await self._driver.running_tasks(_node(call), _vmid(call)):
            try:
                await self._driver.follow(task.upid, f"{task.kind} of container {_vmid(call)}", self._hands.say)
            except ProxmoxError as exc:
                self._hands.say(exc.message)

    async def _make(self, call: Call) -> TaskResult | None:
        node, vmid, given, say = _node(call), _vmid(call), call.arguments, self._hands.say
        match call.what:
            case do.CREATE:
                return await self._driver.create(new_container(await self._with_proof(given)), say)
            case do.CLONE:
                source, snapshot, note = int(str(given["source"])), str(given["snapshot"]), str(given["description"])
                return await self._driver.clone(node, source, vmid, str(given["hostname"]), snapshot, note, say)
            case do.START:
                return await self._driver.start(node, vmid, say)
            case do.STOP:
                return await self._driver.stop(node, vmid, say)
            case do.SHUTDOWN:
                return await self._shutdown(node, vmid, given)
            case do.REBOOT:
                return await self._driver.reboot(node, vmid, say)
            case do.DELETE:
                return await self._driver.delete(node, vmid, say)
            case do.SNAPSHOT:
                return await self._driver.snapshot(node, vmid, str(given["name"]), str(given["description"]), say)
            case do.ROLLBACK:
                return await self._driver.rollback(node, vmid, str(given["name"]), say)
            case do.DELETE_SNAPSHOT:
                return await self._driver.delete_snapshot(node, vmid, str(given["name"]), say)
            case do.GROW:
                return await self._driver.grow_disk(node, vmid, float(str(given["disk_gb"])), say)
            case do.BACKUP:
                return await self._driver.backup(node, vmid, str(given["storage"]), say)
            case do.CONFIGURE:
                await self._driver.configure(node, vmid, _options(given["options"]))
                return None
        raise RollbackError(f"unknown call {call.what!r}")

    async def _with_proof(self, given: Json) -> Json:
        """A project's container gets a secret beside our key, where only its root can read it; see `workspaces.lxc`."""
        ref, keys = vault_ref(given.get("proof")), given.get("public_keys")
        if not ref or not isinstance(keys, list | tuple) or not keys:
            return given
        secret = await self._hands.secret_or_new(ref, new_proof)
        return {**given, "public_keys": [proof_line(str(keys[0]), secret), *keys[1:]]}

    async def _shutdown(self, node: str, vmid: int, given: Json) -> TaskResult:
        try:
            return await self._driver.shutdown(node, vmid, float(str(given["timeout_s"])), self._hands.say)
        except ShutdownTimeoutError:
            if not given.get("force"):
                raise
            self._hands.say(f"container {vmid} did not end by itself; stopping it, as was asked for")
            return await self._driver.stop(node, vmid, self._hands.say)

    async def _take_back(self, call: Call) -> None:
        node, vmid, given = _node(call), _vmid(call), call.arguments
        there = await self._there(vmid)
        match call.what:
            case do.CREATE | do.CLONE:
                await self._remove_own(there)
            case do.START if there is not None and there.power is Power.RUNNING:
                await self._driver.stop(node, vmid, self._hands.say)
            case do.STOP | do.SHUTDOWN if there is not None and there.power is Power.STOPPED:
                await self._driver.start(node, vmid, self._hands.say)
            case do.SNAPSHOT if any(s.name == given["name"] for s in await self._driver.snapshots(node, vmid)):
                await self._driver.delete_snapshot(node, vmid, str(given["name"]), self._hands.say)
            case do.CONFIGURE if there is not None:
                await self._set_back(node, vmid, given.get("was"))
            case do.GROW:
                config = await self._driver.config(node, vmid)
                if config.disk_gb >= float(str(given["disk_gb"])):
                    raise RollbackError("a disk never shrinks, so it stays as large as it is now")
            case do.DELETE if there is None:
                raise RollbackError("it is deleted")
            case do.DELETE_SNAPSHOT if all(s.name != given["name"] for s in await self._driver.snapshots(node, vmid)):
                raise RollbackError("the snapshot is deleted")
            case do.ROLLBACK:
                await self._go_forward_again(node, vmid)

    async def _there(self, vmid: int) -> Container | None:
        try:
            return await self._driver.container(vmid)
        except MissingError:
            return None

    async def _remove_own(self, there: Container | None) -> None:
        if there is None:
            return
        config = await self._driver.config(there.node, there.vmid)
        if marker(self._hands.change_id) not in config.description:
            raise RollbackError("the container there now is not the one this change made")
        if there.power is Power.RUNNING:
            try:
                await self._driver.stop(there.node, there.vmid, self._hands.say)
            except WrongStateError:
                self._hands.say(f"container {there.vmid} has stopped meanwhile")
        await self._driver.delete(there.node, there.vmid, self._hands.say)

    async def _set_back(self, node: str, vmid: int, was: object) -> None:
        options = _options(was)
        given = {name: value for name, value in options.items() if value is not None}
        if given:
            await self._driver.configure(node, vmid, given)
        unset = [name for name, value in options.items() if value is None]
        if unset:
            await self._driver.unset(node, vmid, *unset)

    async def _go_forward_again(self, node: str, vmid: int) -> None:
        keep = do.way_back(self._hands.change_id)
        if all(s.name != keep for s in await self._driver.snapshots(node, vmid)):
            raise RollbackError("no way back was kept, since its storage allows none")
        await self._driver.rollback(node, vmid, keep, self._hands.say)


def new_container(given: Json) -> NewContainer:
    """The arguments of a create call as the driver takes them."""

    def texts(name: str) -> tuple[str, ...]:
        value = given[name]
        return tuple(str(v) for v in value) if isinstance(value, list | tuple) else ()

    def number(name: str) -> int:
        return int(str(given[name]))

    return NewContainer(
        node=str(given["node"]), vmid=number("vmid"), template=str(given["template"]), storage=str(given["storage"]),
        hostname=str(given["hostname"]), cores=number("cores"), memory_mb=number("memory_mb"), swap_mb=number("swap_mb"),
        disk_gb=number("disk_gb"), bridge=str(given["bridge"]), address=str(given["address"]), gateway=str(given["gateway"]),
        nesting=bool(given["nesting"]), public_keys=texts("public_keys"), tags=texts("tags"), description=str(given["description"]),
    )  # fmt: skip


async def ended_well(driver: Proxmox, call: Call, since: datetime) -> bool:
    """Whether a call that does not show in the state was carried out after `since`: its task tells."""
    kind = _TASK_KINDS.get(call.what)
    return kind is not None and await driver.ended_well(_node(call), _vmid(call), kind, since - CLOCK_SLACK)


def _node(call: Call) -> str:
    return str(call.arguments["node"])


def _vmid(call: Call) -> int:
    return int(str(call.arguments["vmid"]))


def _options(value: object) -> dict[str, object]:
    return {str(k): v for k, v in value.items()} if isinstance(value, dict) else {}
