"""The store as everybody sees it: one object with a repository per aggregate and the change feed."""

from collections.abc import AsyncGenerator
from pathlib import Path

from executor_tui.domain.clock import Clock
from executor_tui.store import feed, migrate
from executor_tui.store.agents import Agents, Checkpoints
from executor_tui.store.approvals import Approvals
from executor_tui.store.batch import Batches
from executor_tui.store.calls import Calls, VirtualKeys
from executor_tui.store.changes import Changes, Receipts
from executor_tui.store.database import Database
from executor_tui.store.events import Events
from executor_tui.store.histories import Histories
from executor_tui.store.keys import Keys, Parks
from executor_tui.store.limits import Limits
from executor_tui.store.nodes import Leases, Nodes, Notes, Operators
from executor_tui.store.outbox import Alerts, Deliveries
from executor_tui.store.projects import Projects, Questions, Steps
from executor_tui.store.recovery import RecoveryReports

DATABASE_FILE = "executor.db"


class Store:
    """Use `Store.open`; close it with `close()`. Topics of the feed are the `topic` of each repository."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self.db, self.clock = db, clock
        self.batches = Batches(db)
        self._pulse = feed.Pulse(db, clock)
        self.agents = Agents(db, clock)
        self.checkpoints = Checkpoints(db, clock, self.batches)
        self.keys = Keys(db, clock)
        self.parks = Parks(db, clock)
        self.limits = Limits(db, clock)
        self.calls = Calls(db, clock, self.batches)
        self.tokens = VirtualKeys(db, clock)
        self.approvals = Approvals(db, clock)
        self.projects = Projects(db, clock)
        self.steps = Steps(db, clock)
        self.questions = Questions(db, clock)
        self.histories = Histories(db, clock)
        self.events = Events(db, clock)
        self.nodes = Nodes(db, clock)
        self.leases = Leases(db, clock)
        self.operators = Operators(db, clock)
        self.notes = Notes(db, clock)
        self.reports = RecoveryReports(db, clock)
        self.alerts = Alerts(db, clock)
        self.deliveries = Deliveries(db, clock)
        self.changes = Changes(db, clock)
        self.receipts = Receipts(db, clock)

    @classmethod
    async def open(cls, url: str, clock: Clock) -> "Store":
        """Connect, bring the tables up to date (a SQLite file is backed up first), and return the store. Raises StoreError."""
        db = Database(url)
        try:
            await migrate.upgrade(db, clock)
        except BaseException:
            await db.close()
            raise
        return cls(db, clock)

    def feed(self) -> AsyncGenerator[frozenset[str]]:
        """Changed topics, first all of them. Leave it early only through `contextlib.aclosing`."""
        return feed.follow(self._pulse)

    async def close(self) -> None:
        """Flush what is queued and let go of the database."""
        await self.events.flush()
        await self.batches.close()
        await self._pulse.close()
        await self.db.close()


def default_url(state_dir: Path) -> str:
    """The SQLite database of a state directory."""
    return f"sqlite+aiosqlite:///{state_dir / DATABASE_FILE}"
