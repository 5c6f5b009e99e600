"""Are the keys any good? Each new one is tried once with its provider, and again whenever somebody asks.

What a provider says decides the key's state (hydra.verify); when nobody could be asked, the key stays unverified and is asked about again
later.
"""

import asyncio

from executor_tui.config.models import ModelsSettings
from executor_tui.domain.clock import Clock
from executor_tui.domain.key import Key, KeyState
from executor_tui.hydra.providers.build import Providers
from executor_tui.hydra.verify import Checked, check, record
from executor_tui.store.store import Store
from executor_tui.vault.base import Opener

REQUEST = "keys.test:"
"""A note of this name and a key's id asks for a test of that key."""
AT_ONCE = 4
AGAIN_S = 60.0


class Verifier:
    """Owned by the gateway, which alone may open keys."""

    def __init__(self, store: Store, vault: Opener, providers: Providers, models: ModelsSettings, clock: Clock) -> None:
        self._store, self._vault, self._providers, self._clock = store, vault, providers, clock
        self.models = models
        """Replaced when settings change."""
        self._tried_at_s: dict[str, float] = {}
        self._places = asyncio.Semaphore(AT_ONCE)

    async def run(self, changed: asyncio.Event) -> None:
        """Verify now, then whenever `changed` is set, and what could not be asked about once in a while. Until cancelled."""
        while True:
            changed.clear()
            await self.pass_over()
            try:
                async with asyncio.timeout(AGAIN_S):
                    await changed.wait()
            except TimeoutError:
                continue

    async def pass_over(self) -> None:
        """Verify every key that is new or asked about."""
        asked = await self._asked()
        keys = [k for k in await self._store.keys.list() if k.id in asked or (k.state is KeyState.UNVERIFIED and self._due(k.id))]
        await asyncio.gather(*(self._one(key, asked=key.id in asked) for key in keys))
        for key_id in asked - {key.id for key in keys}:
            await self._store.notes.delete(REQUEST + key_id)

    async def _asked(self) -> set[str]:
        return {key.id for key in await self._store.keys.list() if await self._store.notes.get(REQUEST + key.id) is not None}

    def _due(self, key_id: str) -> bool:
        tried_at_s = self._tried_at_s.get(key_id)
        return tried_at_s is None or self._clock.monotonic_s() - tried_at_s >= AGAIN_S

    async def _one(self, key: Key, *, asked: bool) -> None:
        async with self._places:
            self._tried_at_s[key.id] = self._clock.monotonic_s()
            name = self.models.provider_named(key.provider)
            if name is None:
                checked = Checked(KeyState.UNVERIFIED, f"models.json has no provider {key.provider!r}")
            else:
                checked = await check(key, self._providers.get(name), self._store, self._vault, self.models, self._clock)
            if asked:
                await self._store.notes.delete(REQUEST + key.id)
            if asked or (checked.state, checked.reason) != (key.state, key.state_reason):
                await record(key, checked, self._store)
