"""Telegram: alerts out, with buttons where a press can answer.

Built on python-telegram-bot's `Bot`, not on its `Application`: that one confirms an update to Telegram as soon as it has been read, and a
press would be lost with a process that dies before handling it. The token never enters a log, an error or a repr.
"""

import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from telegram import Bot, InlineKeyboardButton, InlineKeyboardMarkup, LinkPreviewOptions, Update
from telegram.constants import ParseMode
from telegram.error import BadRequest, ChatMigrated, Forbidden, InvalidToken, NetworkError, RetryAfter, TelegramError, TimedOut
from telegram.request import HTTPXRequest

from executor_tui.config.files import TelegramSettings
from executor_tui.notify.base import AwayError, ChannelError, ClosedError, Message, RefusedError
from executor_tui.notify.words import lines_of, one_line, plain_pages, telegram_pages
from executor_tui.store.nodes import Notes

T = TypeVar("T")
POLL_S = 25
CALLBACK_BYTES = 64
"""Of a button's data (core.telegram.org/bots/api#inlinekeyboardbutton); the client does not check it."""
FORBIDDEN_WAIT_S = 300.0
_NO_PREVIEW = LinkPreviewOptions(is_disabled=True)

for _name in ("httpx", "httpcore", "telegram"):
    # httpx logs every URL at INFO, and a bot's URL holds its token.
    logging.getLogger(_name).setLevel(logging.WARNING)


class _QuietBot(Bot):
    """A Bot whose repr does not show its token."""

    def __repr__(self) -> str:
        return "Bot[token hidden]"


