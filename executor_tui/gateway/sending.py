"""One attempt at one grant: the request in the provider's wire, the answer back in the client's."""

import json
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

from executor_tui.domain.clock import Clock
from executor_tui.gateway.translate.chat_stream import ChatToMessages
from executor_tui.gateway.translate.chat_to_messages import messages_request
from executor_tui.gateway.translate.messages_stream import MessagesToChat
from executor_tui.gateway.translate.messages_to_chat import chat_request
from executor_tui.gateway.translate.replies import chat_reply, message_reply
from executor_tui.gateway.translate.thinking import for_model, marked_event, marked_reply
from executor_tui.hydra.features import CHARS_PER_TOKEN
from executor_tui.hydra.providers.base import Body, Chunk, Facts, ProviderCall, ProviderFailure, ProviderReply, ProviderStream, Usage, Wire
from executor_tui.hydra.providers.build import Providers
from executor_tui.hydra.providers.sse import encode
from executor_tui.hydra.request import Grant

_OTHER: dict[Wire, Wire] = {"chat": "messages", "messages": "chat"}


@dataclass(frozen=True, slots=True)
class Asked:
    """The client's request: its wire, body, the headers that may go on, and our estimate of its input."""

    wire: Wire
    body: Body
    headers: Mapping[str, str]
    input_tokens: int
    is_stream: bool


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole answer in the client's wire."""

    headers: Mapping[str, str]
    body: Body
    usage: Usage


class Writer(Protocol):
    """Turns the provider's events into bytes for the client."""

    def feed(self, chunk: Chunk) -> Iterable[bytes]: ...

    def finish(self) -> Iterable[bytes]:
        """For a stream that is complete but lacked its last marker."""
        ...


class Relay:
    """A stream in the client's wire, counting what passes."""

    def __init__(self, stream: ProviderStream, wire: Wire, writer: Writer, asked: Asked, ttft_ms: float) -> None:
        self.headers = stream.headers
        self.ttft_ms = ttft_ms
        self._stream, self._wire, self._writer, self._asked = stream, wire, writer, asked
        self.complete = False
        """The answer's last marker has been handed out."""
        self._usage: Usage | None = None
        self._chars = 0

    async def pieces(self) -> AsyncIterator[bytes]:
        """Bytes for the client, as much at once as arrived at once. Raises ProviderFailure."""
        async for batch in self._stream.batches():
            out: list[bytes] = []
            for chunk in batch:
                if chunk.usage is not None:
                    self._usage = chunk.usage
                if chunk.last:
                    self.complete = True
                elif chunk.data:
                    self._chars += said_chars(self._wire, chunk.data)
                out.extend(self._writer.feed(chunk))
            if out:
                yield b"".join(out)
        if not self.complete:
            self.complete = True
            if rest := b"".join(self._writer.finish()):
                yield rest

    def usage(self) -> Usage:
        """What the provider counted; where it counted nothing, or was cut short, an estimate from what was passed on."""
        if self._usage is not None and self._usage.reported and self.complete:
            return self._usage
        output = max(1, int(self._chars / CHARS_PER_TOKEN))
        if self._usage is None or not self._usage.reported:
            return Usage(self._asked.input_tokens, output, reported=False)
        return replace(self._usage, output_tokens=max(self._usage.output_tokens, output), cost_usd=None)

    async def aclose(self) -> None:
        await self._stream.aclose()


_SAID = ("content", "reasoning_content", "reasoning")


def said_chars(wire: Wire, data: Body) -> int:
    """How many characters of answer one event carries."""
    if wire == "chat":
        count = 0
        for choice in data.get("choices") or ():
            for name, value in (choice.get("delta") or {}).items():
                if value and name in _SAID:
                    count += len(value) if isinstance(value, str) else 0
                elif value and name == "tool_calls":
                    count += sum(len((call.get("function") or {}).get("arguments") or "") for call in value)
        return count
    delta = data.get("delta")
    if isinstance(delta, str):
        return len(delta)
    if isinstance(delta, Mapping):
        return sum(len(delta.get(name) or "") for name in ("text", "thinking", "partial_json"))
    return 0


