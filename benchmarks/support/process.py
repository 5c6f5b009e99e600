"""Programs under measurement: started, asked of /proc, ended."""

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
HERE = Path(__file__).resolve().parent.parent


@contextlib.asynccontextmanager
async def started(*words: str, environment: Mapping[str, str] | None = None) -> AsyncIterator[tuple[int, str]]:
    """A Python program of these words; its pid and the first line it prints. It ends when its standard input closes."""
    environment = {**os.environ, "PYTHONPATH": str(HERE), **(environment or {})}
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(sys.executable, *words, stdin=pipe, stdout=pipe, env=environment, cwd=HERE)
    assert process.stdin is not None and process.stdout is not None
    try:
        line = (await process.stdout.readline()).decode().strip()
        if not line:
            raise RuntimeError(f"{' '.join(words)} did not start")
        yield process.pid, line
    finally:
        process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), 15)
        except TimeoutError:
            process.kill()
            await process.wait()


def cpu_s(pid: int) -> float:
    """CPU seconds a process and the children it waited for have used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(int(n) for n in fields[11:15]) / _TICKS


def memory_mb(pid: int) -> tuple[float, float]:
    """Resident memory now and at its highest, in MB."""
    lines = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":" in line)
    return tuple(int(lines[name].split()[0]) / 1024 for name in ("VmRSS", "VmHWM"))  # type: ignore[return-value]
