"""One simulated provider: a real HTTP server on a loopback socket with accounts, quotas, faults and a scripted model."""

import asyncio
import json
import random
import socket
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from aiohttp import web

from executor_tui.domain.clock import Clock
from executor_tui.lab.upstreams import answers
from executor_tui.lab.upstreams.accounts import Account, Refusal
from executor_tui.lab.upstreams.faults import REFUSALS, Fault, Faults
from executor_tui.lab.upstreams.flavours import Flavour, Refused
from executor_tui.lab.upstreams.recording import Recorded, Recording
from executor_tui.lab.upstreams.script import Script, count, input_tokens

WIRE_OF_PATH = {"/chat/completions": "chat", "/messages": "messages", "/responses": "responses", "/messages/count_tokens": "count_tokens"}


@dataclass(frozen=True, slots=True)
class SseStyle:
    """How a provider writes its event streams; every variant is legal. `split` > 0 cuts the bytes into pieces of that size."""

    newline: str = "\n"
    space: bool = True
    comments: bool = False
    split: int = 0


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds: before the first byte, between pieces of a stream, and how much the latter vary."""

    latency_s: float = 0.0
    between_s: float = 0.0
    jitter_s: float = 0.0


@dataclass(slots=True)
class Spec:
    """What a provider is. `pace` and `style` may be changed while it runs."""

    name: str
    flavour: Flavour
    accounts: list[Account]
    models: tuple[str, ...] = ()
    pace: Pace = field(default_factory=Pace)
    style: SseStyle = field(default_factory=SseStyle)
    answers_from: Script | None = None
    open_to_all: bool = False
    """Takes any key or none, as a server on one's own machine does."""


