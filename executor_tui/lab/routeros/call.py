"""One command on its way through the router: who sent it, what it may touch, what it answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from executor_tui.lab.routeros.errors import TrapError, unknown_parameter
from executor_tui.lab.routeros.sentences import Command
from executor_tui.lab.routeros.state import Router, User

if TYPE_CHECKING:
    from executor_tui.lab.routeros.safe_mode import SafeMode


@dataclass(frozen=True, slots=True)
class Caller:
    """A logged-in session. `via` is what the log says: api, api-ssl, scheduler."""

    session: int
    user: User
    via: str = "api"

    @property
    def may_write(self) -> bool:
        return self.user.group in ("write", "full")


@dataclass(frozen=True, slots=True)
class Answer:
    """`rows` become `!re` sentences; `ret` goes out with `!done`. `prints` says whether having no rows is worth an `!empty`."""

    rows: tuple[Mapping[str, str], ...] = ()
    ret: Mapping[str, str] = field(default_factory=dict)
    prints: bool = False


@dataclass(frozen=True, slots=True)
class Call:
    """`execute` carries out another command on the same router, as scripts do."""

    router: Router
    safe_mode: SafeMode
    caller: Caller
    command: Command
    execute: Callable[[Call], Answer]

    @property
    def arguments(self) -> Mapping[str, str]:
        return self.command.arguments

    def argument(self, name: str, default: str | None = None) -> str:
        """An argument that must be there unless it has a default."""
        value = self.arguments.get(name, default)
        if value is None:
            raise missing(name)
        return value

    def flag(self, name: str) -> bool:
        """An argument that counts by being there; `=no` switches it off."""
        return self.arguments.get(name, "no") not in ("no", "false")

    def allow(self, *names: str) -> None:
        """Raises `unknown parameter` for an argument that is none of these."""
        for name in self.arguments:
            if name not in names:
                raise unknown_parameter(name)

    def require_write(self) -> None:
        if not self.caller.may_write:
            raise TrapError("not enough permissions (9)")


def missing(name: str) -> TrapError:
    return TrapError(f"missing ={name}=")
