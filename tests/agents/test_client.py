"""Asking a model over HTTP: what is sent, what is read, and what each refusal means."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from executor_tui.agents.client import (
    ContextTooLongError,
    ModelClient,
    ModelError,
    ModelRefusedError,
    ModelRequest,
)
from executor_tui.domain.clock import ManualClock
from executor_tui.domain.errors import BudgetError, ConsentError, NothingAvailableError

SECRET = "vk-canary-51c09a"
Handler = Callable[[web.Request], Any]


@asynccontextmanager
async def served(handler: Handler, **options: Any) -> AsyncIterator[ModelClient]:
    app = web.Application()
    app.router.add_post("/v1/chat/completions", handler)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    with socket.create_server(("127.0.0.1", 0)) as sock:
        await web.SockSite(runner, sock.dup()).start()
        url = f"http://127.0.0.1:{sock.getsockname()[1]}/v1"
        async with aiohttp.ClientSession() as session:
            yield ModelClient(session, url, options.pop("clock", ManualClock()), SECRET, **options)
    await runner.cleanup()


def reply(message: dict[str, Any], headers: dict[str, str] | None = None, **rest: Any) -> web.Response:
    body = {"model": "small", "choices": [{"message": message, "finish_reason": "stop"}], **rest}
    return web.json_response(body, headers=headers)


ASK = ModelRequest("executor/free", [{"role": "user", "content": "hi"}], request_id="prj-1.4", why="a costly\ndecision")


async def test_an_answer_is_read_with_its_calls_usage_and_the_gateways_account_of_it() -> None:
    seen: dict[str, Any] = {}

    async def handler(request: web.Request) -> web.Response:
        seen.update(body=await request.json(), headers=dict(request.headers))
        call = {"id": "c1", "type": "function", "function": {"name": "read", "arguments": '{"path": "a"}'}}
        usage = {"prompt_tokens": 12, "completion_tokens": 3}
        headers = {"x-executor-model": "gpt-x", "x-executor-cost-usd": "0.0125", "x-executor-trail": "google: 429; openai: ok"}
        return reply({"content": [{"type": "text", "text": "so"}], "tool_calls": [call]}, headers, usage=usage)

    async with served(handler) as client:
        answer = await client.complete(ASK)
    assert (answer.text, answer.model, answer.cost_usd) == ("so", "gpt-x", 0.0125)
    assert (answer.input_tokens, answer.output_tokens) == (12, 3)
    assert [(c.id, c.name, c.arguments) for c in answer.tool_calls] == [("c1", "read", '{"path": "a"}')]
    assert seen["headers"]["Authorization"] == f"Bearer {SECRET}"
    assert (seen["headers"]["x-executor-request-id"], seen["headers"]["x-executor-why"]) == ("prj-1.4", "a costly decision")
    assert "tools" not in seen["body"] and "max_tokens" not in seen["body"]


@pytest.mark.parametrize(
    ("status", "error", "headers", "expected"),
    [
        (429, {"message": "all parked"}, {"retry-after": "30"}, NothingAvailableError),
        (503, {"message": "busy"}, {"retry-after": "5"}, NothingAvailableError),
        (402, {"message": "project budget"}, {}, BudgetError),
        (400, {"code": "budget_exceeded", "message": "no"}, {}, BudgetError),
        (403, {"code": "approval_denied", "message": "no"}, {}, ConsentError),
        (401, {"message": "bad key"}, {}, ModelRefusedError),
        (400, {"code": "context_length_exceeded", "message": "too long"}, {}, ContextTooLongError),
        (400, {"message": "the request exceeds the available context size"}, {}, ContextTooLongError),
        (413, {"message": "too large"}, {}, ContextTooLongError),
        (400, {"message": "no such tool format"}, {}, ModelRefusedError),
        (500, {"message": "broke"}, {}, ModelError),
        (502, "<html>bad gateway</html>", {}, ModelError),
    ],
)
async def test_each_refusal_has_its_own_error(status: int, error: Any, headers: dict[str, str], expected: type[Exception]) -> None:
    async def handler(request: web.Request) -> web.Response:
        text = error if isinstance(error, str) else json.dumps({"error": error})
        return web.Response(status=status, text=text, headers=headers)

    async with served(handler) as client:
        with pytest.raises(expected) as caught:
            await client.complete(ASK)
    assert type(caught.value) is expected
    assert SECRET not in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("body", "headers", "seconds"),
    [
        ({"available_at": "2026-11-22T12:05:00Z"}, {"retry-after": "7"}, 300),
        ({}, {"retry-after": "36"}, 36),
        ({}, {"retry-after": "Sun, 22 Nov 2026 12:01:00 GMT"}, 60),
        ({}, {"retry-after": "soon"}, None),
        ({"available_at": "tomorrow"}, {}, None),
        ({}, {}, None),
    ],
)
async def test_when_it_works_again_is_taken_from_where_the_server_says_it(body: Any, headers: dict[str, str], seconds: int | None) -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.json_response({"error": {"message": "later", **body}}, status=429, headers=headers)

    clock = ManualClock(datetime(2026, 11, 22, 12, 0, tzinfo=UTC))
    async with served(handler, clock=clock) as client:
        with pytest.raises(NothingAvailableError) as caught:
            await client.complete(ASK)
    assert caught.value.available_at == (clock.now() + timedelta(seconds=seconds) if seconds is not None else None)


@pytest.mark.parametrize("text", ["not json", "[]", '{"choices": []}', '{"choices": [{"message": null}]}', "[" * 100_000])
async def test_a_200_that_is_no_completion_is_an_error_of_the_server(text: str) -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(text=text, content_type="application/json")

    async with served(handler) as client:
        with pytest.raises(ModelError):
            await client.complete(ASK)


async def test_a_server_that_comes_back_is_tried_again_and_one_that_does_not_is_named() -> None:
    clock = ManualClock()
    with socket.create_server(("127.0.0.1", 0)) as sock:
        url = f"http://127.0.0.1:{sock.getsockname()[1]}/v1"
    async with aiohttp.ClientSession() as session:
        asked = asyncio.create_task(ModelClient(session, url, clock, SECRET, connect_waits_s=(1.0, 2.0)).complete(ASK))
        while not asked.done():
            await asyncio.sleep(0.01)
            await clock.advance(1.0)
        with pytest.raises(ModelError, match="no model server answers at http"):
            asked.result()


async def test_an_answer_that_never_comes_ends_at_the_deadline() -> None:
    async def handler(request: web.Request) -> web.Response:
        await asyncio.sleep(60)
        return web.Response()

    async with served(handler, deadline_s=0.05) as client:
        with pytest.raises(ModelError, match=r"no answer within 0\.05 s"):
            await client.complete(ASK)


async def test_cancelling_the_task_closes_the_connection() -> None:
    arrived, gone = asyncio.Event(), asyncio.Event()

    async def handler(request: web.Request) -> web.Response:
        arrived.set()
        try:
            await asyncio.sleep(60)
        finally:
            gone.set()
        return web.Response()

    app = web.Application()
    app.router.add_post("/v1/chat/completions", handler)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    with socket.create_server(("127.0.0.1", 0)) as sock:
        await web.SockSite(runner, sock.dup()).start()
        async with aiohttp.ClientSession() as session:
            client = ModelClient(session, f"http://127.0.0.1:{sock.getsockname()[1]}/v1", ManualClock(), SECRET)
            asked = asyncio.create_task(client.complete(ASK))
            await arrived.wait()
            asked.cancel()
            await asyncio.gather(asked, return_exceptions=True)
            await asyncio.wait_for(gone.wait(), 5)
    await runner.cleanup()


def test_the_secret_is_in_no_repr() -> None:
    client = ModelClient(None, "http://h/v1", ManualClock(), SECRET)  # type: ignore[arg-type]
    assert SECRET not in repr(client)
