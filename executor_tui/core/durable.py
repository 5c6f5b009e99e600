"""The one DBOS instance of this process. Projects and changes register their workflows on it when their modules are imported.

Whoever comes first launches it, whoever leaves last takes it down. Import every module with workflows before `launch`: DBOS puts a
process's unfinished workflows back to work at once, and looks them up by name. Workflow coroutines run on the loop that launched it.
"""

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from dbos import DBOS, DBOSConfig

from executor_tui.config.places import Places
from executor_tui.store.database import IDLE_IN_TRANSACTION_S, normal_url

APPLICATION_VERSION = "1"
"""Bumped by hand when the steps of a workflow change: DBOS resumes only what was begun under the same version."""

UNFINISHED = ["PENDING", "ENQUEUED"]
WORKFLOWS_FILE = "workflows.db"
POLL_S = 0.25
"""How often DBOS looks for queued work and for messages: five times a second for every queue would be a tenth of a core for nothing."""

log = logging.getLogger(__name__)


@dataclass
class _Launched:
    executor_id: str
    users: int


_launched: _Launched | None = None


def system_url(places: Places, database_url: str) -> str:
    """Where DBOS keeps its tables: beside the store's SQLite file, or in the same Postgres database in a schema of its own."""
    url = normal_url(database_url)
    if url.startswith("sqlite"):
        return f"sqlite:///{places.state_dir / WORKFLOWS_FILE}"
    return url


async def launch(places: Places, database_url: str, executor_id: str) -> None:
    """Bring DBOS up on this loop, or join it when it is up. `executor_id` must be stable: a process finds its own unfinished work by it."""
    global _launched
    if _launched is not None:
        if _launched.executor_id != executor_id:
            raise RuntimeError(f"DBOS runs as {_launched.executor_id} in this process; it cannot also run as {executor_id}")
        _launched.users += 1
        return
    _quiet_logger()
    config: DBOSConfig = {
        "name": "executor",
        "system_database_url": system_url(places, database_url),
        "application_version": APPLICATION_VERSION,
        "executor_id": executor_id,
        "enable_otlp": False,
        "log_level": "WARNING",
        "notification_listener_polling_interval_sec": POLL_S,
        "sys_db_idle_transaction_timeout_sec": IDLE_IN_TRANSACTION_S,
    }
    DBOS(config=config)
    # On the loop's own thread: DBOS runs coroutines on the loop it was launched from, and on a thread of its own when there is none.
    DBOS.launch()
    _launched = _Launched(executor_id, 1)


async def shutdown() -> None:
    """Leave. The last one out stops DBOS; workflows that still run stay pending and go on at the next launch."""
    global _launched
    if _launched is None:
        return
    _launched.users -= 1
    if _launched.users == 0:
        _launched = None
        await asyncio.to_thread(DBOS.destroy)
        # DBOS made its own pool the loop's default and has shut it down with itself: without a new one no thread could be used any more.
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(thread_name_prefix="executor"))


async def adopt(executor_id: str) -> int:
    """Take over every unfinished workflow of a process that is gone; says how many. Only for one that cannot write any more."""
    found = await DBOS.list_workflows_async(executor_id=executor_id, status=UNFINISHED, load_input=False, load_output=False)
    ids = [workflow.workflow_id for workflow in found]
    if ids:
        await DBOS.resume_workflows_async(ids)
    return len(ids)


def _quiet_logger() -> None:
    """DBOS adds a handler that writes to stderr unless its logger has one; a terminal must stay clean, so it logs through ours."""
    logger = logging.getLogger("dbos")
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
        logger.propagate = True
