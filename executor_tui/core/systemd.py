"""What a service tells systemd: ready, alive, stopping (sd_notify(3)); without NOTIFY_SOCKET every call does nothing. And what systemd has
been told of this user: the unit, and whether it lingers."""

import getpass
import logging
import os
import socket
from pathlib import Path

from executor_tui.core.service_unit import NAME
from executor_tui.domain.clock import Clock

log = logging.getLogger(__name__)

RUNNING = Path("/run/systemd/system")
"""There when systemd is this machine's service manager (sd_booted(3))."""
LINGER = Path("/var/lib/systemd/linger")


def user_unit() -> Path:
    """Where this user's unit of the service is, or would be (systemd.unit(5), "Unit File Load Path")."""
    home = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
    return Path(home) / "systemd" / "user" / NAME


def lingers() -> bool:
    """Whether this user's services start at boot and run without a session (loginctl(1), enable-linger). Root's are no exception."""
    return (LINGER / getpass.getuser()).exists()


class Notifier:
    """Of one process. `run()` says READY and then feeds the watchdog; `status` shows in `systemctl status`."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._address = _address(os.environ.get("NOTIFY_SOCKET", ""))
        self._every_s = watchdog_interval_s()

    @property
    def wanted(self) -> bool:
        """Whether systemd listens."""
        return self._address is not None

    def ready(self, status: str = "") -> None:
        """The service is up."""
        self._send("READY=1", status)

    def alive(self, status: str = "") -> None:
        """Feed the watchdog."""
        self._send("WATCHDOG=1", status)

    def stopping(self, status: str = "") -> None:
        """The service is on its way down in good order."""
        self._send("STOPPING=1", status)

    async def run(self) -> None:
        """Ready, then alive at half the watchdog's interval for as long as the event loop turns. Ends at once where nobody listens."""
        self.ready("running")
        if not self.wanted or self._every_s is None:
            return
        while True:
            self.alive()
            await self._clock.sleep(self._every_s)

    def _send(self, state: str, status: str) -> None:
        if self._address is None:
            return
        text = state + (f"\nSTATUS={' '.join(status.split())}" if status else "")
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
                channel.setblocking(False)
                channel.sendto(text.encode(), self._address)
        except OSError as exc:
            log.warning("systemd could not be told %s: %s", state, exc)


def watchdog_interval_s() -> float | None:
    """Half of what the unit's WatchdogSec allows, as sd_watchdog_enabled(3) advises; None when no watchdog is set for this process."""
    if os.environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    try:
        micros = int(os.environ.get("WATCHDOG_USEC", ""))
    except ValueError:
        return None
    return micros / 2e6 if micros > 0 else None


def _address(text: str) -> str | None:
    """A path, or an abstract socket written with a leading @."""
    if text.startswith("@"):
        return "\0" + text[1:]
    return text if text.startswith("/") else None
