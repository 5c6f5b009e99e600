"""`executor tokens …`: virtual keys of the gateway."""

from typing import TYPE_CHECKING

import click

from executor_tui.cli.context import Cli, age, common, table

if TYPE_CHECKING:
    from executor_tui.domain.call import VirtualKey
    from executor_tui.store.store import Store


@click.group("tokens")
def group() -> None:
    """Virtual keys: what clients of the gateway authenticate with."""


@group.command("new")
@click.argument("name")
@click.option("--budget", type=click.FloatRange(min=0), metavar="USD", help="The most all its calls together may cost.")
@click.option("--requests", type=click.IntRange(min=1), metavar="N", help="The most calls it may make.")
@click.option("--agent", default="", metavar="ID", help="Whose calls they count as.")
@click.option("--project", default="", metavar="ID", help="To which project they are charged.")
@common
def new(cli: Cli, name: str, budget: float | None, requests: int | None, agent: str, project: str) -> None:
    """Make a virtual key. Its secret is printed once and kept nowhere."""
    from executor_tui.core import virtual_keys
    from executor_tui.domain.clock import SystemClock

    async def work(store: "Store") -> "tuple[VirtualKey, str]":
        return await virtual_keys.issue(store, SystemClock(), name, agent, project, budget, requests)

    key, secret = cli.run(work)
    cli.note(f"virtual key {key.name} ({key.id}); the secret is not shown again")
    cli.emit({**shown(key), "secret": secret}, secret)


@group.command("list")
@click.option("--all", "everything", is_flag=True, help="Revoked ones too.")
@common
def list_(cli: Cli, everything: bool) -> None:
    """Virtual keys and what they have spent."""
    from executor_tui.domain.clock import SystemClock

    async def work(store: "Store") -> "list[VirtualKey]":
        return [k for k in await store.tokens.list() if everything or k.revoked_at is None]

    keys, now = cli.run(work), SystemClock().now()
    rows = [
        (k.name, k.id, f"${k.spent_usd:.4f}", "-" if k.budget_usd is None else f"${k.budget_usd:g}", str(k.requests), k.agent_id or "-",
         k.project_id or "-", age(k.last_used_at, now), "revoked" if k.revoked_at else "live")
        for k in keys
    ]  # fmt: skip
    head = ("NAME", "ID", "SPENT", "BUDGET", "CALLS", "AGENT", "PROJECT", "USED", "STATE")
    cli.emit([shown(k) for k in keys], lambda: table(head, rows, "no virtual keys; make one with: executor tokens new NAME"))


@group.command("revoke")
@click.argument("name")
@common
def revoke(cli: Cli, name: str) -> None:
    """End a virtual key now, by name or id."""

    async def work(store: "Store") -> "VirtualKey":
        return await store.tokens.revoke(name)

    key = cli.run(work)
    cli.emit(shown(key), f"virtual key {key.name} is revoked")


def shown(key: "VirtualKey") -> dict[str, object]:
    """What may be printed of a key: all but its digest."""
    return {
        "id": key.id, "name": key.name, "agent_id": key.agent_id, "project_id": key.project_id, "budget_usd": key.budget_usd,
        "max_requests": key.max_requests, "spent_usd": key.spent_usd, "requests": key.requests, "created_at": key.created_at,
        "revoked_at": key.revoked_at, "last_used_at": key.last_used_at,
    }  # fmt: skip
