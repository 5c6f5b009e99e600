"""Keys, screens, many rows and memory: with nothing else going on, and with 10,000 agents and 1,000 events a second."""

import asyncio
import statistics
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from console_wire import log_lines, writing
from support.desk import BARE, Place, place
from support.terminal import Terminal, percentile

KEYS = 120
MANY = 10_000
SCREENS = {
    "2": "Quota pool", "3": "Goal", "4": "following", "5": "Decided", "6": "Back up",
    "7": "Changes", "8": "Tokens", "9": "About", "1": "Doing",
}  # fmt: skip


def keys(terminal: Terminal, first: str, second: str) -> list[float]:
    """Seconds from a cursor key to the two rows it touches, drawn anew."""
    taken = []
    for number in range(KEYS):
        behind = len(terminal.got)
        pressed = terminal.send("\x1b[B" if number % 2 == 0 else "\x1b[A")
        terminal.until(first, behind)
        taken.append(terminal.until(second, behind) - pressed)
        terminal.listen(0.05)
    return taken


def switches(terminal: Terminal) -> tuple[list[float], list[float]]:
    """Seconds to each screen, the first time and later."""
    first, later = [], []
    for turn in range(4):
        for key, mark in SCREENS.items():
            behind = len(terminal.got)
            pressed = terminal.send(key)
            (first if turn == 0 else later).append(terminal.until(mark, behind) - pressed)
            terminal.listen(0.4)
    return first, later


def told(name: str, value: float, unit: str, ruler: float = 0.0, budget: str = "") -> None:
    ratio = f"{value / ruler:.2f}" if ruler else ""
    print(f"{name:<44} {value:>10.1f} {unit:<3} {ratio:>8} {budget:>12}", flush=True)


def bare(where: Place) -> tuple[list[float], float]:
    """Key times of the ruler, and the seconds it takes to show 10,000 rows."""
    terminal = Terminal(BARE, where.env)
    terminal.until("bare-00001")
    terminal.quiet()
    taken = keys(terminal, "bare-00000", "bare-00001")
    behind = len(terminal.got)
    pressed = terminal.send("a")
    many = terminal.until("many-00000", behind) - pressed
    terminal.close()
    return taken, many


async def idle(where: Place, ruler: list[float]) -> None:
    await where.fill()
    terminal = where.console()
    terminal.until("architect-001")
    terminal.quiet()
    taken = keys(terminal, "architect-001", "coder-001")
    told("key shown, idle, p50", statistics.median(taken) * 1000, "ms", statistics.median(ruler) * 1000, "15 ms")
    told("key shown, idle, p95", percentile(taken, 0.95) * 1000, "ms", percentile(ruler, 0.95) * 1000, "40 ms")
    first, later = switches(terminal)
    told("another screen, first time, median", statistics.median(first) * 1000, "ms")
    told("another screen, later, median", statistics.median(later) * 1000, "ms", 0.0, "50 ms")
    told("another screen, later, p95", percentile(later, 0.95) * 1000, "ms")
    told("memory, idle", terminal.memory_mb(), "MB", 0.0, "200 MB")
    terminal.close()


async def loaded(where: Place, many_ruler: float, key_ruler: list[float]) -> None:
    await where.fill(MANY)
    terminal = where.console()
    terminal.until("agent-00000")
    terminal.quiet()
    terminal.send("3")
    terminal.until("Goal", len(terminal.got) - 1)
    terminal.listen(1.0)
    behind = len(terminal.got)
    pressed = terminal.send("1")
    told("10,000 rows shown", (terminal.until("agent-00000", behind) - pressed) * 1000, "ms", many_ruler * 1000, "300 ms")
    terminal.listen(2.0)
    storm = threading.Thread(target=lambda: asyncio.run(writing(where, log_lines(20), 50, 40.0)), daemon=True)
    storm.start()
    terminal.listen(2.0)
    cpu, begun = terminal.cpu_s(), time.perf_counter()
    taken = keys(terminal, "agent-00000", "agent-00001")
    used = (terminal.cpu_s() - cpu) / (time.perf_counter() - begun)
    told("key shown, loaded, p50", statistics.median(taken) * 1000, "ms", statistics.median(key_ruler) * 1000)
    told("key shown, loaded, p95", percentile(taken, 0.95) * 1000, "ms", percentile(key_ruler, 0.95) * 1000)
    told("key shown, loaded, p99", percentile(taken, 0.99) * 1000, "ms", percentile(key_ruler, 0.99) * 1000, "100 ms")
    told("one core used, loaded, while keys are pressed", used * 100, "%", 0.0, "50 %")
    terminal.send("4")
    terminal.until("following", len(terminal.got) - 1)
    cpu, begun = terminal.cpu_s(), time.perf_counter()
    terminal.listen(6.0)
    told("one core used, loaded, Logs followed", (terminal.cpu_s() - cpu) / (time.perf_counter() - begun) * 100, "%", 0.0, "50 %")
    told("memory, loaded", terminal.memory_mb(), "MB", 0.0, "200 MB")
    terminal.close()
    storm.join()


def main() -> None:
    print(f"{'':<44} {'measured':>14} {'× bare':>8} {'budget':>12}")
    with place() as where:
        ruler, many = bare(where)
        asyncio.run(idle(where, ruler))
    with place() as where:
        asyncio.run(loaded(where, many, ruler))


if __name__ == "__main__":
    main()
