"""Telegram's HTML subset, checked as strictly as the real parser does: unknown or unclosed tags and bare signs are errors."""

import html
import re

_ALLOWED = frozenset({"b", "strong", "i", "em", "u", "s", "code", "pre", "blockquote", "tg-spoiler", "a"})
_TAG = re.compile(r"<(/?)([a-zA-Z-]+)([^<>]*)>")


class EntityError(ValueError):
    """What the server says it could not parse."""


def parse_html(text: str) -> str:
    """The text a person sees. Raises EntityError."""
    out, opened, at = [], list[str](), 0
    for found in _TAG.finditer(text):
        out.append(_plain(text[at : found.start()], at))
        at = found.end()
        closing, name = bool(found.group(1)), found.group(2).lower()
        if name not in _ALLOWED:
            raise EntityError(f'Unsupported start tag "{name}" at byte offset {found.start()}')
        if not closing:
            opened.append(name)
        elif not opened or opened.pop() != name:
            raise EntityError(f'Unmatched end tag at byte offset {found.start()}, found "</{name}>"')
    out.append(_plain(text[at:], at))
    if opened:
        raise EntityError(f'Can\'t find end tag corresponding to start tag "{opened[-1]}"')
    return "".join(out)


def _plain(text: str, at: int) -> str:
    if "<" in text:
        raise EntityError(f'Unsupported start tag "" at byte offset {at + text.index("<")}')
    return html.unescape(text)
