"""One running Executor: the orchestrator's loop, its workers, the gateway as a child process, and the messengers, put together.

`Node` is used by `headless` (its own process) and by the console's `--inline`. It never imports Textual.
"""

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

from executor_tui.config.load import Config, load
from executor_tui.config.places import Places
from executor_tui.config.watch import ConfigChanged, watch
from executor_tui.core.alerts import raise_alert
from executor_tui.core.backups import Backups, check_at_start
from executor_tui.core.election import Election
from executor_tui.core.gateway_child import GatewayChild
from executor_tui.core.identity import NodeLock, boot_id, host_name, node_id
from executor_tui.core.lookout import Lookout
from executor_tui.core.orchestrator import Orchestrator, Parts
from executor_tui.domain.alert import Alert, Severity
from executor_tui.domain.clock import Clock, SystemClock
from executor_tui.domain.event import Event, Level
from executor_tui.domain.node import Node as NodeRow
from executor_tui.notify.start import messengers
from executor_tui.store.store import Store, default_url
from executor_tui.version import __version__

if TYPE_CHECKING:
    from executor_tui.core.recovery.report import WorkThen

log = logging.getLogger(__name__)


class Node:
    """Use `async with running_node(...)`, which starts and stops one."""

    def __init__(
        self, store: Store, places: Places, config: Config, clock: Clock, gateway: asyncio.subprocess.Process | None = None
    ) -> None:
        self.store, self.places, self.config, self.clock = store, places, config, clock
        self.id = node_id(places.state_dir)
        self.election = Election(store.leases, clock, self.id, config.executor.node.lease_s)
        self.gateway = GatewayChild(places, clock, self._gateway_moved, gateway)
        self._tasks: list[asyncio.Task[None]] = []
        self._wired, self._heard = asyncio.Event(), asyncio.Event()
        self._access: dict[tuple[str, str], str] = {}

    # -- start and stop ------------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Bring everything up. Returns once the node is registered and its loops run; recovery goes on in the background."""
        from executor_tui.core.power_recovery import Limits, PowerRecovery

        limits = Limits(quarantine_after=self.config.executor.recovery.quarantine_after)
        self.recovery = PowerRecovery(
            self.store, self.places, self.clock, self.id, notification=lambda: self.config.notification, limits=limits,
            orphans=self._orphans,
        )  # fmt: skip
        await self.recovery.begin()
        row = NodeRow(self.id, host_name(), os.getpid(), boot_id(), __version__, "", self.clock.now(), self.clock.now())
        await self.store.nodes.put(row)
        await self.store.events.add(Event("node.started", f"node {self.id} started on {row.host} (process {row.pid})"))
        # First of all: it takes the longest to come up, and recovery waits for it before it calls anybody offline.
        self._spawn("gateway", self.gateway.run)
        await self.gateway.launched.wait()
        # Loading these takes as long as the gateway takes to come up: it does so meanwhile.
        from executor_tui.core.changes import workflow as change_workflow
        from executor_tui.core.changes.host import ChangeHost
        from executor_tui.core.containers.keeper import Keeper
        from executor_tui.core.pipeline.runtime import Pipeline

        self.pipeline = Pipeline(self.store, self.places, self.config, self.clock, self.id, self.model_access)
        self.changes = ChangeHost(self.store, self.places, self._settings, self.id, wanted=self._leads, model_access=self.model_access)
        # Both kinds of work must find their way before DBOS comes up: it puts unfinished workflows back to work at once.
        change_workflow.use(self.changes.engine)
        await self.pipeline.launch()
        await self.changes.start()
        parts = Parts(
            self.store, self.places, self.clock, self.id, self.election, self.pipeline, self.recovery,
            gateway_up=self.gateway.up, heard=self._heard,
        )  # fmt: skip
        self.orchestrator = Orchestrator(parts, self.config)
        self._wired.set()
        self._spawn("orchestrator", self.orchestrator.run)
        self._spawn("changes", self.changes.run)
        self._spawn("containers", Keeper(self.store, self.places, self._settings, self._leads).run)
        self._spawn("recovery", lambda: self.recovery.run(self.config.executor.node.heartbeat_s))
        self._spawn("config-watch", self._watch_config)
        self.notifications = messengers(self.store, self._settings, self.places, self._leads)
        self._spawn("notifications", self.notifications.run)
        self._spawn("lookout", lambda: self._once_ready(Lookout(self.store, self.places.state_dir, self._settings, self._leads).run))
        self._spawn("backups", lambda: self._once_ready(Backups(self.store, self.places, lambda: self.config.executor.backups).run))

    async def _orphans(self) -> "Sequence[WorkThen]":
        from executor_tui.core.recovery import orphans

        return await orphans.collect(self.store, self.config, self.places)

    def _settings(self) -> Config:
        return self.config

    def _leads(self) -> bool:
        return self.election.leads

    async def stop(self) -> None:
        """Take everything down cleanly and say so in last_state.json: the next start finds a clean stop."""
        from executor_tui.agents.links import drop_links

        for task in reversed(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.changes.stop()
        drop_links()
        await self.pipeline.shutdown()
        await self.store.nodes.update(self.id, stopped_at=self.clock.now(), gateway_url="")
        await self.election.resign()
        await self.store.events.add(Event("node.stopped", f"node {self.id} stopped cleanly"))
        await self.recovery.clean_stop()

    async def _once_ready(self, work: Callable[[], Awaitable[None]]) -> None:
        """What can wait until recovery is done."""
        await self.orchestrator.ready.wait()
        await work()

    def _spawn(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        self._tasks.append(asyncio.create_task(self._keep(name, work), name=name))

    async def _keep(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        """A loop of the node must not die in silence: it is logged, told in the store, and started again after a pause."""
        while True:
            try:
                await work()
                return
            except asyncio.CancelledError:
                raise
            except BaseException as exc:  # the last line of defence: reported, not swallowed
                if isinstance(exc, KeyboardInterrupt | SystemExit):
                    raise
                log.exception("%s failed", name)
                await self._report_failure(name, exc)
                await self.clock.sleep(2.0)

    async def _report_failure(self, name: str, exc: BaseException) -> None:
        cause = exc.exceptions[0] if isinstance(exc, BaseExceptionGroup) else exc
        text = f"the node's {name} failed and is started again: {type(cause).__name__}"
        self.store.events.emit(Event("node.unwell", text, Level.ERROR, subject_id=self.id))
        await asyncio.sleep(0)

    # -- what the parts need of each other -----------------------------------------------------------------------------------------

    async def model_access(self, agent_id: str, project_id: str) -> tuple[str, str]:
        """(base URL, virtual key) of the gateway for one agent at one project; the key lives in memory only.

        Waits for the gateway, and after a start for the agents to be pinged: a thousand resumed projects would keep them from being heard.
        """
        from executor_tui.core import virtual_keys

        await self.gateway.up.wait()
        await self._heard.wait()
        known = self._access.get((agent_id, project_id))
        if known is None:
            name = f"{agent_id}/{project_id}" if project_id else agent_id
            earlier = await self.store.tokens.by_name(name)
            if earlier is not None:
                await self.store.tokens.revoke(earlier.id)
            _, known = await virtual_keys.issue(self.store, self.clock, name, agent_id=agent_id, project_id=project_id)
            self._access[(agent_id, project_id)] = known
        return f"{self.gateway.url}/v1", known

    async def _gateway_moved(self, url: str) -> None:
        await self.store.nodes.update(self.id, gateway_url=url)
        kind, text, level = ("gateway.up", f"gateway listens at {url}", Level.INFO)
        if not url:
            kind, text, level = ("gateway.down", "the gateway is down", Level.WARNING)
        await self.store.events.add(Event(kind, text, level, subject_id=self.id))
        if self._wired.is_set():
            self.orchestrator.ping_soon()

    async def _watch_config(self) -> None:
        async for change in watch(self.places.config_dir):
            files = ", ".join(change.files)
            if isinstance(change, ConfigChanged):
                self.config = change.config
                self.orchestrator.reconfigure(self.config)
                self.pipeline.reconfigure(self.config)
                self.notifications.apply(self.config.notification)
                await self.store.notes.delete("config.problem")
                await self.store.events.add(Event("config.applied", f"{files} changed and applied"))
            else:
                await self.store.notes.put("config.problem", change.message)
                text = f"{files} changed but cannot be used; the old settings stay: {change.message}"
                await self.store.events.add(Event("config.rejected", text, Level.ERROR))
                alert = Alert(
                    f"alr-config-{files}", f"config:{change.message}", Severity.WARNING, f"{files} cannot be used", change.message
                )
                await raise_alert(self.store, self.config.notification, alert)


@asynccontextmanager
async def running_node(
    places: Places, clock: Clock | None = None, gateway: asyncio.subprocess.Process | None = None
) -> AsyncIterator[Node]:
    """A node of this state directory, up for as long as the block runs. Raises ConflictError, ConfigError, StoreError, VaultError.

    `gateway` is a held one that has been started already; without it the node starts its own.
    """
    clock = clock or SystemClock()
    config = load(places.config_dir)
    async with AsyncExitStack() as stack:
        stack.enter_context(NodeLock(places.state_dir))
        url = config.database_url(default_url(places.state_dir))
        await check_at_start(places, url)
        store = await Store.open(url, clock)
        stack.push_async_callback(store.close)
        node = Node(store, places, config, clock, gateway)
        await node.start()
        try:
            yield node
        finally:
            await node.stop()