class SimulatedProvider:
    """Start it, take `base_url`, stop it. `down` and `up` close and open its port, so that connections are refused."""

    def __init__(
        self, spec: Spec, *, script: Script, clock: Clock, faults: Faults, recording: Recording, rng: random.Random, host: str = "127.0.0.1"
    ) -> None:
        self.spec, self.clock, self.faults, self.recording = spec, clock, faults, recording
        self.script = spec.answers_from or script
        self.rng = rng
        self._host, self._port = host, 0
        self._began_s = clock.monotonic_s()
        self._ids = 0
        self._runner: web.AppRunner | None = None
        self._site: web.TCPSite | None = None
        self.stopping = asyncio.Event()

    @property
    def base_url(self) -> str:
        return f"http://{self._host}:{self._port}{self.spec.flavour.base_path}"

    async def start(self) -> str:
        """Listen on a free port, or again on the one it had."""
        app = web.Application(client_max_size=64 * 1024 * 1024)
        base = self.spec.flavour.base_path
        for path, wire in WIRE_OF_PATH.items():
            if wire in self.spec.flavour.wires:
                app.router.add_post(base + path, self._serve)
        app.router.add_get(base + "/models", self._models)
        app.router.add_get(base + "/key", self._models)
        self.stopping.clear()
        self._runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=0.5)
        await self._runner.setup()
        await self.up()
        return self.base_url

    async def up(self) -> None:
        assert self._runner is not None
        self._site = web.TCPSite(self._runner, self._host, self._port, reuse_address=True)
        await self._site.start()
        server = self._site._server
        assert isinstance(server, asyncio.Server)
        self._port = server.sockets[0].getsockname()[1]

    async def down(self) -> None:
        """Refuse connections from now on; those that are open are cut."""
        assert self._site is not None and self._runner is not None
        await self._site.stop()
        server = self._runner.server
        for connection in list(server.connections) if server is not None else []:
            connection.force_close()
            if connection.transport is not None:
                connection.transport.abort()

    def begin(self) -> None:
        """The schedule of faults counts from now."""
        self._began_s = self.clock.monotonic_s()

    async def stop(self) -> None:
        self.stopping.set()
        if self._runner is not None:
            await self._runner.cleanup()

    def account_of(self, key: str) -> Account | None:
        """The account a key belongs to."""
        found = next((a for a in self.spec.accounts if key and key in a.keys), None)
        return self.spec.accounts[0] if found is None and self.spec.open_to_all else found

    async def _models(self, request: web.Request) -> web.Response:
        key = key_of(request.headers)
        account = self.account_of(key)
        if account is None:
            return self._refused(Refusal("auth", detail=masked(key)))
        ids = account.models or self.spec.models
        return web.json_response({"object": "list", "data": [{"id": i, "object": "model", "owned_by": self.spec.name} for i in ids]})

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        wire = WIRE_OF_PATH[request.path.removeprefix(self.spec.flavour.base_path)]
        key = key_of(request.headers)
        try:
            body = json.loads(await request.read())
            assert isinstance(body, dict)
        except (ValueError, AssertionError):
            return self._refused(Refusal("bad_request"))
        account = self.account_of(key)
        name, model = account.name if account else "", str(body.get("model", ""))
        record = Recorded(self.spec.name, wire, name, key, model, body, dict(request.headers), self.clock.now())
        self.recording.begin(record)
        try:
            return await self._answer(request, wire, body, account, record)
        except (asyncio.CancelledError, ConnectionError):
            self.recording.end(record, "client_gone", 0)
            raise
        finally:
            self.recording.end(record, "ok", 200)

    async def _answer(
        self, request: web.Request, wire: str, body: dict[str, Any], account: Account | None, record: Recorded
    ) -> web.StreamResponse:
        model, now = record.model, self.clock.now()
        if account is None:
            return self._refused(Refusal("auth", detail=masked(record.key)), record)
        screened = self.spec.flavour.screen(model, record.headers)
        if screened:
            return self._refused(Refusal(screened, model=model), record)
        fault = self.faults.take(self.spec.name, model, account.name, self.clock.monotonic_s() - self._began_s)
        refusal = _refusal_of(fault, model, now) if fault else None
        if refusal is None and wire != "count_tokens":
            refusal = account.admit(model, input_tokens(body), now)
            if refusal is None:
                try:
                    return await self._admitted(request, wire, body, account, record, fault)
                finally:
                    account.done(model)
        if refusal is not None:
            return self._refused(refusal, record)
        return web.json_response({"input_tokens": input_tokens(body)}, headers=self._headers(account, model))

    async def _admitted(
        self, request: web.Request, wire: str, body: dict[str, Any], account: Account, record: Recorded, fault: Fault | None
    ) -> web.StreamResponse:
        if fault is not None:
            early = await answers.before(self, request, record, fault)
            if early is not None:
                return early
        if self.spec.pace.latency_s:
            await self.clock.sleep(self.spec.pace.latency_s)
        chat = answers.as_chat(wire, body)
        answer = self.script(chat)
        tokens = count(chat, answer)
        self._ids += 1
        reply_id = answers.reply_id(wire, self._ids)
        headers = self._headers(account, record.model)
        created = int(self.clock.now().timestamp())
        if not body.get("stream"):
            whole = answers.whole(wire, body, answer, tokens, reply_id, created)
            return await answers.send_whole(self, request, record, whole, headers, fault)
        events = answers.stream(wire, body, answer, tokens, reply_id, created)
        return await answers.send_stream(self, request, record, wire, list(events), headers, fault)

    def _headers(self, account: Account, model: str) -> dict[str, str]:
        return self.spec.flavour.headers(account.standing(model, self.clock.now()), self.clock.now())

    def _refused(self, refusal: Refusal, record: Recorded | None = None) -> web.Response:
        refused: Refused = self.spec.flavour.refuse(refusal, self.clock.now())
        if record is not None:
            self.recording.end(record, refusal.kind, refused.status)
        if isinstance(refused.body, str):
            return web.Response(status=refused.status, text=refused.body, content_type="text/html")
        headers = dict(refused.headers)
        return web.Response(status=refused.status, text=refused.text(), content_type="application/json", headers=headers)


def _refusal_of(fault: Fault, model: str, now: datetime) -> Refusal | None:
    if fault.kind not in REFUSALS:
        return None
    limited = fault.kind in ("rate_limited", "daily_quota")
    resets_at = now + timedelta(seconds=fault.retry_after_s) if limited and fault.retry_after_s is not None else None
    return Refusal(fault.kind, fault.limit or ("rpd" if fault.kind == "daily_quota" else "rpm"), fault.limit_value, resets_at, model)


def key_of(headers: Mapping[str, str]) -> str:
    """The key a request came with, in either of the two ways."""
    return headers.get("x-api-key") or headers.get("Authorization", "").removeprefix("Bearer ").strip()


def masked(key: str) -> str:
    """As providers quote a wrong key."""
    return f"{key[:4]}***{key[-4:]}" if len(key) > 12 else "***"


def reset(request: web.Request) -> None:
    """Cut the connection with a TCP reset instead of an orderly close."""
    transport = request.transport
    if transport is None:
        return
    sock = transport.get_extra_info("socket")
    if sock is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
