"""One request from its first byte to its settlement: authenticate, route, answer or relay, account for it.

A stream may change its route only until its first byte is out. Afterwards every ending is told: a marker, or an error event.
"""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiohttp import web

from executor_tui.core.model_router import ModelRouter, Served
from executor_tui.core.virtual_keys import Keyring
from executor_tui.domain.call import VirtualKey
from executor_tui.domain.clock import Clock
from executor_tui.domain.errors import ExecutorError
from executor_tui.gateway.errors import (
    GatewayRefusal,
    Problem,
    Surface,
    body_of,
    broken_stream,
    event_of,
    header_text,
    headers_of,
    problem_of,
    trail_text,
)
from executor_tui.gateway.metrics import Metrics
from executor_tui.gateway.reading import asked_of, check_body, read_body, route_request
from executor_tui.gateway.sending import Asked, Relay, Sender, Whole
from executor_tui.hydra.providers.base import Facts, ProviderFailure, Usage, Wire
from executor_tui.hydra.providers.build import Providers
from executor_tui.hydra.request import RouteRequest

log = logging.getLogger(__name__)

KEEP_ALIVE_S = 10.0
"""A client of a stream that waits (for consent, for its turn) hears something this often."""
_SSE = {"content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache", "x-accel-buffering": "no"}
_KEEP_ALIVE = b": waiting\n\n"
_SURFACE: dict[Wire, Surface] = {"chat": "chat", "responses": "responses", "messages": "messages", "count_tokens": "messages"}

Answer = Whole | Relay


@dataclass(slots=True)
class Door:
    """What every request needs. `reply_s` is replaced when settings change."""

    router: ModelRouter
    providers: Providers
    keyring: Keyring
    metrics: Metrics
    clock: Clock
    reply_s: float
    keep_alive_s: float = KEEP_ALIVE_S


async def authenticate(door: Door, request: web.Request) -> VirtualKey:
    """The virtual key of a request, from either header. Raises GatewayRefusal."""
    given = str(request.headers.get("x-api-key") or request.headers.get("authorization") or "")
    secret = given.removeprefix("Bearer ").removeprefix("bearer ").strip()
    key = await door.keyring.authenticate(secret) if secret else None
    if key is None:
        words = "this virtual key is unknown or revoked" if secret else "a virtual key is missing"
        raise GatewayRefusal(401, "invalid_api_key", f"{words}; make one with: executor tokens new NAME")
    return key


def handler(door: Door, wire: Wire) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """The aiohttp handler of one wire."""

    async def handle(request: web.Request) -> web.StreamResponse:
        door.metrics.began()
        try:
            return await Exchange(door, wire, request).run()
        finally:
            door.metrics.ended()

    return handle


class KeepAlive:
    """Lets the client of a stream hear something from time to time. Costs one timer for a request that is answered before that."""

    def __init__(self, exchange: "Exchange", every_s: float) -> None:
        self._exchange, self._every_s = exchange, every_s
        self._over = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._timer = asyncio.get_running_loop().call_later(every_s, self._start)

    def _start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._run(), name="keep-alive")

    async def _run(self) -> None:
        while not self._over.is_set():
            await self._exchange.keep_alive()
            try:
                async with asyncio.timeout(self._every_s):
                    await self._over.wait()
            except TimeoutError:
                continue

    async def stop(self) -> None:
        """Nothing more is said once this returns. A client that is gone was noticed where the answer is waited for."""
        self._timer.cancel()
        self._over.set()
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)


