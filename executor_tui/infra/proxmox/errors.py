"""What can go wrong with a Proxmox cluster, each in one line that names the cluster and what to do.

Proxmox tells most failures apart only by their words, so one table maps words to errors. The words are those of PVE 8 and 9
(pve-container, pve-guest-common and pve-storage sources).
"""

import re

from executor_tui.domain.errors import ExecutorError

MAX_WORDS = 300


class ProxmoxError(ExecutorError):
    """Base of all of them; `device` is the cluster's name as configured."""

    def __init__(self, device: str, message: str, *, hint: str = "") -> None:
        super().__init__(f"proxmox {device}: {message}", hint=hint)
        self.device = device


class UnreachableError(ProxmoxError):
    """No connection could be made. Nothing was sent."""


class UntrustedError(ProxmoxError):
    """The certificate is not the pinned one, or does not verify. Nothing was sent."""


class DroppedError(ProxmoxError):
    """The connection ended, or no answer came, after the request was sent: whether it was carried out is not known."""


class AuthError(ProxmoxError):
    """User, password or token is not accepted."""


class ForbiddenError(ProxmoxError):
    """The account may not do this."""


class QuorumLostError(ProxmoxError):
    """The cluster has no quorum: it can be read, not changed."""


class NodeOfflineError(ProxmoxError):
    """The node that would have to do it does not answer the cluster."""


class StorageFullError(ProxmoxError):
    """There is no room on the storage."""


class StorageMissingError(ProxmoxError):
    """There is no such storage, it is not online, or it does not take this kind of content."""


class TemplateMissingError(ProxmoxError):
    """The operating system template is not there."""


class LockedError(ProxmoxError):
    """Somebody else is at work on the container: a backup, a migration, a snapshot."""


class MissingError(ProxmoxError):
    """There is no such container or snapshot."""


class ExistsError(ProxmoxError):
    """The id or the name is taken."""


class WrongStateError(ProxmoxError):
    """The container runs, or does not run, so this cannot be done."""


class RefusedError(ProxmoxError):
    """A parameter is not taken; the message names each with the server's reason."""


class TaskTimeoutError(ProxmoxError):
    """A task is still running after the time given; it was left running."""

    def __init__(self, device: str, upid: str, what: str, seconds: float) -> None:
        super().__init__(device, f"{what} is still running after {seconds:g} s", hint="it was left running; see the node's task log")
        self.upid = upid


class ShutdownTimeoutError(ProxmoxError):
    """The container did not end by itself in the time given."""


_WORDS: tuple[tuple[str, type[ProxmoxError], str], ...] = (
    (r"no quorum", QuorumLostError, "bring nodes back until more than half are online; nothing was changed"),
    (r"can't lock file|is locked \(|got lock timeout|lock timeout", LockedError, "wait for the task that holds it, then try again"),
    (r"no space left|not enough (free )?space|out of (disk )?space|insufficient free space|disk quota exceeded|storage .* is full",
     StorageFullError, "free space on the storage or name another one"),
    (r"^volume '[^']*' does not exist|volume '[^']*vztmpl[^']*' does not exist|vztmpl/.*no such file", TemplateMissingError,
     "see what there is with: executor lxc templates"),
    (r"storage '[^']*' (does not exist|is not online|is not available|does not support)", StorageMissingError,
     "see what there is with: executor lxc nodes"),
    (r"does not exist on node|configuration file .* does not exist|snapshot '[^']*' does not exist|no such (ct|vm|container)", MissingError,
     "see what there is with: executor lxc list"),
    (r"already exists|already used", ExistsError, ""),
    (r"did not stop|got timeout", ShutdownTimeoutError, "stop it hard, or give it more time"),
    (r"already running|not running|is running", WrongStateError, ""),
    (r"no route to host|node .* (is )?offline|hostname lookup .* failed", NodeOfflineError, "bring the node back or choose another one"),
    (r"permission check failed|permission denied", ForbiddenError, "give the account this privilege on this path: Datacenter, Permissions"),
)  # fmt: skip
"""Words of the server → error and what to do. The first that matches counts."""


def from_words(device: str, words: str, what: str = "") -> ProxmoxError:
    """The error for what the server said, in its words; `what` is what was being done."""
    line = one_line(words)
    message = f"{what}: {line}" if what else line
    for pattern, kind, hint in _WORDS:
        if re.search(pattern, line, re.IGNORECASE):
            return kind(device, message, hint=hint)
    return ProxmoxError(device, message)


def from_status(device: str, status: int, reason: str, fields: dict[str, str], what: str) -> ProxmoxError:
    """The error for an HTTP answer of 400 or more. `fields` are the parameters it complains about."""
    if status == 401:
        return AuthError(device, f"the account is not accepted ({one_line(reason)})", hint="check user, realm, password or token")
    if status in (595, 596, 597, 599):
        return NodeOfflineError(
            device, f"{what}: the node does not answer ({one_line(reason)})", hint="bring it back or choose another one"
        )
    if status == 403:
        hint = "give the account this privilege on this path: Datacenter, Permissions"
        return ForbiddenError(device, f"{what}: {one_line(reason)}", hint=hint)
    if fields:
        words = "; ".join(f"{name}: {one_line(text)}" for name, text in sorted(fields.items()))
        known = from_words(device, words, what)
        return known if type(known) is not ProxmoxError else RefusedError(device, f"{what}: {words}")
    if status == 400:
        return RefusedError(device, f"{what}: {one_line(reason)}")
    if status in (502, 503, 504):
        return UnreachableError(device, f"{what}: the API answers {status} {one_line(reason)}", hint="is pveproxy running on the node?")
    return from_words(device, reason or f"the API answers {status}", what)


def one_line(text: str) -> str:
    """What a server said, printable, on one line, cut."""
    clean = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return clean if len(clean) <= MAX_WORDS else clean[:MAX_WORDS] + " …"
