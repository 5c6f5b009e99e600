"""Which channels hear of an alert, and from when. An alert is a row before it is a message."""

from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from executor_tui.config.files import PLACEHOLDERS, NotificationSettings, NotifyQuiet
from executor_tui.domain.alert import Alert, Severity
from executor_tui.store.store import Store

TELEGRAM, DISCORD = "telegram", "discord"


async def raise_alert(store: Store, settings: NotificationSettings, alert: Alert) -> bool:
    """Record an alert and what is to be delivered of it; on disk when this returns. Says whether it was new.

    A dedupe key that is already known changes nothing, so raising again after a restart is safe.
    """
    now = store.clock.now()
    wanted = channels(settings, alert.severity)
    return await store.alerts.raise_(alert, wanted, {channel: due(settings, alert, now) for channel in wanted})


def channels(settings: NotificationSettings, severity: Severity) -> tuple[str, ...]:
    """The channels that are switched on, filled in, and routed for this severity."""
    on: dict[str, bool] = {
        TELEGRAM: settings.telegram.enabled
        and settings.telegram.bot_token.get_secret_value() not in PLACEHOLDERS
        and settings.telegram.chat_id not in PLACEHOLDERS,
        DISCORD: settings.discord.enabled and settings.discord.webhook_url.get_secret_value() not in PLACEHOLDERS,
    }
    lowest = {str(name): floor for name, floor in settings.routes.items()}
    return tuple(name for name, there in on.items() if there and severity.rank >= lowest.get(name, Severity.INFO).rank)


def due(settings: NotificationSettings, alert: Alert, now: datetime) -> datetime:
    """When it may go out: now, after quiet hours, or once others of its group have had time to join it."""
    quiet = settings.quiet_hours
    if quiet is not None and alert.severity.rank < quiet.let_through.rank:
        until = quiet_until(quiet, now)
        if until is not None:
            return until
    return now + timedelta(seconds=settings.coalesce_s) if alert.group else now


def quiet_until(quiet: NotifyQuiet, now: datetime) -> datetime | None:
    """The end of the quiet hours that hold at `now`, or None outside them. An unknown time zone is taken as UTC."""
    try:
        zone = ZoneInfo(quiet.timezone)
    except (ZoneInfoNotFoundError, ValueError):
        zone = ZoneInfo("UTC")
    start, end = time.fromisoformat(quiet.start), time.fromisoformat(quiet.end)
    local = now.astimezone(zone)
    clock = local.time().replace(tzinfo=None)
    inside = start <= clock < end if start <= end else clock >= start or clock < end
    if not inside or start == end:
        return None
    day = local.date() if clock < end else local.date() + timedelta(days=1)
    return datetime.combine(day, end, zone).astimezone(now.tzinfo)
