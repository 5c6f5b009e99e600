"""The node without a terminal: `executor --no-ui`. One line per event on stdout; SIGTERM and ctrl-c stop it cleanly."""

import asyncio
import json
import signal
import sys
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TYPE_CHECKING, TextIO

from executor_tui.config.places import Places
from executor_tui.domain.event import Event
from executor_tui.logs import log_to_file, scrub

if TYPE_CHECKING:
    from executor_tui.node import Node
    from executor_tui.store.store import Store


def run(places: Places, *, as_json: bool) -> int:
    """Run a node until told to stop. Raises what `running_node` raises; returns 0 after a clean stop."""
    log_to_file(places.log_file)
    asyncio.run(run_feed(places, as_json=as_json))
    return 0


async def run_feed(places: Places, *, as_json: bool, started: "Callable[[Node], Awaitable[None]] | None" = None) -> None:
    """As `run`, inside a loop that already runs and with logging set up. `started` is called once the node is up."""
    from executor_tui.core.gateway_child import end, launch_held

    # First of all: it takes the longest to come up, and loads itself while this process does the same.
    gateway = await launch_held(places)
    try:
        await _run_node(places, gateway, as_json=as_json, started=started)
    finally:
        await end(gateway)


async def _run_node(
    places: Places, gateway: asyncio.subprocess.Process, *, as_json: bool, started: "Callable[[Node], Awaitable[None]] | None"
) -> None:
    from executor_tui.core.systemd import Notifier
    from executor_tui.node import running_node

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    # Losing the terminal does not stop the fleet.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    async with running_node(places, gateway=gateway) as node, asyncio.TaskGroup() as group:
        if started is not None:
            await started(node)
        feed = group.create_task(print_feed(node.store, sys.stdout, as_json=as_json), name="line-feed")
        systemd = Notifier(node.clock)
        watchdog = group.create_task(systemd.run(), name="systemd-watchdog")
        await stop.wait()
        systemd.stopping("stopping in good order")
        feed.cancel()
        watchdog.cancel()


async def print_feed(store: "Store", out: TextIO, *, as_json: bool, after: int | None = None) -> None:
    """Each new event as one line. A reader that goes away ends the feed, not the node."""
    seq = await store.events.last_seq() if after is None else after
    async for topics in store.feed():
        if "events" not in topics:
            continue
        while events := await store.events.after(seq):
            seq = events[-1].seq
            try:
                out.write("".join(line_of(e, as_json=as_json) + "\n" for e in events))
                out.flush()
            except (BrokenPipeError, ValueError):
                await asyncio.Event().wait()


def line_of(event: Event, *, as_json: bool) -> str:
    """An event as one line: JSON, or time, level, who and what."""
    event = replace(event, message=scrub(event.message))
    at = event.at.isoformat(timespec="seconds").replace("+00:00", "Z") if event.at else ""
    if as_json:
        document = {
            "seq": event.seq, "at": at, "level": event.level, "kind": event.kind, "message": event.message, "agent_id": event.agent_id,
            "project_id": event.project_id, "subject_id": event.subject_id, "data": event.data,
        }  # fmt: skip
        return json.dumps(document, ensure_ascii=False)
    who = event.project_id or event.agent_id or event.subject_id
    text = "".join(c if c.isprintable() else " " for c in event.message)
    return f"{at} {event.level:<7} {event.kind:<22} {who + ': ' if who else ''}{text}"
