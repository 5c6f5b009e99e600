"""Discord's webhook endpoint (discord.com/developers/docs/resources/webhook), as far as Executor uses it.

It checks a message as the real one does and answers a bad one with the same codes and shapes.
"""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from aiohttp import web

from executor_tui.lab.chat.faults import Fault, Trouble, Troubles
from executor_tui.lab.chat.listener import Listener

WEBHOOK_ID, WEBHOOK_TOKEN = "700100200300400500", "lab-webhook-token-that-opens-nothing"
CONTENT, EMBEDS, ALL_EMBEDS = 2000, 10, 6000
_SIZES = {"title": 256, "description": 4096}


@dataclass
class Posted:
    """One message of the webhook, as it stands now."""

    id: str
    content: str
    embeds: list[dict[str, object]] = field(default_factory=list)
    edits: int = 0

    @property
    def text(self) -> str:
        """Everything a person reads."""
        parts = [self.content]
        for embed in self.embeds:
            footer = embed.get("footer")
            parts += [str(embed.get("title", "")), str(embed.get("description", ""))]
            parts.append(str(footer.get("text", "")) if isinstance(footer, dict) else "")
        return "\n".join(part for part in parts if part)


class FakeDiscord(Listener):
    """Use `async with FakeDiscord() as server`; `webhook_url` goes into the settings."""

    def __init__(self, delay_s: float = 0.0) -> None:
        super().__init__()
        self.messages: list[Posted] = []
        self.requests = 0
        self.troubles = Troubles()
        self.gone, self.delay_s = False, delay_s
        self.remaining: int | None = None
        self._next = 1_000_000_000_000

    def routes(self, app: web.Application) -> None:
        path = f"/api/webhooks/{WEBHOOK_ID}/{WEBHOOK_TOKEN}"
        app.router.add_post(path, self._execute)
        app.router.add_patch(path + "/messages/{message}", self._edit)
        app.router.add_route("*", "/{tail:.*}", self._unknown)

    @property
    def webhook_url(self) -> str:
        return f"{self.address}/api/webhooks/{WEBHOOK_ID}/{WEBHOOK_TOKEN}"

    # -- the endpoint ----------------------------------------------------------------------------------------------------------

    async def _execute(self, request: web.Request) -> web.StreamResponse:
        return await self._answer(request, "execute", None)

    async def _edit(self, request: web.Request) -> web.StreamResponse:
        return await self._answer(request, "edit", request.match_info["message"])

    async def _unknown(self, request: web.Request) -> web.StreamResponse:
        return _error(404, 10015, "Unknown Webhook")

    async def _answer(self, request: web.Request, method: str, message_id: str | None) -> web.StreamResponse:
        self.requests += 1
        if self.delay_s:
            await asyncio.sleep(self.delay_s)
        try:
            trouble = self.troubles.take(method)
            if self.gone:
                return _error(404, 10015, "Unknown Webhook")
            if trouble is not None and trouble.fault is not Fault.LOST_ANSWER:
                return self._refuse(request, trouble)
            body = await request.json()
            wrong = check(body)
            if wrong:
                return web.json_response({"code": 50035, "message": "Invalid Form Body", "errors": wrong}, status=400)
            posted = self._keep(body, message_id)
            if posted is None:
                return _error(404, 10008, "Unknown Message")
            if trouble is not None:
                return _drop(request)
            if method == "execute" and request.query.get("wait") != "true":
                return web.Response(status=204, headers=self._pace())
            return web.json_response(_shown(posted), headers=self._pace())
        except json.JSONDecodeError:
            return _error(400, 50109, "The request body contains invalid JSON.")
        finally:
            async with self.changed:
                self.changed.notify_all()

    def _keep(self, body: Mapping[str, object], message_id: str | None) -> Posted | None:
        embeds = body.get("embeds") or []
        assert isinstance(embeds, list)
        if message_id is None:
            self._next += 1
            posted = Posted(str(self._next), str(body.get("content") or ""), embeds)
            self.messages.append(posted)
            return posted
        known = next((m for m in self.messages if m.id == message_id), None)
        if known is not None:
            known.content, known.embeds, known.edits = str(body.get("content") or ""), embeds, known.edits + 1
        return known

    def _refuse(self, request: web.Request, trouble: Trouble) -> web.StreamResponse:
        if trouble.fault is Fault.OFFLINE:
            return _drop(request)
        if trouble.fault is Fault.RATE_LIMITED:
            seconds = trouble.value or 0.5
            body = {"message": "You are being rate limited.", "retry_after": seconds, "global": False}
            return web.json_response(body, status=429, headers={"Retry-After": str(int(seconds) + 1)})
        if trouble.fault is Fault.GONE:
            return _error(404, 10015, "Unknown Webhook")
        if trouble.fault is Fault.UNAUTHORIZED:
            return _error(401, 50027, "Invalid Webhook Token")
        if trouble.fault is Fault.FORBIDDEN:
            return _error(403, 50013, "Missing Permissions")
        return web.Response(status=502, text="<html>Bad Gateway</html>")

    def _pace(self) -> dict[str, str]:
        if self.remaining is None:
            return {}
        return {"X-RateLimit-Limit": "5", "X-RateLimit-Remaining": str(self.remaining), "X-RateLimit-Reset-After": "2.500"}


