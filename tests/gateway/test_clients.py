"""Clients as they are, unchanged, pointed at the gateway."""

import asyncio
import json
import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anthropic
import openai
import pytest

from executor_tui.lab.upstreams.faults import Fault
from executor_tui.lab.upstreams.script import Answer, ToolCall

if TYPE_CHECKING:
    from conftest import Build, World

SAID = "echo: hello there"
ASK: list[openai.types.chat.ChatCompletionMessageParam] = [{"role": "user", "content": "hello there"}]
PARAMETERS = {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]}


async def test_the_openai_sdk_completes_streams_and_calls_tools(world: "World") -> None:
    async with openai.AsyncOpenAI(base_url=world.url + "/v1", api_key=world.secret) as client:
        whole = await client.chat.completions.create(model="gpt-4o", messages=ASK)
        assert whole.choices[0].message.content == SAID and whole.usage and whole.usage.total_tokens > 0
        stream = await client.chat.completions.create(model="claude-sonnet", messages=ASK, stream=True)
        assert "".join([c.choices[0].delta.content or "" async for c in stream if c.choices]) == SAID
        tools: list[openai.types.chat.ChatCompletionToolParam] = [
            {"type": "function", "function": {"name": "read", "parameters": PARAMETERS}}
        ]
        called = await client.chat.completions.create(model="gemini-flash", messages=ASK, tools=tools)
        (call,) = called.choices[0].message.tool_calls or []
        assert call.type == "function" and json.loads(call.function.arguments) == {"path": "hello there"}
        answered = await client.chat.completions.create(
            model="gemini-flash", tools=tools,
            messages=[*ASK, {"role": "assistant", "tool_calls": [call.to_dict()]},  # type: ignore[list-item, typeddict-item]
                      {"role": "tool", "tool_call_id": call.id, "content": "x = 1"}],
        )  # fmt: skip
        assert answered.choices[0].message.content == SAID
        response = await client.responses.create(model="gpt-4o", input="hello there")
        assert response.output_text == SAID
        models = [m.id async for m in await client.models.list()]
        assert "executor/auto" in models


async def test_the_anthropic_sdk_completes_streams_and_calls_tools(world: "World") -> None:
    async with anthropic.AsyncAnthropic(base_url=world.url, api_key=world.secret) as client:
        ask: list[anthropic.types.MessageParam] = [{"role": "user", "content": "hello there"}]
        for model in ("claude-sonnet", "gemini-flash"):
            whole = await client.messages.create(model=model, max_tokens=100, messages=ask)
            assert whole.content[0].type == "text" and whole.content[0].text == SAID
            async with client.messages.stream(model=model, max_tokens=100, messages=ask) as stream:
                assert "".join([text async for text in stream.text_stream]) == SAID
                assert (await stream.get_final_message()).usage.output_tokens > 0
            tools: list[anthropic.types.ToolParam] = [{"name": "read", "input_schema": PARAMETERS}]
            async with client.messages.stream(model=model, max_tokens=100, messages=ask, tools=tools) as stream:
                used = (await stream.get_final_message()).content[-1]
            assert used.type == "tool_use" and used.input == {"path": "hello there"}
        counted = await client.messages.count_tokens(model="claude-sonnet", messages=ask)
        assert counted.input_tokens > 0


async def test_the_sdks_understand_our_errors(world: "World") -> None:
    async with openai.AsyncOpenAI(base_url=world.url + "/v1", api_key="sk-executor-no", max_retries=0) as client:
        with pytest.raises(openai.AuthenticationError):
            await client.chat.completions.create(model="gpt-4o", messages=ASK)
    async with openai.AsyncOpenAI(base_url=world.url + "/v1", api_key=world.secret) as client:
        with pytest.raises(openai.NotFoundError, match="nobody"):
            await client.chat.completions.create(model="nobody", messages=ASK)
        world.upstreams.faults.add(Fault("truncated", provider="openai"))
        with pytest.raises(openai.APIError, match="broke off"):
            async for _ in await client.chat.completions.create(model="gpt-4o", messages=ASK, stream=True):
                pass
        world.upstreams.faults.clear()
        for provider in ("openai", "openrouter"):
            world.upstreams.faults.add(Fault("daily_quota", provider=provider, retry_after_s=7200.0))
        sent = len(world.upstreams.recording.requests())
        with pytest.raises(openai.RateLimitError) as caught:  # and, told that it is hours, does not try again and again
            await client.chat.completions.create(model="gpt-4o", messages=ASK, extra_headers={"x-executor-chain": ""})
        assert int(caught.value.response.headers["retry-after"]) > 3600
        assert len(world.upstreams.recording.requests()) == sent + 2
    async with anthropic.AsyncAnthropic(base_url=world.url, api_key=world.secret, max_retries=0) as claude:
        world.upstreams.faults.clear()
        world.upstreams.faults.add(Fault("error_midway", provider="anthropic"))
        with pytest.raises(anthropic.APIStatusError, match="broke off"):
            async with claude.messages.stream(
                model="claude-sonnet", max_tokens=9, messages=[{"role": "user", "content": "hello there"}]
            ) as stream:
                await stream.until_done()


