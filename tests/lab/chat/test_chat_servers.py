"""The fake chat servers refuse what the real ones refuse, asked by clients others wrote."""

import httpx
import pytest
from telegram import Bot, InlineKeyboardButton, InlineKeyboardMarkup
from telegram.error import BadRequest, ChatMigrated, Conflict, Forbidden, InvalidToken, NetworkError, RetryAfter

from executor_tui.lab.chat.discord import FakeDiscord
from executor_tui.lab.chat.faults import Fault
from executor_tui.lab.chat.telegram import TOKEN, FakeTelegram


async def test_a_stock_bot_sends_edits_and_reads(caplog: pytest.LogCaptureFixture) -> None:
    async with FakeTelegram() as server, Bot(TOKEN, base_url=server.base_url) as bot:
        sent = await bot.send_message(4242, "<b>a &amp; b</b>", parse_mode="HTML")
        assert (sent.text, sent.chat.id) == ("a & b", 4242)
        await bot.edit_message_text("c", 4242, sent.message_id)
        await server.say("/fleet")
        updates = await bot.get_updates(timeout=5)
        assert [u.message.text for u in updates if u.message] == ["/fleet"]
        assert await bot.get_updates(offset=updates[-1].update_id + 1, timeout=0) == ()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "text is empty"), ("x" * 4097, "too long"), ("😀" * 2049, "too long"), ("<b>x", "can't parse entities"),
        ("a < b", "can't parse entities"), ("<script>x</script>", "can't parse entities"), ("x</b>", "can't parse entities"),
    ],
)  # fmt: skip
async def test_bad_texts_are_refused(text: str, words: str) -> None:
    async with FakeTelegram() as server, Bot(TOKEN, base_url=server.base_url) as bot:
        with pytest.raises(BadRequest, match=f"(?i){words}"):
            await bot.send_message(4242, text, parse_mode="HTML")


async def test_the_longest_text_is_taken() -> None:
    async with FakeTelegram() as server, Bot(TOKEN, base_url=server.base_url) as bot:
        assert (await bot.send_message(4242, "x" * 4096)).text == "x" * 4096


async def test_buttons_with_too_much_data_and_unknown_chats_are_refused() -> None:
    async with FakeTelegram() as server, Bot(TOKEN, base_url=server.base_url) as bot:
        with pytest.raises(BadRequest, match=r"(?i)button_data_invalid"):
            await bot.send_message(4242, "x", reply_markup=InlineKeyboardMarkup([[InlineKeyboardButton("y", callback_data="é" * 33)]]))
        with pytest.raises(BadRequest, match=r"(?i)chat not found"):
            await bot.send_message(1, "x")


async def test_a_wrong_token_is_refused() -> None:
    async with FakeTelegram() as server:
        with pytest.raises(InvalidToken):
            await Bot("1:wrong", base_url=server.base_url).initialize()


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault.RATE_LIMITED, RetryAfter), (Fault.CONFLICT, Conflict), (Fault.UNAUTHORIZED, InvalidToken), (Fault.FORBIDDEN, Forbidden),
        (Fault.SERVER_ERROR, NetworkError), (Fault.OFFLINE, NetworkError), (Fault.LOST_ANSWER, NetworkError),
        (Fault.MIGRATED, ChatMigrated),
    ],
)  # fmt: skip
async def test_each_bad_day_reaches_a_stock_bot_as_the_error_it_names(fault: Fault, error: type[Exception]) -> None:
    async with FakeTelegram() as server, Bot(TOKEN, base_url=server.base_url) as bot:
        server.troubles.add(fault, method="sendMessage", value=7)
        with pytest.raises(error):
            await bot.send_message(4242, "x")
        assert len(server.messages) == (fault is Fault.LOST_ANSWER)
        await bot.send_message(4242, "again")


async def test_discord_takes_a_good_message_and_tells_what_is_wrong_with_a_bad_one() -> None:
    async with FakeDiscord() as server, httpx.AsyncClient() as client:
        assert (await client.post(server.webhook_url, json={"content": "x"})).status_code == 204
        shown = await client.post(f"{server.webhook_url}?wait=true", json={"embeds": [{"title": "t", "color": 255}]})
        assert shown.json()["embeds"] == [{"title": "t", "color": 255}]
        edited = await client.patch(f"{server.webhook_url}/messages/{shown.json()['id']}", json={"content": "y"})
        assert edited.status_code == 200 and server.messages[-1].content == "y"


@pytest.mark.parametrize(
    "body",
    [
        {}, {"content": "x" * 2001}, {"embeds": [{"title": "t"}] * 11}, {"embeds": [{"title": "t" * 257}]},
        {"embeds": [{"description": "d" * 4097}]}, {"embeds": [{"description": "d" * 4000}, {"description": "d" * 2001}]},
        {"embeds": [{"title": "t", "color": 0x1000000}]}, {"embeds": [{"title": "t", "timestamp": "today"}]}, {"embeds": [{}]}, [],
    ],
)  # fmt: skip
async def test_discord_refuses_what_breaks_its_limits(body: object) -> None:
    async with FakeDiscord() as server, httpx.AsyncClient() as client:
        answer = await client.post(server.webhook_url, json=body)
        assert (answer.status_code, answer.json()["code"]) == (400, 50035) and not server.messages


async def test_discord_says_how_long_to_wait_as_a_fraction_and_when_the_webhook_is_gone() -> None:
    async with FakeDiscord() as server, httpx.AsyncClient() as client:
        server.troubles.add(Fault.RATE_LIMITED, value=0.25)
        limited = await client.post(server.webhook_url, json={"content": "x"})
        assert (limited.status_code, limited.json()["retry_after"]) == (429, 0.25)
        server.gone = True
        gone = await client.post(server.webhook_url, json={"content": "x"})
        assert (gone.status_code, gone.json()) == (404, {"message": "Unknown Webhook", "code": 10015})
