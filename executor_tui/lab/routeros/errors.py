"""The two ways the router says no: a trap ends one command, a fatal ends the connection."""

from collections.abc import Mapping

# Categories of a trap, from the vendor's API manual.
MISSING = 0
ARGUMENT = 1
INTERRUPTED = 2
SCRIPT = 3
GENERAL = 4
API = 5


class TrapError(Exception):
    """One command failed. `category` is left out of the reply when the router gives none."""

    def __init__(self, message: str, category: int | None = None, extra: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.category = category
        self.extra = dict(extra or {})


class FatalError(Exception):
    """The router says why and closes the connection."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def no_such_item() -> TrapError:
    return TrapError("no such item", MISSING)


def no_such_command() -> TrapError:
    return TrapError("no such command", MISSING)


def no_match(field: str) -> TrapError:
    """The wording for a value that is not one of those allowed (vendor's API manual, `/ip/address/add` example)."""
    return TrapError(f"input does not match any value of {field}", ARGUMENT)


def invalid_value(field: str) -> TrapError:
    return TrapError(f"invalid value for argument {field}", ARGUMENT)


def out_of_range(field: str, low: int, high: int) -> TrapError:
    return TrapError(f"value of {field} out of range ({low}..{high})", ARGUMENT)


def unknown_parameter(name: str) -> TrapError:
    return TrapError(f"unknown parameter {name}")


def failure(text: str) -> TrapError:
    """A refusal by the part of the router that owns the item, such as a duplicate."""
    return TrapError(f"failure: {text}")
