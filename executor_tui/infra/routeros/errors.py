"""What can go wrong with a router, each in one line that names the router and what to do."""

from collections.abc import Mapping

from executor_tui.domain.errors import ExecutorError


class RouterOsError(ExecutorError):
    """Base of all of them; `device` is the router's name as configured."""

    def __init__(self, device: str, message: str, *, hint: str = "") -> None:
        super().__init__(f"router {device}: {message}", hint=hint)
        self.device = device


class RouterOsUnreachableError(RouterOsError):
    """No connection could be made: refused, no route, no such name, no answer in time."""


class RouterOsAuthError(RouterOsError):
    """The router does not let this account in."""


class RouterOsCertificateError(RouterOsError):
    """The router showed another certificate than the one pinned. Nothing was sent to it."""

    def __init__(self, device: str, *, pinned: str, shown: str) -> None:
        super().__init__(
            device,
            f"its certificate has the fingerprint {shown}, but {pinned} is pinned",
            hint="If the certificate was renewed on purpose, pin the new fingerprint; otherwise somebody may be in between.",
        )
        self.pinned = pinned
        self.shown = shown


class RouterOsTrapError(RouterOsError):
    """The router refused a command. `words` are its own; `category` is the API's number, or none when it gave none."""

    def __init__(
        self, device: str, command: str, words: str, *, category: int | None = None, attributes: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(device, f"{command} refused: {words}")
        self.command = command
        self.words = words
        self.category = category
        self.attributes = dict(attributes or {})

    @property
    def is_missing(self) -> bool:
        """Whether the item or the command is not there."""
        return self.words.startswith(("no such item", "no such command"))

    @property
    def is_duplicate(self) -> bool:
        """Whether there is such an item already."""
        return "already have" in self.words or "already exists" in self.words


class RouterOsConnectionLostError(RouterOsError):
    """The connection ended, or was given up, in the middle. Whether the last command was carried out is not known."""


class RouterOsTimeoutError(RouterOsConnectionLostError):
    """No answer in time; the connection was given up, since a late answer would be taken for the next one's."""


class RouterOsProtocolError(RouterOsError):
    """The router answered something this driver cannot read."""


class RouterOsGuardError(RouterOsError):
    """The guard around a change (safe mode or dead man's switch) is not in the state it should be in."""


class GuardBusyError(RouterOsGuardError):
    """Somebody else holds it."""


class GuardEndedError(RouterOsGuardError):
    """The guard was gone before the change was committed or undone: what was changed is in force and will not be undone by the router."""


class CommitUncertainError(RouterOsConnectionLostError):
    """The connection was lost while the guard was being released: read the router to learn whether the change stayed."""
