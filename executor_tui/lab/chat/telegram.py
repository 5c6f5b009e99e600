"""A Telegram Bot API server with one bot (core.telegram.org/bots/api), as far as Executor uses it.

It checks what the real one checks: the token, that a chat is known, text and button sizes, HTML entities, one poller at a time. A person
is played with `say` and `press`.
"""

import asyncio
import contextlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from aiohttp import web

from executor_tui.lab.chat.faults import Fault, Troubles
from executor_tui.lab.chat.html_entities import EntityError, parse_html
from executor_tui.lab.chat.listener import Listener

TOKEN = "700100200:lab-bot-token-that-opens-nothing"
BOT = {"id": 700100200, "is_bot": True, "first_name": "Executor", "username": "executor_lab_bot", "can_join_groups": True}
TEXT_UNITS, CALLBACK_BYTES, NOTICE_CHARS = 4096, 64, 200
_REFUSALS = {
    Fault.CONFLICT: (409, "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running"),
    Fault.UNAUTHORIZED: (401, "Unauthorized"),
    Fault.FORBIDDEN: (403, "Forbidden: bot was blocked by the user"),
    Fault.GONE: (404, "Not Found"),
}


@dataclass
class Sent:
    """One message of the bot, as it stands now. `text` is what a person sees, `edits` how often it was changed."""

    message_id: int
    chat_id: int
    text: str
    html: str
    buttons: list[list[dict[str, str]]] = field(default_factory=list)
    edits: int = 0
    reply_to: int | None = None

    def button(self, words: str) -> str:
        """The data of the button with these words."""
        return next(b["callback_data"] for row in self.buttons for b in row if b["text"].startswith(words))


class ApiError(Exception):
    """An answer with ok=false."""

    def __init__(self, code: int, description: str, **parameters: object) -> None:
        super().__init__(description)
        self.code, self.description, self.parameters = code, description, parameters


class _OfflineError(Exception):
    """This request is not answered."""


class FakeTelegram(Listener):
    """Use `async with FakeTelegram() as server`; `base_url` goes into the settings. `chats` are the chats the bot is in."""

    def __init__(self, token: str = TOKEN, chats: tuple[int, ...] = (4242,), delay_s: float = 0.0) -> None:
        super().__init__()
        self.token, self.chats, self.delay_s = token, set(chats), delay_s
        self.messages: list[Sent] = []
        self.notices: list[str] = []
        self.requests: list[str] = []
        self.troubles = Troubles()
        self._updates: list[dict[str, object]] = []
        self._next_update, self._next_message = 1000, 1
        self._polling: asyncio.Event | None = None

    def routes(self, app: web.Application) -> None:
        app.router.add_route("*", "/bot{token}/{method}", self._serve)

    async def stop(self) -> None:
        if self._polling is not None:
            self._polling.set()
        await super().stop()

    @property
    def base_url(self) -> str:
        return f"{self.address}/bot"

    # -- a person --------------------------------------------------------------------------------------------------------------

    async def say(self, text: str, *, user: int = 4242, chat: int = 4242, reply_to: Sent | None = None, name: str = "Op") -> int:
        """A person writes; returns the update's id."""
        message = {
            "message_id": self._number(), "date": int(time.time()), "chat": _chat(chat), "from": _user(user, name), "text": text,
        }  # fmt: skip
        if text.startswith("/"):
            message["entities"] = [{"type": "bot_command", "offset": 0, "length": len(text.split()[0])}]
        if reply_to is not None:
            message["reply_to_message"] = self._message(reply_to)
        return await self._update({"message": message})

    async def press(self, sent: Sent, data: str, *, user: int = 4242, name: str = "Op") -> int:
        """A person presses a button; returns the update's id."""
        press = {"id": str(self._number() * 7919), "from": _user(user, name), "chat_instance": "1", "data": data}
        return await self._update({"callback_query": {**press, "message": self._message(sent)}})

    @property
    def unconfirmed(self) -> list[int]:
        """Updates that the bot has not confirmed."""
        return [int(str(u["update_id"])) for u in self._updates]

    async def _update(self, content: dict[str, object]) -> int:
        self._next_update += 1
        async with self.changed:
            self._updates.append({"update_id": self._next_update, **content})
            self.changed.notify_all()
        return self._next_update

    # -- the API ---------------------------------------------------------------------------------------------------------------

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        method = request.match_info["method"]
        self.requests.append(method)
        if self.delay_s:
            await asyncio.sleep(self.delay_s)
        try:
            if request.match_info["token"] != self.token:
                raise ApiError(401, "Unauthorized")
            answer = self._trouble(method)
            result = await self._call(method, await _fields(request))
            if not answer:
                return _drop(request)
            return web.json_response({"ok": True, "result": result})
        except _OfflineError:
            return _drop(request)
        except ApiError as exc:
            body: dict[str, object] = {"ok": False, "error_code": exc.code, "description": exc.description}
            if exc.parameters:
                body["parameters"] = exc.parameters
            return web.json_response(body, status=exc.code)
        finally:
            async with self.changed:
                self.changed.notify_all()

    def _trouble(self, method: str) -> bool:
        """Meet what was arranged for this request; says whether it may be answered once it is done."""
        trouble = self.troubles.take(method)
        if trouble is None:
            return True
        fault = trouble.fault
        if fault is Fault.LOST_ANSWER:
            return False
        if fault is Fault.OFFLINE:
            raise _OfflineError
        if fault is Fault.RATE_LIMITED:
            seconds = int(trouble.value or 1)
            raise ApiError(429, f"Too Many Requests: retry after {seconds}", retry_after=seconds)
        if fault is Fault.MIGRATED:
            raise ApiError(400, "Bad Request: group chat was upgraded to a supergroup chat", migrate_to_chat_id=int(trouble.value))
        raise ApiError(*_REFUSALS.get(fault, (502, "Bad Gateway")))

    async def _call(self, method: str, data: Mapping[str, object]) -> object:
        if method == "getMe":
            return BOT
        if method == "getUpdates":
            return await self._get_updates(data)
        if method == "sendMessage":
            return self._send_message(data)
        if method == "editMessageText":
            return self._edit_message(data)
        if method == "answerCallbackQuery":
            text = str(data.get("text", ""))
            if len(text) > NOTICE_CHARS:
                raise ApiError(400, "Bad Request: MESSAGE_TOO_LONG")
            self.notices.append(text)
            return True
        raise ApiError(404, "Not Found: method not found")

    async def _get_updates(self, data: Mapping[str, object]) -> list[dict[str, object]]:
        if self._polling is not None:
            self._polling.set()  # the newer request wins, the older one is told
        mine = self._polling = asyncio.Event()
        offset = int(str(data.get("offset", 0) or 0))
        if offset:
            self._updates = [u for u in self._updates if int(str(u["update_id"])) >= offset]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(float(str(data.get("timeout", 0) or 0))), self.changed:
                await self.changed.wait_for(lambda: bool(self._updates) or mine.is_set())
        if mine.is_set():
            raise ApiError(*_REFUSALS[Fault.CONFLICT])
        self._polling = None
        return self._updates[:100]

    def _send_message(self, data: Mapping[str, object]) -> dict[str, object]:
        chat = self._known_chat(data)
        text = _checked_text(data)
        reply = data.get("reply_parameters")
        reply_to = json.loads(str(reply)).get("message_id") if reply else None
        sent = Sent(self._number(), chat, text, str(data["text"]), _buttons(data), reply_to=reply_to)
        self.messages.append(sent)
        return self._message(sent)

    def _edit_message(self, data: Mapping[str, object]) -> dict[str, object]:
        chat, number = self._known_chat(data), int(str(data.get("message_id", 0)))
        sent = next((m for m in self.messages if (m.chat_id, m.message_id) == (chat, number)), None)
        if sent is None:
            raise ApiError(400, "Bad Request: message to edit not found")
        text, buttons = _checked_text(data), _buttons(data)
        if (text, buttons) == (sent.text, sent.buttons):
            raise ApiError(400, "Bad Request: message is not modified: specified new message content is exactly the same as a current one")
        sent.text, sent.html, sent.buttons, sent.edits = text, str(data["text"]), buttons, sent.edits + 1
        return self._message(sent)

    def _known_chat(self, data: Mapping[str, object]) -> int:
        text = str(data.get("chat_id", ""))
        if not text.lstrip("-").isdigit() or int(text) not in self.chats:
            raise ApiError(400, "Bad Request: chat not found")
        return int(text)

    def _message(self, sent: Sent) -> dict[str, object]:
        message: dict[str, object] = {
            "message_id": sent.message_id, "date": int(time.time()), "chat": _chat(sent.chat_id), "from": BOT, "text": sent.text,
        }  # fmt: skip
        if sent.buttons:
            message["reply_markup"] = {"inline_keyboard": sent.buttons}
        return message

    def _number(self) -> int:
        self._next_message += 1
        return self._next_message


