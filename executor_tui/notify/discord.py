"""Discord: alerts as embeds through a webhook. A webhook takes no answers, so the message says which command gives one.

Limits and errors after discord.com/developers/docs/resources/webhook#execute-webhook and …/topics/rate-limits. The webhook's URL is its
secret and never enters a log or an error.
"""

import json

import httpx

from executor_tui.domain.clock import Clock
from executor_tui.notify.base import AwayError, ClosedError, Message, RefusedError
from executor_tui.notify.words import discord_messages, one_line

TIMEOUT_S = 20.0
_NO_MENTIONS: dict[str, object] = {"parse": []}


class DiscordChannel:
    """One webhook."""

    name = "discord"

    def __init__(self, webhook_url: str, clock: Clock) -> None:
        self._clock = clock
        try:
            self._url = httpx.URL(webhook_url.strip())
        except (httpx.InvalidURL, ValueError):
            self._url = httpx.URL("")
        self._client = httpx.AsyncClient(timeout=TIMEOUT_S, follow_redirects=False)
        self._free_at_s = float("-inf")

    async def send(self, message: Message) -> str:
        """Execute the webhook; a long message becomes several. Returns the id of the first."""
        first = ""
        for embeds in discord_messages(message):
            body: dict[str, object] = {"embeds": embeds, "allowed_mentions": _NO_MENTIONS}
            try:
                answer = await self._request("POST", self._url.copy_merge_params({"wait": "true"}), body)
            except AwayError as exc:
                exc.maybe_sent = exc.maybe_sent or bool(first)
                raise
            first = first or str(answer.get("id", ""))
        return first

    async def settle(self, remote_id: str, message: Message, outcome: str) -> None:
        """Edit the message to say how it was decided."""
        if not remote_id.isdigit():
            raise RefusedError("no message of ours")
        body: dict[str, object] = {"embeds": discord_messages(message, outcome)[0], "allowed_mentions": _NO_MENTIONS}
        await self._request("PATCH", self._url.copy_with(path=f"{self._url.path}/messages/{remote_id}"), body, editing=True)

    async def close(self) -> None:
        await self._client.aclose()

    async def _request(self, method: str, url: httpx.URL, body: dict[str, object], *, editing: bool = False) -> dict[str, object]:
        if self._url.scheme not in ("http", "https") or not self._url.host:
            raise ClosedError("webhook_url in notification.json is not a URL")
        wait_s = self._free_at_s - self._clock.monotonic_s()
        if wait_s > 0:
            raise AwayError("Discord's rate limit is used up", wait_s)
        try:
            answer = await self._client.request(method, url, json=body)
        except httpx.ReadTimeout:
            raise AwayError("Discord did not answer in time", maybe_sent=True) from None
        except httpx.HTTPError as exc:
            never_left = isinstance(exc, httpx.ConnectError | httpx.ConnectTimeout)
            raise AwayError(f"Discord cannot be reached ({type(exc).__name__})", maybe_sent=not never_left) from None
        if answer.is_success:
            self._keep_pace(answer.headers)
            return _object(answer.content)
        raise self._failure(answer, editing)

    def _keep_pace(self, headers: httpx.Headers) -> None:
        """The bucket is empty: the next request waits for its reset instead of meeting a 429."""
        if headers.get("x-ratelimit-remaining") == "0":
            reset_s = _number(headers.get("x-ratelimit-reset-after"))
            self._free_at_s = self._clock.monotonic_s() + (reset_s or 0.0)

    def _failure(self, answer: httpx.Response, editing: bool) -> Exception:
        said = _object(answer.content)
        words = one_line(str(said.get("message", "")), 200)
        if answer.status_code == 429:
            wait_s = _number(said.get("retry_after"))
            wait_s = wait_s if wait_s is not None else _number(answer.headers.get("retry-after"))
            return AwayError("Discord asks to slow down", wait_s)
        if answer.status_code == 404 and editing and said.get("code") == 10008:
            return RefusedError("the message was deleted")
        if answer.status_code in (401, 403, 404):
            return ClosedError(f"the webhook is gone ({answer.status_code}); make a new one and put it into notification.json")
        if answer.status_code >= 500 or answer.status_code == 408:
            return AwayError(f"Discord answers {answer.status_code}")
        return RefusedError(f"{answer.status_code} {words}".strip())


def _object(content: bytes) -> dict[str, object]:
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _number(value: object) -> float | None:
    """Seconds, where that is what it is: a finite number that is not negative and not past an hour."""
    try:
        seconds = float(str(value))
    except ValueError:
        return None
    return min(seconds, 3600.0) if seconds >= 0 else None
