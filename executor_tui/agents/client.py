"""The one way an agent reaches a model: Chat Completions over HTTP, from the gateway or any other OpenAI-compatible server.

One call, one answer, under one deadline. Routing, retries over keys and fallback are the gateway's; all that is retried here is a server
that cannot be connected to, because the node starts a dead gateway again within seconds.
"""

import asyncio
import email.utils
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import aiohttp

from executor_tui.domain.clock import Clock
from executor_tui.domain.errors import BudgetError, ConsentError, ExecutorError, NothingAvailableError

Json = dict[str, object]
Message = dict[str, object]
"""One message in the shape of the wire: role, content, tool_calls, tool_call_id."""

CONNECT_WAITS_S = (0.2, 0.5, 1.0, 2.0, 4.0)
MAX_BODY_BYTES = 16 * 1024 * 1024
MAX_TRAIL_CHARS = 4_000


class ModelError(ExecutorError):
    """The call failed and asking again later may help: the server broke, went away or answered nonsense."""


class ModelRefusedError(ExecutorError):
    """The call cannot succeed as it is: a request or a credential the server does not take."""


class ContextTooLongError(ModelRefusedError):
    """The conversation does not fit into the model's context."""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call the model asks for. `arguments` is the text as it came: JSON when the model kept to the rules."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """What is asked. `request_id` names this call for good: asked again with it, an approval is found rather than asked for twice."""

    model: str
    messages: Sequence[Message]
    tools: Sequence[Json] = ()
    max_tokens: int | None = None
    request_id: str = ""
    why: str = ""


@dataclass(frozen=True, slots=True)
class ModelReply:
    """An answer. Cost, call id and trail come from the gateway's `x-executor-*` headers and are empty with other servers."""

    text: str
    tool_calls: tuple[ToolCall, ...] = ()
    finish_reason: str = ""
    model: str = ""
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float = 0.0
    call_id: str = ""
    trail: str = ""


@dataclass(frozen=True)
class ModelClient:
    """A door to models. `base_url` is the root of the API (…/v1 where the server has it); `secret` never shows in a repr or an error."""

    session: aiohttp.ClientSession
    base_url: str
    clock: Clock
    secret: str = field(default="", repr=False)
    deadline_s: float = 900.0
    connect_waits_s: Sequence[float] = CONNECT_WAITS_S

    async def complete(self, request: ModelRequest) -> ModelReply:
        """Ask, and wait for the whole answer.

        Raises NothingAvailableError (with `available_at` where the server says when), BudgetError, ConsentError, ContextTooLongError,
        ModelRefusedError, or ModelError.
        """
        body = _body_of(request)
        try:
            async with asyncio.timeout(self.deadline_s):
                status, headers, text = await self._post(body, self._headers(request))
        except TimeoutError as exc:
            raise ModelError(f"the model server at {self.base_url} gave no answer within {self.deadline_s:g} s") from exc
        if status != 200:
            raise error_of(status, headers, text, self.clock.now())
        return read_reply(headers, text)

    async def _post(self, body: Json, headers: Mapping[str, str]) -> tuple[int, dict[str, str], str]:
        for wait_s in (*self.connect_waits_s, None):
            try:
                return await self._post_once(body, headers)
            except aiohttp.ClientConnectorError as exc:
                if wait_s is None:
                    hint = "the node starts its gateway by itself; otherwise see: executor doctor"
                    raise ModelError(f"no model server answers at {self.base_url}", hint=hint) from exc
                await self.clock.sleep(wait_s)
            except (aiohttp.ClientError, OSError, ValueError) as exc:
                raise ModelError(f"the connection to the model server broke: {type(exc).__name__}") from exc
        raise AssertionError("unreachable: the last round returns or raises")

    async def _post_once(self, body: Json, headers: Mapping[str, str]) -> tuple[int, dict[str, str], str]:
        url = f"{self.base_url.rstrip('/')}/chat/completions"
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=10.0)
        async with self.session.post(url, json=body, headers=headers, timeout=timeout) as answer:
            raw = bytearray()
            async for piece in answer.content.iter_chunked(64 * 1024):
                raw += piece
                if len(raw) > MAX_BODY_BYTES:
                    raise ModelError(f"the model server sent more than {MAX_BODY_BYTES // 1024 // 1024} MiB; the answer was dropped")
            return answer.status, {k.lower(): v for k, v in answer.headers.items()}, raw.decode("utf-8", "replace")

    def _headers(self, request: ModelRequest) -> dict[str, str]:
        headers = {"x-executor-request-id": request.request_id, "x-executor-why": _header_text(request.why)}
        if self.secret:
            headers["authorization"] = f"Bearer {self.secret}"
        return {name: value for name, value in headers.items() if value}


def _body_of(request: ModelRequest) -> Json:
    body: Json = {"model": request.model, "messages": list(request.messages)}
    if request.tools:
        body["tools"] = list(request.tools)
    if request.max_tokens is not None:
        body["max_tokens"] = request.max_tokens
    return body