class Sender:
    """What the router calls for each attempt of one request. Streams it opened are closed by `aclose`, whatever became of them."""

    def __init__(self, providers: Providers, asked: Asked, clock: Clock, reply_s: float) -> None:
        self._providers, self._asked, self._clock, self._reply_s = providers, asked, clock, reply_s
        self._opened: list[ProviderStream] = []

    async def __call__(self, grant: Grant) -> Whole | Relay:
        """Raises ProviderFailure."""
        provider = self._providers.get(grant.route.provider)
        asked = self._asked
        wire = asked.wire if asked.wire in provider.wires() else _OTHER.get(asked.wire)
        if wire is None or wire not in provider.wires():
            raise ProviderFailure(Facts(grant.route.provider, "http", 404, detail=f"this provider has no {asked.wire} API"))
        call = self._call(grant, wire)
        if not asked.is_stream:
            return self._whole(grant, wire, await provider.complete(call))
        started = self._clock.monotonic_s()
        stream = await provider.open_stream(call)
        self._opened.append(stream)
        ttft_ms = (self._clock.monotonic_s() - started) * 1000
        return Relay(stream, wire, self._writer(grant, wire), asked, ttft_ms)

    async def aclose(self) -> None:
        """Close every stream that was opened; those that ended are closed already."""
        for stream in self._opened:
            await stream.aclose()

    def _call(self, grant: Grant, wire: Wire) -> ProviderCall:
        asked = self._asked
        first_s = grant.first_token_s if asked.is_stream else max(grant.first_token_s, self._reply_s)
        if wire == asked.wire:
            body = {**asked.body, "model": grant.route.model_id}
            body = for_model(body, grant.model.id) if wire == "messages" else body
        elif wire == "chat":
            body = chat_request(asked.body, grant.route.model_id)
        else:
            body = messages_request(asked.body, grant.route.model_id, grant.model.max_output_tokens)
        return ProviderCall(
            wire, grant.route.model_id, body, grant.base_url, grant.secret, asked.headers, first_s, grant.stall_s, grant.total_s
        )  # fmt: skip

    def _whole(self, grant: Grant, wire: Wire, reply: ProviderReply) -> Whole:
        usage = reply.usage
        if not usage.reported:
            usage = Usage(self._asked.input_tokens, max(1, int(len(str(reply.body)) / CHARS_PER_TOKEN)), reported=False)
        body = reply.body
        if wire != self._asked.wire:
            body = (
                message_reply(body, usage, grant.model.id)
                if wire == "chat"
                else chat_reply(body, usage, grant.model.id, _seconds(self._clock.now()))
            )
        if self._asked.wire == "messages":
            body = marked_reply(body, grant.model.id)
        return Whole(reply.headers, body, usage)

    def _writer(self, grant: Grant, wire: Wire) -> Writer:
        asked = self._asked
        if wire == asked.wire:
            return Marking(grant.model.id) if wire == "messages" else AsItCame(wire)
        if wire == "chat":
            return ChatToMessages(grant.model.id, asked.input_tokens)
        options = asked.body.get("stream_options")
        wants_usage = isinstance(options, Mapping) and bool(options.get("include_usage"))
        return MessagesToChat(grant.model.id, _seconds(self._clock.now()), wants_usage)


class AsItCame:
    """Bytes as the provider sent them; a chat stream whose provider forgot [DONE] gets it."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def feed(self, chunk: Chunk) -> Iterable[bytes]:
        return (chunk.raw,) if chunk.raw else ()

    def finish(self) -> Iterable[bytes]:
        return (encode("", b"[DONE]"),) if self._wire == "chat" else ()


class Marking:
    """Messages events as they came, but for signatures, which get their maker's mark."""

    def __init__(self, model: str) -> None:
        self._model = model

    def feed(self, chunk: Chunk) -> Iterable[bytes]:
        marked = marked_event(chunk.data, self._model)
        if marked is not None:
            return (encode(chunk.event, json.dumps(marked, separators=(",", ":")).encode()),)
        return (chunk.raw,) if chunk.raw else ()

    def finish(self) -> Iterable[bytes]:
        return ()


def _seconds(now: datetime) -> int:
    return int(now.timestamp())
