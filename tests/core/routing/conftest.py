"""A router on a real store and vault, in front of real servers on loopback sockets that keep count of what they were sent."""

import asyncio
import json
import random
from collections import defaultdict
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from aiohttp import web

from executor_tui.config.load import Config, load
from executor_tui.config.places import Places
from executor_tui.core.model_router import ModelRouter, Served
from executor_tui.domain.clock import Clock, ManualClock
from executor_tui.domain.key import Key, QuotaPool
from executor_tui.domain.model import Tier
from executor_tui.hydra.providers.base import ProviderCall, ProviderReply
from executor_tui.hydra.providers.http import HttpPool
from executor_tui.hydra.providers.openai_wire import openai_wire
from executor_tui.hydra.request import Grant, RouteRequest
from executor_tui.store.store import Store, default_url
from executor_tui.vault.age import AgeVault
from executor_tui.vault.base import fingerprint

Answer = tuple[int, dict[str, str], Any] | str
"""Status, headers and JSON body; or `hang`, `drop`."""
OK_BODY = {
    "id": "x", "object": "chat.completion", "model": "m", "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant",
    "content": "hello"}}], "usage": {"prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150},
}  # fmt: skip
LIMITED = {"error": {"message": "Rate limit reached", "type": "requests", "code": "rate_limit_exceeded"}}


@dataclass
class Upstream:
    """One provider's server. `script` maps a key, or "", to answers given in turn, the last one for ever; without one it answers well."""

    url: str
    clock: Clock
    calls: list[tuple[str, str]] = field(default_factory=list)
    script: dict[str, list[Answer]] = field(default_factory=dict)
    per_window: int | None = None
    window_s: float = 60.0
    limited: int = 0
    most_at_once: int = 0
    busy: int = 0
    gate: asyncio.Event | None = None
    _windows: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def account(self, key: str) -> str:
        """Keys are named `account-number`."""
        return key.rpartition("-")[0]

    def sent(self, key: str = "", model: str = "") -> int:
        return sum((not key or k == key) and (not model or m == model) for k, m in self.calls)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        key = request.headers.get("authorization", "").removeprefix("Bearer ")
        self.calls.append((key, body["model"]))
        self.busy += 1
        self.most_at_once = max(self.most_at_once, self.busy)
        try:
            if self.gate is not None:
                await self.gate.wait()
            answer = self._next(key)
            if answer == "hang":
                await asyncio.Event().wait()
            if answer == "drop":
                assert request.transport is not None
                request.transport.abort()
                return web.Response()
            assert not isinstance(answer, str)
            status, headers, document = answer
            return web.json_response(document, status=status, headers=headers)
        finally:
            self.busy -= 1

    def _next(self, key: str) -> Answer:
        if self.per_window is not None and not self._admitted(self.account(key)):
            self.limited += 1
            return 429, {"retry-after": "30"}, LIMITED
        answers = self.script.get(key) or self.script.get("")
        if not answers:
            return 200, {}, OK_BODY
        return answers.pop(0) if len(answers) > 1 else answers[0]

    def _admitted(self, account: str) -> bool:
        now = self.clock.monotonic_s()
        stamps = self._windows[account] = [t for t in self._windows[account] if now - t < self.window_s]
        if len(stamps) >= (self.per_window or 0):
            return False
        stamps.append(now)
        return True


class Bench:
    """Puts together configuration, keys, servers and router, one piece at a time."""

    ok: Answer = (200, {}, OK_BODY)

    def __init__(self, places: Places, clock: Clock) -> None:
        self.places, self.clock = places, clock
        self.document: dict[str, Any] = {"providers": {}, "models": [], "fallback_chain": []}
        self.general: dict[str, Any] = {}
        self.strategy = "round_robin"
        self.store: Store = None  # type: ignore[assignment]
        self.vault = AgeVault(places.identity_file)
        self.http = HttpPool()
        self.rng = random.Random(7)
        self._runners: list[web.AppRunner] = []
        self._routers: list[ModelRouter] = []
        self.granted: list[Grant] = []

    async def upstream(self, name: str, **settings: Any) -> Upstream:
        """A server, and a provider of this name that points at it."""
        upstream = Upstream("", self.clock)
        app = web.Application()
        app.router.add_post("/v1/chat/completions", upstream.handle)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        self._runners.append(runner)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        upstream.url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
        self.provider(name, base_url=upstream.url, **settings)
        return upstream

    def provider(self, name: str, **settings: Any) -> None:
        self.document["providers"][name] = settings

    def model(self, model_id: str, tier: str, *routes: str, chain: bool = True, **settings: Any) -> None:
        """`routes` are provider names; the provider calls the model as we do."""
        entry = {"id": model_id, "tier": tier, "routes": [{"provider": r, "model_id": model_id} for r in routes], **settings}
        entry.setdefault("price", {"input_usd_per_mtok": 1, "output_usd_per_mtok": 2})
        self.document["models"].append(entry)
        if chain:
            self.document["fallback_chain"].append(model_id)

    async def key(self, provider: str, account: str = "acme", number: int = 1, tier: Tier = Tier.STANDARD) -> Key:
        """A key named `account-number`, sealed in the vault."""
        secret, ref = f"{account}-{number}", f"key-{provider}-{account}-{number}"
        pool = QuotaPool(QuotaPool.id_for(provider, account), provider, account)
        key = Key(ref, provider, pool.id, tier, ref, fingerprint(provider, secret), secret[-4:])
        await self.store.keys.add(key, pool, await self.vault.seal(ref, secret))
        return key

    def config(self) -> Config:
        (self.places.config_dir / "models.json").write_text(json.dumps(self.document))
        (self.places.config_dir / "executor.json").write_text(json.dumps(self.general))
        (self.places.config_dir / "hydra_keys.json").write_text(json.dumps({"rotation_strategy": self.strategy, "fallback": "nobody"}))
        return load(self.places.config_dir)

    async def router(self, **kwargs: Any) -> ModelRouter:
        router = ModelRouter(self.store, self.vault, self.config(), self.clock, rng=self.rng.randrange, **kwargs)
        await router.start()
        self._routers.append(router)
        return router

    async def reopened(self) -> Store:
        """The store as another process finds it: opened anew, the old one left as a kill leaves it."""
        self.store = await Store.open(default_url(self.places.state_dir), self.clock)
        return self.store

    async def send(self, grant: Grant) -> ProviderReply:
        self.granted.append(grant)
        provider = openai_wire(grant.route.provider, self.http)
        body = {"model": grant.route.model_id, "messages": [{"role": "user", "content": "hi"}]}
        call = ProviderCall("chat", grant.route.model_id, body, grant.base_url, grant.secret)
        return await provider.complete(replace(call, first_token_s=grant.first_token_s, total_s=grant.total_s))

    async def ask(self, router: ModelRouter, model: str, **request: Any) -> Served[ProviderReply]:
        """One call, served and settled with what the provider counted."""
        asked = RouteRequest(model, **{"input_tokens": 100, "max_output_tokens": 50, **request})
        served = await router.select_with_fallback(asked, self.send)
        await served.settle(served.value.usage)
        return served

    async def close(self) -> None:
        for router in self._routers:
            await router.close()
        await self.http.close()
        for runner in self._runners:
            await runner.cleanup()


@pytest.fixture
async def bench(places: Places, clock: ManualClock, store: Store) -> AsyncIterator[Bench]:
    bench = Bench(places, clock)
    bench.store = store
    yield bench
    await bench.close()
