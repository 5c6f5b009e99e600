"""Puts the messengers together for a node: secrets taken in, then one task that serves the channels."""

from collections.abc import Awaitable, Callable

from executor_tui.config.load import Config
from executor_tui.config.places import Places
from executor_tui.domain.clock import Clock
from executor_tui.domain.errors import ExecutorError
from executor_tui.domain.event import Event, Level
from executor_tui.notify.intake import reveal, take_in
from executor_tui.notify.service import Notifications
from executor_tui.store.store import Store
from executor_tui.vault.open import open_vault


async def take_in_secrets(store: Store, config: Config, places: Places) -> None:
    """Move a bot token or webhook given in the clear into the vault; what prevents it is told, and the channel works all the same."""
    try:
        await take_in(places.config_dir, store, open_vault(config.executor.vault, places))
    except (ExecutorError, OSError) as exc:
        why = exc.message if isinstance(exc, ExecutorError) else str(exc.strerror)
        words = f"the secrets in notification.json stay in the clear: {why}"
        await store.events.add(Event("config.secrets_in_clear", words, Level.WARNING))


def messengers(store: Store, config: Callable[[], Config], places: Places, leads: Callable[[], bool]) -> Notifications:
    """The messengers of a node; run them, and give them new settings with `apply`."""

    async def opened(value: str) -> str:
        return await reveal(value, store, open_vault(config().executor.vault, places))

    async def intake() -> None:
        await take_in_secrets(store, config(), places)

    return Notifications(
        store, config().notification, reveal=opened, intake=intake, projects=lambda: config().executor.projects, leads=leads
    )  # fmt: skip


async def start_messengers(store: Store, config: Config, places: Places, clock: Clock) -> list[tuple[str, Callable[[], Awaitable[None]]]]:
    """As named loops, for a node that always leads and whose settings never change."""
    return [("notifications", messengers(store, lambda: config, places, lambda: True).run)]
