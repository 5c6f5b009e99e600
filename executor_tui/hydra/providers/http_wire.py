"""A provider that is reached over HTTP with JSON, whatever its dialect: one whole answer, or a stream held back until it has content."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence

import aiohttp

from executor_tui.hydra.providers import http
from executor_tui.hydra.providers.base import Body, Chunk, Facts, ProviderCall, ProviderFailure, ProviderReply, Wire
from executor_tui.hydra.providers.dialects import Dialect, Reader, Seen, status_of
from executor_tui.hydra.providers.sse import EventTooLargeError, SseEvent, SseParser

MAX_HELD_EVENTS = 256
DONE = b"[DONE]"
_decode = json.JSONDecoder().decode
_TRANSPORT = (aiohttp.ClientError, OSError, ValueError)

Auth = Callable[[str, Mapping[str, str]], dict[str, str]]
"""Key and the client's own headers → the headers to send."""


class HttpProvider:
    """Sends over the wires it was given. `name` is the provider's name in models.json; it stands in every fact reported."""

    def __init__(self, name: str, pool: http.HttpPool, dialects: Sequence[Dialect], auth: Auth, verify_path: str = "/models") -> None:
        self.name = name
        self._pool = pool
        self._dialects = {d.wire: d for d in dialects}
        self._auth = auth
        self._verify_path = verify_path

    def wires(self) -> frozenset[Wire]:
        return frozenset(self._dialects)

    async def complete(self, call: ProviderCall) -> ProviderReply:
        """One whole answer. Raises ProviderFailure."""
        dialect = self._dialects[call.wire]
        loop = asyncio.get_running_loop()
        deadline = loop.time() + call.total_s
        response = await self._send(call, dialect, deadline)
        try:
            data = await self._body(response, call, deadline)
        finally:
            response.close()  # a connection whose reply was read to its end is back in the pool by now
        return self._reply(response, data, call, dialect)

    async def open_stream(self, call: ProviderCall) -> "HttpStream":
        """A stream whose content has begun. What comes before it (roles, pings) is held back, so a failure there can still be hidden."""
        dialect = self._dialects[call.wire]
        loop = asyncio.get_running_loop()
        deadline, first = loop.time() + call.total_s, loop.time() + call.first_token_s
        response = await self._send(call, dialect, deadline)
        stream = HttpStream(self.name, call, response, dialect.reader(call.body), deadline)
        try:
            async with asyncio.timeout_at(min(first, deadline)) as limit:
                await stream.prime()
        except TimeoutError:
            await stream.aclose()
            where = "first_token" if limit.when() == first else "total"
            raise ProviderFailure(Facts(self.name, "timeout", where=where, detail=f"nothing for {call.first_token_s:g} s")) from None
        except BaseException:
            await stream.aclose()
            raise
        return stream

    async def verify(self, base_url: str, secret: str) -> None:
        """List models. A provider without that list is asked for an empty completion: it refuses the key before it refuses the request."""
        base_url = base_url.rstrip("/")
        status = await self._probe("get", base_url + self._verify_path, secret)
        if status in (404, 405):
            status = await self._probe("post", base_url + "/chat/completions", secret)
            if status in (401, 403):
                raise ProviderFailure(Facts(self.name, "http", status, detail="the key is refused"))

    async def _probe(self, method: str, url: str, secret: str) -> int:
        headers = self._auth(secret, {})
        try:
            async with asyncio.timeout(http.CONNECT_S):
                response = await (self._pool.get(url, headers) if method == "get" else self._pool.post(url, {}, headers))
                try:
                    if response.status >= 300 and not (
                        response.status in (404, 405) or (method == "post" and response.status in (400, 422))
                    ):
                        raise await http.refusal(self.name, response, secret, http.CONNECT_S)
                    return response.status
                finally:
                    response.close()
        except TimeoutError:
            raise ProviderFailure(Facts(self.name, "timeout", where="total", detail="no answer to a verification")) from None
        except _TRANSPORT as exc:
            raise ProviderFailure(http.network_facts(self.name, exc, secret)) from None

    async def aclose(self) -> None:
        """Nothing of its own to let go of: the pool belongs to whoever made it."""

    async def _send(self, call: ProviderCall, dialect: Dialect, deadline: float) -> aiohttp.ClientResponse:
        """The reply's headers with status 200. Raises ProviderFailure."""
        headers = self._auth(call.secret, call.headers)
        loop = asyncio.get_running_loop()
        first = loop.time() + call.first_token_s
        try:
            async with asyncio.timeout_at(min(first, deadline)) as limit:
                response = await self._pool.post(call.base_url.rstrip("/") + dialect.path, dialect.prepared(call.body), headers)
        except TimeoutError as exc:
            if isinstance(exc, aiohttp.ServerTimeoutError):
                raise ProviderFailure(http.network_facts(self.name, exc, call.secret)) from None
            where = "first_token" if limit.when() == first else "total"
            raise ProviderFailure(Facts(self.name, "timeout", where=where, detail=f"no answer for {call.first_token_s:g} s")) from None
        except _TRANSPORT as exc:
            raise ProviderFailure(http.network_facts(self.name, exc, call.secret)) from None
        if 200 <= response.status < 300:
            return response
        try:
            raise await http.refusal(self.name, response, call.secret, call.stall_s)
        finally:
            response.close()

    async def _body(self, response: aiohttp.ClientResponse, call: ProviderCall, deadline: float) -> bytes:
        try:
            async with asyncio.timeout_at(deadline) as limit:
                return await http.read_bounded(response, http.MAX_REPLY_BYTES, call.stall_s)
        except TimeoutError:
            where = "total" if limit.expired() else "stall"
            raise ProviderFailure(Facts(self.name, "timeout", where=where, detail="the answer stopped half-way")) from None
        except aiohttp.ClientPayloadError:
            raise ProviderFailure(Facts(self.name, "stream", where="truncated", detail="the answer broke off")) from None
        except (aiohttp.ClientError, OSError) as exc:
            raise ProviderFailure(http.network_facts(self.name, exc, call.secret)) from None
        except ValueError as exc:
            raise ProviderFailure(Facts(self.name, "stream", where="malformed", detail=str(exc))) from None

    def _reply(self, response: aiohttp.ClientResponse, data: bytes, call: ProviderCall, dialect: Dialect) -> ProviderReply:
        headers = http.lowered(response.headers)
        try:
            body = json.loads(data)
        except (ValueError, RecursionError):
            detail = f"not JSON but {response.content_type}" if data else "an empty answer"
            raise ProviderFailure(Facts(self.name, "stream", where="malformed", headers=headers, detail=detail)) from None
        if isinstance(body, list) and len(body) == 1:
            body = body[0]
        if isinstance(body, dict) and (body.get("error") or body.get("type") == "error"):
            text = http.scrubbed(json.dumps(body), call.secret)[: http.MAX_ERROR_BYTES]
            raise ProviderFailure(Facts(self.name, "stream", status_of(body), headers, text, where="error_event"))
        if not isinstance(body, dict) or not dialect.answers(body):
            raise ProviderFailure(Facts(self.name, "stream", where="malformed", headers=headers, detail="JSON, but not an answer"))
        return ProviderReply(response.status, headers, body, dialect.usage(body))


