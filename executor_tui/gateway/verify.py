"""Are the keys any good? Each new one is tried once with its provider, and again whenever somebody asks.

Verifying costs nothing but a request: the provider is asked for its list of models. What it says decides the key's state; when nobody
could be asked, the key stays unverified and is asked about again later.
"""

import asyncio
import logging

from executor_tui.config.models import ModelsSettings
from executor_tui.domain.clock import Clock
from executor_tui.domain.errors import NotFoundError, VaultError
from executor_tui.domain.event import Event, Level
from executor_tui.domain.key import FailureClass, Key, KeyState
from executor_tui.hydra.failures import Verdict, classify
from executor_tui.hydra.providers.base import ProviderFailure
from executor_tui.hydra.providers.build import Providers
from executor_tui.store.store import Store
from executor_tui.vault.base import Opener

log = logging.getLogger(__name__)

REQUEST = "keys.test:"
"""A note of this name and a key's id asks for a test of that key."""
AT_ONCE = 4
AGAIN_S = 60.0
_GOOD_ANYWAY = {
    FailureClass.RATE_LIMITED: "",
    FailureClass.QUOTA_EXHAUSTED: "its quota is used up",
    FailureClass.CREDIT: "it has no credit",
}
"""Refusals that prove a key valid all the same."""


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
            state, reason = await self._state_of(key)
            if asked:
                await self._store.notes.delete(REQUEST + key.id)
            if (state, reason) == (key.state, key.state_reason) and not asked:
                return
            bad = state is KeyState.INVALID
            words = f"key …{key.tail} of {key.provider} is {state.value}" + (f": {reason}" if reason else "")
            event = Event(f"key.{state.value}", words, Level.WARNING if bad else Level.INFO, subject_id=key.id)
            try:
                await self._store.keys.set_state(key.id, state, reason, event)
            except NotFoundError:
                log.info("key %s was removed while it was being verified", key.id)

    async def _state_of(self, key: Key) -> tuple[KeyState, str]:
        name = self.models.provider_named(key.provider)
        if name is None:
            return KeyState.UNVERIFIED, f"models.json has no provider {key.provider!r}"
        settings = self.models.providers[name]
        try:
            secret = await self._vault.open(key.secret_ref, await self._store.keys.ciphertext(key.secret_ref))
        except VaultError as exc:
            return KeyState.UNVERIFIED, exc.message
        try:
            await self._providers.get(name).verify(settings.base_url, secret)
        except ProviderFailure as failure:
            return _verdict(classify(failure.facts, self._clock.now(), settings.daily_reset))
        return KeyState.VERIFIED, ""


def _verdict(verdict: Verdict) -> tuple[KeyState, str]:
    if verdict.failure is FailureClass.AUTH:
        return KeyState.INVALID, verdict.message
    if verdict.failure in _GOOD_ANYWAY:
        return KeyState.VERIFIED, _GOOD_ANYWAY[verdict.failure]
    return KeyState.UNVERIFIED, f"could not be asked about: {verdict.message}"