class TelegramChannel:
    """One bot and one chat. `notes` remembers where a chat has moved to."""

    name = "telegram"

    def __init__(self, settings: TelegramSettings, token: str, notes: Notes) -> None:
        self.settings, self._notes = settings, notes
        self._token = token.strip()
        self._bot: Bot | None = None
        self._moved_to = ""

    # -- out -------------------------------------------------------------------------------------------------------------------

    async def send(self, message: Message) -> str:
        """Send an alert as one or more messages; the buttons are under the last. Returns `chat/message`."""
        pages = telegram_pages(lines_of(message))
        keyboard = None if self.settings.mirror_only else _keyboard(message)
        sent = ""
        for number, page in enumerate(pages, start=1):
            try:
                sent = await self._send_page(page, keyboard if number == len(pages) else None)
            except AwayError as exc:
                exc.maybe_sent = exc.maybe_sent or number > 1
                raise
        return sent

    async def settle(self, remote_id: str, message: Message, outcome: str) -> None:
        """Take the buttons away and say how it was decided. Only the last of several pages is edited."""
        chat, _, number = remote_id.partition("/")
        if not number.isdigit():
            raise RefusedError(f"{remote_id!r} is no message of ours")
        page = telegram_pages(lines_of(message, outcome))[-1]

        async def edit(bot: Bot) -> object:
            return await bot.edit_message_text(
                page, chat_id=chat, message_id=int(number), parse_mode=ParseMode.HTML, link_preview_options=_NO_PREVIEW
            )  # fmt: skip

        await self._call(edit)

    async def say(self, text: str, chat_id: int | str | None = None, reply_to: int | None = None) -> None:
        """Plain text, split where it is too long, to the operator's chat or a given one."""
        for page in plain_pages(text) or ["(nothing)"]:
            await self._send_page(page, None, chat_id, reply_to)

    async def answer_press(self, press_id: str, text: str) -> None:
        """The small notice over the chat that follows a press. One that came too late to be answered is no trouble."""
        try:
            await self._call(lambda bot: bot.answer_callback_query(press_id, one_line(text, 190)))
        except RefusedError as exc:
            logging.getLogger(__name__).info("a press could no longer be answered: %s", exc.reason)

    # -- in --------------------------------------------------------------------------------------------------------------------

    async def updates(self, offset: int | None) -> tuple[Update, ...]:
        """What was pressed and written since, waiting up to 25 seconds for it. Asking with an offset confirms everything before it.

        Raises ChannelError, and telegram's own Conflict when another program polls this bot.
        """
        return await self._call(
            lambda bot: bot.get_updates(offset, timeout=POLL_S, allowed_updates=["message", "callback_query", "my_chat_member"])
        )

    async def bot_id(self) -> int:
        """The bot's own user id."""
        return (await self._ready()).id

    async def chat_id(self) -> str:
        """The operator's chat, where it is now."""
        if not self._moved_to:
            moved = await self._notes.get(self._moved_note)
            self._moved_to = str(moved) if moved else self.settings.chat_id
        return self._moved_to

    async def moved(self, new_chat_id: int) -> None:
        """The group became a supergroup and has a new id; remembered over restarts."""
        self._moved_to = str(new_chat_id)
        await self._notes.put(self._moved_note, self._moved_to)

    async def close(self) -> None:
        if self._bot is not None:
            await self._bot.shutdown()
            self._bot = None

    # -- smaller parts ---------------------------------------------------------------------------------------------------------

    @property
    def _moved_note(self) -> str:
        return f"telegram.moved.{self.settings.chat_id}"

    async def _send_page(
        self, page: str, keyboard: InlineKeyboardMarkup | None, chat_id: int | str | None = None, reply_to: int | None = None
    ) -> str:
        async def send(bot: Bot) -> str:
            chat = chat_id if chat_id is not None else await self.chat_id()
            sent = await bot.send_message(
                chat, page, parse_mode=ParseMode.HTML, reply_markup=keyboard, reply_to_message_id=reply_to,
                allow_sending_without_reply=True, link_preview_options=_NO_PREVIEW,
            )  # fmt: skip
            return f"{chat}/{sent.message_id}"

        try:
            return await self._call(send)
        except _MovedError as exc:
            await self.moved(exc.new_chat_id)
            return await self._call(send)

    async def _ready(self) -> Bot:
        if self._bot is None:
            bot = _QuietBot(
                self._token, base_url=self.settings.base_url, request=HTTPXRequest(connect_timeout=10, read_timeout=20),
                get_updates_request=HTTPXRequest(connect_timeout=10, read_timeout=POLL_S + 10),
            )  # fmt: skip
            await bot.initialize()
            self._bot = bot
        return self._bot

    async def _call(self, work: Callable[[Bot], Awaitable[T]]) -> T:
        try:
            return await work(await self._ready())
        except TelegramError as exc:
            raise self._translated(exc) from None

    def _translated(self, exc: TelegramError) -> Exception:
        said = self._scrubbed(str(exc))
        if isinstance(exc, RetryAfter):
            wait = exc.retry_after
            return AwayError("Telegram asks to slow down", float(wait if isinstance(wait, int) else wait.total_seconds()))
        if isinstance(exc, ChatMigrated):
            return _MovedError(exc.new_chat_id)
        if isinstance(exc, InvalidToken):
            return ClosedError("Telegram does not accept the bot token; put a new one into notification.json")
        if isinstance(exc, Forbidden):
            return AwayError(f"Telegram forbids it ({said}); unblock the bot or let it into the chat again", FORBIDDEN_WAIT_S)
        if isinstance(exc, BadRequest):
            if "chat not found" in said.lower():
                return ClosedError("the chat is unknown to the bot: write /start to it, and check chat_id in notification.json")
            return RefusedError(said)
        if isinstance(exc, TimedOut):
            return AwayError("Telegram did not answer in time", maybe_sent=True)
        if isinstance(exc, NetworkError):
            return AwayError(f"Telegram cannot be reached: {said}", maybe_sent="ConnectError" not in said)
        return exc

    def _scrubbed(self, text: str) -> str:
        return one_line(text.replace(self._token, "…") if self._token else text)


class _MovedError(ChannelError):
    def __init__(self, new_chat_id: int) -> None:
        super().__init__("the chat has a new id")
        self.new_chat_id = new_chat_id


def _keyboard(message: Message) -> InlineKeyboardMarkup | None:
    """Buttons that carry ids only; none where an id is too long to fit."""
    approval, question = message.text("approval"), message.text("question")
    rows: list[list[tuple[str, str]]] = []
    if approval:
        yes = "Approve …" if message.text("word") else "Approve"
        rows = [[("Deny", f"d:{approval}"), (yes, f"a:{approval}")]]
        wider = []
        if usd := message.text("project_usd"):
            wider.append((f"Project, up to ${float(usd):.2f}", f"p{float(usd):.2f}:{approval}"))
        if minutes := message.text("minutes"):
            wider.append((f"This model for {float(minutes):g} min", f"m{float(minutes):g}:{approval}"))
        rows += [wider] if wider else []
    elif question:
        rows = [[(one_line(option, 60), f"q:{question}:{n}")] for n, option in enumerate(message.options[:8])]
    if not rows or any(len(data.encode()) > CALLBACK_BYTES for row in rows for _, data in row):
        return None
    return InlineKeyboardMarkup([[InlineKeyboardButton(text, callback_data=data) for text, data in row] for row in rows])
