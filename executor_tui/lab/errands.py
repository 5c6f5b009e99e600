"""What the lab asks its infrastructure agents for, beside the project: a container, a bandwidth limit, and a question to the web."""

import asyncio
from dataclasses import dataclass

import aiohttp

from executor_tui.agents.deep_search import Search
from executor_tui.agents.device import Asked, Json
from executor_tui.agents.devices import entry_of_kind, open_device
from executor_tui.agents.search_report import Depth
from executor_tui.core.changes.requests import submit, wait_for
from executor_tui.core.searching import Searcher, search_agent
from executor_tui.core.skill_injector import SkillInjector
from executor_tui.domain.errors import ExecutorError
from executor_tui.lab.script.searching import QUESTION
from executor_tui.node import Node

CONTAINER: Json = {"op": "lxc.create", "hostname": "web", "cores": 1, "memory_mb": 512, "disk_gb": 4}
LIMIT: Json = {"op": "net.limit", "target": "192.168.88.23", "down": "20M", "note": "asked for by the lab"}


@dataclass(frozen=True, slots=True)
class Errand:
    """What became of one errand: `status` is a change's, or `done` and `failed` for a search."""

    agent: str
    what: str
    status: str
    detail: str = ""


async def run(node: Node) -> tuple[Errand, ...]:
    """Ask for all of them and wait for their ends. Changes wait for consent, as everywhere."""
    config = node.config
    kinds = {e.device.kind for e in config.fleet_registry.agents if e.device is not None}
    work = [_change(node, "routeros", LIMIT)] + ([_change(node, "proxmox", CONTAINER)] if "proxmox" in kinds else [])
    return tuple(await asyncio.gather(*work, _search(node)))


async def _change(node: Node, kind: str, operation: Json) -> Errand:
    entry = entry_of_kind(node.config, kind)
    try:
        device = await open_device(entry.id, node.store, node.config, node.places)
        asked = Asked(device.id, (operation,), requested_by="lab", agent_id=device.id, why="the lab shows how a change goes")
        made = await submit(node.store, device, asked, f"chg-lab-{kind}")
        ended = await wait_for(node.store, made.id)
    except ExecutorError as exc:
        return Errand(entry.id, str(operation["op"]), "failed", exc.message)
    return Errand(entry.id, ended.summary, str(ended.status), ended.detail)


async def _search(node: Node) -> Errand:
    agent_id = await search_agent(node.store)
    async with aiohttp.ClientSession() as session:
        searcher = Searcher(node.store, node.places, node.config, SkillInjector(node.config), session, node.model_access)
        try:
            report = await searcher.run(Search("srch-lab", QUESTION, Depth.QUICK, agent_id=agent_id, why="the lab shows a deep search"))
        except ExecutorError as exc:
            return Errand(agent_id, QUESTION, "failed", exc.message)
    return Errand(agent_id, QUESTION, "done", f"{len(report.sources)} sources, ${report.cost_usd:.4f}")