async def test_litellm_as_a_client_completes_streams_and_calls_tools(world: "World") -> None:
    """In a process of its own: litellm keeps workers running in whatever loop first used it."""
    program = """
import asyncio, os, sys
import litellm
async def main(base, key):
    ask = [{"role": "user", "content": "hello there"}]
    whole = await litellm.acompletion(model="openai/gpt-4o", api_base=base, api_key=key, messages=ask)
    stream = await litellm.acompletion(model="openai/claude-sonnet", api_base=base, api_key=key, messages=ask, stream=True)
    said = "".join([c.choices[0].delta.content or "" async for c in stream])
    function = {"name": "read", "parameters": {"type": "object", "properties": {"path": {"type": "string"}}}}
    tools = [{"type": "function", "function": function}]
    more = {"api_base": base, "api_key": key, "tools": tools, "_skip_mcp_handler": True}  # without `mcp` installed, tools fail in litellm
    called = await litellm.acompletion(model="openai/claude-sonnet", messages=ask, **more)
    call = called.choices[0].message.tool_calls[0]
    history = [*ask, called.choices[0].message, {"role": "tool", "tool_call_id": call.id, "content": "x = 1"}]
    after = await litellm.acompletion(model="openai/claude-sonnet", messages=history, **more)
    print(whole.choices[0].message.content, "|", said, "|", call.function.arguments, "|", after.choices[0].message.content)
asyncio.run(main(*sys.argv[1:]))
"""
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, world.url + "/v1", world.secret, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "LITELLM_LOCAL_MODEL_COST_MAP": "True"},
    )  # fmt: skip
    out, err = await child.communicate()
    assert out.decode().strip() == f'{SAID} | {SAID} | {{"path": "hello there"}} | {SAID}', err.decode()[-500:]


@pytest.mark.skipif(shutil.which("opencode") is None, reason="the opencode program is not installed")
async def test_the_opencode_program_as_a_client_streams_and_uses_its_tools(build: "Build", tmp_path: Path) -> None:
    note = tmp_path / "note.txt"

    def script(request: dict[str, Any]) -> Answer:
        tools = {t["function"]["name"] for t in request.get("tools") or []}
        if "write" in tools and not any(m.get("role") == "tool" for m in request["messages"]):
            return Answer(tool_calls=(ToolCall("write", {"filePath": str(note), "content": "written by a tool"}),))
        return Answer(text="the note is there")

    world = await build(script)
    options = {"baseURL": world.url + "/v1", "apiKey": "{env:EXECUTOR_TOKEN}"}
    provider = {"npm": "@ai-sdk/openai-compatible", "name": "Executor", "options": options, "models": {"gpt-4o": {"name": "gpt-4o"}}}
    config = {"provider": {"executor": provider}, "share": "disabled", "autoupdate": False, "permission": {"edit": "allow"}}
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "EXECUTOR_TOKEN": world.secret,
        "OPENCODE_CONFIG_CONTENT": json.dumps(config),
    }
    child = await asyncio.create_subprocess_exec(
        "opencode", "run", "--format", "json", "--title", "t", "-m", "executor/gpt-4o", "Write a note.",
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env=environment, cwd=tmp_path,
    )  # fmt: skip
    out, err = await child.communicate()
    assert "the note is there" in out.decode(), err.decode()[-500:]
    assert note.read_text().strip() == "written by a tool"
    assert all(r.body.get("stream") for r in world.upstreams.recording.requests("openai"))
