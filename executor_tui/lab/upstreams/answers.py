"""Sending an answer, whole or streamed, with whatever goes wrong on the way."""

import asyncio
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from aiohttp import web

from executor_tui.lab.upstreams import chat_wire, messages_wire, responses_wire
from executor_tui.lab.upstreams.accounts import Refusal
from executor_tui.lab.upstreams.faults import Fault
from executor_tui.lab.upstreams.recording import Recorded
from executor_tui.lab.upstreams.script import Answer, Tokens

if TYPE_CHECKING:
    from executor_tui.lab.upstreams.provider import SimulatedProvider

Event = tuple[str, str]
"""An SSE event's name ("" for none) and its data."""


def as_chat(wire: str, body: dict[str, Any]) -> dict[str, Any]:
    if wire == "messages":
        return messages_wire.as_chat(body)
    return responses_wire.as_chat(body) if wire == "responses" else body


def reply_id(wire: str, number: int) -> str:
    return {"messages": "msg_", "responses": "resp_"}.get(wire, "chatcmpl-") + f"{number:012d}"


def whole(wire: str, body: dict[str, Any], answer: Answer, tokens: Tokens, reply_id: str, created: int) -> dict[str, Any]:
    if wire == "messages":
        return messages_wire.reply(body, answer, tokens, reply_id)
    if wire == "responses":
        return responses_wire.reply(body, answer, tokens, reply_id, created)
    return chat_wire.reply(body, answer, tokens, reply_id, created)


def stream(wire: str, body: dict[str, Any], answer: Answer, tokens: Tokens, reply_id: str, created: int) -> Iterator[Event]:
    if wire == "messages":
        yield from messages_wire.stream(body, answer, tokens, reply_id)
    elif wire == "responses":
        yield from responses_wire.stream(body, answer, tokens, reply_id, created)
    else:
        yield from (("", data) for data in chat_wire.stream(body, answer, tokens, reply_id, created))


async def before(provider: "SimulatedProvider", request: web.Request, record: Recorded, fault: Fault) -> web.StreamResponse | None:
    """Faults that strike before anything is answered."""
    from executor_tui.lab.upstreams.provider import reset

    kind = fault.kind
    if kind == "latency":
        await provider.clock.sleep(fault.delay_s)
        return None
    if kind == "silent":
        await provider.stopping.wait()
        return web.Response(status=503)
    if kind == "reset":
        provider.recording.end(record, kind, 0)
        reset(request)
        return web.Response()
    if kind == "redirect":
        provider.recording.end(record, kind, 302)
        return web.Response(status=302, headers={"location": f"{provider.base_url}/elsewhere"})
    if kind == "not_json":
        provider.recording.end(record, kind, 200)
        return web.Response(text="<html><body>captive portal</body></html>", content_type="text/html")
    if kind == "echo_key":
        provider.recording.end(record, kind, 401)
        body = {
            "error": {"message": f"Incorrect API key provided: {record.key}", "type": "invalid_request_error", "code": "invalid_api_key"}
        }
        return web.json_response(body, status=401, headers={"x-debug-authorization": f"Bearer {record.key}"})
    if kind == "oversized":
        return await _endless(provider, request, record)
    return None


async def _endless(provider: "SimulatedProvider", request: web.Request, record: Recorded) -> web.StreamResponse:
    response = web.StreamResponse(headers={"content-type": "text/event-stream" if record.body.get("stream") else "application/json"})
    await response.prepare(request)
    provider.recording.end(record, "oversized", 200)
    await response.write(b'data: {"choices":[{"delta":{"content":"' if record.body.get("stream") else b'{"filler":"')
    while not provider.stopping.is_set():
        await response.write(b"x" * 65_536)
    return response


