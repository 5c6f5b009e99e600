"""The outbox: in order, at least once, over every kind of bad day. Discord stands for all channels; its server is real."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from executor_tui.config.files import NotificationSettings
from executor_tui.domain.alert import Alert, DeliveryStatus, Severity
from executor_tui.domain.approval import Approval, ApprovalKind, Decision
from executor_tui.domain.clock import ManualClock
from executor_tui.lab.chat.discord import FakeDiscord
from executor_tui.lab.chat.faults import Fault, Trouble
from executor_tui.notify import discord as module
from executor_tui.notify.discord import DiscordChannel
from executor_tui.notify.outbox import Outbox
from executor_tui.notify.routes import raise_alert
from executor_tui.store.store import Store
from executor_tui.ui.data import attention
from executor_tui.ui.data import settings as console_settings


@pytest.fixture
async def discord() -> AsyncIterator[FakeDiscord]:
    async with FakeDiscord() as server:
        yield server


@pytest.fixture
async def channel(discord: FakeDiscord, clock: ManualClock) -> AsyncIterator[DiscordChannel]:
    made = DiscordChannel(discord.webhook_url, clock)
    yield made
    await made.close()


@pytest.fixture
def settings(discord: FakeDiscord) -> NotificationSettings:
    return NotificationSettings.model_validate({"discord": {"enabled": True, "webhook_url": discord.webhook_url}})


def outbox(store: Store, channel: DiscordChannel) -> Outbox:
    return Outbox(store, [channel], rng=lambda: 0.5)


async def raised(store: Store, settings: NotificationSettings, name: str, **more: object) -> None:
    given: dict[str, object] = {"severity": Severity.WARNING, "title": name, **more}
    await raise_alert(store, settings, Alert(f"alr-{name}", f"key-{name}", **given))  # type: ignore[arg-type]


async def drain(box: Outbox) -> float | None:
    while (wait_s := await box.step("discord")) == 0:
        pass
    return wait_s


async def statuses(store: Store) -> dict[str, str]:
    return {d.alert_id: str(d.status) for d in await store.deliveries.list()}


async def test_alerts_go_out_in_the_order_they_were_raised(
    any_store: Store, channel: DiscordChannel, discord: FakeDiscord, settings: NotificationSettings
) -> None:
    names = [f"n{n}" for n in range(12)]
    for name in names:
        await raised(any_store, settings, name)
    assert await drain(outbox(any_store, channel)) is None
    assert [m.embeds[0]["title"] for m in discord.messages] == [f"▲ {name}" for name in names]
    assert set((await statuses(any_store)).values()) == {"sent"}
    assert {d.remote_id for d in await any_store.deliveries.list()} == {m.id for m in discord.messages}


async def test_what_was_sent_is_not_sent_again_by_the_next_outbox(
    store: Store, channel: DiscordChannel, discord: FakeDiscord, settings: NotificationSettings
) -> None:
    await raised(store, settings, "one")
    await drain(outbox(store, channel))
    await drain(outbox(store, channel))
    assert len(discord.messages) == 1


async def test_an_hour_without_network_at_start_delivers_the_report_once_when_it_returns(
    store: Store, channel: DiscordChannel, discord: FakeDiscord, settings: NotificationSettings, clock: ManualClock
) -> None:
    await raised(store, settings, "report")
    await discord.stop()
    box, passed_s = outbox(store, channel), 0.0
    while passed_s < 3600:
        wait_s = await drain(box)
        assert wait_s is not None and 0 < wait_s <= 300
        await clock.advance(wait_s)
        passed_s += wait_s
    tries = (await store.deliveries.list())[0].attempts
    assert 10 < tries < 40 and discord.messages == []
    assert await store.notes.get("channel.discord") == {"state": "away", "reason": "Discord cannot be reached (ConnectError)"}
    await discord.start()
    await drain(box)
    await drain(box)
    assert len(discord.messages) == 1 and "second time" not in discord.messages[0].text
    assert await store.notes.get("channel.discord") == {"state": "open", "reason": ""}
    kinds = [e.kind for e in await store.events.tail()]
    assert kinds.count("channel.away") == kinds.count("channel.open") == 1


async def test_back_off_grows_with_jitter_and_is_capped(
    store: Store, channel: DiscordChannel, discord: FakeDiscord, settings: NotificationSettings, clock: ManualClock
) -> None:
    await raised(store, settings, "x")
    discord.troubles.standing = Trouble(Fault.SERVER_ERROR)
    box, waits = outbox(store, channel), []
    for _ in range(10):
        wait_s = await drain(box)
        assert wait_s is not None
        waits.append(wait_s)
        await clock.advance(wait_s)
    assert waits == [1.5, 3, 6, 12, 24, 48, 96, 192, 225, 225]


async def test_a_rate_limit_is_waited_out_for_as_long_as_discord_says(
    store: Store, channel: DiscordChannel, discord: FakeDiscord, settings: NotificationSettings, clock: ManualClock
) -> None:
    await raised(store, settings, "x")
    discord.troubles.add(Fault.RATE_LIMITED, value=0.75)
    box = outbox(store, channel)
    assert await drain(box) == pytest.approx(0.75 * 1.05)
    assert await drain(box) == pytest.approx(0.75 * 1.05)
    assert discord.requests == 1, "nothing was tried while waiting"
    await clock.advance(0.8)
    await drain(box)
    assert len(discord.messages) == 1


async def test_an_empty_bucket_is_waited_for_without_meeting_a_429(
    store: Store, channel: DiscordChannel, discord: FakeDiscord, settings: NotificationSettings, clock: ManualClock
) -> None:
    discord.remaining = 0
    for name in ("a", "b"):
        await raised(store, settings, name)
    box = outbox(store, channel)
    assert await drain(box) == pytest.approx(2.5 * 1.05)
    assert discord.requests == 1
    await clock.advance(3)
    await drain(box)
    assert len(discord.messages) == 2


async def test_a_deleted_webhook_switches_the_channel_off_with_a_word_and_keeps_what_waits(
    store: Store, channel: DiscordChannel, discord: FakeDiscord, settings: NotificationSettings
) -> None:
    await raised(store, settings, "x")
    discord.gone = True
    box = outbox(store, channel)
    assert await drain(box) is None
    assert await drain(box) is None
    assert discord.requests == 1
    events = [e for e in await store.events.tail() if e.kind == "channel.closed"]
    assert len(events) == 1 and "webhook is gone (404)" in events[0].message and discord.webhook_url not in events[0].message
    assert await statuses(store) == {"alr-x": "pending"}
    assert (await attention.fetch(store)).line().startswith("✗ discord is off: the webhook is gone (404)")
    discord.gone = False
    await drain(outbox(store, channel))
    assert await statuses(store) == {"alr-x": "sent"}
    assert (await attention.fetch(store)).line() == "nothing waits for you"


async def test_a_message_that_is_refused_becomes_a_dead_letter_and_the_next_one_goes(
    store: Store, channel: DiscordChannel, discord: FakeDiscord, settings: NotificationSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    await raised(store, settings, "bad")
    await raised(store, settings, "good")
    real = module.discord_messages
    too_long = [[{"description": "d" * 5000}]]
    monkeypatch.setattr(module, "discord_messages", lambda m, o="": too_long if m.title == "bad" else real(m, o))
    await drain(outbox(store, channel))
    assert await statuses(store) == {"alr-bad": "dead", "alr-good": "sent"}
    dead = await store.deliveries.in_status(DeliveryStatus.DEAD)
    assert "Invalid Form Body" in dead[0].error
    assert [e.subject_id for e in await store.events.tail() if e.kind == "alert.dead"] == ["alr-bad"]
    # The console says so, and what to do about it.
    assert (await attention.fetch(store)).line() == "✗ 1 alert could not be delivered: executor recovery letters"
    (entry,) = (await console_settings.fetch(store)).channels
    assert (entry.group, entry.name, entry.value) == ("unsent", "discord", "bad") and f"executor recovery resend {dead[0].id}" in entry.note
    monkeypatch.setattr(module, "discord_messages", real)
    assert await store.deliveries.revive([dead[0].id]) == 1 and await store.deliveries.revive([dead[0].id]) == 0
    await drain(outbox(store, channel))
    assert await statuses(store) == {"alr-bad": "sent", "alr-good": "sent"}
    assert (await attention.fetch(store)).line() == "nothing waits for you"


async def test_an_answer_that_got_lost_leads_to_a_second_message_that_says_so(
    store: Store, channel: DiscordChannel, discord: FakeDiscord, settings: NotificationSettings, clock: ManualClock
) -> None:
    await raised(store, settings, "x")
    discord.troubles.add(Fault.LOST_ANSWER)
    box = outbox(store, channel)
    wait_s = await drain(box)
    assert wait_s and len(discord.messages) == 1
    await clock.advance(wait_s)
    await drain(box)
    first, second = discord.messages
    assert "second time" not in first.text and "second time" in second.text
    assert "alr-x" in first.text and "alr-x" in second.text


async def test_a_process_that_died_between_sending_and_recording_repeats_itself_and_says_so(
    store: Store, channel: DiscordChannel, discord: FakeDiscord, settings: NotificationSettings
) -> None:
    await raised(store, settings, "x")
    await store.deliveries.attempt(((await store.deliveries.list())[0].id,))
    await drain(outbox(store, channel))
    assert "second time" in discord.messages[0].text and "alr-x" in discord.messages[0].text


async def test_many_of_a_kind_become_one_message(
    store: Store, channel: DiscordChannel, discord: FakeDiscord, settings: NotificationSettings, clock: ManualClock
) -> None:
    for n in range(37):
        await raised(store, settings, f"key {n} parked", group="keys parked")
    box = outbox(store, channel)
    assert await drain(box) == pytest.approx(5.0)
    assert discord.messages == []
    await clock.advance(5)
    await drain(box)
    assert [m.embeds[0]["title"] for m in discord.messages] == ["▲ 37 keys parked"]
    assert set((await statuses(store)).values()) == {"sent"}


async def test_an_alert_without_a_group_does_not_wait_behind_one_that_gathers(
    store: Store, channel: DiscordChannel, discord: FakeDiscord, settings: NotificationSettings
) -> None:
    await raised(store, settings, "gathers", group="keys parked")
    await raised(store, settings, "at once")
    await drain(outbox(store, channel))
    assert [m.embeds[0]["title"] for m in discord.messages] == ["▲ at once"]


async def test_a_wall_clock_set_back_does_not_hold_alerts_until_it_catches_up(
    store: Store, channel: DiscordChannel, discord: FakeDiscord, settings: NotificationSettings, clock: ManualClock
) -> None:
    await raised(store, settings, "x")
    clock.jump_wall(-86_400)
    await drain(outbox(store, channel))
    assert len(discord.messages) == 1


async def test_a_decision_is_edited_into_the_message_wherever_it_was_made(
    store: Store, channel: DiscordChannel, discord: FakeDiscord, settings: NotificationSettings
) -> None:
    await store.approvals.request(Approval("apr-1", ApprovalKind.CRITICAL_MODEL, "use opus"))
    await raise_alert(store, settings, Alert("alr-1", "approval:apr-1", Severity.WARNING, "Approve?", data={"approval": "apr-1"}))
    box = outbox(store, channel)
    await drain(box)
    assert (
        "executor approvals approve apr\\-1" in discord.messages[0].text or "executor approvals approve apr-1" in discord.messages[0].text
    )
    await store.approvals.decide("apr-1", Decision(True, "ops", "console"))
    await drain(box)
    await drain(box)
    assert discord.messages[0].edits == 1 and "Approved by ops via console" in discord.messages[0].text
    assert len(discord.messages) == 1


async def test_a_message_deleted_by_hand_is_not_edited_for_ever(
    store: Store, channel: DiscordChannel, discord: FakeDiscord, settings: NotificationSettings
) -> None:
    await store.approvals.request(Approval("apr-1", ApprovalKind.CRITICAL_MODEL, "use opus"))
    await raise_alert(store, settings, Alert("alr-1", "approval:apr-1", Severity.WARNING, "Approve?", data={"approval": "apr-1"}))
    box = outbox(store, channel)
    await drain(box)
    discord.messages.clear()
    await store.approvals.decide("apr-1", Decision(False, "ops", "console"))
    before = discord.requests
    await drain(box)
    await drain(box)
    assert discord.requests == before + 1


async def test_what_was_decided_before_it_could_be_sent_is_not_asked_any_more(
    store: Store, channel: DiscordChannel, discord: FakeDiscord, settings: NotificationSettings, clock: ManualClock
) -> None:
    until = clock.now() + timedelta(minutes=5)
    await store.approvals.request(Approval("apr-1", ApprovalKind.CRITICAL_MODEL, "use opus", expires_at=until))
    await raise_alert(store, settings, Alert("alr-1", "approval:apr-1", Severity.WARNING, "Approve?", data={"approval": "apr-1"}))
    await clock.advance(600)
    await store.approvals.expire(clock.now())
    await drain(outbox(store, channel))
    assert discord.messages == [] and await statuses(store) == {"alr-1": "skipped"}


async def test_the_running_outbox_hears_of_alerts_through_the_store(
    store: Store, channel: DiscordChannel, discord: FakeDiscord, settings: NotificationSettings, clock: ManualClock
) -> None:
    running = asyncio.create_task(outbox(store, channel).run())
    try:
        for name in ("a", "b"):
            await raised(store, settings, name)
            while len(discord.messages) < (1 if name == "a" else 2):
                await clock.advance(0.05)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert [m.embeds[0]["title"] for m in discord.messages] == ["▲ a", "▲ b"]
