"""A console of its own directories on a measuring terminal, over a store that is filled and written to beside it."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

HERE = Path(__file__).resolve()
sys.path.insert(0, str(HERE.parents[2] / "tests" / "ui"))

from seed import seed  # noqa: E402

from executor_tui.domain.agent import Agent, AgentState, AgentType, Role  # noqa: E402
from executor_tui.domain.clock import SystemClock  # noqa: E402
from executor_tui.store.codec import to_row  # noqa: E402
from executor_tui.store.store import Store, default_url  # noqa: E402
from support.terminal import Terminal  # noqa: E402

BARE = [sys.executable, str(HERE.with_name("bare.py"))]


def agent(n: int) -> Agent:
    return Agent(
        f"agent-{n:05}", "Agent", AgentType.PROJECT, Role.CODER, AgentState.BUSY, "", f"task {n}", "prj-invoices", "gemini-flash", 0.01 * n
    )  # fmt: skip


class Place:
    """Directories with a filled store, and how to start a console on them."""

    def __init__(self, folder: str) -> None:
        self.state, self.config = Path(folder) / "state", Path(folder) / "config"
        for path in (self.state, self.config):
            path.mkdir(mode=0o700)
        self.env = {"PATH": "/usr/bin:/bin", "HOME": folder, "LANG": "C.UTF-8"}

    @property
    def url(self) -> str:
        return default_url(self.state)

    async def open(self) -> Store:
        return await Store.open(self.url, SystemClock())

    async def fill(self, agents: int = 0) -> None:
        """The lively fleet of the pictures, and that many agents more."""
        store = await self.open()
        await seed(store)
        if agents:
            async with store.db.write("fleet") as conn:
                await conn.execute(store.agents.table.insert(), [to_row(agent(n)) for n in range(agents)])
        await store.close()

    def console(self, *options: str) -> Terminal:
        return Terminal(
            [
                sys.executable,
                "-m",
                "executor_tui.cli.main",
                "--view-only",
                "--config",
                str(self.config),
                "--state",
                str(self.state),
                *options,
            ],
            self.env,
        )


@contextmanager
def place() -> Iterator[Place]:
    with TemporaryDirectory(prefix="executor-bench-") as folder:
        yield Place(folder)
