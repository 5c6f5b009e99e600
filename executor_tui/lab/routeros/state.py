"""The router itself: its tables, log, files and clock. Sessions and commands work on it; it knows neither."""

import contextlib
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from executor_tui.domain.clock import Clock
from executor_tui.lab.routeros.schema import Menu
from executor_tui.lab.routeros.table import Row, Table, TableImage
from executor_tui.lab.routeros.traffic import Traffic

Listener = Callable[[str, Row, bool], None]
"""(menu path, row, gone) on every change."""

_LOG_LINES = 1_000

_REFERENCES = {
    "interface": ("/interface /interface/wireguard", "name"),
    "interface-list": ("/interface/list", "name"),
    "queue-type": ("/queue/type", "name"),
    "queue": ("/queue/tree", "name"),
    "simple-queue": ("/queue/simple", "name"),
    "profile": ("/ppp/profile", "name"),
    "server": ("/ip/dhcp-server", "name"),
    "wireguard": ("/interface/wireguard", "name"),
    "script": ("/system/script", "name"),
}

# Menus whose rows are not configuration: a backup or a rollback leaves them alone.
_NOT_CONFIGURATION = frozenset({"/file", "/log", "/user/active", "/ppp/active"})


@dataclass(frozen=True, slots=True)
class User:
    """`group` is read, write or full."""

    name: str
    password: str
    group: str = "full"


@dataclass(frozen=True, slots=True)
class Effect:
    """One command that changed something, or tried to. Values of secret arguments are left out."""

    at: datetime
    session: int
    user: str
    command: str
    arguments: Mapping[str, str]
    outcome: str
    """`done`, or the trap's message."""


@dataclass(frozen=True, slots=True)
class Image:
    """The whole configuration at one moment."""

    tables: Mapping[str, TableImage]
    settings: Mapping[str, Mapping[str, str]]


@dataclass(slots=True)
class Health:
    """What the router reports about itself; set these to show a sick one."""

    cpu_load_percent: int = 4
    total_memory_bytes: int = 1_073_741_824
    free_memory_bytes: int = 742_391_808
    total_hdd_bytes: int = 134_217_728
    free_hdd_bytes: int = 87_031_808
    bad_blocks_percent: str = "0"
    latest_version: str = ""
    """A newer version the vendor offers; empty means none."""
    certificate_days_left: int = 3_650


@dataclass(slots=True)
class Device:
    """What is printed on the box."""

    version: str = "7.24"
    board: str = "hAP ax^3"
    architecture: str = "arm64"
    serial: str = "HG0LAB0001"
    channel: str = "stable"


class Router:
    """State with no opinion: commands change it through here so that listeners, log and safe mode hear of it."""

    def __init__(self, clock: Clock, menus: Mapping[str, Menu], device: Device, users: Mapping[str, User]) -> None:
        self.clock = clock
        self.menus = menus
        self.device = device
        self.users = dict(users)
        self.health = Health()
        self.traffic = Traffic()
        self.tables: dict[str, Table] = {path: Table() for path, menu in menus.items() if not menu.singleton}
        self.settings: dict[str, dict[str, str]] = {path: {} for path, menu in menus.items() if menu.singleton}
        self.effects: list[Effect] = []
        self.files: dict[str, str] = {}
        self.backups: dict[str, Image] = {}
        self.backup_passwords: dict[str, str] = {}
        self.certificate_facts: dict[str, str] = {}
        self.booted_s = clock.monotonic_s()
        self.reboots = 0
        self.listeners: list[Listener] = []
        self.on_reboot: Callable[[], None] = _nothing
        self.on_schedule_change: Callable[[], None] = _nothing
        self._log: deque[dict[str, str]] = deque(maxlen=_LOG_LINES)
        self._log_number = 0
        self._muted = False

    @property
    def version(self) -> tuple[int, ...]:
        """`7.16rc1` → (7, 16)."""
        numbers: list[int] = []
        for part in self.device.version.split("."):
            digits = "".join(character for character in part if character.isdigit() or character in "rcb")
            head = digits.split("r")[0].split("b")[0].split("c")[0]
            if not head.isdigit():
                break
            numbers.append(int(head))
        return tuple(numbers)

    def table(self, path: str) -> Table:
        return self.tables[path]

    def has(self, kind: str, name: str) -> bool:
        """Whether a thing an argument refers to exists (see `values.Names`)."""
        paths, key = _REFERENCES[kind]
        return any(self.tables[path].by_value(key, name) is not None for path in paths.split())

    def log_lines(self) -> list[dict[str, str]]:
        return list(self._log)

    def log(self, topics: str, message: str) -> None:
        """Write a line to the router's log."""
        if self._muted:
            return
        line = {
            ".id": f"*{self._log_number:X}",
            "time": self.clock.now().strftime("%Y-%m-%d %H:%M:%S"),
            "topics": topics,
            "message": message,
            "extra-info": "",
        }
        self._log_number += 1
        self._log.append(line)
        self.announce("/log", Row(self._log_number - 1, line), gone=False)

    def remember(self, effect: Effect) -> None:
        if not self._muted:
            self.effects.append(effect)

    @property
    def muted(self) -> bool:
        """Whether what happens now only happens on trial."""
        return self._muted

    @contextlib.contextmanager
    def trial(self) -> Iterator[None]:
        """Whatever is done inside is undone at the end and never heard of."""
        image, self._muted = self.image(), True
        try:
            yield
        finally:
            self._muted = False
            self.restore(image)

    def announce(self, path: str, row: Row, *, gone: bool) -> None:
        if self._muted:
            return
        for listener in tuple(self.listeners):
            listener(path, row, gone)
        if path == "/system/scheduler":
            row.facts.pop("next_s", None)
            row.facts.pop("done", None)
            self.on_schedule_change()

    def image(self) -> Image:
        """The configuration as it is now."""
        tables = {path: table.image() for path, table in self.tables.items() if path not in _NOT_CONFIGURATION}
        return Image(tables, {path: dict(values) for path, values in self.settings.items()})

    def restore(self, image: Image) -> bool:
        """Put the configuration back; says whether anything differed."""
        changed = False
        for path, table in image.tables.items():
            changed = self.tables[path].restore(table) or changed
        for path, values in image.settings.items():
            changed = changed or self.settings[path] != values
            self.settings[path] = dict(values)
        self.on_schedule_change()
        return changed

    def uptime_s(self) -> float:
        return self.clock.monotonic_s() - self.booted_s

    def reboot(self) -> None:
        """Start again: counters and uptime begin anew, every connection is gone."""
        self.reboots += 1
        self.booted_s = self.clock.monotonic_s()
        self.traffic = Traffic()
        for row in self.tables["/system/scheduler"]:
            if row.values.get("start-time") == "startup":
                row.facts.pop("next_s", None)
                row.facts.pop("done", None)
        self.log("system,info", "router rebooted")
        self.on_schedule_change()
        self.on_reboot()


def _nothing() -> None:
    """Nobody listens yet."""
