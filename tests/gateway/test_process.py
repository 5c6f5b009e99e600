"""The gateway as a process: it says where it listens, dies with its parent, settles before it goes, and takes keys in."""

import asyncio
import contextlib
import json
import os
import signal
import sys
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from executor_tui.config.places import Places
from executor_tui.core import virtual_keys
from executor_tui.domain.call import CallStatus
from executor_tui.domain.clock import SystemClock
from executor_tui.domain.key import KeyState
from executor_tui.lab.upstreams.faults import Fault
from executor_tui.store.store import Store

if TYPE_CHECKING:
    from conftest import Build, World

ASK = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hello there"}]}


class Child:
    """`python -m executor_tui.gateway --child`, as the node starts it."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self.process: asyncio.subprocess.Process
        self.url = ""

    async def start(self, *more: str) -> str:
        words = [
            sys.executable,
            "-m",
            "executor_tui.gateway",
            "--config",
            str(self._places.config_dir),
            "--state",
            str(self._places.state_dir),
        ]
        pipe = asyncio.subprocess.PIPE
        self.process = await asyncio.create_subprocess_exec(*words, "--child", "--port", "0", *more, stdin=pipe, stdout=pipe, stderr=pipe)
        assert self.process.stdout is not None
        line = await self.process.stdout.readline()
        assert line, (await self.process.stderr.read()).decode() if self.process.stderr else ""
        self.url = str(json.loads(line)["gateway"]["url"])
        return self.url

    async def ended(self) -> int:
        async with asyncio.timeout(20):
            return await self.process.wait()


@pytest.fixture
async def child(places: Places) -> Any:
    found = Child(places)
    yield found
    with contextlib.suppress(ProcessLookupError, AttributeError):
        found.process.kill()
        await found.process.wait()


async def issue(store: Store, name: str = "client") -> dict[str, str]:
    _, secret = await virtual_keys.issue(store, SystemClock(), name)
    return {"authorization": f"Bearer {secret}"}


async def test_it_ends_when_its_parent_is_gone(world: "World", child: Child) -> None:
    await child.start()
    assert child.process.stdin is not None
    child.process.stdin.close()
    assert await child.ended() == 0


async def test_sigterm_lets_an_answer_finish_and_settles_it(world: "World", child: Child) -> None:
    headers, url = await issue(world.store), await child.start()
    world.upstreams.faults.add(Fault("latency", provider="openai", delay_s=1.0))
    async with aiohttp.ClientSession() as http:
        call = asyncio.create_task(http.post(f"{url}/v1/chat/completions", json=ASK, headers=headers))
        await world.upstreams.recording.until(lambda r: len(r.requests("openai")) == 1)
        child.process.send_signal(signal.SIGTERM)
        response = await call
        assert response.status == 200
        call_id = response.headers["x-executor-call-id"]
        await response.read()
    assert await child.ended() == 0
    assert (await world.store.calls.get(call_id)).status is CallStatus.OK


async def provider_after(url: str, headers: dict[str, str]) -> str:
    async with aiohttp.ClientSession() as http, http.post(f"{url}/v1/chat/completions", json=ASK, headers=headers) as response:
        return response.headers["x-executor-provider"]


def with_a_daily_limit(document: dict[str, Any]) -> None:
    document["providers"]["openai"]["limits"] = {"gpt-4o": {"rpd": 8}}


async def test_killed_in_the_middle_everything_known_is_as_it_was_and_nothing_is_charged_twice(build: "Build", child: Child) -> None:
    world = await build(models=with_a_daily_limit)
    headers, url = await issue(world.store), await child.start()
    async with aiohttp.ClientSession() as http:
        for _ in range(5):
            async with http.post(f"{url}/v1/chat/completions", json=ASK, headers=headers) as response:
                assert response.status == 200
        critical = {**ASK, "model": "claude-opus"}
        async with http.post(f"{url}/v1/chat/completions", json=critical, headers=headers) as response:
            assert response.headers["x-executor-model"] == "claude-sonnet"
        world.upstreams.faults.add(Fault("rate_limited", provider="openai", times=1, retry_after_s=600.0))
        async with http.post(f"{url}/v1/chat/completions", json=ASK, headers=headers) as response:
            assert response.headers["x-executor-provider"] == "openrouter"
        world.upstreams.faults.add(Fault("silent", provider="openrouter"))
        pending = asyncio.create_task(http.post(f"{url}/v1/chat/completions", json=ASK, headers=headers))
        await world.upstreams.recording.until(lambda r: len(r.requests("openrouter")) == 2)
        child.process.kill()
        await child.ended()
        with contextlib.suppress(aiohttp.ClientError):
            await pending
    before, asked = await world.store.calls.spend(), await world.store.approvals.pending()
    again = Child(child._places)
    try:
        await again.start()
        calls = await world.store.calls.list()
        assert sorted(c.status for c in calls) == sorted([*(CallStatus.OK,) * 7, CallStatus.LOST])
        assert (await world.store.calls.spend()).cost_usd == pytest.approx(before.cost_usd)
        assert [a.model_id for a in asked] == ["claude-opus"] and await world.store.approvals.pending() == asked
        assert [(row.kind, row.used) for row in await world.store.limits.list() if row.kind == "rpd"] == [("rpd", 6)]
        assert [p.reason for p in await world.store.parks.open()] == ["rate_limited"]
        world.upstreams.faults.clear()
        async with aiohttp.ClientSession() as http, http.post(f"{again.url}/v1/chat/completions", json=ASK, headers=headers) as response:
            assert response.headers["x-executor-provider"] == "openrouter"
        (park,) = await world.store.parks.open()
        await world.store.parks.clear(park.id, "test")
        async with asyncio.timeout(20):
            while await provider_after(again.url, headers) != "openai":
                await asyncio.sleep(0.02)
        providers = await asyncio.gather(*(provider_after(again.url, headers) for _ in range(4)))
        assert sorted(providers) == ["openai", *["openrouter"] * 3], "eight a day: six before the kill, one just now, one left"
    finally:
        again.process.kill()
        await again.process.wait()


async def test_a_plaintext_key_in_the_file_is_taken_in_verified_and_used(build: "Build", child: Child) -> None:
    world = await build(add_keys=False)
    secret = world.upstreams.keys["openai"][0]
    path = world.places.config_dir / "hydra_keys.json"
    path.write_text(
        json.dumps({"keys": [{"provider": "openai", "key": secret, "account": "org"}, {"provider": "google", "key": "AIza-wrong"}]})
    )
    await child.start()
    async with asyncio.timeout(20):
        while {k.state for k in await world.store.keys.list()} != {KeyState.VERIFIED, KeyState.INVALID}:
            await asyncio.sleep(0.05)
    assert secret not in path.read_text() and "vault:" in path.read_text()
    (bad,) = [k for k in await world.store.keys.list() if k.state is KeyState.INVALID]
    assert bad.provider == "google" and "not valid" in bad.state_reason
    assert (await world.chat()).status == 200


async def test_a_key_is_tested_again_when_somebody_asks(world: "World") -> None:
    key = next(k for k in await world.store.keys.list() if k.provider == "openai")
    world.upstreams.account("openai").keys = ("another",)
    await world.store.notes.put(f"keys.test:{key.id}", {"by": "me"})
    async with asyncio.timeout(10):
        while (await world.store.keys.get(key.id)).state is not KeyState.INVALID:
            await asyncio.sleep(0.02)
    assert await world.store.notes.get(f"keys.test:{key.id}") is None


async def test_a_key_that_could_not_be_asked_about_stays_usable(build: "Build") -> None:
    world = await build(add_keys=False)
    await world.upstreams.down("openai")
    from executor_tui.hydra.intake import add_key
    from executor_tui.vault.age import AgeVault

    models = world.gateway.config.models
    key = await add_key(world.store, AgeVault(world.places.identity_file), models, "openai", world.upstreams.keys["openai"][0])
    async with asyncio.timeout(10):
        while not (await world.store.keys.get(key.id)).state_reason:
            await asyncio.sleep(0.02)
    assert (await world.store.keys.get(key.id)).state is KeyState.UNVERIFIED
    await world.upstreams.up("openai")
    assert (await world.chat()).status == 200


async def test_a_good_change_of_models_json_applies_while_it_runs_and_a_bad_one_does_not(world: "World") -> None:
    path = world.places.config_dir / "models.json"
    document = json.loads(path.read_text())
    path.write_text("{ broken")
    assert (await world.chat()).status == 200
    document["models"].append({"id": "mine", "tier": "standard", "routes": [{"provider": "openai", "model_id": "gpt-4o-mini"}]})
    path.write_text(json.dumps(document))
    async with asyncio.timeout(20):
        while (await world.chat("mine")).status != 200:
            await asyncio.sleep(0.05)


async def test_the_log_is_in_the_state_directory_for_its_owner_only(world: "World", child: Child) -> None:
    await child.start()
    log = world.places.state_dir / "gateway.log"
    async with asyncio.timeout(20):
        while "listens at" not in log.read_text():  # it listens first, and says so then
            await asyncio.sleep(0.02)
    assert log.stat().st_mode & 0o077 == 0
    environment = (f"/proc/{child.process.pid}/environ", f"/proc/{child.process.pid}/cmdline")
    for secret in (k for keys in world.upstreams.keys.values() for k in keys):
        assert all(secret.encode() not in open(name, "rb").read() for name in environment)  # noqa: SIM115
    assert os.path.exists(log)