async def _fields(request: web.Request) -> Mapping[str, object]:
    """Parameters come as a query, a form or JSON."""
    if request.content_type == "application/json":
        found = await request.json()
        return found if isinstance(found, dict) else {}
    return {**dict(request.query), **{name: str(value) for name, value in (await request.post()).items()}}


def _checked_text(data: Mapping[str, object]) -> str:
    text = str(data.get("text", ""))
    if data.get("parse_mode") == "HTML":
        try:
            text = parse_html(text)
        except EntityError as exc:
            raise ApiError(400, f"Bad Request: can't parse entities: {exc}") from None
    text = text.strip()
    if not text:
        raise ApiError(400, "Bad Request: message text is empty")
    if len(text.encode("utf-16-le")) // 2 > TEXT_UNITS:
        raise ApiError(400, "Bad Request: message is too long")
    return text


def _buttons(data: Mapping[str, object]) -> list[list[dict[str, str]]]:
    markup = data.get("reply_markup")
    rows = json.loads(str(markup)).get("inline_keyboard", []) if markup else []
    for button in (b for row in rows for b in row):
        size = len(str(button.get("callback_data", "")).encode())
        if not str(button.get("text", "")).strip():
            raise ApiError(400, "Bad Request: inline keyboard button text must be non-empty")
        if not 1 <= size <= CALLBACK_BYTES:
            raise ApiError(400, "Bad Request: BUTTON_DATA_INVALID")
    return [[{str(k): str(v) for k, v in button.items()} for button in row] for row in rows]


def _drop(request: web.Request) -> web.StreamResponse:
    """End the connection without a word; the answer goes nowhere."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


def _user(number: int, name: str) -> dict[str, object]:
    return {"id": number, "is_bot": False, "first_name": name, "username": f"user{number}"}


def _chat(number: int) -> dict[str, object]:
    if number > 0:
        return {"id": number, "type": "private", "first_name": "Op"}
    return {"id": number, "type": "supergroup", "title": "Operators"}
