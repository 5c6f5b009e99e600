"""Errors that speak to the operator: one line saying what happened, and a hint saying what to do about it."""

from datetime import datetime


class ExecutorError(Exception):
    """Base of everything Executor raises on purpose.

    `exit_code` is what the command line returns for it: 1 failed, 2 usage or configuration, 3 waiting for or refused by approval,
    4 nothing available.
    """

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(ExecutorError):
    """The call's own words are wrong: an unknown id, an option out of range."""

    exit_code = 2


class ConfigError(ExecutorError):
    """A configuration file cannot be used; the message names file, path in the file, what was found and what is allowed."""

    exit_code = 2


class NotFoundError(UsageError):
    """Nothing has that id."""


class ConsentError(ExecutorError):
    """Waiting for, or refused by, an approval."""

    exit_code = 3


class NothingAvailableError(ExecutorError):
    """No model, key or node can serve this now; `available_at` is when something will, where that is known."""

    exit_code = 4

    def __init__(self, message: str, *, hint: str = "", available_at: datetime | None = None) -> None:
        super().__init__(message, hint=hint)
        self.available_at = available_at


class StoreError(ExecutorError):
    """The store cannot be opened, read or written."""


class FencedError(StoreError):
    """A write by a node that no longer leads: its fencing number is older than the lease's."""


class ConflictError(ExecutorError):
    """Somebody else decided or changed the same thing first."""


class VaultError(ExecutorError):
    """A secret cannot be sealed or opened."""

    exit_code = 2


class BudgetError(ExecutorError):
    """A budget would be exceeded; the message says which and by how much."""

    exit_code = 4
