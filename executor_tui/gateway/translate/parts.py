"""Pieces of content in both shapes: text, images, documents. What one side cannot carry becomes a line of text that says so."""

import re
from collections.abc import Mapping
from typing import Any

Block = dict[str, Any]
_DATA_URL = re.compile(r"data:([\w.+-]+/[\w.+-]+);base64,(.*)", re.DOTALL)


def text_of(content: object) -> str:
    """The text of a content field, its parts joined."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    return "".join(str(p.get("text") or "") for p in content if isinstance(p, Mapping) and p.get("type") in ("text", "input_text", None))


def to_chat_part(block: Mapping[str, Any]) -> Block | None:
    """An Anthropic content block as a chat content part; None when it has no place there (thinking)."""
    kind = block.get("type")
    if kind == "text":
        return {"type": "text", "text": str(block.get("text") or "")}
    if kind == "image":
        return {"type": "image_url", "image_url": {"url": _url_of(block.get("source"))}}
    if kind == "document":
        return _document(block)
    if kind in ("thinking", "redacted_thinking"):
        return None
    return {"type": "text", "text": f"[{kind} left out: this model cannot take it]"}


def to_block(part: Mapping[str, Any]) -> Block | None:
    """A chat content part as an Anthropic content block; None for an empty text, which Anthropic refuses."""
    kind = part.get("type")
    kept = {"cache_control": part["cache_control"]} if isinstance(part.get("cache_control"), Mapping) else {}
    if kind == "text":
        text = str(part.get("text") or "")
        return {"type": "text", "text": text, **kept} if text else None
    if kind == "image_url":
        image = part.get("image_url")
        url = str(image.get("url", "") if isinstance(image, Mapping) else image or "")
        return {"type": "image", "source": _source_of(url), **kept}
    if kind == "file" and isinstance(part.get("file"), Mapping) and (found := _DATA_URL.fullmatch(str(part["file"].get("file_data", "")))):
        source = {"type": "base64", "media_type": found[1], "data": found[2]}
        return {"type": "document", "source": source, **kept}
    return {"type": "text", "text": f"[{kind} left out: this model cannot take it]"}


def _url_of(source: object) -> str:
    if not isinstance(source, Mapping):
        return ""
    if source.get("type") == "base64":
        return f"data:{source.get('media_type', 'image/png')};base64,{source.get('data', '')}"
    return str(source.get("url") or "")


def _source_of(url: str) -> Block:
    found = _DATA_URL.fullmatch(url)
    return {"type": "base64", "media_type": found[1], "data": found[2]} if found else {"type": "url", "url": url}


def _document(block: Mapping[str, Any]) -> Block:
    source = block.get("source")
    source = source if isinstance(source, Mapping) else {}
    if source.get("type") == "text":
        return {"type": "text", "text": str(source.get("data") or "")}
    if source.get("type") == "content":
        return {"type": "text", "text": text_of(source.get("content"))}
    if source.get("type") == "base64":
        name = str(block.get("title") or "document.pdf")
        return {"type": "file", "file": {"filename": name, "file_data": _url_of(source)}}
    return {"type": "text", "text": f"[document at {source.get('url', 'an unknown place')}]"}
