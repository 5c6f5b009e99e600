"""Which channels hear of an alert, and when."""

from datetime import UTC, datetime, timedelta

import pytest

from executor_tui.config.files import NotificationSettings
from executor_tui.domain.alert import Alert, Severity
from executor_tui.notify.routes import channels, due, quiet_until, raise_alert
from executor_tui.store.store import Store

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
BOTH = {
    "telegram": {"enabled": True, "bot_token": "1:x", "chat_id": "7"},
    "discord": {"enabled": True, "webhook_url": "https://discord.example/api/webhooks/1/t"},
}  # fmt: skip


def settings(**more: object) -> NotificationSettings:
    return NotificationSettings.model_validate({**BOTH, **more})


def alert(severity: Severity = Severity.WARNING, group: str = "") -> Alert:
    return Alert("alr-1", "key-1", severity, "t", group=group)


def test_channels_that_are_off_or_not_filled_in_hear_nothing() -> None:
    assert channels(NotificationSettings(), Severity.CRITICAL) == ()
    example = {"enabled": True, "bot_token": "YOUR_BOT_TOKEN", "chat_id": "YOUR_CHAT_ID"}
    assert channels(settings(telegram=example), Severity.CRITICAL) == ("discord",)
    assert channels(settings(discord={"enabled": False, "webhook_url": "https://x"}), Severity.INFO) == ("telegram",)


def test_a_route_sets_the_lowest_severity_of_its_channel() -> None:
    routed = settings(routes={"telegram": "warning"})
    assert channels(routed, Severity.NOTICE) == ("discord",)
    assert channels(routed, Severity.WARNING) == ("telegram", "discord")


@pytest.mark.parametrize(
    ("at", "until"),
    [
        (datetime(2026, 11, 22, 21, 59, tzinfo=UTC), None),
        (datetime(2026, 11, 22, 22, 0, tzinfo=UTC), datetime(2026, 11, 23, 7, 0, tzinfo=UTC)),
        (datetime(2026, 11, 23, 6, 59, tzinfo=UTC), datetime(2026, 11, 23, 7, 0, tzinfo=UTC)),
        (datetime(2026, 11, 23, 7, 0, tzinfo=UTC), None),
    ],
)
def test_quiet_hours_reach_over_midnight(at: datetime, until: datetime | None) -> None:
    quiet = settings(quiet_hours={"start": "22:00", "end": "07:00"}).quiet_hours
    assert quiet is not None and quiet_until(quiet, at) == until


def test_quiet_hours_follow_their_zone_over_a_change_of_the_clock() -> None:
    quiet = settings(quiet_hours={"start": "22:00", "end": "07:00", "timezone": "Europe/Berlin"}).quiet_hours
    assert quiet is not None
    before_change = datetime(2026, 10, 24, 21, 0, tzinfo=UTC)  # 23:00 in summer time
    assert quiet_until(quiet, before_change) == datetime(2026, 10, 25, 6, 0, tzinfo=UTC)  # 07:00 in winter time


def test_an_unknown_zone_is_taken_as_utc() -> None:
    quiet = settings(quiet_hours={"start": "11:00", "end": "13:00", "timezone": "Mars/Olympus"}).quiet_hours
    assert quiet is not None and quiet_until(quiet, NOW) == NOW + timedelta(hours=1)


def test_what_is_urgent_enough_passes_quiet_hours_and_the_rest_waits() -> None:
    quiet = settings(quiet_hours={"start": "11:00", "end": "13:00"})
    assert due(quiet, alert(Severity.CRITICAL), NOW) == NOW
    assert due(quiet, alert(Severity.WARNING), NOW) == NOW + timedelta(hours=1)


def test_alerts_of_a_group_wait_for_each_other_and_others_do_not() -> None:
    assert due(settings(coalesce_s=5), alert(group="keys parked"), NOW) == NOW + timedelta(seconds=5)
    assert due(settings(coalesce_s=5), alert(), NOW) == NOW


async def test_an_alert_is_a_row_before_it_is_a_message_and_only_once(any_store: Store) -> None:
    assert await raise_alert(any_store, settings(), alert())
    assert not await raise_alert(any_store, settings(), Alert("alr-2", "key-1", Severity.CRITICAL, "other words"))
    assert [a.id for a in await any_store.alerts.list()] == ["alr-1"]
    assert sorted(d.channel for d in await any_store.deliveries.list()) == ["discord", "telegram"]
