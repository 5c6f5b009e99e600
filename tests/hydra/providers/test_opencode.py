"""The genuine opencode program as a provider. Where it is not installed, a stand-in on PATH speaks its event lines."""

import asyncio
import json
import os
import shutil
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from conftest import collect, text_of

from executor_tui.domain.clock import SystemClock
from executor_tui.hydra.providers.base import ProviderCall, ProviderFailure
from executor_tui.hydra.providers.opencode import OpenCodeProvider
from executor_tui.hydra.providers.opencode_prompt import parse, render
from executor_tui.lab.upstreams.faults import Fault, FaultKind
from executor_tui.lab.upstreams.upstreams import Upstreams

READ = {
    "type": "function",
    "function": {"name": "read", "description": "Read.", "parameters": {"type": "object", "properties": {"path": {}}}},
}
ASK = {"messages": [{"role": "user", "content": "hello"}]}

needs_bwrap = pytest.mark.skipif(shutil.which("bwrap") is None, reason="bubblewrap is not installed")
needs_opencode = pytest.mark.skipif(shutil.which("opencode") is None, reason="the opencode program is not installed")


def call(**body: object) -> ProviderCall:
    return ProviderCall("chat", "opencode/big-pickle", {**ASK, **body}, "", "", first_token_s=60, stall_s=60, total_s=90)


def stand_in(
    folder: Path, monkeypatch: pytest.MonkeyPatch, lines: list[str], version: str = "1.18.33", code: int = 0, then: str = ""
) -> None:
    """Puts a program named opencode on PATH that prints these lines."""
    script = folder / "opencode"
    said = "\n".join(lines)
    script.write_text(
        f"#!/bin/sh\n[ \"$1\" = --version ] && echo {version} && exit 0\ncat > /tmp/prompt\ncat <<'EOF'\n{said}\nEOF\n{then}\nexit {code}\n"
    )
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")


def event(kind: str, **part: object) -> str:
    return json.dumps({"type": kind, "part": {"messageID": "msg_1", **part}})


FINISH = event("step_finish", reason="stop", tokens={"input": 12, "output": 3, "reasoning": 1, "cache": {"read": 5, "write": 0}})


async def test_without_the_program_the_route_is_off_with_one_line_that_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    provider = OpenCodeProvider("opencode", tmp_path)
    assert await provider.available() == "the opencode program is not on PATH; install it with: npm install -g opencode-ai"
    with pytest.raises(ProviderFailure) as caught:
        await provider.complete(call())
    assert (caught.value.facts.kind, caught.value.facts.where) == ("program", "absent")


@needs_bwrap
async def test_a_version_older_than_its_free_models_need_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(tmp_path, monkeypatch, [], version="1.17.9")
    assert "'1.17.9' is too old" in await OpenCodeProvider("opencode", tmp_path).available()


@needs_bwrap
async def test_its_events_become_an_answer_with_tokens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(tmp_path, monkeypatch, ["not json", event("step_start"), event("text", text="Hi."), FINISH])
    reply = await OpenCodeProvider("opencode", tmp_path).complete(call())
    assert reply.body["choices"][0]["message"]["content"] == "Hi."
    assert (reply.usage.input_tokens, reply.usage.output_tokens, reply.usage.cache_read_tokens) == (12, 4, 5)


@needs_bwrap
async def test_it_streams_part_by_part_and_ends_with_the_marker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(tmp_path, monkeypatch, [event("text", text="one "), event("text", text="two"), FINISH])
    stream = await OpenCodeProvider("opencode", tmp_path).open_stream(call(stream=True))
    chunks = await collect(stream)
    await stream.aclose()
    assert text_of(chunks) == "one two" and chunks[-1].last and chunks[-1].raw == b"data: [DONE]\n\n"


@needs_bwrap
async def test_tool_calls_are_read_out_of_its_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = 'I look. <tool_call>{"name": "read", "arguments": {"path": "a}b.py"}}</tool_call>'
    stand_in(tmp_path, monkeypatch, [event("text", text=said), FINISH])
    reply = await OpenCodeProvider("opencode", tmp_path).complete(call(tools=[READ]))
    choice = reply.body["choices"][0]
    assert choice["finish_reason"] == "tool_calls" and choice["message"]["content"] == "I look."
    assert json.loads(choice["message"]["tool_calls"][0]["function"]["arguments"]) == {"path": "a}b.py"}


