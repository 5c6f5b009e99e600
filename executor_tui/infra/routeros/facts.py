"""What a router says about itself, as frozen dataclasses."""

from dataclasses import dataclass
from typing import ClassVar

from executor_tui.infra.routeros.rows import Item, flag, listed, number, seconds, text


@dataclass(frozen=True, slots=True)
class Resource(Item):
    """`version` as the router writes it, `7.24 (stable)`; sizes in bytes."""

    MENU: ClassVar[str] = "/system/resource"
    version: str = text()
    board_name: str = text()
    architecture_name: str = text()
    uptime_s: float = seconds()
    cpu_load_percent: int = number()
    cpu_count: int = number()
    free_memory_bytes: int = number()
    total_memory_bytes: int = number()
    free_hdd_space_bytes: int = number()
    total_hdd_space_bytes: int = number()


@dataclass(frozen=True, slots=True)
class Update(Item):
    """`latest_version` is empty until the router has asked its maker."""

    MENU: ClassVar[str] = "/system/package/update"
    channel: str = text()
    installed_version: str = text()
    latest_version: str = text()
    status: str = text()

    @property
    def is_waiting(self) -> bool:
        """Whether a newer version than the installed one is known."""
        return bool(self.latest_version) and self.latest_version != self.installed_version


@dataclass(frozen=True, slots=True)
class Certificate(Item):
    """`expires_after_s` is 0 for one that has expired."""

    MENU: ClassVar[str] = "/certificate"
    name: str = text()
    common_name: str = text()
    fingerprint: str = text()
    invalid_after: str = text()
    expires_after_s: float = seconds()
    expired: bool = flag()


@dataclass(frozen=True, slots=True)
class Job(Item):
    """A scheduled event."""

    MENU: ClassVar[str] = "/system/scheduler"
    name: str = text()
    interval_s: float = seconds()
    on_event: str = text()
    next_run: str = text()
    run_count: int = number()
    comment: str = text()
    disabled: bool = flag()


@dataclass(frozen=True, slots=True)
class LogLine(Item):
    """A line of the router's log. Its message is text from outside."""

    MENU: ClassVar[str] = "/log"
    time: str = text()
    topics: tuple[str, ...] = listed()
    message: str = text()


@dataclass(frozen=True, slots=True)
class Account(Item):
    MENU: ClassVar[str] = "/user"
    name: str = text()
    group: str = text()
    disabled: bool = flag()


@dataclass(frozen=True, slots=True)
class Service(Item):
    MENU: ClassVar[str] = "/ip/service"
    name: str = text()
    port: int = number()
    address: str = text()
    certificate: str = text()
    disabled: bool = flag()
    dynamic: bool = flag()


@dataclass(frozen=True, slots=True)
class File(Item):
    MENU: ClassVar[str] = "/file"
    name: str = text()
    type: str = text()
    size: int = number()
    contents: str = text()


@dataclass(frozen=True, slots=True)
class Ping:
    """A real read of the router and how long it took."""

    latency_s: float
    identity: str


@dataclass(frozen=True, slots=True)
class HostPing:
    """What the router's own ping of a host came to."""

    address: str
    sent: int
    received: int
    average_s: float


@dataclass(frozen=True, slots=True)
class InterfaceRate:
    """Bits per second through an interface at this moment."""

    name: str
    rx_bps: int
    tx_bps: int
