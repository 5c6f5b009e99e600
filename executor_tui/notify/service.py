"""Everything that talks to chats, as one task of the leading node: the outbox, its channels, and what comes back over Telegram."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from executor_tui.config.files import PLACEHOLDERS, NotificationSettings
from executor_tui.config.general import ProjectSettings
from executor_tui.domain.alert import Alert, Severity
from executor_tui.domain.errors import VaultError
from executor_tui.domain.event import Event, Level
from executor_tui.notify.base import Channel
from executor_tui.notify.outbox import Outbox
from executor_tui.notify.routes import DISCORD, TELEGRAM, channels, raise_alert
from executor_tui.store.store import Store

if TYPE_CHECKING:
    from executor_tui.notify.telegram import TelegramChannel

LEADERSHIP_S = 1.0


class Notifications:
    """`run()` until cancelled; `apply` new settings while it runs.

    `reveal` turns a setting into its secret (notify.intake.reveal); `intake` moves secrets given in the clear into the vault; `projects`
    gives the settings under which /new starts a project. Only the node that `leads` speaks: two would send everything twice, and Telegram
    lets only one read.
    """

    def __init__(
        self, store: Store, settings: NotificationSettings, *, reveal: Callable[[str], Awaitable[str]],
        projects: Callable[[], ProjectSettings], intake: Callable[[], Awaitable[None]] | None = None,
        leads: Callable[[], bool] = lambda: True, rng: Callable[[], float] = random.random,
    ) -> None:  # fmt: skip
        self._store, self._settings, self._reveal, self._projects = store, settings, reveal, projects
        self._intake, self._leads, self._rng = intake, leads, rng
        self._changed = asyncio.Event()

    def apply(self, settings: NotificationSettings) -> None:
        """New settings: the channels are made anew, also one that was switched off by its service."""
        if settings != self._settings:
            self._settings = settings
            self._changed.set()

    async def run(self) -> None:
        """Serve while this node leads, and start over when the settings change."""
        while True:
            await self._until(True)
            self._changed.clear()
            tasks = [
                asyncio.create_task(self._serve(), name="notifications"),
                asyncio.create_task(self._changed.wait(), name="notifications-settings"),
                asyncio.create_task(self._until(False), name="notifications-leadership"),
            ]
            try:
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                if tasks[0].done():
                    tasks[0].result()
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    async def _until(self, leads: bool) -> None:
        while self._leads() is not leads:
            await self._store.clock.sleep(LEADERSHIP_S)

    async def _serve(self) -> None:
        if self._intake is not None:
            await self._intake()
        await self._forget_what_is_off()
        telegram = await self._telegram()
        ways: list[Channel] = [c for c in (telegram, await self._discord()) if c is not None]
        outbox = Outbox(self._store, ways, coalesce_s=self._settings.coalesce_s, rng=self._rng)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(outbox.run(), name="outbox")
                if telegram is not None and not self._settings.telegram.mirror_only:
                    group.create_task(self._inbox(telegram), name="telegram-inbox")
        finally:
            for way in ways:
                await way.close()

    async def _forget_what_is_off(self) -> None:
        """A channel that was taken out of the settings has no state any more."""
        on = channels(self._settings, Severity.CRITICAL)
        for name in (TELEGRAM, DISCORD):
            if name not in on and await self._store.notes.get(f"channel.{name}") is not None:
                await self._store.notes.delete(f"channel.{name}")

    async def _inbox(self, telegram: "TelegramChannel") -> None:
        from executor_tui.notify.telegram_inbox import Desk, TelegramInbox

        await TelegramInbox(telegram, Desk(self._store, self._raise, self._projects, self._rng)).run()

    async def _raise(self, alert: Alert) -> bool:
        return await raise_alert(self._store, self._settings, alert)

    async def _telegram(self) -> "TelegramChannel | None":
        settings = self._settings.telegram
        if not settings.enabled or settings.chat_id in PLACEHOLDERS:
            return None
        token = await self._secret("telegram", settings.bot_token.get_secret_value())
        if not token:
            return None
        from executor_tui.notify.telegram import TelegramChannel

        return TelegramChannel(settings, token, self._store.notes)

    async def _discord(self) -> Channel | None:
        settings = self._settings.discord
        url = await self._secret("discord", settings.webhook_url.get_secret_value()) if settings.enabled else ""
        if not url:
            return None
        from executor_tui.notify.discord import DiscordChannel

        return DiscordChannel(url, self._store.clock)

    async def _secret(self, channel: str, value: str) -> str:
        """The opened secret; empty, with a word, when it is not filled in or cannot be opened."""
        if value in PLACEHOLDERS:
            return ""
        try:
            return await self._reveal(value)
        except VaultError as exc:
            words = f"{channel} is switched off: {exc.message}"
            await self._store.notes.put(f"channel.{channel}", {"state": "closed", "reason": exc.message})
            await self._store.events.add(Event("channel.closed", words, Level.ERROR, subject_id=channel))
            return ""
