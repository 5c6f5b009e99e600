"""`executor gateway`, `tokens`, `ask` and `attach`, as programs against simulated providers."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
import yaml

from executor_tui.config.places import Places, shipped
from executor_tui.domain.clock import SystemClock
from executor_tui.domain.ids import new_id
from executor_tui.domain.key import Key, KeyState, QuotaPool
from executor_tui.domain.model import Tier
from executor_tui.lab.upstreams.faults import Fault
from executor_tui.lab.upstreams.settings import models_document
from executor_tui.lab.upstreams.upstreams import Upstreams
from executor_tui.store.store import Store, default_url
from executor_tui.vault.age import AgeVault
from executor_tui.vault.base import fingerprint


class Ran:
    """A command that has ended."""

    def __init__(self, code: int, out: bytes, err: bytes) -> None:
        self.code, self.out, self.err = code, out.decode(), err.decode()


async def start(places: Places, *args: str) -> asyncio.subprocess.Process:
    words = [sys.executable, "-m", "executor_tui.cli.main", *args, "--config", str(places.config_dir), "--state", str(places.state_dir)]
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(*words, stdin=pipe, stdout=pipe, stderr=pipe)


async def run(places: Places, *args: str, stdin: str = "") -> Ran:
    process = await start(places, *args)
    out, err = await process.communicate(stdin.encode())
    assert process.returncode is not None
    assert b"Traceback" not in err, err.decode()
    return Ran(process.returncode, out, err)


@pytest.fixture
async def upstreams(places: Places) -> AsyncIterator[Upstreams]:
    """Providers, the configuration that names them, and one key each in the store."""
    clock = SystemClock()
    found = Upstreams(clock)
    urls = await found.start()
    document = models_document(json.loads((shipped("config") / "models.example.json").read_text()), urls)
    (places.config_dir / "models.json").write_text(json.dumps(document))
    (places.config_dir / "executor.json").write_text(json.dumps({"gateway": {"port": 0, "approval_wait_s": 0}}))
    store, vault = await Store.open(default_url(places.state_dir), clock), AgeVault(places.identity_file)
    for provider, keys in found.keys.items():
        pool, ref = QuotaPool(f"{provider}/a", provider, "a"), new_id("secret")
        sealed = await vault.seal(ref, keys[0])
        key = Key(new_id("key"), provider, pool.id, Tier.STANDARD, ref, fingerprint(provider, keys[0]), state=KeyState.VERIFIED)
        await store.keys.add(key, pool, sealed)
    await store.close()
    yield found
    await found.stop()


async def test_a_question_is_answered_by_a_gateway_started_for_it(places: Places, upstreams: Upstreams) -> None:
    done = await run(places, "ask", "what is the time?", "--model", "gpt-4o")
    assert done.code == 0 and done.out == "echo: what is the time?\n"
    assert "gpt-4o, $0.0" in done.err


async def test_a_streamed_answer_and_one_as_json_say_the_same(places: Places, upstreams: Upstreams) -> None:
    streamed = await run(places, "ask", "-", "--model", "gpt-4o", "--stream", stdin="hello from a pipe")
    assert streamed.out == "echo: hello from a pipe\n"
    whole = json.loads((await run(places, "ask", "hello from a pipe", "--model", "gpt-4o", "--json")).out)
    assert whole["text"] == "echo: hello from a pipe" and whole["cost_usd"] > 0 and whole["call_id"].startswith("call-")
    left = json.loads((await run(places, "tokens", "list", "--json")).out)
    assert left == []


async def test_nothing_available_is_exit_4_with_the_time(places: Places, upstreams: Upstreams) -> None:
    for provider in upstreams.specs:
        upstreams.faults.add(Fault("daily_quota", provider=provider, retry_after_s=3600.0))
    done = await run(places, "ask", "hello", "--model", "gpt-4o", "--json")
    assert done.code == 4 and "nothing can serve" in json.loads(done.out)["error"]["message"]


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("ask", " "), "the prompt is empty"),
        (("ask", "x", "--model", "a", "--complexity", "simple"), "--model and --complexity exclude each other"),
        (("tokens", "revoke", "nobody"), "no live virtual key 'nobody'"),
        (("tokens", "new", "x", "--budget", "-1"), "-1"),
        (("attach", "emacs"), "emacs"),
    ],
)
async def test_bad_usage_exits_2(places: Places, args: tuple[str, ...], said: str) -> None:
    done = await run(places, *args)
    assert done.code == 2 and said in done.err and done.out == ""


async def test_a_virtual_key_is_shown_once_and_works_until_revoked(places: Places, upstreams: Upstreams) -> None:
    secret = (await run(places, "tokens", "new", "mine", "--budget", "2.5")).out.strip()
    (listed,) = json.loads((await run(places, "tokens", "list", "--json")).out)
    assert listed["name"] == "mine" and listed["budget_usd"] == 2.5 and secret not in json.dumps(listed) and "digest" not in listed
    assert (await run(places, "tokens", "new", "mine")).code == 1
    door = await start(places, "gateway", "--port", "0", "--json")
    assert door.stdout is not None
    url = json.loads(await door.stdout.readline())["gateway"]["url"]
    async with aiohttp.ClientSession() as http:
        body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hello"}]}

        async def ask() -> int:
            async with http.post(f"{url}/v1/chat/completions", json=body, headers={"authorization": f"Bearer {secret}"}) as response:
                return response.status

        assert await ask() == 200
        assert (await run(places, "tokens", "revoke", "mine")).code == 0
        async with asyncio.timeout(10):
            while await ask() != 401:
                await asyncio.sleep(0.05)
    door.send_signal(signal.SIGINT)
    assert await door.wait() == 0


async def test_a_port_that_is_taken_is_one_clear_line(places: Places, upstreams: Upstreams) -> None:
    taken = upstreams.providers["openai"].base_url.split(":")[2].split("/")[0]
    done = await run(places, "gateway", "--port", taken)
    assert done.code == 2 and f"cannot listen on 127.0.0.1:{taken}" in done.err


@pytest.mark.parametrize("program", ["opencode", "aider", "claude-code", "continue", "env"])
async def test_a_programs_configuration_is_printed_or_written(places: Places, program: str) -> None:
    (places.config_dir / "executor.json").write_text(json.dumps({"gateway": {"port": 4999}}))
    printed = json.loads((await run(places, "attach", program, "--json")).out)
    assert "http://127.0.0.1:4999" in printed["content"] and "sk-executor-" in printed["content"]
    assert not Path(printed["path"]).exists()
    written = json.loads((await run(places, "attach", program, "--write", "--json")).out)
    path = Path(written["path"])
    assert "sk-executor-" in path.read_text() and path.stat().st_mode & 0o077 == 0
    (key,) = json.loads((await run(places, "tokens", "list", "--json")).out)
    assert key["name"] == program


async def test_what_a_programs_file_held_stays_in_it(places: Places) -> None:
    (places.config_dir / "executor.json").write_text(json.dumps({"gateway": {"port": 4999}}))
    path = Path(os.environ["HOME"]) / ".claude" / "settings.json"
    path.parent.mkdir()
    path.write_text(json.dumps({"theme": "dark", "env": {"MINE": "1"}}))
    assert (await run(places, "attach", "claude-code", "--write")).code == 0
    now = json.loads(path.read_text())
    assert now["theme"] == "dark" and now["env"]["MINE"] == "1" and now["env"]["ANTHROPIC_BASE_URL"] == "http://127.0.0.1:4999"
    assert json.loads(path.with_name("settings.json.before-executor").read_text())["env"] == {"MINE": "1"}
    rules = Path(os.environ["HOME"]) / ".aider.conf.yml"
    rules.write_text("dark-mode: true\n")
    await run(places, "attach", "aider", "--write", "--model", "claude-sonnet")
    assert yaml.safe_load(rules.read_text())["dark-mode"] is True and yaml.safe_load(rules.read_text())["model"] == "openai/claude-sonnet"


async def test_a_file_that_cannot_be_kept_is_not_touched(places: Places) -> None:
    (places.config_dir / "executor.json").write_text(json.dumps({"gateway": {"port": 4999}}))
    path = Path(os.environ["HOME"]) / ".config" / "opencode" / "opencode.json"
    path.parent.mkdir(parents=True)
    path.write_text("{ // with a comment\n}")
    done = await run(places, "attach", "opencode", "--write")
    assert done.code == 2 and "not plain JSON" in done.err and path.read_text() == "{ // with a comment\n}"
    assert json.loads((await run(places, "tokens", "list", "--json")).out) == []


async def test_these_commands_load_nothing_heavy_to_show_their_help(places: Places) -> None:
    program = (
        "import sys, click.testing; from executor_tui.cli import group; "
        "[click.testing.CliRunner().invoke(group.executor, [c, '--help']) for c in ('ask', 'tokens', 'gateway', 'attach')]; "
        "print([m for m in ('aiohttp', 'litellm', 'sqlalchemy', 'textual', 'dbos', 'httpx') if m in sys.modules])"
    )
    child = await asyncio.create_subprocess_exec(sys.executable, "-c", program, stdout=asyncio.subprocess.PIPE)
    out, _ = await child.communicate()
    assert out.decode().strip() == "[]"
