"""Guards around a change: safe mode on the same connection (7.18 and later), a dead man's switch on the router before that.

Both are context managers. Leave the block without `commit()` and the change is undone: by us when we still can, by the router when the
connection is gone. What is not undone is said with an error, never passed over.
"""

import contextlib
import re
from types import TracebackType
from typing import Protocol, Self

from executor_tui.domain.errors import UsageError
from executor_tui.infra.routeros.connection import Connection
from executor_tui.infra.routeros.errors import (
    CommitUncertainError,
    GuardBusyError,
    GuardEndedError,
    RouterOsConnectionLostError,
    RouterOsTrapError,
)
from executor_tui.infra.routeros.where import all_of, eq

OPEN, COMMITTED, ROLLED_BACK, LEFT_TO_ROUTER = "open", "committed", "rolled back", "left to the router"


class Guard(Protocol):
    """`outcome` is one of `open`, `committed`, `rolled back` and `left to the router`."""

    outcome: str

    async def commit(self) -> None:
        """Keep the change."""
        ...

    async def roll_back(self) -> None:
        """Undo the change now."""
        ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None: ...


class _Closing:
    """Leaving the block: undo unless committed; when the connection is gone, the router does it."""

    outcome = OPEN

    async def roll_back(self) -> None:
        raise NotImplementedError

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self.outcome != OPEN:
            return
        try:
            await self.roll_back()
        except RouterOsConnectionLostError:
            self.outcome = LEFT_TO_ROUTER
            if error is None:
                raise


class SafeMode(_Closing):
    """RouterOS's own safe mode. The vendor's manual: every session's changes count while it is held, and past about 100 of them it ends by
    itself without undoing anything; so whether it is still held is asked before relying on it.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._device = connection.target.name

    async def __aenter__(self) -> Self:
        """Raises `GuardBusyError` when it cannot be had."""
        try:
            await self._connection.call("/safe-mode/take")
        except RouterOsTrapError as error:
            hint = "Somebody else may be working in safe mode on this router; wait, or release it there."
            raise GuardBusyError(self._device, f"safe mode cannot be taken: {error.words}", hint=hint) from error
        return self

    async def is_held(self) -> bool:
        """Whether the router is in safe mode."""
        reply = await self._connection.call("/safe-mode/print")
        return any(row.get("enabled") in ("true", "yes") for row in reply.rows)

    async def commit(self) -> None:
        """Keep the change. Raises `GuardEndedError` when safe mode was over before, `CommitUncertainError` when the answer got lost."""
        await self._require_held()
        try:
            await self._connection.call("/safe-mode/release")
        except RouterOsConnectionLostError as error:
            self.outcome = LEFT_TO_ROUTER
            said = "the connection was lost while the change was being committed"
            raise CommitUncertainError(self._device, said, hint="Read the router to learn whether the change stayed.") from error
        self.outcome = COMMITTED

    async def roll_back(self) -> None:
        """Undo the change and stay connected. Raises `GuardEndedError` when safe mode was over before."""
        await self._require_held()
        await self._connection.call("/safe-mode/unroll")
        self.outcome = ROLLED_BACK

    async def _require_held(self) -> None:
        if not await self.is_held():
            self.outcome = COMMITTED
            raise GuardEndedError(
                self._device,
                "safe mode ended by itself; what was changed is in force and will not be undone",
                hint="It ends after about 100 actions, or when somebody releases it elsewhere.",
            )


# A scheduler job needs every policy a restore uses; with fewer it is created and then fails when it fires (librouteros documentation).
_POLICY = "ftp,reboot,read,write,policy,test"
_COMMENT = "executor: dead man's switch, restores the backup unless it is cancelled"


class DeadManSwitch(_Closing):
    """For routers before 7.18: a backup, and a job that loads it after `after_s` seconds unless it is taken away. Loading reboots.

    It lives on the router, so another process may take it up by its name: ask `is_armed`, then `commit` or `roll_back`.
    `name` is made of letters, digits and dashes.
    """

    def __init__(self, connection: Connection, name: str, after_s: int) -> None:
        """Raises `UsageError` for a name or a time that cannot be used."""
        if not re.fullmatch(r"[A-Za-z0-9-]{1,48}", name):
            raise UsageError("a dead man's switch is named with letters, digits and dashes")
        if after_s < 1:
            raise UsageError("a dead man's switch needs at least one second")
        self._connection = connection
        self._device = connection.target.name
        self._name = name
        self._after_s = after_s

    async def __aenter__(self) -> Self:
        """Raises `GuardBusyError` when a switch of this name is armed already."""
        if await self._jobs():
            hint = "Another change may be under way; the switch fires or is cancelled by itself."
            raise GuardBusyError(self._device, f"a dead man's switch named {self._name} is armed already", hint=hint)
        backup = await self._backup()
        await self._connection.call("/system/backup/save", {"name": backup, "dont-encrypt": True})
        event = f'/system backup load name="{backup}" password=""'
        job = {"name": self._name, "interval": f"{self._after_s}s", "on-event": event, "policy": _POLICY, "comment": _COMMENT}
        await self._connection.add("/system/scheduler", job)
        return self

    async def is_armed(self) -> bool:
        return bool(await self._jobs())

    async def commit(self) -> None:
        """Take the switch away. Raises `GuardEndedError` when it is gone already and `CommitUncertainError` when the answer got lost."""
        jobs = await self._jobs()
        if not jobs:
            self.outcome = COMMITTED
            raise GuardEndedError(self._device, "the dead man's switch is gone: it fired, or somebody removed it; read the router")
        try:
            await self._connection.remove("/system/scheduler", *jobs)
        except RouterOsConnectionLostError as error:
            self.outcome = LEFT_TO_ROUTER
            said = "the connection was lost while the dead man's switch was being taken away"
            raise CommitUncertainError(self._device, said, hint=f"It fires within {self._after_s} s if it is still there.") from error
        self.outcome = COMMITTED
        await self.remove_backup()

    async def roll_back(self) -> None:
        """Load the backup now. The router reboots, so the connection ends with it; without one the armed switch does the same later."""
        backup = await self._backup()
        with contextlib.suppress(RouterOsConnectionLostError):  # the reboot cuts it
            await self._connection.call("/system/backup/load", {"name": backup, "password": ""})
        self.outcome = ROLLED_BACK

    async def _jobs(self) -> list[str]:
        ours = all_of(eq("name", self._name), eq("comment", _COMMENT))
        return [row[".id"] for row in await self._connection.rows("/system/scheduler", ours, fields=(".id",))]

    async def remove_backup(self) -> None:
        """Take the backup off the router. It holds the router's secrets; after a restore it is still there until somebody does this."""
        rows = await self._connection.rows("/file", eq("name", f"{await self._backup()}.backup"), fields=(".id",))
        await self._connection.remove("/file", *(row[".id"] for row in rows))

    async def _backup(self) -> str:
        """Where the backup lies. On a router with a `flash` folder only what is in it survives a power cut."""
        rows = await self._connection.rows("/file", eq("name", "flash"), fields=(".id", "type"))
        return f"flash/{self._name}" if any(row.get("type") == "directory" for row in rows) else self._name
