"""From the phone to the gateway: a call waits in the gateway's own process until the owner presses; a stranger's press does nothing."""

import asyncio
import json

import httpx
import pytest

from executor_tui.config.places import Places
from executor_tui.core import virtual_keys
from executor_tui.domain.approval import ApprovalStatus
from executor_tui.domain.clock import SystemClock
from executor_tui.lab.chat.telegram import TOKEN, FakeTelegram, Sent
from executor_tui.lab.world import World
from executor_tui.node import Node, running_node

STRANGER = 666
OPUS = ("claude-opus-4-5", "anthropic/claude-opus-4.5")


async def call(node: Node, secret: str, name: str) -> httpx.Response:
    body = {"model": "claude-opus", "messages": [{"role": "user", "content": name}], "max_tokens": 20}
    headers = {"authorization": f"Bearer {secret}", "x-executor-request-id": name, "x-executor-why": f"the analyst needs it for {name}"}
    async with httpx.AsyncClient(timeout=60, trust_env=False) as client:
        return await client.post(f"{node.gateway.url}/v1/chat/completions", json=body, headers=headers)


async def question(telegram: FakeTelegram, name: str) -> Sent:
    await telegram.wait_for(lambda s: any(m.buttons and name in m.text for m in s.messages), 60)
    return next(m for m in telegram.messages if m.buttons and name in m.text)


@pytest.mark.timeout(180)
async def test_a_press_on_the_phone_releases_a_call_that_waits_in_the_gateway(places: Places) -> None:
    async with World(places, live=False) as world, FakeTelegram() as telegram:
        settings = {"telegram": {"enabled": True, "bot_token": TOKEN, "chat_id": "4242", "base_url": telegram.base_url}}
        (places.config_dir / "notification.json").write_text(json.dumps(settings))
        async with running_node(places) as node:
            async with asyncio.timeout(60):
                await node.gateway.up.wait()
            _, secret = await virtual_keys.issue(node.store, SystemClock(), "analyst")

            first = asyncio.create_task(call(node, secret, "the-report"))
            asked = await question(telegram, "the-report")
            assert "claude-opus" in asked.text and "estimated $" in asked.text and "silence means no" in asked.text
            assert "on no: the call goes on with" in asked.text
            for _ in range(2):
                await telegram.press(asked, asked.button("Approve"), user=STRANGER, name="Mallory")
            await telegram.wait_for(lambda s: sum("obeys its owner" in n for n in s.notices) == 2)
            assert not first.done() and not [r for r in world.upstreams.recording.requests() if r.model in OPUS]
            await telegram.press(asked, asked.button("Approve"))
            answer = await first
            assert (answer.status_code, answer.headers["x-executor-model"]) == (200, "claude-opus")
            await telegram.wait_for(lambda s: "Approved by user4242" in asked.text and not asked.buttons)

            second = asyncio.create_task(call(node, secret, "the-rest"))
            asked = await question(telegram, "the-rest")
            await telegram.press(asked, asked.button("Deny"))
            answer = await second
            assert answer.status_code == 200 and answer.headers["x-executor-model"] != "claude-opus", "a no goes down the chain"

            assert len([r for r in world.upstreams.recording.requests() if r.model in OPUS and r.outcome == "ok"]) == 1
            statuses = {a.why: (a.status, a.decided_via) for a in await node.store.approvals.list()}
            assert statuses == {
                "the analyst needs it for the-report": (ApprovalStatus.APPROVED, "telegram"),
                "the analyst needs it for the-rest": (ApprovalStatus.DENIED, "telegram"),
            }
            strangers = [a for a in await node.store.alerts.list() if a.dedupe_key.startswith("telegram.stranger")]
            assert len(strangers) == 1 and "Mallory (user 666)" in strangers[0].title, "told once"