def check(body: object) -> dict[str, object]:
    """What is wrong with a message, in Discord's form of nested `_errors`; empty when nothing is."""
    if not isinstance(body, dict):
        return _wrong("DICT_TYPE_CONVERT", "Only dictionaries may be used in a DictType")
    wrong: dict[str, object] = {}
    content, embeds = body.get("content") or "", body.get("embeds") or []
    if not content and not embeds:
        wrong["content"] = _wrong("BASE_TYPE_REQUIRED", "Cannot send an empty message")
    if _units(str(content)) > CONTENT:
        wrong["content"] = _wrong("BASE_TYPE_MAX_LENGTH", f"Must be {CONTENT} or fewer in length.")
    if not isinstance(embeds, list) or len(embeds) > EMBEDS:
        wrong["embeds"] = _wrong("BASE_TYPE_MAX_LENGTH", f"Must be {EMBEDS} or fewer in length.")
        return wrong
    bad = {str(n): found for n, embed in enumerate(embeds) if (found := _check_embed(embed))}
    if bad:
        wrong["embeds"] = bad
    elif sum(_embed_size(embed) for embed in embeds) > ALL_EMBEDS:
        wrong["embeds"] = _wrong("MAX_EMBED_SIZE_EXCEEDED", f"Embed size exceeds maximum size of {ALL_EMBEDS}")
    return wrong


def _check_embed(embed: object) -> dict[str, object]:
    if not isinstance(embed, dict):
        return _wrong("DICT_TYPE_CONVERT", "Only dictionaries may be used in a DictType")
    wrong: dict[str, object] = {}
    for name, limit in _SIZES.items():
        if _units(str(embed.get(name) or "")) > limit:
            wrong[name] = _wrong("BASE_TYPE_MAX_LENGTH", f"Must be {limit} or fewer in length.")
    colour = embed.get("color", 0)
    if not isinstance(colour, int) or not 0 <= colour <= 0xFFFFFF:
        wrong["color"] = _wrong("NUMBER_TYPE_MAX", "int value should be less than or equal to 16777215.")
    stamp = embed.get("timestamp")
    if stamp is not None and not _is_time(stamp):
        wrong["timestamp"] = _wrong("DATE_TIME_TYPE_PARSE", f"Could not parse {stamp}. Should be ISO8601.")
    footer = embed.get("footer") or {}
    if not isinstance(footer, dict) or _units(str(footer.get("text") or "")) > 2048:
        wrong["footer"] = _wrong("BASE_TYPE_MAX_LENGTH", "Must be 2048 or fewer in length.")
    if not (embed.get("title") or embed.get("description") or embed.get("fields")):
        wrong["description"] = _wrong("BASE_TYPE_REQUIRED", "This field is required")
    return wrong


def _embed_size(embed: Mapping[str, object]) -> int:
    footer = embed.get("footer")
    texts = [str(embed.get("title") or ""), str(embed.get("description") or "")]
    texts.append(str(footer.get("text") or "") if isinstance(footer, dict) else "")
    return sum(_units(text) for text in texts)


def _is_time(value: object) -> bool:
    try:
        datetime.fromisoformat(str(value))
    except ValueError:
        return False
    return True


def _units(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def _wrong(code: str, message: str) -> dict[str, object]:
    return {"_errors": [{"code": code, "message": message}]}


def _error(status: int, code: int, message: str) -> web.Response:
    return web.json_response({"message": message, "code": code}, status=status)


def _shown(posted: Posted) -> dict[str, object]:
    return {
        "id": posted.id, "type": 0, "content": posted.content, "channel_id": "1", "embeds": posted.embeds, "attachments": [],
        "mentions": [], "timestamp": datetime.now(UTC).isoformat(), "webhook_id": WEBHOOK_ID, "tts": False, "pinned": False,
    }  # fmt: skip


def _drop(request: web.Request) -> web.StreamResponse:
    """End the connection without a word; the answer goes nowhere."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()
