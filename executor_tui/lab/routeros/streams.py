"""Commands that go on answering: listen, print with follow, monitor-traffic and ping."""

import asyncio
import hashlib
import ipaddress
from collections.abc import AsyncIterator, Callable, Mapping

from executor_tui.lab.routeros.call import Call
from executor_tui.lab.routeros.errors import invalid_value, no_match
from executor_tui.lab.routeros.items import cut_down, printed, rows_of, show
from executor_tui.lab.routeros.table import Row

Stream = Callable[[Call], AsyncIterator[Mapping[str, str]]]


def stream_for(call: Call) -> Stream | None:
    """The stream a command asks for, or none when it ends by itself."""
    command = call.command
    if command.word in _BY_WORD:
        return _BY_WORD[command.word]
    menu = call.router.menus.get(command.path)
    if menu is None:
        return None
    if command.verb == "listen" and "listen" in menu.verbs:
        return _listen
    follows = "follow" in command.arguments or "follow-only" in command.arguments
    return _listen if command.verb in ("print", "getall") and follows else None


async def _listen(call: Call) -> AsyncIterator[Mapping[str, str]]:
    menu = call.router.menus[call.command.path]
    changes: asyncio.Queue[Mapping[str, str]] = asyncio.Queue()

    def heard(path: str, row: Row, gone: bool) -> None:
        if path == menu.path:
            changes.put_nowait({".id": row.id, ".dead": "yes"} if gone else _shown(call, row))

    call.router.listeners.append(heard)
    try:
        if "follow" in call.arguments:
            for item in cut_down(printed(call, menu), call):
                yield item
        while True:
            yield await changes.get()
    finally:
        call.router.listeners.remove(heard)


def _shown(call: Call, row: Row) -> Mapping[str, str]:
    menu = call.router.menus[call.command.path]
    item = dict(row.values) if menu.path == "/log" else show(call.router, menu, row)
    return cut_down([item], call)[0]


async def _monitor_traffic(call: Call) -> AsyncIterator[Mapping[str, str]]:
    call.allow("interface", "once", "interval", "duration", ".proplist", "numbers", ".id")
    router = call.router
    names = call.arguments.get("interface", call.arguments.get("numbers", "")).split(",")
    rows = {row.values["name"]: row for row in rows_of(router, "/interface")}
    for name in names:
        if name not in rows:
            raise no_match("interface")
    while True:
        now_s = router.clock.monotonic_s()
        for name in names:
            row = rows[name]
            running = row.values.get("disabled") != "true" and row.facts.get("running", "true") == "true"
            item = {"name": name}
            for way in ("rx", "tx"):
                meter = router.traffic.meter(f"interface/{row.id}/{way}", now_s, running=running)
                rate = meter.rate(now_s)
                item |= {f"{way}-packets-per-second": str(rate // 6_960), f"{way}-bits-per-second": str(rate)}
            yield cut_down([item], call)[0]
        if "once" in call.arguments:
            return
        await router.clock.sleep(1.0)


async def _ping(call: Call) -> AsyncIterator[Mapping[str, str]]:
    call.allow(
        "address",
        "count",
        "interval",
        "size",
        "interface",
        "src-address",
        "ttl",
        "arp-ping",
        "dscp",
        "do-not-fragment",
        "vrf",
        ".proplist",
    )
    router = call.router
    target = call.argument("address")
    try:
        ipaddress.ip_address(target)
    except ValueError:
        raise invalid_value("address") from None
    count = int(call.argument("count", "0"))
    alive = _answers(call, target)
    rtt_us = 300 + int.from_bytes(hashlib.sha256(target.encode()).digest()[:2], "big") % 40_000
    sequence = 0
    while not count or sequence < count:
        if sequence:
            await router.clock.sleep(1.0)
        received = sequence + 1 if alive else 0
        item = {
            "seq": str(sequence),
            "host": target,
            "sent": str(sequence + 1),
            "received": str(received),
            "packet-loss": "0" if alive else "100",
        }
        time = f"{rtt_us // 1000}ms{rtt_us % 1000}us"
        yield item | (
            {"size": "56", "ttl": "64", "time": time, "min-rtt": time, "avg-rtt": time, "max-rtt": time} if alive else {"status": "timeout"}
        )
        sequence += 1


def _answers(call: Call, target: str) -> bool:
    """A host answers when it holds a bound lease or is one of the router's own addresses; everything outside the lab does."""
    if not ipaddress.ip_address(target).is_private:
        return True
    leases = {row.values["address"] for row in call.router.table("/ip/dhcp-server/lease") if row.facts.get("status") == "bound"}
    own = {row.values["address"].split("/")[0] for row in call.router.table("/ip/address")}
    return target in leases | own


_BY_WORD: Mapping[str, Stream] = {
    "/interface/monitor-traffic": _monitor_traffic,
    "/ping": _ping,
    "/tool/ping": _ping,
}
