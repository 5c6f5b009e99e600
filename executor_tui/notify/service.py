"""Everything that talks to chats, as one task of the leading node: the outbox, its channels, and what comes back over Telegram."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from executor_tui.config.files import PLACEHOLDERS, NotificationSettings
from executor_tui.config.general import ProjectSettings
from executor_tui.domain.alert import Alert
from executor_tui.domain.errors import VaultError
from executor_tui.domain.event import Event, Level
from executor_tui.notify.base import Channel
from executor_tui.notify.outbox import Outbox
from executor_tui.store.store import Store

if TYPE_CHECKING:
    from executor_tui.notify.telegram import TelegramChannel

log = logging.getLogger(__name__)


class Notifications:
    """`run()` until cancelled; `apply` new settings while it runs.

    `reveal` turns a setting into its secret (notify.intake.reveal); `report` raises an alert; `projects` gives the settings under which
    /new starts a project.
    """

    def __init__(
        self, store: Store, settings: NotificationSettings, *, reveal: Callable[[str], Awaitable[str]],
        report: Callable[[Alert], Awaitable[object]], projects: Callable[[], ProjectSettings], rng: Callable[[], float] = random.random,
    ) -> None:  # fmt: skip
        self._store, self._settings, self._reveal, self._report, self._projects = store, settings, reveal, report, projects
        self._rng = rng
        self._changed = asyncio.Event()

    def apply(self, settings: NotificationSettings) -> None:
        """New settings: the channels are made anew, also one that was switched off by its service."""
        if settings != self._settings:
            self._settings = settings
            self._changed.set()

    async def run(self) -> None:
        """Serve the settings as they are, and start over when they change."""
        while True:
            self._changed.clear()
            serving = asyncio.create_task(self._serve(), name="notifications")
            changed = asyncio.create_task(self._changed.wait(), name="notifications-settings")
            try:
                await asyncio.wait({serving, changed}, return_when=asyncio.FIRST_COMPLETED)
                if serving.done():
                    serving.result()
                    await self._changed.wait()
            finally:
                for task in (serving, changed):
                    task.cancel()
                await asyncio.gather(serving, changed, return_exceptions=True)

    async def _serve(self) -> None:
        telegram = await self._telegram()
        channels: list[Channel] = [c for c in (telegram, await self._discord()) if c is not None]
        outbox = Outbox(self._store, channels, coalesce_s=self._settings.coalesce_s, rng=self._rng)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(outbox.run(), name="outbox")
                if telegram is not None and not self._settings.telegram.mirror_only:
                    group.create_task(self._inbox(telegram), name="telegram-inbox")
        finally:
            for channel in channels:
                await channel.close()

    async def _inbox(self, telegram: "TelegramChannel") -> None:
        from executor_tui.notify.telegram_inbox import Desk, TelegramInbox

        await TelegramInbox(telegram, Desk(self._store, self._report, self._projects, self._rng)).run()

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
