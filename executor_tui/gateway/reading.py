"""From an HTTP request to what the router is asked: body, features, and the headers by which a client may say more."""

import json
from collections.abc import Mapping

from aiohttp import web

from executor_tui.domain.call import VirtualKey
from executor_tui.domain.model import Complexity
from executor_tui.gateway.errors import GatewayRefusal
from executor_tui.gateway.sending import Asked
from executor_tui.hydra.complexity import estimate
from executor_tui.hydra.features import Features, read_features
from executor_tui.hydra.providers.base import Body, Wire
from executor_tui.hydra.providers.openai_wire import PASSED_ON
from executor_tui.hydra.request import RouteRequest

MAX_BODY_BYTES = 48 * 1024 * 1024
AUTO = "executor/auto"
_MAX_HEADER_S = 86_400.0


async def read_body(request: web.Request) -> Body:
    """The JSON object of a request. Raises GatewayRefusal."""
    try:
        data = await request.read()
    except web.HTTPRequestEntityTooLarge:
        raise GatewayRefusal(413, "request_too_large", f"the request is larger than {MAX_BODY_BYTES // 1024 // 1024} MiB") from None
    try:
        body = json.loads(data)
    except (ValueError, RecursionError):
        raise GatewayRefusal(400, "invalid_json", "the request body is not JSON") from None
    if not isinstance(body, dict):
        raise GatewayRefusal(400, "invalid_json", "the request body must be a JSON object")
    return body


def check_body(wire: Wire, body: Body) -> None:
    """What every provider would refuse is refused here, with its name. Raises GatewayRefusal."""
    if not isinstance(body.get("model"), str) or not body["model"]:
        raise GatewayRefusal(400, "missing_model", "`model` must be a model's name; see GET /v1/models")
    field = "input" if wire == "responses" else "messages"
    given = body.get(field)
    if wire == "responses":
        if given is None and not body.get("prompt"):
            raise GatewayRefusal(400, "missing_input", "`input` is missing")
    elif not isinstance(given, list) or not given or not all(isinstance(m, Mapping) for m in given):
        raise GatewayRefusal(400, "missing_messages", "`messages` must be a list of at least one message")
    for name in ("tools", "stop_sequences"):
        if body.get(name) is not None and not isinstance(body[name], list):
            raise GatewayRefusal(400, "invalid_field", f"`{name}` must be a list")


def asked_of(wire: Wire, body: Body, headers: Mapping[str, str]) -> tuple[Asked, Features]:
    """The request as it is sent on, and what can be read off it."""
    features = read_features(wire, body)
    passed = {name: value for name, value in headers.items() if name.lower() in PASSED_ON}
    return Asked(wire, body, passed, features.input_tokens, features.is_stream), features


def route_request(
    wire: Wire, body: Body, features: Features, headers: Mapping[str, str], token: VirtualKey, providers: frozenset[str] | None
) -> RouteRequest:
    """What the router is asked. Agent and project are the key's own; a header cannot change on whose account a call goes.

    Headers a client may use: x-executor-complexity, -chain (models, comma between), -budget-usd, -deadline-s, -max-wait-s (wait for a turn
    instead of falling back at once), -approval-wait-s, -sticky, -request-id, -why.
    """
    model = str(body["model"])
    complexity = _complexity(headers) or (estimate(features).complexity if model == AUTO else None)
    chain = headers.get("x-executor-chain")
    max_wait_s = _number(headers, "x-executor-max-wait-s")
    return RouteRequest(
        model=model,
        wire=wire,
        needs=features.needs,
        input_tokens=features.input_tokens,
        max_output_tokens=features.max_output_tokens,
        complexity=complexity,
        budget_usd=_number(headers, "x-executor-budget-usd"),
        chain=tuple(m.strip() for m in chain.split(",") if m.strip()) if chain is not None else None,
        deadline_s=_number(headers, "x-executor-deadline-s"),
        may_wait=max_wait_s is not None,
        max_wait_s=max_wait_s,
        approval_wait_s=_number(headers, "x-executor-approval-wait-s"),
        agent_id=token.agent_id,
        project_id=token.project_id,
        token=token,
        sticky=_sticky(body, headers),
        is_stream=features.is_stream,
        providers=providers,
        request_id=headers.get("x-executor-request-id", "")[:200],
        why=headers.get("x-executor-why", "")[:300] or f"asked for with the virtual key {token.name}",
    )


def _complexity(headers: Mapping[str, str]) -> Complexity | None:
    given = headers.get("x-executor-complexity")
    if given is None:
        return None
    try:
        return Complexity(given.strip().lower())
    except ValueError:
        allowed = ", ".join(Complexity)
        raise GatewayRefusal(400, "invalid_header", f"x-executor-complexity is {given[:40]!r}; allowed: {allowed}") from None


def _number(headers: Mapping[str, str], name: str) -> float | None:
    given = headers.get(name)
    if given is None:
        return None
    try:
        found = float(given)
    except ValueError:
        found = -1.0
    if not 0 <= found <= _MAX_HEADER_S:
        raise GatewayRefusal(400, "invalid_header", f"{name} is {given[:40]!r}; it must be a number from 0 to {_MAX_HEADER_S:g}")
    return found


def _sticky(body: Body, headers: Mapping[str, str]) -> str:
    """Calls that share a prompt should meet the same account, where that prompt is cached."""
    metadata = body.get("metadata")
    user = metadata.get("user_id") if isinstance(metadata, Mapping) else None
    found = headers.get("x-executor-sticky") or body.get("prompt_cache_key") or user
    return str(found)[:200] if found else ""
