"""A Chat Completions request as a Messages request, for providers that speak only that."""

import json
from collections.abc import Mapping
from typing import Any

from executor_tui.gateway.translate.parts import Block, text_of, to_block
from executor_tui.hydra.providers.base import Body

_AS_JSON = "Answer with one JSON object and nothing else."


def messages_request(body: Body, model_id: str, max_output_tokens: int) -> Body:
    """`body` for the model called `model_id` there. Anthropic requires a limit: `max_output_tokens` when the client gives none."""
    system: list[Block] = []
    turns: list[Block] = []
    for message in body.get("messages") or []:
        if not isinstance(message, Mapping):
            continue
        if message.get("role") in ("system", "developer"):
            system.extend(_blocks(message.get("content")))
        else:
            _append(turns, *_turn(message))
    if not turns or turns[0]["role"] != "user":
        turns.insert(0, {"role": "user", "content": [{"type": "text", "text": "…"}]})
    limit = body.get("max_completion_tokens") or body.get("max_tokens")
    request: Body = {
        "model": model_id,
        "messages": turns,
        "max_tokens": limit if isinstance(limit, int) and limit > 0 else max_output_tokens,
    }
    format_rule = _format_rule(body.get("response_format"))
    if format_rule:
        system.append({"type": "text", "text": format_rule})
    if system:
        request["system"] = system
    return request | _sampling(body) | _tools(body)


def _sampling(body: Body) -> Body:
    found: Body = {}
    if isinstance(body.get("temperature"), int | float):
        found["temperature"] = min(1.0, float(body["temperature"]))  # OpenAI allows 2
    elif isinstance(body.get("top_p"), int | float):
        found["top_p"] = body["top_p"]  # newer Claude models refuse both at once
    stop = body.get("stop")
    stops = [stop] if isinstance(stop, str) else list(stop or [])
    stops = [s for s in stops if isinstance(s, str) and s.strip()]
    if stops:
        found["stop_sequences"] = stops
    if body.get("stream"):
        found["stream"] = True
    if isinstance(body.get("user"), str):
        found["metadata"] = {"user_id": body["user"]}
    return found


def _turn(message: Mapping[str, Any]) -> tuple[str, list[Block]]:
    """Role and blocks of one message."""
    role = message.get("role")
    if role in ("tool", "function"):
        content = message.get("content")
        blocks = _blocks(content)
        only_text = all(b["type"] == "text" for b in blocks)
        result = text_of(content) if only_text else blocks
        return "user", [{"type": "tool_result", "tool_use_id": str(message.get("tool_call_id", "")), "content": result}]
    blocks = _blocks(message.get("content"))
    if role != "assistant":
        return "user", blocks
    for call in message.get("tool_calls") or []:
        function = call.get("function") or {} if isinstance(call, Mapping) else {}
        used = {"id": str(call.get("id", "")), "name": str(function.get("name", "")), "input": arguments(function.get("arguments"))}
        blocks.append({"type": "tool_use", **used})
    return "assistant", blocks


def _append(turns: list[Block], role: str, blocks: list[Block]) -> None:
    """Anthropic wants one message a turn: what follows in the same role joins it."""
    if not blocks:
        return
    if turns and turns[-1]["role"] == role:
        turns[-1]["content"].extend(blocks)
    else:
        turns.append({"role": role, "content": list(blocks)})


def _blocks(content: object) -> list[Block]:
    if isinstance(content, str):
        return [{"type": "text", "text": content}] if content else []
    if not isinstance(content, list):
        return []
    return [block for part in content if isinstance(part, Mapping) and (block := to_block(part)) is not None]


def arguments(text: object) -> dict[str, Any]:
    """A tool call's arguments as an object. Text that is no JSON object is kept under `arguments`, so that nothing said is lost."""
    if isinstance(text, Mapping):
        return dict(text)
    try:
        found = json.loads(str(text or "{}"))
    except (ValueError, RecursionError):
        return {"arguments": str(text)}
    return found if isinstance(found, dict) else {"arguments": found}


def _tools(body: Body) -> Body:
    tools = []
    for tool in body.get("tools") or []:
        function = tool.get("function") if isinstance(tool, Mapping) else None
        if isinstance(function, Mapping) and function.get("name"):
            schema = function.get("parameters") or {"type": "object", "properties": {}}
            tools.append({"name": function["name"], "description": str(function.get("description") or ""), "input_schema": schema})
    choice = body.get("tool_choice")
    if not tools or choice == "none":
        return {"tools": tools, "tool_choice": {"type": "none"}} if tools else {}
    picked: Block = {"type": "auto"}
    if choice == "required":
        picked = {"type": "any"}
    elif isinstance(choice, Mapping):
        picked = {"type": "tool", "name": (choice.get("function") or {}).get("name", "")}
    if body.get("parallel_tool_calls") is False:
        picked["disable_parallel_tool_use"] = True
    return {"tools": tools, "tool_choice": picked}


def _format_rule(response_format: object) -> str:
    if not isinstance(response_format, Mapping) or response_format.get("type") not in ("json_object", "json_schema"):
        return ""
    wanted = response_format.get("json_schema")
    schema = wanted.get("schema") if isinstance(wanted, Mapping) else None
    return f"{_AS_JSON} It must match this JSON Schema: {json.dumps(schema)}" if schema else _AS_JSON
