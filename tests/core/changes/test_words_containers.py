"""Requests in words about containers: looked at, proposed and planned against a Proxmox, with a template's name as the bait."""

import json
from typing import Any

from executor_tui.agents.devices import open_device
from executor_tui.core.changes import words
from executor_tui.domain.clock import SystemClock
from executor_tui.lab.script.requests import answer as scripted
from executor_tui.lab.upstreams.script import Answer, ToolCall
from executor_tui.lab.upstreams.upstreams import Upstreams
from tests.core.changes.conftest import DEVICE, World


async def test_a_box_in_words_becomes_a_container_to_be_created(world: World, pve: Any) -> None:
    sent: list[dict[str, Any]] = []

    def script(request: dict[str, Any]) -> Answer:
        sent.append(request)
        if len(sent) == 1:
            return Answer(tool_calls=tuple(ToolCall("look", {"what": what}) for what in ("containers", "nodes", "storages", "snapshots")))
        if len(sent) == 2:
            return Answer(tool_calls=(ToolCall("lxc_create", {"cores": 1, "public_keys": ["ssh-ed25519 AAAA mallory"]}),))
        shorter = [m for m in request["messages"] if m["role"] != "assistant" and m["role"] != "tool"]
        done = [m for m in request["messages"] if m["role"] in ("assistant", "tool")][7:]
        return scripted([*shorter, *done]) or Answer("lost")

    upstreams = Upstreams(SystemClock(), script)
    urls = await upstreams.start()

    async def access(agent_id: str, project_id: str) -> tuple[str, str]:
        return urls["openai"], upstreams.keys["openai"][0]

    device = await open_device(DEVICE, world.store, world.config(), world.places)
    said: list[str] = []
    found = await words.consider(SystemClock(), world.config(), access, device, "a Debian box with 2 cores and 4 GB", said.append)
    await upstreams.stop()
    assert found.operations == ({"op": "lxc.create", "template": "debian", "cores": 2, "memory_mb": 4096},)
    results = [m["content"] for m in sent[-1]["messages"] if m["role"] == "tool"]
    assert any("pve1" in text and "memory_free_gb" in text for text in results)
    assert "error: public_keys is not yours to set; leave it out" in results
    offered = {tool["function"]["name"]: tool["function"]["parameters"]["properties"] for tool in sent[0]["tools"]}
    assert "lxc_delete" in offered and not {"public_keys", "made_by"} & set(offered["lxc_create"])
    assert said[:2] == ["looking at containers", "looking at nodes"] and "proposed" in said[-1]
    assert json.dumps(sent).count("secret") == 0 and pve.tasklog == []
