"""The gateway assembled: store, vault, router, providers and HTTP server, started and stopped as one."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from aiohttp import web

from executor_tui.config.load import Config, load
from executor_tui.config.places import Places
from executor_tui.config.watch import ConfigChanged, watch
from executor_tui.core.identity import node_id
from executor_tui.core.model_router import ModelRouter
from executor_tui.core.virtual_keys import Keyring
from executor_tui.domain.clock import Clock, SystemClock
from executor_tui.domain.errors import ConfigError, ExecutorError
from executor_tui.domain.event import Event, Level
from executor_tui.gateway.app import make_app
from executor_tui.gateway.exchange import Door
from executor_tui.gateway.listing import Listing
from executor_tui.gateway.metrics import Metrics
from executor_tui.gateway.verify import Verifier
from executor_tui.hydra.intake import take_in_file
from executor_tui.hydra.providers.build import Providers
from executor_tui.store.keys import KEYRING
from executor_tui.store.store import Store, default_url
from executor_tui.vault.open import open_vault

log = logging.getLogger(__name__)

WHOLE_REPLY_FACTOR = 4.0
"""A whole answer may take this many times as long to begin as a stream: nothing of it is sent until all of it is there."""
GRACE_S = 5.0
"""How long requests under way may go on once the gateway is asked to stop."""
BACKLOG = 2048
_FOLLOW_AGAIN_S = 1.0
REFRESH_S = 0.25
"""A revoked virtual key stops working within about this long."""


class Gateway:
    """`start` returns the URL; `stop` lets requests end, settles every call and closes everything."""

    def __init__(
        self, places: Places, clock: Clock | None = None, *, host: str | None = None, port: int | None = None, child: bool = False
    ) -> None:
        self._places, self._clock = places, clock or SystemClock()
        self._host, self._port, self._child = host, port, child
        self._tasks: list[asyncio.Task[None]] = []
        self._closers: list[Callable[[], Awaitable[object]]] = []
        self._keys_changed, self._tokens_changed = asyncio.Event(), asyncio.Event()
        self.url = ""
        self.door: Door
        self.config: Config

    async def start(self, config: Config | None = None) -> str:
        """Listen. Raises ExecutorError: bad configuration, a store or vault that cannot be opened, a port that is taken."""
        config = config or load(self._places.config_dir)
        try:
            await self._start(config)
        except BaseException:
            await self.stop()
            raise
        return self.url

    async def _start(self, config: Config) -> None:
        self.config = config
        self._store = await Store.open(config.database_url(default_url(self._places.state_dir)), self._clock)
        self._closers.append(self._store.close)
        self._vault = open_vault(config.executor.vault, self._places)
        await self._try_take_in(config)
        self._providers = Providers(config.models.providers, self._places.state_dir)
        self._closers.append(self._providers.close)
        node = node_id(self._places.state_dir)
        self._router = ModelRouter(self._store, self._vault, config, self._clock, node_id=node if self._child else f"{node}/gateway")
        self._closers.append(self._router.close)
        await self._router.start()
        keyring, self._metrics = Keyring(self._store), Metrics()
        await keyring.refresh()
        reply_s = config.executor.gateway.first_token_s * WHOLE_REPLY_FACTOR
        self.door = Door(self._router, self._providers, keyring, self._metrics, self._clock, reply_s)
        self._listing = Listing(self.door, config.models)
        self._verifier = Verifier(self._store, self._vault, self._providers, config.models, self._clock)
        await self._listen(config)
        self._spawn("feed", self._follow())
        self._spawn("keyring", self._refresh(keyring))
        self._spawn("config", self._watch_config())
        self._spawn("verify", self._verifier.run(self._keys_changed))
        self._spawn("opencode", self._look_for_opencode())

    async def stop(self, grace_s: float = GRACE_S) -> None:
        """No new requests; those under way get `grace_s`, are cancelled and settled; then everything is closed. Safe to call twice."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        closers, self._closers = self._closers, []
        for close in reversed(closers):
            try:
                await close()
            except ExecutorError as exc:
                log.error("while stopping: %s", exc.message)

    async def flush(self) -> None:
        """Every call that has ended is on disk when this returns. Raises StoreError."""
        await self._router.flush()

    async def _listen(self, config: Config) -> None:
        host = self._host or config.executor.gateway.host
        port = config.executor.gateway.port if self._port is None else self._port
        app = make_app(self.door, self._listing)
        runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=GRACE_S, keepalive_timeout=75.0)
        await runner.setup()
        self._closers.append(runner.cleanup)
        site = web.TCPSite(runner, host, port, backlog=BACKLOG)
        try:
            await site.start()
        except OSError as exc:
            hint = "choose another with gateway.port in executor.json (0 takes any free one), or --port"
            raise ConfigError(f"the gateway cannot listen on {host}:{port}: {exc.strerror or exc}", hint=hint) from exc
        address = runner.addresses[0]
        shown = f"[{address[0]}]" if ":" in address[0] else address[0]
        self.url = f"http://{shown}:{address[1]}"

    # -- what goes on beside requests

    def _spawn(self, name: str, work: Awaitable[None]) -> None:
        self._tasks.append(asyncio.create_task(self._kept_alive(name, work), name=f"gateway-{name}"))

    async def _kept_alive(self, name: str, work: Awaitable[None]) -> None:
        """A part that fails is told of; the door stays open."""
        try:
            await work
        except asyncio.CancelledError:
            raise
        except ExecutorError as exc:
            log.error("the gateway's %s stopped: %s", name, exc.message)
        except Exception:  # the door stays open without this part
            log.exception("the gateway's %s stopped", name)

    async def _follow(self) -> None:
        """What changed in the store: virtual keys, keys to verify, parks to show. Follows again when the store was away."""
        while True:
            try:
                async for topics in self._store.feed():
                    if "tokens" in topics:
                        self._tokens_changed.set()
                    if topics & {KEYRING, "notes"}:
                        self._keys_changed.set()
                    if "parks" in topics:
                        self._metrics.parked(await self._store.parks.open())
            except ExecutorError as exc:
                log.warning("the store cannot be followed: %s", exc.message)
            await self._clock.sleep(_FOLLOW_AGAIN_S)

    async def _refresh(self, keyring: Keyring) -> None:
        """Every settled call changes what its virtual key has spent; reading them all at each would cost more than the calls."""
        while True:
            await self._tokens_changed.wait()
            self._tokens_changed.clear()
            await keyring.refresh()
            await self._clock.sleep(REFRESH_S)

    async def _watch_config(self) -> None:
        async for change in watch(self._places.config_dir):
            if isinstance(change, ConfigChanged):
                await self._reload(change.config)
            else:
                log.warning("settings not taken over: %s", change.message.splitlines()[0])

    async def _reload(self, config: Config) -> None:
        self.config = config
        await self._try_take_in(config)
        self._providers.reload(config.models.providers)
        await self._router.reload(config)
        self._listing.models = self._verifier.models = config.models
        self.door.reply_s = config.executor.gateway.first_token_s * WHOLE_REPLY_FACTOR
        self._keys_changed.set()

    async def _try_take_in(self, config: Config) -> None:
        """Keys that cannot be taken in are told of; those already in the vault serve on."""
        try:
            await self._take_in(config)
        except ExecutorError as exc:
            log.error("keys of hydra_keys.json not taken in: %s", exc.message)
            words = f"keys of hydra_keys.json not taken in: {exc.message}" + (f" ({exc.hint})" if exc.hint else "")
            self._store.events.emit(Event("key.refused", words, Level.ERROR))

    async def _take_in(self, config: Config) -> None:
        """Keys written into hydra_keys.json go into the vault, and a reference takes their place."""
        try:
            taken = await take_in_file(self._places.config_dir, config.models, self._store, self._vault)
        except OSError as exc:
            hint = "make the configuration directory writable, or add keys with: executor keys add PROVIDER"
            raise ConfigError(f"the keys of hydra_keys.json cannot be replaced by references: {exc.strerror}", hint=hint) from exc
        for one in taken:
            if one.problem and not one.known:
                self._store.events.emit(Event("key.refused", f"a key of hydra_keys.json was not taken in: {one.problem}", Level.WARNING))

    async def _look_for_opencode(self) -> None:
        """Say once, in one line, when a route over the opencode program is off."""
        for name, provider in self._providers.opencode().items():
            reason = await provider.available()
            self._router.provider_off(name, reason)
            if reason:
                self._store.events.emit(Event("provider.off", f"{name} is off: {reason}", Level.INFO, subject_id=name))
