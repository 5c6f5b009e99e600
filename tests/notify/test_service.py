"""The messengers as a node runs them."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from executor_tui.config.load import Config, load
from executor_tui.config.places import Places
from executor_tui.core.alerts import approval_alert, raise_alert
from executor_tui.domain.alert import Alert, Severity
from executor_tui.domain.approval import Approval, ApprovalKind, ApprovalStatus
from executor_tui.domain.clock import SystemClock
from executor_tui.lab.chat.discord import FakeDiscord
from executor_tui.lab.chat.telegram import TOKEN, FakeTelegram
from executor_tui.notify.service import Notifications
from executor_tui.notify.start import messengers
from executor_tui.store.store import Store, default_url


class House:
    """A configuration, a store, and messengers that run on them."""

    def __init__(self, store: Store, places: Places, telegram: FakeTelegram, discord: FakeDiscord) -> None:
        self.store, self.places, self.telegram, self.discord = store, places, telegram, discord
        self.leads = True
        self.write()
        self.config = load(places.config_dir)
        self.messengers: Notifications = messengers(store, lambda: self.config, places, lambda: self.leads)

    def write(self, **more: object) -> Config:
        chat = {"enabled": True, "bot_token": TOKEN, "chat_id": "4242", "base_url": self.telegram.base_url}
        data = {"telegram": chat, "discord": {"enabled": True, "webhook_url": self.discord.webhook_url}, "coalesce_s": 0, **more}
        (self.places.config_dir / "notification.json").write_text(json.dumps(data))
        self.config = load(self.places.config_dir)
        return self.config

    async def alert(self, name: str) -> None:
        await raise_alert(self.store, self.config.notification, Alert(f"alr-{name}", name, Severity.WARNING, name))


@pytest.fixture
async def house(places: Places) -> AsyncIterator[House]:
    store = await Store.open(default_url(places.state_dir), SystemClock())
    async with FakeTelegram() as telegram, FakeDiscord() as discord:
        house = House(store, places, telegram, discord)
        running = asyncio.create_task(house.messengers.run())
        yield house
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    await store.close()


async def test_an_alert_reaches_both_channels_and_a_press_comes_back(house: House) -> None:
    approval = await house.store.approvals.request(Approval("apr-1", ApprovalKind.CRITICAL_MODEL, "use opus"))
    await raise_alert(house.store, house.config.notification, approval_alert(approval))
    await house.telegram.wait_for(lambda s: bool(s.messages))
    await house.discord.wait_for(lambda s: bool(s.messages))
    await house.telegram.press(house.telegram.messages[0], house.telegram.messages[0].button("Approve"))
    await house.telegram.wait_for(lambda s: s.messages[0].edits == 1)
    await house.discord.wait_for(lambda s: s.messages[0].edits == 1)
    assert (await house.store.approvals.get("apr-1")).status is ApprovalStatus.APPROVED


async def test_the_secrets_are_taken_in_at_the_start(house: House) -> None:
    await house.alert("one")
    await house.discord.wait_for(lambda s: bool(s.messages))
    text = (house.places.config_dir / "notification.json").read_text()
    assert TOKEN not in text and house.discord.webhook_url not in text and "vault:telegram-bot-token" in text


async def test_new_settings_apply_while_it_runs_and_bring_back_a_channel_that_was_closed(house: House) -> None:
    house.discord.gone = True
    await house.alert("one")
    await house.discord.wait_for(lambda s: s.requests == 1)
    async with FakeDiscord() as another:
        house.discord = another
        house.messengers.apply(house.write().notification)
        await another.wait_for(lambda s: bool(s.messages))
    assert "one" in another.messages[0].text


async def test_a_node_that_lost_the_lead_falls_silent_and_speaks_again_when_it_leads(house: House) -> None:
    await house.alert("one")
    await house.discord.wait_for(lambda s: len(s.messages) == 1)
    house.leads = False
    polls = house.telegram.requests.count("getUpdates")
    async with asyncio.timeout(20):
        while any(t.get_name() == "notifications" for t in asyncio.all_tasks()):
            await asyncio.sleep(0.02)
    await house.alert("two")
    assert house.telegram.requests.count("getUpdates") == polls
    house.leads = True
    await house.discord.wait_for(lambda s: len(s.messages) == 2)
    await house.telegram.wait_for(lambda s: len(s.messages) == 2)


async def test_without_any_channel_it_just_waits_for_settings(house: House) -> None:
    house.messengers.apply(house.write(telegram={}, discord={}).notification)
    await house.alert("unheard")
    assert await house.store.deliveries.list() == ()
    house.messengers.apply(house.write(telegram={}).notification)
    await house.alert("heard")
    await house.discord.wait_for(lambda s: bool(s.messages))
    assert "heard" in house.discord.messages[0].text and house.telegram.messages == []


async def test_a_vault_that_cannot_be_opened_switches_the_channel_off_with_a_word(house: House) -> None:
    await house.alert("one")
    await house.discord.wait_for(lambda s: bool(s.messages))
    house.places.identity_file.unlink()
    house.messengers.apply(house.write(telegram={}, discord={"enabled": True, "webhook_url": "vault:discord-webhook"}).notification)
    async with asyncio.timeout(20):
        while (note := await house.store.notes.get("channel.discord")) is None or note["state"] != "closed":  # type: ignore[index]
            await asyncio.sleep(0.02)
    assert "identity" in str(note)
