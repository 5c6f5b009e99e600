"""What goes wrong beside the tree, in a form that crosses the wire: a code for programs, one line for a model or a person."""

from __future__ import annotations

PATH = "path"
NOT_FOUND = "not_found"
BINARY = "binary"
TOO_LARGE = "too_large"
EDIT = "edit"
PATTERN = "pattern"
COMMAND = "command"
GIT = "git"
DAMAGED = "damaged"
SANDBOX = "sandbox"
DELIVERY = "delivery"
OTHER = "other"

SHOWN_CHARS = 160


class Fault(Exception):
    """One refused or failed operation. `code` is one of this module's constants, `message` one printable line."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def shown(text: str, limit: int = SHOWN_CHARS) -> str:
    """`text` fit for one line of a message: control characters escaped, cut at `limit` characters."""
    cut = text if len(text) <= limit else text[: limit - 1] + "…"
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode("ascii") for c in cut)


def of_os_error(error: OSError, what: str) -> Fault:
    """An operating-system error as a fault about `what`."""
    reason = (error.strerror or type(error).__name__).lower()
    return Fault(OTHER, f"{what}: {reason}")
