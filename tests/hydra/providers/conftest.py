"""Simulated providers on sockets, and every wire that talks to them."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from executor_tui.domain.clock import SystemClock
from executor_tui.hydra.providers.anthropic_wire import anthropic_wire
from executor_tui.hydra.providers.base import Chunk, Provider, ProviderCall, ProviderStream, Wire
from executor_tui.hydra.providers.http import HttpPool
from executor_tui.hydra.providers.litellm_wire import LiteLLM, LiteLLMProvider
from executor_tui.hydra.providers.openai_wire import openai_wire
from executor_tui.lab.upstreams.upstreams import Upstreams

MESSAGES = [{"role": "user", "content": "hello there, how are you today?"}]
TOOL = {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]}


@dataclass
class Bench:
    """One provider under test and the simulated upstream it talks to."""

    name: str
    provider: Provider
    upstream: str
    wire: Wire
    upstreams: Upstreams
    base_url: str

    @property
    def secret(self) -> str:
        return self.upstreams.keys[self.upstream][0]

    def call(self, **more: Any) -> ProviderCall:
        """A call that would succeed; `body` is merged into it, other names replace fields."""
        model = "claude-opus-4-5" if self.upstream == "anthropic" else "gpt-4o"
        body: dict[str, Any] = {"model": model, "messages": MESSAGES, "max_tokens": 100, **more.pop("body", {})}
        call = ProviderCall(self.wire, model, body, self.base_url, self.secret, first_token_s=30.0, stall_s=30.0, total_s=60.0)
        return replace(call, **more)

    def tools(self) -> list[dict[str, Any]]:
        if self.wire == "messages":
            return [{"name": "read", "description": "Read a file.", "input_schema": TOOL}]
        return [{"type": "function", "function": {"name": "read", "description": "Read a file.", "parameters": TOOL}}]


@pytest.fixture
async def upstreams() -> AsyncIterator[Upstreams]:
    found = Upstreams(SystemClock())
    await found.start()
    yield found
    await found.stop()


@pytest.fixture(params=["openai_wire", "anthropic_wire", "litellm openai", "litellm anthropic"])
async def bench(request: pytest.FixtureRequest, upstreams: Upstreams) -> AsyncIterator[Bench]:
    pool, litellm = HttpPool(), LiteLLM()
    upstream = "anthropic" if "anthropic" in request.param else "openai"
    makers: dict[str, Callable[[], Provider]] = {
        "openai_wire": lambda: openai_wire("openai", pool, frozenset({"chat", "responses"})),
        "anthropic_wire": lambda: anthropic_wire("anthropic", pool),
        "litellm openai": lambda: LiteLLMProvider("openai", "openai", litellm),
        "litellm anthropic": lambda: LiteLLMProvider("anthropic", "anthropic", litellm),
    }
    wire: Wire = "messages" if request.param == "anthropic_wire" else "chat"
    provider = makers[request.param]()
    yield Bench(request.param, provider, upstream, wire, upstreams, upstreams.providers[upstream].base_url)
    await provider.aclose()
    await litellm.close()
    await pool.close()


async def collect(stream: ProviderStream) -> list[Chunk]:
    """Every event of a stream."""
    return [chunk async for batch in stream.batches() for chunk in batch]


def text_of(chunks: list[Chunk]) -> str:
    """The text of a stream on either wire."""
    said = []
    for chunk in chunks:
        for choice in chunk.data.get("choices") or []:
            said.append((choice.get("delta") or {}).get("content") or "")
        said.append((chunk.data.get("delta") or {}).get("text") or "")
    return "".join(said)