def _header_text(text: str) -> str:
    """Text as a header may carry it: printable ASCII on one line."""
    return "".join(c if " " <= c <= "~" else " " for c in text)[:300].strip()


# -- reading answers ---------------------------------------------------------------------------------------------------------------------


def read_reply(headers: Mapping[str, str], text: str) -> ModelReply:
    """A Chat Completions body as a reply. Raises ModelError when it is none."""
    body = _object(text)
    choices = body.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices and isinstance(choices[0], dict) else None
    message = choice.get("message") if choice is not None else None
    if choice is None or not isinstance(message, dict):
        raise ModelError("the model server answered 200 with something that is no chat completion")
    usage = body.get("usage")
    usage = usage if isinstance(usage, dict) else {}
    return ModelReply(
        text=_text_of(message.get("content")), tool_calls=_calls_of(message.get("tool_calls")),
        finish_reason=str(choice.get("finish_reason") or ""), model=headers.get("x-executor-model") or str(body.get("model") or ""),
        input_tokens=_count(usage.get("prompt_tokens")), output_tokens=_count(usage.get("completion_tokens")),
        cost_usd=_usd(headers.get("x-executor-cost-usd", "")), call_id=headers.get("x-executor-call-id", ""),
        trail=headers.get("x-executor-trail", "")[:MAX_TRAIL_CHARS],
    )  # fmt: skip


def _object(text: str) -> Json:
    try:
        body = json.loads(text)
    except (ValueError, RecursionError) as exc:
        raise ModelError("the model server answered with something that is not JSON") from exc
    return body if isinstance(body, dict) else {}


def _text_of(content: object) -> str:
    """The text of a message; content parts are joined."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "".join(str(part.get("text") or "") for part in content if isinstance(part, dict))
    return ""


def _calls_of(raw: object) -> tuple[ToolCall, ...]:
    calls = []
    for number, entry in enumerate(raw if isinstance(raw, list) else []):
        function = entry.get("function") if isinstance(entry, dict) else None
        if isinstance(function, dict):
            arguments = function.get("arguments")
            text = arguments if isinstance(arguments, str) else json.dumps(arguments if arguments is not None else {})
            calls.append(ToolCall(str(entry.get("id") or f"call-{number}"), str(function.get("name") or ""), text))
    return tuple(calls)


def _count(value: object) -> int:
    return int(value) if isinstance(value, int | float) and value > 0 else 0


def _usd(text: str) -> float:
    try:
        return max(0.0, float(text))
    except ValueError:
        return 0.0


# -- reading errors ----------------------------------------------------------------------------------------------------------------------

_CONTEXT_WORDS = ("context_length", "context length", "context window", "maximum context", "exceeds the available context", "context size")


def error_of(status: int, headers: Mapping[str, str], text: str, now: datetime) -> ExecutorError:
    """What an answer other than 200 means. The server's own message is kept, on one line."""
    detail = _detail_of(text)
    message, code = _message_of(detail, text), f"{detail.get('code') or ''} {detail.get('type') or ''}".lower()
    if status == 429 or "nothing_available" in code:
        return NothingAvailableError(message or "nothing can serve this now", available_at=_available_at(detail, headers, now))
    if status == 402 or "budget" in code:
        return BudgetError(message or "the budget is used up")
    if "approval" in code or "consent" in code:
        return ConsentError(message or "refused by approval")
    if status == 413 or any(word in f"{code} {message}".lower() for word in _CONTEXT_WORDS):
        return ContextTooLongError(message or "the conversation is too long for the model")
    if status in (401, 403):
        return ModelRefusedError(f"the model server refused the credential or the model ({status}): {message}")
    if status >= 500 or status == 408:
        when = _available_at(detail, headers, now)
        if when is not None:
            return NothingAvailableError(message or f"the model server answered {status}", available_at=when)
        return ModelError(f"the model server answered {status}: {message}")
    return ModelRefusedError(f"the model server refused the request ({status}): {message}")


def _detail_of(text: str) -> Json:
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    error = body.get("error") if isinstance(body, dict) else None
    if isinstance(error, dict):
        return error
    return {"message": error} if isinstance(error, str) else (body if isinstance(body, dict) else {})


def _message_of(detail: Json, text: str) -> str:
    raw = str(detail.get("message") or "") or text
    return " ".join("".join(c if c.isprintable() else " " for c in raw).split())[:300]


def _available_at(detail: Json, headers: Mapping[str, str], now: datetime) -> datetime | None:
    """When it may work again: `available_at` in the error, else Retry-After in seconds or as an HTTP date (RFC 9110, 10.2.3)."""
    stated = detail.get("available_at")
    if isinstance(stated, str):
        try:
            when = datetime.fromisoformat(stated)
            return when if when.tzinfo else when.replace(tzinfo=UTC)
        except ValueError:
            pass
    after = headers.get("retry-after", "").strip()
    try:
        return now + timedelta(seconds=min(float(after), 40 * 86_400.0)) if after else None
    except (ValueError, OverflowError):
        pass
    try:
        return email.utils.parsedate_to_datetime(after).astimezone(UTC)
    except (ValueError, TypeError):
        return None
