"""Telegram against a real server on a socket: what goes out, and what a press or a word does."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from executor_tui.config.files import NotificationSettings, TelegramSettings
from executor_tui.config.general import ProjectSettings
from executor_tui.core.alerts import approval_alert, question_alert
from executor_tui.domain.alert import Alert, Severity
from executor_tui.domain.approval import Approval, ApprovalKind, ApprovalScope, ApprovalStatus, Decision
from executor_tui.domain.clock import SystemClock
from executor_tui.domain.project import Question
from executor_tui.lab.chat.faults import Fault, Trouble
from executor_tui.lab.chat.telegram import TOKEN, FakeTelegram
from executor_tui.notify.base import AwayError, ClosedError, Message, RefusedError
from executor_tui.notify.outbox import Outbox
from executor_tui.notify.routes import raise_alert
from executor_tui.notify.telegram import TelegramChannel
from executor_tui.notify.telegram_inbox import Desk, TelegramInbox
from executor_tui.store.store import Store, default_url


@pytest.fixture
async def store(places: object, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Store]:
    """On the system's clock: long polling and the store's feed run in real time here."""
    store = await Store.open(default_url(tmp_path_factory.mktemp("state")), SystemClock())
    yield store
    await store.close()


@pytest.fixture
async def server() -> AsyncIterator[FakeTelegram]:
    async with FakeTelegram() as server:
        yield server


def settings_for(server: FakeTelegram, **more: object) -> TelegramSettings:
    given = {"enabled": True, "bot_token": TOKEN, "chat_id": "4242", "base_url": server.base_url, **more}
    return TelegramSettings.model_validate(given)


class Chat:
    """A running outbox and inbox."""

    def __init__(self, store: Store, server: FakeTelegram, **more: object) -> None:
        self.store, self.server = store, server
        self.settings = NotificationSettings(telegram=settings_for(server, **more), coalesce_s=0.0)
        self.channel = TelegramChannel(self.settings.telegram, TOKEN, store.notes)
        self.inbox = TelegramInbox(self.channel, Desk(store, self.raised, ProjectSettings, rng=lambda: 0.0))
        self.outbox = Outbox(store, [self.channel], coalesce_s=0.0, rng=lambda: 0.0)

    async def raised(self, alert: Alert) -> bool:
        return await raise_alert(self.store, self.settings, alert)

    async def ask(self, approval: Approval) -> None:
        await self.store.approvals.request(approval)
        await self.raised(approval_alert(approval))
        await self.server.wait_for(lambda s: any(approval.subject in m.text for m in s.messages))

    async def __aenter__(self) -> "Chat":
        self.tasks = [asyncio.create_task(self.inbox.run()), asyncio.create_task(self.outbox.run())]
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        await self.channel.close()


async def until(true: Callable[[], object], timeout_s: float = 20.0) -> None:
    async with asyncio.timeout(timeout_s):
        while True:
            found = true()
            if (await found) if asyncio.iscoroutine(found) else found:
                return
            await asyncio.sleep(0.01)


MODEL = Approval(
    "apr-model", ApprovalKind.CRITICAL_MODEL,
    "claude-opus for the architect", "design of prj-a", "claude-sonnet is used", agent_id="arch-1",
    project_id="prj-a", model_id="claude-opus", estimate_usd=0.42,
)  # fmt: skip
DELETE = Approval(
    "apr-del", ApprovalKind.CHANGE, "delete CT 123", risk="destructive", confirm_word="ct-123", details={"diff": ["- CT 123"]}
)


async def test_an_approval_shows_the_facts_and_a_press_decides_it_everywhere(store: Store, server: FakeTelegram) -> None:
    async with Chat(store, server) as chat:
        await chat.ask(MODEL)
        sent = server.messages[0]
        for fact in ("arch-1", "design of prj-a", "claude-opus", "$0.4200", "prj-a", "on no: claude-sonnet is used"):
            assert fact in sent.text
        await server.press(sent, sent.button("Approve"))
        await server.wait_for(lambda s: s.messages[0].edits == 1)
    decided = await store.approvals.get("apr-model")
    assert (decided.status, decided.decided_via, decided.decided_by) == (ApprovalStatus.APPROVED, "telegram", "user4242 (Telegram 4242)")
    assert server.notices == ["Approved: claude-opus for the architect"]
    assert "Approved by user4242" in server.messages[0].text and server.messages[0].buttons == []


async def test_a_yes_may_reach_the_project_up_to_an_amount_or_some_minutes(store: Store, server: FakeTelegram) -> None:
    async with Chat(store, server) as chat:
        await chat.ask(MODEL)
        await server.press(server.messages[0], server.messages[0].button("Project, up to $4.20"))
        await server.wait_for(lambda s: s.messages[0].edits == 1)
        other = replace(MODEL, id="apr-other", subject="claude-opus for a client", project_id=None)
        await chat.ask(other)
        assert [b["text"] for row in server.messages[1].buttons for b in row] == ["Deny", "Approve", "This model for 30 min"]
        await server.press(server.messages[1], server.messages[1].button("This model"))
        await server.wait_for(lambda s: s.messages[1].edits == 1)
    project, minutes = await store.approvals.get("apr-model"), await store.approvals.get("apr-other")
    assert (project.scope, project.limit_usd) == (ApprovalScope.PROJECT, 4.2)
    assert minutes.valid_until is not None and minutes.decided_at is not None
    assert (minutes.scope, minutes.valid_until - minutes.decided_at) == (ApprovalScope.MINUTES, timedelta(minutes=30))
    assert server.notices[0] == "Approved for the project up to $4.20: claude-opus for the architect"


async def test_a_wide_yes_is_offered_for_models_only(store: Store, server: FakeTelegram) -> None:
    change = replace(DELETE, id="apr-chg", risk="minor", confirm_word="", subject="a rule")
    async with Chat(store, server) as chat:
        await chat.ask(change)
        assert [b["text"] for row in server.messages[0].buttons for b in row] == ["Deny", "Approve"]
        for data in ("m30:apr-chg", "p5.00:apr-chg", "m0:apr-chg", "p1e9:apr-chg", "m:apr-chg"):
            await server.press(server.messages[0], data)
        await server.wait_for(lambda s: len(s.notices) == 5)
    assert set(server.notices) == {"this button is not one of ours"}
    assert (await store.approvals.get("apr-chg")).status is ApprovalStatus.PENDING


async def test_deny_is_one_press_too(store: Store, server: FakeTelegram) -> None:
    async with Chat(store, server) as chat:
        await chat.ask(MODEL)
        await server.press(server.messages[0], server.messages[0].button("Deny"))
        await server.wait_for(lambda s: s.messages[0].edits == 1)
    assert (await store.approvals.get("apr-model")).status is ApprovalStatus.DENIED


async def test_a_strangers_press_does_nothing_and_is_reported_once(store: Store, server: FakeTelegram) -> None:
    async with Chat(store, server, users=(4242,)) as chat:
        await chat.ask(MODEL)
        for _ in range(3):
            await server.press(server.messages[0], server.messages[0].button("Approve"), user=666, name="<b>Mallory</b>")
        await server.wait_for(lambda s: len(s.notices) == 3 and len(s.messages) == 2)
        await server.say("/new mine bitcoin", user=666)
        await server.say("/fleet", user=4242, chat=999)
        await until(lambda: not server.unconfirmed or None)
    assert (await store.approvals.get("apr-model")).status is ApprovalStatus.PENDING
    assert await store.projects.list() == ()
    assert set(server.notices) == {"This bot obeys its owner only."}
    assert "Mallory" in server.messages[1].text and "666" in server.messages[1].text
    keys = sorted(a.dedupe_key for a in await store.alerts.list())
    assert keys == ["approval:apr-model", "telegram.stranger:4242", "telegram.stranger:666"]


async def test_in_a_group_without_listed_users_nobody_is_obeyed(store: Store) -> None:
    async with FakeTelegram(chats=(-100,)) as server, Chat(store, server, chat_id="-100") as chat:
        await chat.ask(MODEL)
        await server.press(server.messages[0], server.messages[0].button("Approve"), user=4242)
        await server.wait_for(lambda s: bool(s.notices))
    assert (await store.approvals.get("apr-model")).status is ApprovalStatus.PENDING


async def test_what_cannot_be_undone_needs_a_typed_word_after_the_press(store: Store, server: FakeTelegram) -> None:
    async with Chat(store, server) as chat:
        await chat.ask(DELETE)
        assert "- CT 123" in server.messages[0].text
        await server.press(server.messages[0], server.messages[0].button("Approve"))
        await server.wait_for(lambda s: len(s.messages) == 2)
        assert (await store.approvals.get("apr-del")).status is ApprovalStatus.PENDING
        await server.say("yes", reply_to=server.messages[1])
        await server.wait_for(lambda s: len(s.messages) == 3)
        assert "not the word" in server.messages[2].text
        assert (await store.approvals.get("apr-del")).status is ApprovalStatus.PENDING
        await server.say("ct-123", reply_to=server.messages[1])
        await server.wait_for(lambda s: s.messages[0].edits == 1)
    assert (await store.approvals.get("apr-del")).status is ApprovalStatus.APPROVED


async def test_a_word_typed_under_another_message_approves_nothing(store: Store, server: FakeTelegram) -> None:
    async with Chat(store, server) as chat:
        await chat.ask(DELETE)
        await server.say("ct-123", reply_to=server.messages[0])
        await server.say("ct-123")
        await server.wait_for(lambda s: len(s.messages) == 3)
        assert (await store.approvals.get("apr-del")).status is ApprovalStatus.PENDING
        await server.say("/confirm apr-del ct-123")
        await server.wait_for(lambda s: s.messages[0].edits == 1)


async def test_who_comes_second_is_told_who_was_first(store: Store, server: FakeTelegram) -> None:
    async with Chat(store, server) as chat:
        await chat.ask(MODEL)
        data = server.messages[0].button("Approve")
        await store.approvals.decide("apr-model", Decision(False, "ops", "console"))
        await server.wait_for(lambda s: s.messages[0].edits == 1)
        assert "Denied by ops via console" in server.messages[0].text
        await server.press(server.messages[0], data)
        await server.wait_for(lambda s: bool(s.notices))
    assert "already decided" in server.notices[0]
    assert (await store.approvals.get("apr-model")).status is ApprovalStatus.DENIED


async def test_a_question_is_answered_by_button_or_by_word(store: Store, server: FakeTelegram) -> None:
    async with Chat(store, server) as chat:
        for name, options in (("qst-1", ("more rounds", "stop")), ("qst-2", ())):
            question = Question(name, "prj-a", "rounds", f"What now, {name}?", options)
            await store.questions.ask(question)
            await chat.raised(question_alert(question))
        await server.wait_for(lambda s: len(s.messages) == 2)
        await server.press(server.messages[0], server.messages[0].button("stop"))
        await server.say("/answer qst-2 try a smaller step")
        await server.wait_for(lambda s: s.messages[0].edits == s.messages[1].edits == 1)
    assert [(await store.questions.get(q)).answer for q in ("qst-1", "qst-2")] == ["stop", "try a smaller step"]


async def test_new_makes_one_project_even_when_the_update_comes_twice(store: Store, server: FakeTelegram) -> None:
    chat = Chat(store, server)
    await server.say("/new@executor_lab_bot a tool that counts words")
    updates = await chat.channel.updates(None)
    for _ in range(2):
        for update in updates:
            await chat.inbox.handle(update)
    await chat.channel.close()
    (project,) = await store.projects.list()
    assert (project.goal, project.created_by) == ("a tool that counts words", "user4242 (Telegram 4242)")
    assert project.budget_usd == ProjectSettings().budget_usd
    assert [project.id in m.text for m in server.messages] == [True, True]


async def test_an_update_is_confirmed_only_after_it_is_done(store: Store, server: FakeTelegram) -> None:
    chat = Chat(store, server)
    await chat.store.approvals.request(MODEL)
    held, entered = asyncio.Event(), asyncio.Event()
    real = store.approvals.decide

    async def slowly(approval_id: str, decision: Decision) -> Approval:
        entered.set()
        await held.wait()
        return await real(approval_id, decision)

    store.approvals.decide = slowly  # type: ignore[method-assign]
    async with chat:
        await chat.raised(approval_alert(MODEL))
        await server.wait_for(lambda s: bool(s.messages))
        update_id = await server.press(server.messages[0], server.messages[0].button("Approve"))
        await entered.wait()
        assert server.unconfirmed == [update_id]
        held.set()
        await until(lambda: not server.unconfirmed)
    assert (await store.approvals.get("apr-model")).status is ApprovalStatus.APPROVED


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("/fleet", "no agents"), ("/keys", "0 keys, 0 parks"), ("/projects", "0 projects at work"), ("/approvals", "nothing waits"),
        ("/recovery", "no outage"), ("/help", "/new GOAL"), ("hello", "/new GOAL"), ("/new", "/new a command line tool"),
        ("/answer", "/answer ID"), ("/answer qst-9 x", "no question 'qst-9'"), ("/confirm apr-9 x", "no approval 'apr-9'"),
    ],
)  # fmt: skip
async def test_every_command_answers(store: Store, server: FakeTelegram, command: str, words: str) -> None:
    async with Chat(store, server):
        await server.say(command)
        await server.wait_for(lambda s: bool(s.messages))
    assert words in server.messages[0].text


async def test_a_long_alert_comes_whole_in_several_messages_with_the_buttons_under_the_last(store: Store, server: FakeTelegram) -> None:
    chat = Chat(store, server)
    diff = [f"+ rule {n} <any> & all" for n in range(600)]
    alert = Alert("alr-1", "approval:apr-1", Severity.WARNING, "Approve?", data={"approval": "apr-1", "diff": diff, "word": ""})
    remote = await chat.channel.send(Message((alert,)))
    await chat.channel.close()
    assert len(server.messages) > 2 and all(f"+ rule {n} <any> & all" in "".join(m.text for m in server.messages) for n in (0, 300, 599))
    assert [bool(m.buttons) for m in server.messages] == [False] * (len(server.messages) - 1) + [True]
    assert remote == f"4242/{server.messages[-1].message_id}"


async def test_ids_too_long_for_a_button_get_no_button(store: Store, server: FakeTelegram) -> None:
    chat = Chat(store, server)
    alert = Alert("alr-1", "approval:x", Severity.WARNING, "Approve?", data={"approval": "apr-" + "x" * 61, "word": ""})
    await chat.channel.send(Message((alert,)))
    await chat.channel.close()
    assert server.messages[0].buttons == []


async def test_mirror_only_shows_no_buttons(store: Store, server: FakeTelegram) -> None:
    chat = Chat(store, server, mirror_only=True)
    await chat.channel.send(Message((approval_alert(MODEL),)))
    await chat.channel.close()
    assert server.messages[0].buttons == []


@pytest.mark.parametrize(
    ("fault", "error", "words"),
    [
        (Fault.RATE_LIMITED, AwayError, "slow down"), (Fault.SERVER_ERROR, AwayError, "cannot be reached"),
        (Fault.OFFLINE, AwayError, "cannot be reached"), (Fault.FORBIDDEN, AwayError, "unblock the bot"),
        (Fault.UNAUTHORIZED, ClosedError, "does not accept the bot token"),
    ],
)  # fmt: skip
async def test_each_failure_is_told_in_words_without_the_token(
    store: Store, server: FakeTelegram, fault: Fault, error: type[Exception], words: str
) -> None:
    chat = Chat(store, server)
    await chat.channel.bot_id()
    server.troubles.add(fault, method="sendMessage", value=7)
    with pytest.raises(error, match=words) as caught:
        await chat.channel.say("x")
    await chat.channel.close()
    assert TOKEN not in str(caught.value) and TOKEN not in repr(caught.value.__context__)
    if fault is Fault.RATE_LIMITED:
        assert isinstance(caught.value, AwayError) and caught.value.retry_after_s == 7


async def test_an_unknown_chat_closes_the_channel_with_what_to_do(store: Store, server: FakeTelegram) -> None:
    chat = Chat(store, server, chat_id="777")
    with pytest.raises(ClosedError, match="write /start"):
        await chat.channel.say("x")
    with pytest.raises(RefusedError):
        await chat.channel.settle("nonsense", Message((approval_alert(MODEL),)), "x")
    await chat.channel.close()


async def test_a_group_that_moved_is_followed_and_remembered(store: Store) -> None:
    async with FakeTelegram(chats=(-100, -100500)) as server:
        chat = Chat(store, server, chat_id="-100", users=(4242,))
        server.troubles.add(Fault.MIGRATED, method="sendMessage", value=-100500)
        await chat.channel.say("hello")
        assert [m.chat_id for m in server.messages] == [-100500]
        await chat.channel.close()
        async with Chat(store, server, chat_id="-100", users=(4242,)):
            await server.say("/fleet", chat=-100500)
            await server.wait_for(lambda s: len(s.messages) == 2)
        assert server.messages[1].chat_id == -100500


async def test_a_revoked_token_ends_the_inbox_with_a_word_and_the_outbox_keeps_what_waits(store: Store, server: FakeTelegram) -> None:
    server.token = "1:another"
    chat = Chat(store, server)
    await chat.inbox.run()
    await chat.raised(approval_alert(MODEL))
    assert await chat.outbox.step("telegram") is None
    await chat.channel.close()
    await store.events.flush()
    messages = [e.message for e in await store.events.tail()]
    assert any("Telegram answers are off" in m for m in messages) and any("telegram is switched off" in m for m in messages)
    assert all(TOKEN not in m for m in messages)
    assert [str(d.status) for d in await store.deliveries.list()] == ["pending"]


async def test_another_poller_is_told_once_and_survived(store: Store, server: FakeTelegram) -> None:
    chat = Chat(store, server)
    naps: list[float] = []

    class Impatient(SystemClock):
        async def sleep(self, seconds: float) -> None:
            naps.append(seconds)
            await asyncio.sleep(0)

    store.clock = Impatient()
    server.troubles.add(Fault.CONFLICT, method="getUpdates", times=3)
    inbox = asyncio.create_task(chat.inbox.run())
    await server.say("/fleet")
    await server.wait_for(lambda s: bool(s.messages))
    inbox.cancel()
    await asyncio.gather(inbox, return_exceptions=True)
    await chat.channel.close()
    await store.events.flush()
    assert naps == [15.0, 15.0, 15.0]
    assert sum("another program reads this bot" in e.message for e in await store.events.tail()) == 1


async def test_hours_offline_lose_no_press(store: Store, server: FakeTelegram) -> None:
    async with Chat(store, server) as chat:
        await chat.ask(MODEL)
    data = server.messages[0].button("Approve")
    await server.press(server.messages[0], data)
    server.troubles.standing = Trouble(Fault.OFFLINE)
    chat = Chat(store, server)
    waits: list[float] = []

    class Impatient(SystemClock):
        async def sleep(self, seconds: float) -> None:
            waits.append(seconds)
            if len(waits) == 20:
                server.troubles.standing = None
            await asyncio.sleep(0)

    store.clock = Impatient()
    inbox = asyncio.create_task(chat.inbox.run())
    await until(lambda: _decided(store, "apr-model"))
    inbox.cancel()
    await asyncio.gather(inbox, return_exceptions=True)
    await chat.channel.close()
    assert max(waits) <= 60.0 and waits[:3] == [0.5, 1.0, 2.0]


async def _decided(store: Store, approval_id: str) -> bool:
    return (await store.approvals.get(approval_id)).status is not ApprovalStatus.PENDING


async def test_the_token_is_in_no_log_and_no_repr(store: Store, server: FakeTelegram, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        async with Chat(store, server) as chat:
            await chat.ask(MODEL)
            server.troubles.add(Fault.OFFLINE, method="sendMessage", times=2)
            with contextlib.suppress(AwayError):
                await chat.channel.say("x")
            assert TOKEN not in repr(chat.channel._bot)
    assert TOKEN not in caplog.text