async def send_whole(
    provider: "SimulatedProvider",
    request: web.Request,
    record: Recorded,
    whole: dict[str, Any],
    headers: dict[str, str],
    fault: Fault | None,
) -> web.StreamResponse:
    """One JSON document."""
    from executor_tui.lab.upstreams.provider import reset

    data = json.dumps(whole, separators=(",", ":")).encode()
    kind = fault.kind if fault else ""
    if kind in ("error_first", "error_midway"):
        provider.recording.end(record, kind, 200)
        error = provider.spec.flavour.midway_error(Refusal("server", model=record.model), provider.clock.now())
        return web.json_response(error, headers=headers)
    if kind == "malformed":
        data = data[: len(data) // 2]
    if kind == "empty":
        data = b""
    if kind in ("truncated", "reset_midway"):
        response = web.StreamResponse(headers={**headers, "content-type": "application/json", "content-length": str(len(data))})
        await response.prepare(request)
        await response.write(data[: len(data) // 2])
        provider.recording.end(record, kind, 200)
        reset(request)
        return response
    if kind:
        provider.recording.end(record, kind, 200)
    return web.Response(body=data, content_type="application/json", headers=headers)


async def send_stream(
    provider: "SimulatedProvider",
    request: web.Request,
    record: Recorded,
    wire: str,
    events: list[Event],
    headers: dict[str, str],
    fault: Fault | None,
) -> web.StreamResponse:
    """Server-sent events, until a fault cuts in."""
    response = web.StreamResponse(headers={**headers, "content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache"})
    await response.prepare(request)
    kind = fault.kind if fault else ""
    cut = _cut(wire, events, fault)
    if provider.spec.style.comments:
        await _write(provider, response, b": PROCESSING\n\n")
    for index, event in enumerate(events[:cut]):
        if index and provider.spec.pace.between_s + provider.spec.pace.jitter_s > 0:
            await provider.clock.sleep(provider.spec.pace.between_s + provider.rng.random() * provider.spec.pace.jitter_s)
        await _write(provider, response, encode(event, provider))
    if kind and cut < len(events):
        provider.recording.end(record, kind, 200)
        if not await _strike(provider, request, response, wire, kind, record):
            return response
    await response.write_eof()
    return response


def _cut(wire: str, events: list[Event], fault: Fault | None) -> int:
    """How many events come through before the fault."""
    if fault is None:
        return len(events)
    if fault.kind == "empty":
        return 0
    if fault.kind == "error_first":
        return 1 if wire == "chat" else 2
    if fault.kind == "no_done":
        return len(events) - 1
    if fault.kind in ("error_midway", "truncated", "malformed", "stalled", "reset_midway"):
        return min(len(events) - 2, {"chat": 1, "messages": 3}.get(wire, 2) + fault.after_chunks)
    return len(events)


async def _strike(
    provider: "SimulatedProvider", request: web.Request, response: web.StreamResponse, wire: str, kind: str, record: Recorded
) -> bool:
    """Do the fault's worst; False when the connection is gone."""
    from executor_tui.lab.upstreams.provider import reset

    if kind in ("error_first", "error_midway"):
        problem = "overloaded" if wire == "messages" else "server"
        error = provider.spec.flavour.midway_error(Refusal(problem, model=record.model), provider.clock.now())
        await _write(provider, response, encode(("error" if wire != "chat" else "", json.dumps(error)), provider))
    elif kind == "malformed":
        await _write(provider, response, b'data: {"choices":[{"delta":{"content":"half a\n\n')
    elif kind == "stalled":
        await provider.stopping.wait()
    elif kind == "reset_midway":
        reset(request)
        return False
    return True


def encode(event: Event, provider: "SimulatedProvider") -> bytes:
    """An event in this provider's style."""
    name, data = event
    style = provider.spec.style
    space = " " if style.space else ""
    lines = ([f"event:{space}{name}"] if name else []) + [f"data:{space}{data}"]
    if style.comments:
        lines.insert(0, ": keep-alive")
    return (style.newline.join(lines) + style.newline * 2).encode()


async def _write(provider: "SimulatedProvider", response: web.StreamResponse, data: bytes) -> None:
    split = provider.spec.style.split
    if not split:
        await response.write(data)
        return
    for start in range(0, len(data), split):
        await response.write(data[start : start + split])
        await asyncio.sleep(0)
