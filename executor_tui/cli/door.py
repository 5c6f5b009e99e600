"""Reaching a gateway from the command line: the running one, or one of our own for as long as it is needed."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from executor_tui.cli.context import Cli
from executor_tui.domain.errors import UsageError

if TYPE_CHECKING:
    from executor_tui.store.store import Store


@dataclass(frozen=True, slots=True)
class Door:
    """Where to ask and with what."""

    url: str
    secret: str = field(repr=False)


@asynccontextmanager
async def open_door(cli: Cli, store: "Store", purpose: str, agent_id: str = "") -> AsyncIterator[Door]:
    """A gateway and a virtual key of this command's own, for itself or on an agent's account, revoked afterwards."""
    from executor_tui.core import virtual_keys
    from executor_tui.domain.clock import SystemClock
    from executor_tui.domain.ids import new_id

    key, secret = await virtual_keys.issue(store, SystemClock(), new_id(purpose), agent_id=agent_id)
    try:
        url = await running_url(store)
        if url:
            yield Door(url, secret)
            return
        from executor_tui.gateway.serve import Gateway

        cli.note("no node is running; a gateway is started for this call")
        gateway = Gateway(cli.places, port=0)
        try:
            yield Door(await gateway.start(), secret)
        finally:
            await gateway.stop()
    finally:
        await store.tokens.revoke(key.id)


async def running_url(store: "Store") -> str:
    """The gateway of the leading node, where it answers; empty when none does."""
    import httpx

    leader = await store.leases.leader()
    node = await store.nodes.find(leader.holder) if leader else None
    url = node.gateway_url if node else ""
    if not url:
        return ""
    try:
        async with httpx.AsyncClient(timeout=3.0, trust_env=False) as http:
            return url if (await http.get(f"{url}/healthz")).status_code == 200 else ""
    except httpx.HTTPError:
        return ""


async def lasting_url(cli: Cli, store: "Store") -> str:
    """Where a gateway will be found tomorrow too: the configured address. Raises UsageError when the port is left to chance."""
    settings = cli.config().executor.gateway
    if settings.port:
        return f"http://{settings.host}:{settings.port}"
    url = await running_url(store)
    if not url:
        raise UsageError("the gateway's address is not known", hint="start the node first, or set gateway.port in executor.json")
    cli.note("gateway.port is 0: this address holds only until the gateway starts again")
    return url
