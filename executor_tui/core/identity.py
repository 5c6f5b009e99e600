"""Who this node is: a stable id kept in its state directory, the machine's boot id, and the lock that keeps a second node out."""

import contextlib
import fcntl
import os
import socket
from pathlib import Path
from types import TracebackType

from executor_tui.config.places import write_atomically
from executor_tui.domain.errors import ConflictError, StoreError
from executor_tui.domain.ids import new_id

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def node_id(state_dir: Path) -> str:
    """This state directory's node id, made on first use. DBOS finds a node's own work by it, so it must never change."""
    path = state_dir / "node_id"
    with contextlib.suppress(OSError):
        text = path.read_text(encoding="ascii", errors="replace").strip()
        if text.startswith("node-"):
            return text
    made = new_id("node")
    write_atomically(path, made + "\n")
    return made


def boot_id() -> str:
    """Changes with every boot of the machine (random(4)); empty where the kernel does not say."""
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return ""


def host_name() -> str:
    return socket.gethostname()


class NodeLock:
    """One node per state directory: an flock that the kernel drops with the process, however it ends."""

    def __init__(self, state_dir: Path) -> None:
        self._path = state_dir / "node.lock"
        self._descriptor: int | None = None

    def __enter__(self) -> "NodeLock":
        """Raises ConflictError naming the process that holds it, StoreError when the state directory cannot be written."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as exc:
            hint = f"make {self._path.parent} writable for this user"
            raise StoreError(f"{self._path} cannot be written: {exc.strerror}", hint=hint) from exc
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            holder = os.read(descriptor, 32).decode(errors="replace").strip() or "unknown"
            os.close(descriptor)
            hint = f"attach a console with: executor; or stop it with: kill {holder}"
            raise ConflictError(f"a node already runs on {self._path.parent} (process {holder})", hint=hint) from exc
        with contextlib.suppress(OSError):  # on a full disk the lock holds all the same; only our number is not told
            os.ftruncate(descriptor, 0)
            os.write(descriptor, str(os.getpid()).encode())
        self._descriptor = descriptor
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
