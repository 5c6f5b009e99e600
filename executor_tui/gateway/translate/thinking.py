"""Thinking signatures go back only to the model that made them.

A signature is opaque, and another model refuses it. So what leaves here carries its maker inside: `executor.<model>.<signature>`. Coming
back, it is unwrapped for that model and its block left out for any other. Nothing is remembered between requests, so it holds across
restarts.
"""

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from executor_tui.hydra.providers.base import Body

_MARK = "executor."
_FIELDS = {"thinking": "signature", "redacted_thinking": "data", "signature_delta": "signature"}


def signed(signature: str, model: str) -> str:
    """A signature with its maker."""
    if not signature or signature.startswith(_MARK):
        return signature
    return f"{_MARK}{base64.urlsafe_b64encode(model.encode()).decode().rstrip('=')}.{signature}"


def unsigned(signature: str, model: str) -> str | None:
    """The provider's own signature when `model` made it, else None."""
    if not signature.startswith(_MARK):
        return None
    maker, _, rest = signature.removeprefix(_MARK).partition(".")
    try:
        made_by = base64.urlsafe_b64decode(maker + "=" * (-len(maker) % 4)).decode()
    except (ValueError, binascii.Error):
        return None
    return rest if made_by == model and rest else None


def for_model(body: Body, model: str) -> Body:
    """A Messages request with the thinking of other models left out and its own unwrapped.

    When thinking had to be left out of a turn whose tools are being answered, thinking is switched off for this request: with it on,
    Anthropic wants that turn to begin with its thoughts (docs.anthropic.com/en/docs/build-with-claude/extended-thinking).
    """
    messages = body.get("messages")
    if not isinstance(messages, list):
        return body
    turns, broken = [], False
    for message in messages:
        if not isinstance(message, Mapping) or not isinstance(message.get("content"), list):
            turns.append(message)
            continue
        blocks, lost = _kept(message["content"], model)
        if lost:
            broken = broken or any(isinstance(b, Mapping) and b.get("type") == "tool_use" for b in blocks)
            if not blocks:
                continue
        turns.append({**message, "content": blocks})
    changed = {**body, "messages": turns}
    if broken:
        changed.pop("thinking", None)
    return changed


def _kept(blocks: list[Any], model: str) -> tuple[list[Any], bool]:
    kept, lost = [], False
    for block in blocks:
        name = _FIELDS.get(str(block.get("type"))) if isinstance(block, Mapping) else None
        if name is None:
            kept.append(block)
            continue
        own = unsigned(str(block.get(name) or ""), model)
        if own is None:
            lost = True
        else:
            kept.append({**block, name: own})
    return kept, lost


def marked_reply(reply: Body, model: str) -> Body:
    """A message whose signatures carry their maker."""
    content = reply.get("content")
    if not isinstance(content, list) or not any(isinstance(b, Mapping) and b.get("type") in _FIELDS for b in content):
        return reply
    return {**reply, "content": [_marked(block, model) for block in content]}


def marked_event(data: Body, model: str) -> Body | None:
    """The event with its signature marked, or None when it holds none."""
    for name in ("delta", "content_block"):
        part = data.get(name)
        if isinstance(part, Mapping) and part.get("type") in _FIELDS and part.get(_FIELDS[str(part["type"])]):
            return {**data, name: _marked(part, model)}
    return None


def _marked(block: Any, model: str) -> Any:
    name = _FIELDS.get(str(block.get("type"))) if isinstance(block, Mapping) else None
    if name is None or not block.get(name):
        return block
    return {**block, name: signed(str(block[name]), model)}