class Exchange:
    """One request being served."""

    def __init__(self, door: Door, wire: Wire, request: web.Request) -> None:
        self._door, self._wire, self._request = door, wire, request
        self._surface = _SURFACE[wire]
        self._response: web.StreamResponse | None = None
        self._began_s = door.clock.monotonic_s()

    async def run(self) -> web.StreamResponse:
        """Answers everything, errors included; cancelled when the client has gone."""
        try:
            return await self._run()
        except ExecutorError as exc:
            return await self._refuse(problem_of(exc, self._door.clock.now()))
        except ConnectionError:
            return self._response or web.Response(status=499)  # nobody is left to read it
        except Exception as exc:  # the door must answer; what broke is in the log, without the request
            log.exception("a request failed inside the gateway")
            return await self._refuse(Problem(500, "internal_error", f"the gateway failed: {type(exc).__name__}; see its log"))

    async def _run(self) -> web.StreamResponse:
        door, wire = self._door, self._wire
        token = await authenticate(door, self._request)
        body = await read_body(self._request)
        check_body(wire, body)
        asked, features = asked_of(wire, body, self._request.headers)
        only = door.providers.speaking("responses") if wire == "responses" else None
        wanted = route_request(wire, body, features, self._request.headers, token, only)
        sender = Sender(door.providers, asked, door.clock, door.reply_s)
        try:
            served = await self._serve(wanted, asked, sender)
            if isinstance(served.value, Relay):
                return await self._relay(served, served.value)
            return await self._whole(served, served.value)
        finally:
            await sender.aclose()

    async def _serve(self, wanted: RouteRequest, asked: Asked, sender: Sender) -> Served[Answer]:
        """Wait for the router. A client of a stream is kept alive meanwhile."""
        router = self._door.router
        if not asked.is_stream:
            return await router.select_with_fallback(wanted, sender)
        keeper = KeepAlive(self, self._door.keep_alive_s)
        try:
            return await router.select_with_fallback(wanted, sender)
        finally:
            await keeper.stop()

    async def keep_alive(self) -> None:
        """Say that the request is still being worked on."""
        response = await self._begin({})
        await response.write(_KEEP_ALIVE)

    async def _whole(self, served: Served[Answer], answer: Whole) -> web.StreamResponse:
        cost_usd = await served.settle(answer.usage)
        self._account(served, "ok", answer.usage, cost_usd)
        headers = {**self._headers(served), "x-executor-cost-usd": f"{cost_usd:.8f}"}
        if answer.usage.cache_read_tokens:
            headers["x-executor-cached-tokens"] = str(answer.usage.cache_read_tokens)
        data = json.dumps(answer.body, separators=(",", ":")).encode()
        return web.Response(body=data, content_type="application/json", headers=headers)

    async def _relay(self, served: Served[Answer], relay: Relay) -> web.StreamResponse:
        """Pass a stream on. Whatever ends it, the call is settled exactly once."""
        try:
            response = await self._begin_answer(self._headers(served))
            async with asyncio.timeout(served.grant.total_s):
                async for piece in relay.pieces():
                    await response.write(piece)
        except ProviderFailure as failure:
            return await self._broken(served, relay, failure.facts)
        except TimeoutError:
            facts = Facts(served.grant.route.provider, "timeout", where="total", detail="the request's time is up")
            return await self._broken(served, relay, facts)
        except (ConnectionError, asyncio.CancelledError):
            if relay.complete:  # the client hung up on the end marker, as some do
                await self._settle(served, relay)
            else:
                await relay.aclose()
                usage = relay.usage()
                self._account(served, "cancelled", usage, await served.cancel(usage))
            raise
        cost_usd = await self._settle(served, relay)
        await response.write_eof(f": x-executor-cost-usd {cost_usd:.8f}\n\n".encode())
        return response

    async def _settle(self, served: Served[Answer], relay: Relay) -> float:
        usage = relay.usage()
        cost_usd = await served.settle(usage, ttft_ms=relay.ttft_ms)
        self._account(served, "ok", usage, cost_usd)
        self._door.metrics.first_token(served.grant, relay.ttft_ms / 1000)
        return cost_usd

    async def _broken(self, served: Served[Answer], relay: Relay, facts: Facts) -> web.StreamResponse:
        """A stream that broke: what was received is charged, the client is told."""
        await relay.aclose()
        usage = relay.usage()
        failure = await served.fail(facts, usage)
        self._account(served, failure.value, usage, served.cost_usd(usage))
        return await self._refuse(broken_stream(facts, failure))

    def _account(self, served: Served[Answer], outcome: str, usage: Usage, cost_usd: float) -> None:
        took_s = self._door.clock.monotonic_s() - self._began_s
        self._door.metrics.served(served.grant, served.trail, outcome, usage, cost_usd, took_s)

    def _headers(self, served: Served[Answer]) -> dict[str, str]:
        return {
            "x-executor-model": header_text(served.grant.model.id),
            "x-executor-provider": header_text(served.grant.route.provider),
            "x-executor-call-id": served.grant.call_id,
            "x-executor-trail": trail_text(served.trail),
            "x-executor-estimate-usd": f"{served.grant.estimate_usd:.8f}",
        }

    async def _begin(self, headers: dict[str, str]) -> web.StreamResponse:
        """Start the event stream, once."""
        if self._response is None:
            self._response = web.StreamResponse(headers={**_SSE, **headers})
            await self._response.prepare(self._request)
        return self._response

    async def _begin_answer(self, headers: dict[str, str]) -> web.StreamResponse:
        """Start the stream with these headers; where it began while the client was kept waiting, they follow as comments."""
        if (response := self._response) is None:
            return await self._begin(headers)
        await response.write("".join(f": {name} {value}\n" for name, value in headers.items()).encode() + b"\n")
        return response

    async def _refuse(self, problem: Problem) -> web.StreamResponse:
        """An error: as a reply of its own while nothing is out, as an event afterwards."""
        if self._response is None:
            self._door.metrics.unserved(problem.trail, problem.code)
            body = body_of(problem, self._surface)
            return web.json_response(body, status=problem.status, headers=headers_of(problem))
        await self._response.write(event_of(problem, self._surface))
        await self._response.write_eof()
        return self._response
