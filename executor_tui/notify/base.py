"""What a channel is, what it is given, and the three ways in which it can fail."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from executor_tui.domain.alert import Alert, Severity


class ChannelError(Exception):
    """Base of the failures of a channel. `reason` is for the operator and never holds a token, a webhook or any part of one."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class AwayError(ChannelError):
    """The network or the service is not there now: try again, not before `retry_after_s` where the service said so.

    `maybe_sent`: the message may have arrived all the same, only the answer did not.
    """

    def __init__(self, reason: str, retry_after_s: float | None = None, *, maybe_sent: bool = False) -> None:
        super().__init__(reason)
        self.retry_after_s, self.maybe_sent = retry_after_s, maybe_sent


class RefusedError(ChannelError):
    """This message will never be taken; the next one may be."""


class ClosedError(ChannelError):
    """The channel itself is gone (revoked token, deleted webhook): nothing more is sent until it is configured anew."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message: an alert, or several of one group told as one. `repeated`: an earlier try may have got through after all."""

    alerts: tuple[Alert, ...]
    repeated: bool = False

    @property
    def severity(self) -> Severity:
        return max((alert.severity for alert in self.alerts), key=lambda s: s.rank)

    @property
    def title(self) -> str:
        first = self.alerts[0]
        return first.title if len(self.alerts) == 1 else f"{len(self.alerts)} {first.group}"

    @property
    def body(self) -> str:
        if len(self.alerts) == 1:
            return self.alerts[0].body
        shown = [f"• {alert.title}" for alert in self.alerts[:SHOWN]]
        return "\n".join([*shown, f"… and {len(self.alerts) - SHOWN} more"] if len(self.alerts) > SHOWN else shown)

    @property
    def diff(self) -> tuple[str, ...]:
        diff = self.alerts[0].data.get("diff")
        return tuple(str(line) for line in diff) if isinstance(diff, list | tuple) else ()

    @property
    def at(self) -> datetime | None:
        return self.alerts[0].created_at

    @property
    def reference(self) -> str:
        """Shown small at the end, so that a message that came twice can be recognised."""
        return self.alerts[0].id

    def text(self, name: str) -> str:
        """A text of the alert's data, empty when it has none of that name; only a message of one alert asks for anything."""
        return str(self.alerts[0].data.get(name, "")) if len(self.alerts) == 1 else ""

    @property
    def options(self) -> tuple[str, ...]:
        found = self.alerts[0].data.get("options")
        return tuple(str(option) for option in found) if isinstance(found, list | tuple) and len(self.alerts) == 1 else ()


SHOWN = 10


class Channel(Protocol):
    """One way out. Every method raises ChannelError and nothing else of its own."""

    name: str

    async def send(self, message: Message) -> str:
        """Deliver; returns what the channel calls the message."""
        ...

    async def settle(self, remote_id: str, message: Message, outcome: str) -> None:
        """Edit a sent message: what it asked for has been decided, and how."""
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...
