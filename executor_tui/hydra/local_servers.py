"""Model servers on this machine (Ollama, llama.cpp, LM Studio), looked for on loopback. They are offered; nothing uses them unasked."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

import aiohttp

from executor_tui.config.models import ModelsSettings, ProviderSettings

TIMEOUT_S = 1.0
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True, slots=True)
class LocalServer:
    """A server that answered, and the models it lists."""

    provider: str
    base_url: str
    models: tuple[str, ...]


async def find_local_servers(models: ModelsSettings) -> tuple[LocalServer, ...]:
    """Ask every provider marked `local` whose address is on loopback for its models, all at once; who does not answer is not there."""
    local = {name: p for name, p in models.providers.items() if p.local and urlsplit(p.base_url).hostname in _LOOPBACK}
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
    async with aiohttp.ClientSession(timeout=timeout, trust_env=False, cookie_jar=aiohttp.DummyCookieJar()) as session:
        found = await asyncio.gather(*(_ask(session, name, provider) for name, provider in local.items()))
    return tuple(server for server in found if server is not None)


def offer(server: LocalServer, models: ModelsSettings) -> dict[str, object] | None:
    """What to add under `models` in models.json to use a server's models, or None when all of them are there already."""
    there = {r.model_id for m in models.models for r in m.routes if r.provider == server.provider}
    new = [name for name in server.models if name not in there]
    entries = [
        {"id": f"{server.provider}/{name}", "tier": "free", "routes": [{"provider": server.provider, "model_id": name}]}
        for name in new[:20]
    ]
    return {"models": entries} if entries else None


async def _ask(session: aiohttp.ClientSession, name: str, provider: ProviderSettings) -> LocalServer | None:
    try:
        async with session.get(provider.base_url.rstrip("/") + "/models", allow_redirects=False) as response:
            document = json.loads(await response.read()) if response.status == 200 else None
    except (aiohttp.ClientError, OSError, TimeoutError, ValueError):
        return None
    listed = document.get("data") if isinstance(document, Mapping) else None
    if not isinstance(listed, list):
        return None
    ids = tuple(str(m["id"]) for m in listed if isinstance(m, Mapping) and isinstance(m.get("id"), str))
    return LocalServer(name, provider.base_url, ids)
