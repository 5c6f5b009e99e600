"""The console's first frames beside a bare Textual app's, whole processes on a terminal: the last screen painted, and the live one."""

import asyncio
import statistics
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from support.desk import BARE, Place, place
from support.terminal import Terminal

RUNS = 7
BUDGETS = {"painted": 0.3, "live": 1.25}
MARK = "architect-001"


def bare(where: Place) -> float:
    terminal = Terminal(BARE, where.env)
    try:
        return terminal.until("bare-00000") - terminal.started_s
    finally:
        terminal.close()


def frames(where: Place) -> dict[str, float]:
    """Seconds to the painted last screen, to Textual's first frame, and to the present read from the store."""
    terminal = where.console()
    try:
        painted = terminal.until(MARK)
        behind = len(terminal.got)
        live = terminal.until("Fleet", behind)
        data = terminal.until(MARK, behind)
        return {"painted": painted - terminal.started_s, "live": live - terminal.started_s, "data": data - terminal.started_s}
    finally:
        terminal.close()


def settle(where: Place) -> None:
    """A console that was left has a last screen; it also warms the caches."""
    terminal = where.console()
    terminal.until(MARK)
    terminal.quiet()
    terminal.send("q")
    terminal.child.wait(30)
    terminal.close()


def main() -> None:
    with place() as where:
        asyncio.run(where.fill())
        settle(where)
        bare(where)
        rulers: list[float] = []
        taken: dict[str, list[float]] = {"painted": [], "live": [], "data": []}
        for _ in range(RUNS):
            rulers.append(bare(where))
            for name, seconds in frames(where).items():
                taken[name].append(seconds)
        ruler = statistics.median(rulers)
        print(f"{'first frame':<34} {'median ms':>10} {'× bare':>8} {'budget':>8}")
        print(f"{'bare Textual app, DataTable':<34} {ruler * 1000:>10.0f} {1.0:>8.2f}")
        words = {"painted": "last screen painted", "live": "live console", "data": "the present read and shown"}
        for name, seconds in taken.items():
            budget = f"{BUDGETS[name]:.2f}" if name in BUDGETS else ""
            print(f"{words[name]:<34} {statistics.median(seconds) * 1000:>10.0f} {statistics.median(seconds) / ruler:>8.2f} {budget:>8}")


if __name__ == "__main__":
    main()
