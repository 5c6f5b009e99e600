"""A router as the agents see it: typed reads, changes by `.id`, guards, and how it is doing."""

from collections.abc import Sequence

from executor_tui.infra.routeros.compare import Value
from executor_tui.infra.routeros.connection import Connection
from executor_tui.infra.routeros.errors import RouterOsProtocolError
from executor_tui.infra.routeros.facts import Certificate, File, HostPing, InterfaceRate, LogLine, Ping, Resource, Update
from executor_tui.infra.routeros.guards import DeadManSwitch, Guard, SafeMode
from executor_tui.infra.routeros.rows import SimpleQueue, T, decode
from executor_tui.infra.routeros.values import parse_seconds
from executor_tui.infra.routeros.where import Condition, eq

_EXPORT_FILE = "executor-export"
_CHUNK_BYTES = 32_768
_SAFE_MODE_SINCE = (7, 18)


def parse_version(text: str) -> tuple[int, ...]:
    """`7.16rc1 (testing)` → (7, 16); whatever is no number ends it."""
    numbers: list[int] = []
    for part in text.split(" ")[0].split("."):
        digits = "".join(character if character.isdigit() else " " for character in part).split(" ")[0]
        if not digits:
            break
        numbers.append(int(digits))
        if digits != part:
            break
    return tuple(numbers)


class RouterOs(Connection):
    """One connection with everything the agents need. For what it raises see `Connection`."""

    async def read(self, kind: type[T], *conditions: Condition, menu: str = "") -> tuple[T, ...]:
        """The items of a menu as dataclasses, in order; `menu` for a twin such as `/ipv6/firewall/filter`."""
        rows = await self.rows(menu or kind.MENU, *conditions)
        return tuple(decode(kind, row, self.target.name) for row in rows)

    async def read_one(self, kind: type[T]) -> T:
        """The one row of a menu without items. Raises `RouterOsProtocolError` when there is none."""
        items = await self.read(kind)
        if not items:
            raise RouterOsProtocolError(self.target.name, f"{kind.MENU} shows nothing")
        return items[0]

    async def ping(self) -> Ping:
        """A real read, timed on the monotonic clock."""
        started_s = self.clock.monotonic_s()
        rows = await self.rows("/system/identity")
        return Ping(self.clock.monotonic_s() - started_s, rows[0].get("name", "") if rows else "")

    async def resource(self) -> Resource:
        return await self.read_one(Resource)

    async def version(self) -> tuple[int, ...]:
        """The installed version, such as (7, 24)."""
        return parse_version((await self.resource()).version)

    async def update_status(self, *, ask_vendor: bool = False) -> Update:
        """Whether a newer version waits. With `ask_vendor` the router looks it up, which takes it seconds and needs the internet."""
        if ask_vendor:
            await self.call("/system/package/update/check-for-updates", {"once": ""})
        return await self.read_one(Update)

    async def certificates(self) -> tuple[Certificate, ...]:
        return await self.read(Certificate)

    async def log(self, last: int = 200) -> tuple[LogLine, ...]:
        """The newest `last` lines, oldest first."""
        return (await self.read(LogLine))[-last:]

    async def ping_host(self, address: str, count: int = 3) -> HostPing:
        """Let the router ping a host, one packet a second; `count` packets must fit in the target's timeout."""
        reply = await self.call("/ping", {"address": address, "count": count})
        last = reply.rows[-1] if reply.rows else {}
        return HostPing(address, int(last.get("sent", "0")), int(last.get("received", "0")), parse_seconds(last.get("avg-rtt", "")))

    async def interface_rates(self, names: Sequence[str]) -> tuple[InterfaceRate, ...]:
        """What goes through these interfaces right now."""
        if not names:
            return ()
        reply = await self.call("/interface/monitor-traffic", {"interface": ",".join(names), "once": ""})
        return tuple(
            InterfaceRate(row.get("name", ""), int(row.get("rx-bits-per-second", "0")), int(row.get("tx-bits-per-second", "0")))
            for row in reply.rows
        )

    async def queue_rates(self) -> tuple[SimpleQueue, ...]:
        """The simple queues with only their name, target, limit, rate and counted bytes."""
        fields = (".id", "name", "target", "max-limit", "rate", "bytes", "disabled")
        rows = await self.rows(SimpleQueue.MENU, fields=fields)
        return tuple(decode(SimpleQueue, row, self.target.name) for row in rows)

    async def export(self, scope: str = "") -> str:
        """The configuration under a menu (`/ip/firewall`, empty for all) as a script, without secrets.

        Over the API an export goes to a file first; it is read back and removed. Before 7.0 secrets are only left out when asked to be.
        """
        hide: dict[str, Value] = {} if await self.version() >= (7,) else {"hide-sensitive": ""}
        await self.call(f"{scope}/export", {"file": _EXPORT_FILE, **hide})
        name = f"{_EXPORT_FILE}.rsc"
        files = await self.read(File, eq("name", name))
        if not files:
            raise RouterOsProtocolError(self.target.name, f"the export was not written to {name}")
        try:
            text = files[0].contents if "contents" in files[0].raw else await self._read_file(name, files[0].size)
        finally:
            await self.remove("/file", files[0].id)
        return text.replace("\r\n", "\n")

    async def check_script(self, text: str) -> None:
        """Let the router dry-run a configuration script (7.16 and later). Raises `RouterOsTrapError` with line and column."""
        name = "executor-check.rsc"
        identity = await self.add("/file", {"name": name, "contents": text})
        try:
            await self.call("/import", {"file-name": name, "verbose": True, "dry-run": True})
        finally:
            await self.remove("/file", identity)

    async def supports_safe_mode(self) -> bool:
        return await self.version() >= _SAFE_MODE_SINCE

    def safe_mode(self) -> SafeMode:
        """Safe mode on this connection; for 7.18 and later."""
        return SafeMode(self)

    def dead_man_switch(self, name: str, after_s: int) -> DeadManSwitch:
        """A backup that loads itself after `after_s` seconds unless committed before; any version."""
        return DeadManSwitch(self, name, after_s)

    async def guard(self, name: str, after_s: int = 300) -> Guard:
        """The best guard this router has."""
        return self.safe_mode() if await self.supports_safe_mode() else self.dead_man_switch(name, after_s)

    async def _read_file(self, name: str, size: int) -> str:
        """A file too large to be shown in print, piece by piece."""
        data, offset = bytearray(), 0
        while offset < size:
            reply = await self.call("/file/read", {"file": name, "offset": offset, "chunk-size": _CHUNK_BYTES})
            piece = reply.rows[0].get("data", "") if reply.rows else ""
            if not piece:
                break
            data += piece.encode("utf-8", "surrogateescape")
            offset += min(_CHUNK_BYTES, size - offset)
        return data.decode("utf-8", "surrogateescape")
