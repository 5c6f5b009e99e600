"""What the JSON of each wire means: where usage stands, which event carries content, which is an error, which ends a stream.

Chat Completions and Responses: platform.openai.com/docs/api-reference; Messages: docs.anthropic.com/en/api/messages-streaming.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple, Protocol

from executor_tui.hydra.providers.base import Body, Usage, Wire


class Seen(NamedTuple):
    """What one event means. `content`: from here on there is no switching; `end`: the answer is complete; `last`: nothing follows."""

    content: bool = False
    end: bool = False
    last: bool = False
    error: bool = False
    hidden: bool = False
    usage: Usage | None = None


NOTHING, CONTENT, ERROR = Seen(), Seen(content=True), Seen(error=True)
"""The usual ones, made once."""


class Reader(Protocol):
    """Reads the events of one stream in order."""

    def look(self, name: str, data: Body) -> Seen:
        """Raises TypeError, AttributeError, KeyError or ValueError for JSON of an impossible shape."""
        ...


class Dialect(Protocol):
    """One wire."""

    wire: Wire
    path: str

    def prepared(self, body: Body) -> Body:
        """The body as it is sent."""
        ...

    def usage(self, reply: Body) -> Usage: ...

    def answers(self, reply: Body) -> bool:
        """Whether a whole reply is one at all."""
        ...

    def reader(self, body: Body) -> Reader: ...


MAX_COST_USD = 1_000.0
"""A single call that claims to have cost more is not believed."""


def number(value: object) -> int:
    """A count of tokens; whatever is not one counts as none."""
    return int(value) if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e12 else 0


def status_of(data: Body) -> int:
    """The HTTP status an error event names, 0 when it names none."""
    error = data.get("error")
    for holder in (error, data):
        if isinstance(holder, Mapping):
            for field in ("code", "status", "status_code"):
                found = holder.get(field)
                if isinstance(found, str) and found.isdigit():
                    found = int(found)
                if isinstance(found, int) and 400 <= found <= 599:
                    return found
    return 0


class ChatDialect:
    wire: Wire = "chat"
    path = "/chat/completions"

    def prepared(self, body: Body) -> Body:
        """Usage is always asked for: without it a streamed call could only be charged by estimate."""
        if not body.get("stream"):
            return body
        given = body.get("stream_options")
        return {**body, "stream_options": {**(given if isinstance(given, Mapping) else {}), "include_usage": True}}

    def usage(self, reply: Body) -> Usage:
        return chat_usage(reply.get("usage"))

    def answers(self, reply: Body) -> bool:
        return isinstance(reply.get("choices"), list) and len(reply["choices"]) > 0

    def reader(self, body: Body) -> Reader:
        given = body.get("stream_options")
        return _ChatReader(isinstance(given, Mapping) and bool(given.get("include_usage")))


class _ChatReader:
    def __init__(self, asked_for_usage: bool) -> None:
        self._asked = asked_for_usage

    def look(self, name: str, data: Body) -> Seen:
        if name == "error" or data.get("error"):
            return ERROR
        counted = data.get("usage")
        usage = chat_usage(counted) if counted else None
        choices = data["choices"]
        if not choices:
            return Seen(usage=usage, hidden=usage is not None and not self._asked)
        content = end = False
        for choice in choices:
            if choice.get("finish_reason"):
                content = end = True
            elif not content:
                content = _says_something(choice.get("delta") or choice.get("message") or {})
        if usage is None and not end:
            return CONTENT if content else NOTHING
        return Seen(content=content, end=end, usage=usage)


def _says_something(delta: Mapping[str, object]) -> bool:
    return any(value and field != "role" for field, value in delta.items())


def chat_usage(counted: object) -> Usage:
    """OpenAI counts cached tokens inside the prompt; Gemini leaves thinking out of completion_tokens but not out of the total."""
    if not isinstance(counted, Mapping):
        return Usage(reported=False)
    prompt, completion, total = (number(counted.get(f)) for f in ("prompt_tokens", "completion_tokens", "total_tokens"))
    details = counted.get("prompt_tokens_details")
    cached = number(details.get("cached_tokens")) if isinstance(details, Mapping) else number(counted.get("prompt_cache_hit_tokens"))
    cached = min(cached, prompt)
    return Usage(prompt - cached, max(completion, total - prompt), cached, cost_usd=stated_cost_usd(counted.get("cost")))


def stated_cost_usd(cost: object) -> float | None:
    """What the provider says the call cost: Perplexity's `cost.total_cost`, OpenRouter's `cost`; None where it is no sum of money."""
    value = cost.get("total_cost") if isinstance(cost, Mapping) else cost
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    return float(value) if 0 < value < MAX_COST_USD else None


class ResponsesDialect:
    wire: Wire = "responses"
    path = "/responses"

    def prepared(self, body: Body) -> Body:
        return body

    def usage(self, reply: Body) -> Usage:
        return responses_usage(reply.get("usage"))

    def answers(self, reply: Body) -> bool:
        return isinstance(reply.get("output"), list) or reply.get("status") in ("queued", "in_progress")

    def reader(self, body: Body) -> Reader:
        return _ResponsesReader()


class _ResponsesReader:
    def look(self, name: str, data: Body) -> Seen:
        kind = str(data.get("type") or name)
        if kind in ("error", "response.failed") or (data.get("error") and "response" not in data):
            return ERROR
        if kind in ("response.completed", "response.incomplete"):
            return Seen(content=True, end=True, last=True, usage=responses_usage(data["response"].get("usage")))
        return NOTHING if kind in ("response.created", "response.in_progress", "response.queued", "ping") else CONTENT


def responses_usage(counted: object) -> Usage:
    if not isinstance(counted, Mapping):
        return Usage(reported=False)
    details = counted.get("input_tokens_details")
    given = number(counted.get("input_tokens"))
    cached = min(given, number(details.get("cached_tokens"))) if isinstance(details, Mapping) else 0
    return Usage(given - cached, number(counted.get("output_tokens")), cached)


class MessagesDialect:
    wire: Wire = "messages"
    path = "/messages"

    def prepared(self, body: Body) -> Body:
        return body

    def usage(self, reply: Body) -> Usage:
        return messages_usage(reply.get("usage"))

    def answers(self, reply: Body) -> bool:
        return isinstance(reply.get("content"), list)

    def reader(self, body: Body) -> Reader:
        return _MessagesReader()


class _MessagesReader:
    """Input is counted in message_start, output in message_delta (cumulative)."""

    def __init__(self) -> None:
        self._usage = Usage(reported=False)

    def look(self, name: str, data: Body) -> Seen:
        kind = str(data.get("type") or name)
        if kind == "error" or data.get("error"):
            return ERROR
        if kind == "message_start":
            self._usage = messages_usage(data["message"].get("usage"))
            return Seen(usage=self._usage)
        if kind == "message_delta":
            return Seen(content=True, end=bool(data["delta"].get("stop_reason")), usage=self._delta(data.get("usage")))
        if kind == "message_stop":
            return Seen(content=True, end=True, last=True)
        return NOTHING if kind in ("ping", "content_block_start") else CONTENT

    def _delta(self, counted: object) -> Usage | None:
        if not isinstance(counted, Mapping):
            return None
        changed: dict[str, Any] = {"output_tokens": number(counted.get("output_tokens")), "reported": True}
        known = messages_usage(counted)
        for field in ("input_tokens", "cache_read_tokens", "cache_write_tokens"):
            if getattr(known, field):
                changed[field] = getattr(known, field)
        self._usage = replace(self._usage, **changed)
        return self._usage


def messages_usage(counted: object) -> Usage:
    if not isinstance(counted, Mapping):
        return Usage(reported=False)
    read, write = number(counted.get("cache_read_input_tokens")), number(counted.get("cache_creation_input_tokens"))
    return Usage(number(counted.get("input_tokens")), number(counted.get("output_tokens")), read, write)


class CountTokensDialect:
    wire: Wire = "count_tokens"
    path = "/messages/count_tokens"

    def prepared(self, body: Body) -> Body:
        return body

    def usage(self, reply: Body) -> Usage:
        return Usage()

    def answers(self, reply: Body) -> bool:
        return isinstance(reply.get("input_tokens"), int)

    def reader(self, body: Body) -> Reader:
        raise TypeError("tokens are counted in one reply, never in a stream")
