"""Testing keys from the command line: by the gateway where one runs, which alone holds opened keys then; otherwise here."""

import asyncio
from typing import TYPE_CHECKING

from executor_tui.cli.keys import require_any
from executor_tui.domain.errors import NotFoundError
from executor_tui.domain.key import Key

if TYPE_CHECKING:
    from executor_tui.config.load import Config
    from executor_tui.config.places import Places
    from executor_tui.store.store import Store

ALIVE_S = 15.0
PATIENCE_S = 45.0
REQUEST = "keys.test:"
"""A note of this name and a key's id asks the gateway for a test; it takes the note away when it is done."""


async def test_keys(store: "Store", config: "Config", places: "Places", key_id: str | None) -> tuple[Key, ...]:
    """Test one key, or all, and return them as they then stand. Raises NotFoundError."""
    wanted = require_any(await store.keys.list(), key_id)
    if not (await _gateway_runs(store) and await _by_gateway(store, wanted)):
        await _here(store, config, places, wanted)
    now = {k.id: k for k in await store.keys.list()}
    return tuple(now[k.id] for k in wanted if k.id in now)


async def _gateway_runs(store: "Store") -> bool:
    now = store.clock.now()
    nodes = await store.nodes.list()
    return any(n.gateway_url and n.heartbeat_at and (now - n.heartbeat_at).total_seconds() < ALIVE_S for n in nodes)


async def _by_gateway(store: "Store", keys: tuple[Key, ...]) -> bool:
    """Ask, and wait until every request is taken away. False when nobody does it in time."""
    for key in keys:
        await store.notes.put(REQUEST + key.id, "command line")
    try:
        async with asyncio.timeout(PATIENCE_S):
            async for topics in store.feed():
                if "notes" in topics and not [k for k in keys if await store.notes.get(REQUEST + k.id) is not None]:
                    return True
    except TimeoutError:
        for key in keys:
            await store.notes.delete(REQUEST + key.id)
    return False


async def _here(store: "Store", config: "Config", places: "Places", keys: tuple[Key, ...]) -> None:
    from executor_tui.hydra.providers.build import Providers
    from executor_tui.hydra.verify import check, record
    from executor_tui.vault.open import open_vault

    vault = open_vault(config.executor.vault, places)
    providers = Providers(config.models.providers, places.state_dir)
    try:
        for key in keys:
            name = config.models.provider_named(key.provider)
            if name is None:
                raise NotFoundError(f"models.json has no provider {key.provider!r}, of which key {key.id} is")
            checked = await check(key, providers.get(name), store, vault, config.models, store.clock)
            await record(key, checked, store)
    finally:
        await providers.close()
