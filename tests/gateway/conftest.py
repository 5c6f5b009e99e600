"""A gateway in this process, in front of simulated providers on sockets."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest

from executor_tui.config.places import Places, shipped
from executor_tui.core import virtual_keys
from executor_tui.domain.clock import SystemClock
from executor_tui.domain.ids import new_id
from executor_tui.domain.key import Key, KeyState, QuotaPool
from executor_tui.domain.model import Tier
from executor_tui.gateway.serve import Gateway
from executor_tui.lab.upstreams.accounts import Quota
from executor_tui.lab.upstreams.script import Script, echo
from executor_tui.lab.upstreams.settings import models_document
from executor_tui.lab.upstreams.upstreams import Upstreams
from executor_tui.store.store import Store
from executor_tui.vault.age import AgeVault
from executor_tui.vault.base import fingerprint


@dataclass
class World:
    """Everything around one gateway."""

    places: Places
    upstreams: Upstreams
    urls: dict[str, str]
    gateway: Gateway
    store: Store
    secret: str
    http: aiohttp.ClientSession
    token_id: str = ""
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return self.gateway.url

    def headers(self, **more: str) -> dict[str, str]:
        return {"authorization": f"Bearer {self.secret}", **{k.replace("_", "-"): v for k, v in more.items()}}

    async def chat(
        self, model: str = "gpt-4o", text: str = "hello there", *, headers: dict[str, str] | None = None, **body: Any
    ) -> "Reply":
        return await self.post("/v1/chat/completions", {"model": model, "messages": [{"role": "user", "content": text}], **body}, headers)

    async def messages(
        self, model: str = "claude-sonnet", text: str = "hello there", *, headers: dict[str, str] | None = None, **body: Any
    ) -> "Reply":
        given = {"model": model, "max_tokens": 100, "messages": [{"role": "user", "content": text}], **body}
        return await self.post("/v1/messages", given, headers)

    async def post(self, path: str, body: object, headers: dict[str, str] | None = None) -> "Reply":
        async with self.http.post(self.url + path, json=body, headers={**self.headers(), **(headers or {})}) as response:
            return Reply(response.status, {k.lower(): v for k, v in response.headers.items()}, await response.text())


@dataclass
class Reply:
    status: int
    headers: dict[str, str]
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)

    def events(self) -> list[Any]:
        """The JSON of every event of a stream, [DONE] as a string."""
        lines = [line.removeprefix("data: ") for line in self.text.split("\n") if line.startswith("data: ")]
        return [line if line == "[DONE]" else json.loads(line) for line in lines]

    def said(self) -> str:
        """The text of a streamed chat answer."""
        chunks = [e for e in self.events() if isinstance(e, dict)]
        return "".join((c.get("delta") or {}).get("content") or "" for e in chunks for c in e.get("choices") or [])


async def add_key(store: Store, places: Places, provider: str, account: str, secret: str, state: KeyState = KeyState.VERIFIED) -> Key:
    """A provider key as intake leaves it: sealed."""
    vault = AgeVault(places.identity_file)
    pool = QuotaPool(QuotaPool.id_for(provider, account), provider, account)
    ref = new_id("secret")
    key = Key(new_id("key"), provider, pool.id, Tier.STANDARD, ref, fingerprint(provider, secret), secret[-4:], state=state)
    await store.keys.add(key, pool, await vault.seal(ref, secret))
    return key


Build = Callable[..., Awaitable[World]]


@pytest.fixture
async def build(places: Places) -> AsyncIterator[Build]:
    """Makes a world: `script` is the model, `settings` goes into executor.json, `models` edits models.json, `unlimited` drops quotas."""
    worlds: list[World] = []

    async def make(
        script: Script = echo,
        *,
        settings: dict[str, Any] | None = None,
        models: Callable[[dict[str, Any]], None] | None = None,
        unlimited: bool = True,
        add_keys: bool = True,
    ) -> World:
        clock = SystemClock()
        upstreams = Upstreams(clock, script)
        if unlimited:
            for spec in upstreams.specs.values():
                for account in spec.accounts:
                    account.quotas = {"*": Quota()}
        urls = await upstreams.start()
        document = models_document(json.loads((shipped("config") / "models.example.json").read_text()), urls)
        if models is not None:
            models(document)
        (places.config_dir / "models.json").write_text(json.dumps(document))
        general = {"gateway": {"port": 0, "approval_wait_s": 0, **(settings or {}).get("gateway", {})}}
        (places.config_dir / "executor.json").write_text(json.dumps({**(settings or {}), **general}))
        store = await Store.open(f"sqlite+aiosqlite:///{places.state_dir / 'executor.db'}", clock)
        if add_keys:
            for provider, spec in upstreams.specs.items():
                for account in spec.accounts:
                    for secret in account.keys:
                        await add_key(store, places, provider, account.name, secret)
        key, secret = await virtual_keys.issue(store, clock, "test", agent_id="coder-001")
        gateway = Gateway(places, clock)
        await gateway.start()
        world = World(places, upstreams, urls, gateway, store, secret, aiohttp.ClientSession(), key.id)
        worlds.append(world)
        return world

    yield make
    for world in worlds:
        await world.http.close()
        await world.gateway.stop()
        await world.store.close()
        await world.upstreams.stop()


@pytest.fixture
async def world(build: Build) -> World:
    return await build()
