"""Whether a key is any good: its provider is asked for something that costs nothing, and what it says decides the key's state."""

from dataclasses import dataclass

from executor_tui.config.models import ModelsSettings
from executor_tui.domain.clock import Clock
from executor_tui.domain.errors import NotFoundError, VaultError
from executor_tui.domain.event import Event, Level
from executor_tui.domain.key import FailureClass, Key, KeyState
from executor_tui.hydra.failures import Verdict, classify
from executor_tui.hydra.providers.base import Provider, ProviderFailure
from executor_tui.store.store import Store
from executor_tui.vault.base import Opener

GOOD_ANYWAY = {
    FailureClass.RATE_LIMITED: "",
    FailureClass.QUOTA_EXHAUSTED: "its quota is used up",
    FailureClass.CREDIT: "it has no credit",
}
"""Refusals that prove a key valid all the same."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What is known of a key now; `reason` in the provider's words, or ours."""

    state: KeyState
    reason: str = ""


async def check(key: Key, provider: Provider, store: Store, vault: Opener, models: ModelsSettings, clock: Clock) -> Checked:
    """Ask the provider. When nobody could be asked the key stays unverified."""
    settings = models.providers[models.provider_named(key.provider) or key.provider]
    try:
        secret = await vault.open(key.secret_ref, await store.keys.ciphertext(key.secret_ref))
    except VaultError as exc:
        return Checked(KeyState.UNVERIFIED, exc.message)
    try:
        await provider.verify(settings.base_url, secret)
    except ProviderFailure as failure:
        return from_verdict(classify(failure.facts, clock.now(), settings.daily_reset))
    return Checked(KeyState.VERIFIED)


def from_verdict(verdict: Verdict) -> Checked:
    """What a refusal says of the key itself."""
    if verdict.failure is FailureClass.AUTH:
        return Checked(KeyState.INVALID, verdict.message)
    if verdict.failure in GOOD_ANYWAY:
        return Checked(KeyState.VERIFIED, GOOD_ANYWAY[verdict.failure])
    return Checked(KeyState.UNVERIFIED, f"could not be asked about: {verdict.message}")


async def record(key: Key, checked: Checked, store: Store) -> None:
    """Keep what was found, with an event; a key removed meanwhile is left alone."""
    words = f"key …{key.tail} of {key.provider} is {checked.state}" + (f": {checked.reason}" if checked.reason else "")
    level = Level.WARNING if checked.state is KeyState.INVALID else Level.INFO
    try:
        await store.keys.set_state(key.id, checked.state, checked.reason, Event(f"key.{checked.state}", words, level, subject_id=key.id))
    except NotFoundError:
        return
