"""The typed operations on containers. Their JSON schema is also the schema of the tool a model proposes them with.

Fields that a caller may leave open have an empty default; `resolve` fills them in once, and planning sees only complete operations.
"""

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal, get_args

from pydantic import Field, TypeAdapter

from executor_tui.agents import typed
from executor_tui.agents.device import Json
from executor_tui.agents.typed import Operation as Operation
from executor_tui.agents.typed import dump as dump

_NAME = r"^[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?$"
_SNAPSHOT = r"^[a-zA-Z][a-zA-Z0-9_-]{1,38}$"
_CIDR = r"^$|^dhcp$|^\d{1,3}(\.\d{1,3}){3}/\d{1,2}$"
_ADDRESS = r"^$|^\d{1,3}(\.\d{1,3}){3}$"


class OnContainer(Operation):
    """An operation on a container that exists."""

    INTERNAL: ClassVar[frozenset[str]] = frozenset({"node", "run"})
    container: int | str = Field(union_mode="left_to_right")
    """Its id, or its name when no other has it."""
    node: str = ""
    """Filled in by Executor."""
    run: str = ""
    """Filled in by Executor: the project whose own container this is. Refused for any other container."""


class Create(Operation):
    """Create an unprivileged container, and start it."""

    INTERNAL: ClassVar[frozenset[str]] = frozenset({"made_by", "public_keys", "run", "keep", "proof"})
    op: Literal["lxc.create"]
    hostname: str = Field(default="", pattern=_NAME + "|^$")
    template: str = ""
    """The volume, or part of a template's name such as `debian-12`; empty when there is only one."""
    storage: str = ""
    """Where its disk goes; empty when there is only one that takes containers."""
    node: str = ""
    """Empty: the node with the most room."""
    vmid: int | None = Field(default=None, ge=100)
    """Empty: the next free id."""
    cores: int | None = Field(default=None, ge=1, le=8192)
    memory_mb: int | None = Field(default=None, ge=16)
    swap_mb: int | None = Field(default=None, ge=0)
    disk_gb: int | None = Field(default=None, ge=1)
    address: str = Field(default="", pattern=_CIDR)
    """`dhcp`, or an IPv4 address with its prefix such as 10.0.0.23/24; empty: from the configured range, else DHCP."""
    gateway: str = Field(default="", pattern=_ADDRESS)
    bridge: str = ""
    nesting: bool = False
    """Lets containers run inside it; only when asked for."""
    start: bool = True
    project: str = ""
    """The project it is for, when it is for one."""
    public_keys: tuple[str, ...] = ()
    """More SSH keys for root; Executor's own is always put in."""
    made_by: str = ""
    """Filled in by Executor: the change that makes it."""
    run: str = ""
    """Filled in by Executor: the project that will work in it. Consent to it covers the copies and the end that come with that."""
    keep: Literal["", "destroy", "stop", "keep"] = ""
    """Filled in by Executor: what becomes of it when that project is over."""
    proof: dict[str, str] = Field(default_factory=dict)
    """Filled in by Executor: where the vault keeps the secret by which the container proves that it is the one that was made."""


class Clone(OnContainer):
    """Make a full copy of a container, or of its state at a snapshot."""

    INTERNAL: ClassVar[frozenset[str]] = frozenset({"made_by", "node", "run"})
    op: Literal["lxc.clone"]
    snapshot: str = Field(default="", pattern=_SNAPSHOT + "|^$")
    """Needed when the container runs."""
    hostname: str = Field(default="", pattern=_NAME + "|^$")
    vmid: int | None = Field(default=None, ge=100)
    start: bool = False
    project: str = ""
    address: str = Field(default="", pattern=_CIDR)
    """As in lxc.create; a copy must not keep its original's address."""
    gateway: str = Field(default="", pattern=_ADDRESS)
    made_by: str = ""
    """Filled in by Executor: the change that makes it."""


class Start(OnContainer):
    """Start a container."""

    op: Literal["lxc.start"]


class Shutdown(OnContainer):
    """Ask a container to end by itself."""

    op: Literal["lxc.shutdown"]
    timeout_s: int = Field(default=60, ge=1, le=3600)
    force: bool = False
    """Stop it hard when it does not end in time."""


class Stop(OnContainer):
    """Stop a container at once, as pulling the plug."""

    op: Literal["lxc.stop"]


class Reboot(OnContainer):
    """Restart a running container."""

    op: Literal["lxc.reboot"]


class Delete(OnContainer):
    """Delete a container with its disks and snapshots. Nothing brings it back."""

    op: Literal["lxc.delete"]


class TakeSnapshot(OnContainer):
    """Take a snapshot."""

    op: Literal["lxc.snapshot"]
    name: str = Field(pattern=_SNAPSHOT)
    description: str = Field(default="", max_length=500)


class Rollback(OnContainer):
    """Put a container back to a snapshot. What was written since is lost; it is stopped afterwards."""

    op: Literal["lxc.rollback"]
    name: str = Field(pattern=_SNAPSHOT)
    start: bool = False
    """Start it again afterwards."""


class DeleteSnapshot(OnContainer):
    """Delete a snapshot."""

    op: Literal["lxc.delete_snapshot"]
    name: str = Field(pattern=_SNAPSHOT)


class Resize(OnContainer):
    """Give a container more or less: cores, memory, swap; the disk only grows."""

    op: Literal["lxc.resize"]
    cores: int | None = Field(default=None, ge=1, le=8192)
    memory_mb: int | None = Field(default=None, ge=16)
    swap_mb: int | None = Field(default=None, ge=0)
    disk_gb: int | None = Field(default=None, ge=1)


class Backup(OnContainer):
    """Write a backup of a container to a storage (vzdump)."""

    op: Literal["lxc.backup"]
    storage: str = ""
    """Empty when there is only one that takes backups."""


ContainerOperation = Annotated[
    Create | Clone | Start | Shutdown | Stop | Reboot | Delete | TakeSnapshot | Rollback | DeleteSnapshot | Resize | Backup,
    Field(discriminator="op"),
]
OPERATIONS: tuple[type[Operation], ...] = get_args(get_args(ContainerOperation)[0])
_ADAPTER: TypeAdapter[ContainerOperation] = TypeAdapter(ContainerOperation)


def parse(raw: Sequence[Json]) -> tuple[ContainerOperation, ...]:
    """Typed operations. Raises PlanRefusedError, one line a mistake."""
    return typed.parse(_ADAPTER, raw, "executor lxc operations")