class HttpStream:
    """An open event stream. Reads no further ahead than one socket buffer: a slow client slows the provider."""

    def __init__(self, provider: str, call: ProviderCall, response: aiohttp.ClientResponse, reader: Reader, deadline: float) -> None:
        self.headers: Mapping[str, str] = http.lowered(response.headers)
        self._provider, self._call, self._response = provider, call, response
        self._reader, self._deadline = reader, deadline
        self._parser = SseParser()
        self._held: list[Chunk] = []
        self._broken: ProviderFailure | None = None
        self._ended = self._over = False

    async def prime(self) -> None:
        """Read until there is content, or an end."""
        if "text/event-stream" not in self.headers.get("content-type", "text/event-stream"):
            await self._not_a_stream()
        while not self._over:
            seen_content = False
            for chunk, seen in await self._read(None):
                self._held.append(chunk)
                seen_content = seen_content or seen.content
            if seen_content or len(self._held) > MAX_HELD_EVENTS:
                return

    async def batches(self) -> AsyncIterator[Sequence[Chunk]]:
        """Events in order, together as they arrived. Raises ProviderFailure."""
        if self._held:
            held, self._held = self._held, []
            yield held
        loop = asyncio.get_running_loop()
        while not self._over:
            left = self._deadline - loop.time()
            try:
                batch = await self._read(max(0.0, min(self._call.stall_s, left)))
            except TimeoutError:
                total = left < self._call.stall_s
                detail = "the request's time is up" if total else f"the stream said nothing for {self._call.stall_s:g} s"
                await self.aclose()
                raise ProviderFailure(Facts(self._provider, "timeout", where="total" if total else "stall", detail=detail)) from None
            except ProviderFailure:
                await self.aclose()
                raise
            if batch:
                yield [chunk for chunk, _ in batch]
        await self._drain()

    async def aclose(self) -> None:
        """Close the connection upstream, at once."""
        self._over = True
        self._response.close()

    async def _read(self, limit_s: float | None) -> list[tuple[Chunk, Seen]]:
        """The events of one read. Sets `_over` at the end. Raises ProviderFailure, after everything before the failure was handed out;
        TimeoutError after `limit_s` of silence."""
        if self._broken is not None:
            raise self._broken
        try:
            data = await http.read_some(self._response, limit_s)
            events = self._parser.feed(data) if data else self._parser.finish()
        except EventTooLargeError as exc:
            raise self._failure("malformed", str(exc)) from None
        except TimeoutError:
            raise
        except (aiohttp.ClientError, OSError) as exc:
            if not self._ended:
                raise ProviderFailure(http.network_facts(self._provider, exc, self._call.secret)) from None
            data, events = b"", []
        found: list[tuple[Chunk, Seen]] = []
        try:
            for event in events:
                found.append(self._look(event, cut=not data))
                if self._over:
                    return found
            if not data:
                self._over = self._ended
                if not self._ended:
                    raise self._failure("truncated", "the stream ended without its end marker")
        except ProviderFailure as failure:
            self._broken = failure
            if not found:
                raise
        return found

    def _look(self, event: SseEvent, *, cut: bool) -> tuple[Chunk, Seen]:
        if event.data == DONE or event.data.strip() == DONE:
            self._ended = self._over = True
            return Chunk({}, raw=event.raw, last=True), Seen(content=True, end=True, last=True)
        try:
            data: Body = _decode(event.data.decode())
            seen = self._reader.look(event.name, data)
        except (ValueError, TypeError, AttributeError, KeyError, RecursionError):
            if self._ended:
                return Chunk({}), Seen()
            detail = f"an event that is not a chunk ({len(event.data)} bytes)"
            raise self._failure("truncated" if cut else "malformed", detail) from None
        if seen.error:
            body = http.scrubbed(json.dumps(data), self._call.secret)[: http.MAX_ERROR_BYTES]
            raise ProviderFailure(
                Facts(self._provider, "stream", status_of(data), http.lowered(self.headers, self._call.secret), body, "error_event")
            )
        self._ended = self._ended or seen.end
        self._over = self._over or seen.last
        return Chunk(data, event.name, b"" if seen.hidden else event.raw, seen.usage, seen.last), seen

    def _failure(self, where: str, detail: str) -> ProviderFailure:
        return ProviderFailure(Facts(self._provider, "stream", headers=dict(self.headers), where=where, detail=detail))

    async def _not_a_stream(self) -> None:
        """A reply that is no event stream: an error in JSON, or something else altogether. Raises ProviderFailure."""
        data = await http.read_bounded(self._response, http.MAX_ERROR_BYTES, self._call.stall_s)
        body = http.scrubbed(data.decode("utf-8", "replace"), self._call.secret)
        try:
            parsed = json.loads(body)
        except (ValueError, RecursionError):
            parsed = None
        if isinstance(parsed, list) and len(parsed) == 1:
            parsed = parsed[0]
        if isinstance(parsed, dict) and parsed.get("error"):
            raise ProviderFailure(Facts(self._provider, "stream", status_of(parsed), dict(self.headers), body, "error_event"))
        raise self._failure("malformed", f"not an event stream but {self._response.content_type}")

    async def _drain(self) -> None:
        """Read the end of the chunked body if it is already here, so that the connection can be used again."""
        if self._response.closed:
            return
        try:
            async with asyncio.timeout(0.2):
                while await self._response.content.readany():
                    pass
            self._response.release()
        except (TimeoutError, aiohttp.ClientError, OSError):
            self._response.close()
