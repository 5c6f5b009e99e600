"""A model server on this machine: found, offered, never assumed; taken up, it answers with no key at all."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import pytest

from executor_tui.config.load import load
from executor_tui.domain.clock import SystemClock
from executor_tui.hydra.local_servers import find_local_servers, offer
from executor_tui.lab.upstreams.accounts import Account
from executor_tui.lab.upstreams.flavours import OpenAI
from executor_tui.lab.upstreams.provider import Spec
from executor_tui.lab.upstreams.upstreams import Upstreams

if TYPE_CHECKING:
    from conftest import Build


@pytest.fixture
async def ollama() -> AsyncIterator[Upstreams]:
    found = Upstreams(SystemClock(), specs=[Spec("ollama", OpenAI(), [Account("local", ())], ("llama3.2", "qwen3"), open_to_all=True)])
    await found.start()
    yield found
    await found.stop()


async def test_without_any_key_a_local_server_answers_once_its_offer_is_taken_up(build: "Build", ollama: Upstreams) -> None:
    def only_local(document: dict[str, Any]) -> None:
        """As shipped, but that nothing else is within reach: the local provider is known, none of its models."""
        local = {"kind": "openai", "base_url": ollama.providers["ollama"].base_url, "needs_key": False, "local": True}
        document["providers"]["ollama"] = local
        document["providers"]["lmstudio"] = {**local, "base_url": "http://127.0.0.1:9/v1"}

    world = await build(models=only_local, add_keys=False)
    path = world.places.config_dir / "models.json"
    (server,) = await find_local_servers(load(world.places.config_dir).models)
    assert (server.provider, server.models) == ("ollama", ("llama3.2", "qwen3"))
    refused = await world.chat("executor/free")
    assert refused.status == 503 and "no key of google" in refused.json["error"]["message"]
    assert ollama.recording.requests() == [], "found is not used"

    offered = offer(server, load(world.places.config_dir).models)
    assert offered is not None
    document = json.loads(path.read_text())
    document["models"] += offered["models"]
    path.write_text(json.dumps(document))
    async with asyncio.timeout(20):
        while (reply := await world.chat("executor/free")).status != 200:
            await asyncio.sleep(0.05)
    assert reply.headers["x-executor-provider"] == "ollama" and float(reply.headers["x-executor-cost-usd"]) == 0
    assert (await world.messages("ollama/qwen3")).json["content"][0]["text"] == "echo: hello there"
    assert all("Authorization" not in r.headers for r in ollama.recording.requests())
    assert offer(server, load(world.places.config_dir).models) is None, "all of them are there already"
