"""A small node for the crash points: recovery, outbox and Telegram over one state directory, once around, then a clean stop.

Run as a program. Reads lines `STATE_DIR TELEGRAM_BASE_URL DISCORD_URL [CRASH_POINT]` and forks one node for each, so that the imports are
paid once; answers each with `exit CODE`, where CODE is negative for a signal.
"""

import asyncio
import os
import sys
from pathlib import Path

from executor_tui.config.files import NotificationSettings
from executor_tui.config.general import ProjectSettings
from executor_tui.config.places import Places
from executor_tui.core import backups
from executor_tui.core.power_recovery import PowerRecovery
from executor_tui.domain.agent import AgentState, Ping
from executor_tui.domain.alert import Alert
from executor_tui.domain.clock import SystemClock
from executor_tui.domain.crash import CRASH_ENV
from executor_tui.domain.recovery import Checkpoint
from executor_tui.lab.chat.telegram import TOKEN
from executor_tui.notify.discord import DiscordChannel
from executor_tui.notify.outbox import Outbox
from executor_tui.notify.routes import raise_alert
from executor_tui.notify.telegram import TelegramChannel
from executor_tui.notify.telegram_inbox import Desk, TelegramInbox
from executor_tui.store.store import Store, default_url


async def once_around(state_dir: Path, telegram_url: str, discord_url: str) -> None:
    clock, places = SystemClock(), Places(state_dir, state_dir)
    await backups.check_at_start(places, default_url(state_dir))
    store = await Store.open(default_url(state_dir), clock)
    settings = NotificationSettings.model_validate({
        "telegram": {"enabled": True, "bot_token": TOKEN, "chat_id": "4242", "base_url": telegram_url},
        "discord": {"enabled": True, "webhook_url": discord_url},
    })  # fmt: skip
    recovery = PowerRecovery(store, places, clock, "node-a", notification=lambda: settings, boot_id=lambda: "boot-2", wtmp=Path("/nowhere"))
    await recovery.begin()

    async def ping_all() -> object:
        return [Ping("coder-1", AgentState.ONLINE)]

    async def resume() -> object:
        return [{"id": "prj-a", "kind": "project", "outcome": "resumed", "detail": "coder"}]

    await recovery.recover(ping_all, resume)
    await recovery.save_checkpoint(Checkpoint("coder-1", "busy", step=8))
    await backups_taken(places, clock)
    telegram = TelegramChannel(settings.telegram, TOKEN, store.notes)
    discord = DiscordChannel(discord_url, clock)
    outbox = Outbox(store, [telegram, discord], coalesce_s=0.0)
    for name in ("telegram", "discord"):
        while await outbox.step(name) == 0:
            pass

    async def report(alert: Alert) -> bool:
        return await raise_alert(store, settings, alert)

    inbox = TelegramInbox(telegram, Desk(store, report, ProjectSettings))
    reading = asyncio.create_task(inbox.run())
    while await store.approvals.pending() or await store.questions.open() or not any(p.created_by for p in await store.projects.list()):
        await asyncio.sleep(0.02)
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)
    while await outbox.step("telegram") == 0:
        pass
    await telegram.close()
    await discord.close()
    await store.close()
    await recovery.clean_stop()


async def backups_taken(places: Places, clock: SystemClock) -> None:
    await asyncio.to_thread(backups.take, places, clock, 5)


def main() -> None:
    for line in sys.stdin:
        state_dir, telegram_url, discord_url, *point = line.split()
        pid = os.fork()
        if pid == 0:
            if point:
                os.environ[CRASH_ENV] = point[0]
            asyncio.run(once_around(Path(state_dir), telegram_url, discord_url))
            os._exit(0)
        print("exit", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)


if __name__ == "__main__":
    main()
