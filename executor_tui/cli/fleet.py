"""executor fleet: the agents, as the console shows them."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from executor_tui.cli.context import Cli, age, common, table
from executor_tui.domain.agent import Agent
from executor_tui.domain.errors import UsageError

if TYPE_CHECKING:
    from executor_tui.store.store import Store


@click.group()
def group() -> None:
    """Agents: list, ping, add, pause, resume."""


@group.command("list")
@common
def list_(cli: Cli) -> None:
    """Every agent of the registry and how it is doing."""
    found = cli.run(lambda store: store.agents.list())
    cli.emit({"agents": found}, lambda: fleet_table(found))


def fleet_table(agents: tuple[Agent, ...]) -> str:
    """The Fleet screen as a plain table."""
    from executor_tui.domain.clock import SystemClock

    now = SystemClock().now()
    rows = [
        (a.id, a.role, "paused" if a.paused else a.state, a.task or a.reason or "-", a.project_id or "-", f"${a.cost_usd:.4f}",
         age(a.state_since, now))
        for a in agents
    ]  # fmt: skip
    return table(("ID", "ROLE", "STATE", "TASK", "PROJECT", "COST", "SINCE"), rows, "no agents yet; start a node with: executor --no-ui")


@group.command("ping")
@click.argument("agent_id", required=False, metavar="[ID]")
@common
def ping(cli: Cli, agent_id: str | None) -> None:
    """Ask agents whether they answer, now. Exit code 1 when one is offline."""
    from executor_tui.agents.links import drop_links
    from executor_tui.core.fleet import ping_agents, sync_registry

    config = cli.config()

    async def work(store: "Store") -> tuple[Agent, ...]:
        await sync_registry(store, config)
        agents = await store.agents.list() if agent_id is None else (await store.agents.get(agent_id),)
        await ping_agents(store, agents, config, cli.places, deadline_s=config.executor.node.ping_deadline_s)
        drop_links()
        return tuple([await store.agents.get(a.id) for a in agents])

    found = cli.run(work)
    cli.emit({"agents": found}, lambda: fleet_table(found))
    if any(a.state == "offline" for a in found):
        click.get_current_context().exit(1)


@group.command("add")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@common
def add(cli: Cli, file: Path) -> None:
    """Add the agents of FILE (the form of fleet_registry.json) to the registry."""
    from executor_tui.config.files import FleetRegistry
    from executor_tui.config.load import load_file, parse, read_json
    from executor_tui.config.places import write_atomically

    new = parse(file, read_json(file), FleetRegistry)
    if not new.agents:
        raise UsageError(f"{file} holds no agents")
    old = load_file(cli.places.config_dir, "fleet_registry.json", FleetRegistry)
    twice = sorted({a.id for a in old.agents} & {a.id for a in new.agents})
    if twice:
        raise UsageError(f"already in the registry: {', '.join(twice)}")
    target = cli.places.config_dir / "fleet_registry.json"
    raw_old = read_json(target) if target.exists() else {"agents": [a.model_dump(mode="json", exclude_none=True) for a in old.agents]}
    raw_new = read_json(file)
    assert isinstance(raw_old, dict) and isinstance(raw_new, dict)
    merged = {**raw_old, "agents": [*raw_old.get("agents", []), *raw_new["agents"]]}
    write_atomically(target, json.dumps(merged, indent=2) + "\n")
    ids = [a.id for a in new.agents]
    cli.emit({"added": ids, "file": target}, f"added {', '.join(ids)} to {target}")


@group.command("pause")
@click.argument("agent_id", metavar="ID")
@common
def pause(cli: Cli, agent_id: str) -> None:
    """Give this agent nothing new; what it does now it finishes."""
    _set_paused(cli, agent_id, True)


@group.command("resume")
@click.argument("agent_id", metavar="ID")
@common
def resume(cli: Cli, agent_id: str) -> None:
    """Let a paused agent work again."""
    _set_paused(cli, agent_id, False)


def _set_paused(cli: Cli, agent_id: str, paused: bool) -> None:
    from executor_tui.domain.event import Event

    word = "paused" if paused else "resumed"

    async def work(store: "Store") -> Agent:
        agent = await store.agents.get(agent_id)
        await store.agents.update(agent_id, Event(f"agent.{word}", f"{agent.name} {word}", agent_id=agent_id), paused=paused)
        return await store.agents.get(agent_id)

    agent = cli.run(work)
    cli.emit({"agent": agent}, f"{agent.id} {word}")