@needs_bwrap
async def test_the_providers_refusal_comes_through_with_status_headers_and_body(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = {
        "message": "Rate limit",
        "statusCode": 429,
        "responseHeaders": {"Retry-After": "90"},
        "responseBody": '{"error":{"type":"FreeUsageLimitError"}}',
    }
    stand_in(tmp_path, monkeypatch, [json.dumps({"type": "error", "error": {"name": "APIError", "data": data}})], code=1)
    with pytest.raises(ProviderFailure) as caught:
        await OpenCodeProvider("opencode", tmp_path).complete(call())
    facts = caught.value.facts
    assert (facts.kind, facts.status, facts.headers["retry-after"]) == ("http", 429, "90")
    assert "FreeUsageLimitError" in facts.body


@needs_bwrap
async def test_a_program_that_fails_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(tmp_path, monkeypatch, [], code=3, then="echo 'no space left' >&2")
    with pytest.raises(ProviderFailure) as caught:
        await OpenCodeProvider("opencode", tmp_path).complete(call())
    assert caught.value.facts.detail == "opencode ended with code 3: no space left"


@needs_bwrap
async def test_a_program_that_hangs_is_killed_with_its_children(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(tmp_path, monkeypatch, [], then=f"setsid sleep 4711 & echo '{event('text', text='wait')}'; sleep 4711")
    stream = await OpenCodeProvider("opencode", tmp_path).open_stream(call(stream=True))
    assert await _seen("4711")
    await stream.aclose()
    assert not await _seen("4711", wanted=False)


@needs_bwrap
async def test_inside_there_is_nothing_of_this_machine_but_its_programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CANARY_KEY", "canary-in-the-environment")
    secret = tmp_path / "secret"
    secret.write_text("canary-in-a-file")
    looks = [
        "env | grep -c canary",
        f"cat {secret.parent.parent}/*/secret 2>&1 | grep -c canary",
        "touch /usr/x 2>&1 | grep -c only",
        "[ -w /proc/sys/kernel/core_pattern ] && echo writable",
    ]
    say = f'out=$({"; ".join(looks)}); printf \'{{"type":"text","part":{{"text":"%s"}}}}\\n\' "$(echo $out)"'
    stand_in(tmp_path, monkeypatch, [], then=say)
    (tmp_path / "bin").mkdir()
    shutil.move(tmp_path / "opencode", tmp_path / "bin" / "opencode")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    reply = await OpenCodeProvider("opencode", tmp_path).complete(call())
    assert reply.body["choices"][0]["message"]["content"] == "0 0 1"


async def _seen(seconds: str, wanted: bool = True) -> bool:
    """Whether a sleep of so many seconds runs, once that is as wanted or ten seconds are over: starting and ending take a moment."""
    for _ in range(1000):
        if (seconds in _processes()) is wanted:
            break
        await asyncio.sleep(0.01)
    return seconds in _processes()


def _processes() -> str:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                found.append((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace"))
            except OSError:
                continue
    return "\n".join(line for line in found if "sleep" in line)


def test_a_conversation_with_tools_is_told_as_a_transcript() -> None:
    history = [
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": [{"type": "text", "text": "read it"}]},
        {"role": "assistant", "content": None, "tool_calls": [{"id": "c1", "function": {"name": "read", "arguments": '{"path":"a"}'}}]},
        {"role": "tool", "tool_call_id": "c1", "content": "x = 1"},
    ]
    text = render({"messages": history, "tools": [READ]})
    for words in ("be brief", "read it", '<tool_call>{"name": "read", "arguments": {"path":"a"}}</tool_call>', "x = 1", '"name": "read"'):
        assert words in text


@pytest.mark.parametrize(
    "said", ["<tool_call>{broken</tool_call>", '<tool_call>{"name": "rm", "arguments": {}}</tool_call>', "<tool_call>"]
)
def test_what_is_no_call_of_a_known_tool_stays_text(said: str) -> None:
    found = parse(said, {"tools": [READ]}, "c")
    assert found.tool_calls == () and found.text == said


@pytest.fixture
async def zen() -> AsyncIterator[Upstreams]:
    upstreams = Upstreams(SystemClock())
    await upstreams.start()
    yield upstreams
    await upstreams.stop()


def genuine(zen: Upstreams, tmp_path: Path) -> OpenCodeProvider:
    options = {"baseURL": zen.providers["opencode-zen"].base_url, "apiKey": zen.keys["opencode-zen"][0]}
    return OpenCodeProvider("opencode", tmp_path, {"provider": {"opencode": {"options": options}}})


@needs_bwrap
@needs_opencode
async def test_the_genuine_program_is_answered_by_the_free_models_and_runs_no_tools(zen: Upstreams, tmp_path: Path) -> None:
    reply = await genuine(zen, tmp_path).complete(call())
    assert "hello" in reply.body["choices"][0]["message"]["content"]
    (request,) = [r for r in zen.recording.requests("opencode-zen") if r.outcome == "ok"]
    assert "opencode/" in request.headers["User-Agent"] and not request.body.get("tools")


@needs_bwrap
@needs_opencode
@pytest.mark.parametrize(("kind", "status"), [("daily_quota", 429), ("overloaded", 503)])
async def test_the_genuine_program_is_stopped_when_it_would_retry_by_itself(
    zen: Upstreams, tmp_path: Path, kind: FaultKind, status: int
) -> None:
    zen.faults.add(Fault(kind, provider="opencode-zen", retry_after_s=9000.0))
    with pytest.raises(ProviderFailure) as caught:
        await genuine(zen, tmp_path).complete(call())
    assert (caught.value.facts.kind, caught.value.facts.where, caught.value.facts.status) == ("program", "refused", status)
    assert len(zen.recording.requests("opencode-zen")) == 1


@needs_bwrap
@needs_opencode
async def test_the_genuine_program_reports_a_refused_key_with_its_status(zen: Upstreams, tmp_path: Path) -> None:
    zen.faults.add(Fault("auth", provider="opencode-zen"))
    with pytest.raises(ProviderFailure) as caught:
        await genuine(zen, tmp_path).complete(call())
    assert caught.value.facts.status == 401 and "AuthError" in caught.value.facts.body
