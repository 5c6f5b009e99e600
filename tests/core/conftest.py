"""What the pipeline's tests stand on: a scripted model behind a real OpenAI-compatible server, and a pipeline on a state directory."""

import asyncio
import json
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from executor_tui.config.load import load
from executor_tui.config.places import Places
from executor_tui.domain.clock import Clock, SystemClock
from executor_tui.domain.project import Project
from executor_tui.lab.script.model import ScriptedModel
from executor_tui.lab.upstreams.script import Answer, arguments_text, count
from executor_tui.store.store import Store, default_url
from executor_tui.workspaces.base import Toolchain

Script = Callable[[dict[str, Any]], Any]
SECRET = "vk-canary-93fb2c71d5"


@dataclass
class ModelServer:
    """Answers Chat Completions from a script. `requests` are the bodies it got; a script may return an Answer or a web.Response."""

    script: Script
    url: str = ""
    requests: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    called: asyncio.Event = field(default_factory=asyncio.Event)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.requests.append(body)
        self.headers.append(dict(request.headers))
        self.called.set()
        said = self.script(body)
        answer = await said if isinstance(said, Awaitable) else said
        return answer if isinstance(answer, web.StreamResponse) else web.json_response(completion(body, answer))


def completion(body: dict[str, Any], answer: Answer) -> dict[str, Any]:
    """An Answer in the shape of the wire."""
    tokens = count(body, answer)
    calls = []
    for number, call in enumerate(answer.tool_calls):
        function = {"name": call.name, "arguments": arguments_text(call)}
        calls.append({"id": call.id or f"call_{len(body['messages'])}_{number}", "type": "function", "function": function})
    message: dict[str, Any] = {"role": "assistant", "content": answer.text or None}
    if calls:
        message["tool_calls"] = calls
    finish = answer.finish_reason or ("tool_calls" if calls else "stop")
    usage = {"prompt_tokens": tokens.input, "completion_tokens": tokens.output}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "model": body["model"],
        "usage": usage,
        "choices": [{"index": 0, "message": message, "finish_reason": finish}],
    }


@asynccontextmanager
async def serving(script: Script) -> AsyncIterator[ModelServer]:
    server = ModelServer(script)
    app = web.Application(client_max_size=64 * 1024 * 1024)
    app.router.add_post("/v1/chat/completions", server.handle)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    with socket.create_server(("127.0.0.1", 0)) as sock:
        await web.SockSite(runner, sock.dup()).start()
        server.url = f"http://127.0.0.1:{sock.getsockname()[1]}/v1"
        try:
            yield server
        finally:
            await runner.cleanup()


def without_pytest(opener: Callable[[Project], Awaitable[Any]]) -> Callable[[Project], Awaitable[Any]]:
    """Real workspaces that say they have no pytest, whose start takes seconds where many plugins are installed."""

    async def opened(project: Project) -> Any:
        workspace = await opener(project)
        found = await workspace.toolchain()

        async def toolchain() -> Toolchain:
            return Toolchain(found.commands, found.python_version, has_pytest=False)

        workspace.toolchain = toolchain
        return workspace

    return opened


@dataclass
class World:
    """A store and a pipeline on one state directory, talking to one model server."""

    store: Store
    pipeline: Any
    server: ModelServer
    places: Places

    async def until(self, wanted: Callable[[], Awaitable[Any]]) -> Any:
        """Wait until `wanted` gives something true, asked again after every change of the store."""
        async for _ in self.store.feed():
            found = await wanted()
            if found:
                return found
        raise AssertionError("the feed ended")

    async def final(self, project_id: str) -> Project:
        async def done() -> Project | None:
            project = await self.store.projects.get(project_id)
            return project if project.status.final or project.status == "asking" else None

        found: Project = await self.until(done)
        return found

    async def begin(self, goal: str, **fields: Any) -> Project:
        """What the command line and the orchestrator do: a row, then `start`."""
        from executor_tui.domain.project import ProjectStatus

        fields.setdefault("id", f"prj-t{len(await self.store.projects.list())}")
        fields.setdefault("max_rounds", self.pipeline._parts.config.executor.projects.max_rounds)
        project = await self.store.projects.create(Project(goal=goal, budget_usd=None, **fields))
        await self.store.projects.move(project.id, (ProjectStatus.QUEUED,), ProjectStatus.RUNNING)
        await self.pipeline.start(await self.store.projects.get(project.id))
        return project


@asynccontextmanager
async def pipeline_on(
    places: Places, server: ModelServer, clock: Clock | None = None, node_id: str = "node-test", has_pytest: bool = False, **settings: Any
) -> AsyncIterator[World]:
    from executor_tui.core.pipeline.runtime import Pipeline

    clock = clock or SystemClock()
    settings["sandbox"] = {"environment": {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}} | settings.get("sandbox", {})
    (places.config_dir / "executor.json").write_text(json.dumps(settings))

    async def access(agent_id: str, project_id: str) -> tuple[str, str]:
        return server.url, SECRET

    store = await Store.open(default_url(places.state_dir), clock)
    pipeline = Pipeline(store, places, load(places.config_dir), clock, node_id, access)
    if not has_pytest:
        pipeline._parts.open_workspace = without_pytest(pipeline._parts.open_workspace)
    await pipeline.launch()
    try:
        yield World(store, pipeline, server, places)
    finally:
        await pipeline.shutdown()
        await store.close()


@pytest.fixture
async def model_server() -> AsyncIterator[ModelServer]:
    async with serving(ScriptedModel()) as server:
        yield server


@pytest.fixture
async def world(places: Places, model_server: ModelServer) -> AsyncIterator[World]:
    async with pipeline_on(places, model_server) as world:
        yield world


@asynccontextmanager
async def a_world(places: Places, script: Script, *, clock: Clock | None = None, **settings: Any) -> AsyncIterator[World]:
    async with serving(script) as server, pipeline_on(places, server, clock, **settings) as world:
        yield world


@pytest.fixture(scope="session")
def make_world() -> Callable[..., Any]:
    """`async with make_world(places, script, **settings) as world`: a pipeline whose model says what `script` says."""
    return a_world


@pytest.fixture
def open_world(places: Places) -> Callable[..., Any]:
    """As `make_world`, on this test's own directories."""
    return partial(a_world, places)


@pytest.fixture(scope="session")
def canary() -> str:
    """The virtual key that agents come in with."""
    return SECRET


def git(repo: Path | str, *words: str) -> str:
    import subprocess

    env = {
        **os.environ,
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_AUTHOR_NAME": "t",
        "GIT_AUTHOR_EMAIL": "t@t",
        "GIT_COMMITTER_NAME": "t",
        "GIT_COMMITTER_EMAIL": "t@t",
    }
    return subprocess.run(["git", "-c", "safe.directory=*", *words], cwd=repo, env=env, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def run_git() -> Callable[..., str]:
    return git
