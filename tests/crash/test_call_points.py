"""A gateway that dies at every point of a call, and files caught half taken in: money counted once, consent used once, no secret lost."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from executor_tui.config.places import Places
from executor_tui.core import virtual_keys
from executor_tui.domain.approval import ApprovalStatus, Decision
from executor_tui.domain.call import CallStatus
from executor_tui.domain.clock import SystemClock
from executor_tui.domain.crash import POINTS
from executor_tui.lab.chat.telegram import TOKEN
from executor_tui.lab.world import World
from executor_tui.store.store import Store, default_url

BOOTH = Path(__file__).with_name("booth.py")
CALLS = ("call.begun", "call.answered", "call.settled")
CONSENT = "call.consent_used"
SECRETS = ("secret.key_sealed", "secret.chat_sealed", "secret.device_sealed")
PRICED = "gpt-4o"


class Booth:
    """One process at a time."""

    def __init__(self, process: asyncio.subprocess.Process, places: Places) -> None:
        self._process, self._places, self._pid = process, places, 0

    async def begin(self, what: str, point: str = "") -> str:
        """Start it; the URL of a gateway that came up, else empty: then it has ended."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{what} {self._places.config_dir} {self._places.state_dir} {point}\n".encode())
        self._pid = int((await self._word("pid", "pid"))[1])
        word, value = await self._word("url", "exit")
        if word == "url":
            return value
        assert int(value) == (-signal.SIGKILL if point else 0), f"{what} with {point}: exit {value}"
        return ""

    async def died(self) -> None:
        assert await self._word("exit", "exit") == ("exit", str(-signal.SIGKILL))

    async def stop(self) -> None:
        os.kill(self._pid, signal.SIGTERM)
        await self._word("exit", "exit")

    async def _word(self, *wanted: str) -> tuple[str, str]:
        assert self._process.stdout is not None
        async with asyncio.timeout(60):
            while line := (await self._process.stdout.readline()).decode():
                word, _, value = line.strip().partition(" ")
                if word in wanted:
                    return word, value
        raise AssertionError(f"the booth ended before it said {wanted}")


@pytest.fixture
async def world(places: Places) -> AsyncIterator[World]:
    async with World(places, live=False) as world:
        world.upstreams.faults.clear()
        yield world


@pytest.fixture
async def booth(places: Places, world: World) -> AsyncIterator[Booth]:
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(sys.executable, str(BOOTH), stdin=pipe, stdout=pipe)
    yield Booth(process, places)
    process.kill()
    await process.wait()


async def ask(url: str, secret: str, marker: str, model: str = PRICED) -> int | None:
    """The status of an answer, or None when the connection ended without one."""
    body = {"model": model, "messages": [{"role": "user", "content": f"say {marker}"}]}
    headers = {"authorization": f"Bearer {secret}", "x-executor-request-id": marker, "x-executor-chain": model}
    async with httpx.AsyncClient(timeout=60, trust_env=False) as client:
        try:
            return (await client.post(f"{url}/v1/chat/completions", json=body, headers=headers)).status_code
        except httpx.HTTPError:
            return None


async def approve(store: Store) -> None:
    async for _ in store.feed():
        for approval in await store.approvals.pending():
            await store.approvals.decide(approval.id, Decision(True, "ana", "console"))
            return


def served(world: World, marker: str) -> int:
    """How often a provider answered the call of this marker."""
    return sum(f"say {marker}" in str(r.body["messages"]) and r.outcome == "ok" for r in world.upstreams.recording.requests())


async def test_a_gateway_that_dies_at_any_point_of_a_call_counts_its_money_once(booth: Booth, world: World, places: Places) -> None:
    store = await Store.open(default_url(places.state_dir), SystemClock())
    key, secret = await virtual_keys.issue(store, SystemClock(), "points")
    for point in CALLS:
        answer = await ask(await booth.begin("gateway", point), secret, point)
        assert answer is None or (point == "call.settled" and answer == 200), "a call is settled as its answer goes out"
        await booth.died()
    url = await booth.begin("gateway", CONSENT)
    operator = asyncio.create_task(approve(store))
    assert await ask(url, secret, CONSENT, "claude-opus") is None
    await booth.died()
    await operator

    url = await booth.begin("gateway")
    assert await ask(url, secret, "afterwards") == 200
    again = asyncio.create_task(ask(url, secret, CONSENT, "claude-opus"))
    async for _ in store.feed():
        if await store.approvals.pending():
            break
    assert served(world, CONSENT) == 0, "a yes that was used up lets nothing through a second time"
    again.cancel()
    await booth.stop()
    rows = {c.started_at: c for c in await store.calls.list() if c.token_id == key.id and c.requested_model == PRICED}
    begun, answered, settled, after = (rows[at] for at in sorted(rows, key=str))
    assert [c.status for c in (begun, answered, settled, after)] == [CallStatus.LOST, CallStatus.LOST, CallStatus.OK, CallStatus.OK]
    assert [served(world, marker) for marker in (*CALLS, "afterwards")] == [0, 1, 1, 1], "nothing is sent before it is on record, nor twice"
    spend = await store.calls.spend(token_id=key.id)
    paid = begun.estimate_usd + answered.estimate_usd + settled.cost_usd + after.cost_usd
    assert begun.estimate_usd > 0 and spend.cost_usd == pytest.approx(paid), (
        "what became of a lost call is unknown: its estimate stays counted"
    )
    statuses = sorted(a.status for a in await store.approvals.list())
    assert statuses == [ApprovalStatus.APPROVED, ApprovalStatus.PENDING]
    await store.close()


async def test_secrets_caught_between_the_vault_and_their_file_are_taken_in_once(booth: Booth, world: World, places: Places) -> None:
    notification = places.config_dir / "notification.json"
    notification.write_text('{"telegram": {"enabled": true, "bot_token": "' + TOKEN + '", "chat_id": "1"}}')
    keys = [key for many in world.upstreams.keys.values() for key in many]
    names = ("hydra_keys.json", "notification.json", "fleet_registry.json")
    files = {point: places.config_dir / name for point, name in zip(SECRETS, names, strict=True)}
    plain = {SECRETS[0]: keys, SECRETS[1]: [TOKEN], SECRETS[2]: [world.router_password]}
    for point, what in zip(SECRETS, ("gateway", "chat-secrets", "device-secrets"), strict=True):
        assert await booth.begin(what, point) == ""
        assert all(secret in files[point].read_text() for secret in plain[point]), f"{point}: the file was not touched yet"
        if await booth.begin(what):
            await booth.stop()
        assert not any(secret in files[point].read_text() for secret in plain[point]), point
    store = await Store.open(default_url(places.state_dir), SystemClock())
    assert len(await store.keys.list()) == len(keys), "no key is in twice"
    await store.close()


def test_the_points_of_calls_and_secrets_are_all_here() -> None:
    assert {*CALLS, CONSENT, *SECRETS} == {name for name in POINTS if name.startswith(("call.", "secret."))}
