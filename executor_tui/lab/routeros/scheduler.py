"""Runs `/system/scheduler` jobs when the clock says so."""

import asyncio
from datetime import UTC, datetime

from executor_tui.domain.clock import Clock
from executor_tui.lab.routeros.call import Call, Caller
from executor_tui.lab.routeros.dispatch import execute
from executor_tui.lab.routeros.durations import parse_interval_ms
from executor_tui.lab.routeros.errors import TrapError
from executor_tui.lab.routeros.safe_mode import SafeMode
from executor_tui.lab.routeros.script import run_script
from executor_tui.lab.routeros.sentences import Command
from executor_tui.lab.routeros.state import Router, User
from executor_tui.lab.routeros.table import Row

_PATH = "/system/scheduler"
_STARTUP_S = 3.0


class Scheduler:
    """Sleeps until the next job is due, or until the jobs change."""

    def __init__(self, router: Router, safe_mode: SafeMode) -> None:
        self._router = router
        self._safe_mode = safe_mode
        self._changed = asyncio.Event()
        router.on_schedule_change = self._changed.set

    async def run(self) -> None:
        """Runs for ever; cancel it to stop."""
        clock: Clock = self._router.clock
        while True:
            self._changed.clear()
            due_s = self._plan()
            if due_s is None:
                await self._changed.wait()
                continue
            sleeper = asyncio.ensure_future(clock.sleep(max(0.0, due_s - clock.monotonic_s())))
            waker = asyncio.ensure_future(self._changed.wait())
            try:
                await asyncio.wait({sleeper, waker}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                sleeper.cancel()
                waker.cancel()
            self._fire()

    def _plan(self) -> float | None:
        """Give every job its next moment; the earliest of them."""
        moments = [self._next(row) for row in self._router.table(_PATH) if row.values.get("disabled") != "true"]
        known = [moment for moment in moments if moment is not None]
        return min(known) if known else None

    def _next(self, row: Row) -> float | None:
        if "next_s" in row.facts:
            return float(row.facts["next_s"])
        if "done" in row.facts:
            return None
        now_s, every_s = self._router.clock.monotonic_s(), self._every_s(row)
        start_s = self._start_s(row, now_s)
        if start_s <= now_s:
            if not every_s:
                return None
            start_s += every_s * (int((now_s - start_s) // every_s) + 1)
        row.facts["next_s"] = repr(start_s)
        return start_s

    def _start_s(self, row: Row, now_s: float) -> float:
        """The job's first moment on the monotonic clock. `startup` is shortly after the router came up (3 s, vendor's manual)."""
        if row.values["start-time"] == "startup":
            return self._router.booted_s + _STARTUP_S
        text = f"{row.values['start-date']} {row.values['start-time']}"
        start = datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
        now = self._router.clock.now().replace(microsecond=0)
        return now_s + (start - now).total_seconds()

    @staticmethod
    def _every_s(row: Row) -> float:
        return parse_interval_ms(row.values.get("interval", "0s")) / 1_000

    def _fire(self) -> None:
        now_s = self._router.clock.monotonic_s()
        for row in self._router.table(_PATH):
            if row.values.get("disabled") == "true" or float(row.facts.get("next_s", "inf")) > now_s:
                continue
            del row.facts["next_s"]
            every_s = self._every_s(row)
            if every_s:
                row.facts["next_s"] = repr(now_s + every_s)
            else:
                row.facts["done"] = "yes"
            row.facts["run-count"] = str(int(row.facts.get("run-count", "0")) + 1)
            self._run_job(row)

    def _run_job(self, row: Row) -> None:
        router = self._router
        owner = router.users.get(row.facts.get("owner", "admin")) or User("admin", "")
        call = Call(router, self._safe_mode, Caller(0, owner, "scheduler"), Command("", "", {}), execute)
        event = row.values.get("on-event", "")
        script = router.table("/system/script").by_value("name", event)
        try:
            run_script(call, script.values["source"] if script else event)
        except TrapError as error:
            router.log("script,error", f"executing script from scheduler ({row.values['name']}) failed: {error.message}")
