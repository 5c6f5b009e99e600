"""Alerts as text that a chat can show: cleaned, escaped, split within the service's limits. Pure.

Titles and bodies hold words of models, routers and strangers: they are shown, never obeyed and never markup.
"""

import html
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from executor_tui.domain.alert import Severity
from executor_tui.notify.base import Message

TELEGRAM_TEXT = 4096
"""UTF-16 code units of one message after its entities are parsed (core.telegram.org/bots/api#sendmessage)."""
_SAFE = TELEGRAM_TEXT - 96
GLYPHS = {Severity.INFO: "·", Severity.NOTICE: "✓", Severity.WARNING: "▲", Severity.CRITICAL: "■"}
COLOURS = {Severity.INFO: 0x8A93A0, Severity.NOTICE: 0x2E7D5B, Severity.WARNING: 0xD9A514, Severity.CRITICAL: 0xC7362F}
_BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")

# discord.com/developers/docs/resources/message#embed-object-embed-limits
EMBED_TITLE, EMBED_DESCRIPTION, EMBED_FOOTER, EMBED_ALL, EMBEDS = 256, 4096, 2048, 6000, 10


class Style(StrEnum):
    PLAIN = "plain"
    BOLD = "bold"
    CODE = "code"
    SMALL = "small"


@dataclass(frozen=True, slots=True)
class Line:
    text: str
    style: Style = Style.PLAIN


def clean(text: str) -> str:
    """Without control characters and without the marks that turn the reading direction, which could show one thing and mean another."""
    return "".join(c for c in text if c in "\n\t" or (unicodedata.category(c) != "Cc" and c not in _BIDI))


def one_line(text: str, limit: int = 200) -> str:
    """Cleaned, on one line, cut with an ellipsis."""
    flat = " ".join(clean(text).split())
    return flat if len(flat) <= limit else flat[: limit - 1] + "…"


def lines_of(message: Message, outcome: str = "") -> list[Line]:
    """A message as styled lines; `outcome` is what was decided meanwhile."""
    out = [Line(f"{GLYPHS[message.severity]} {one_line(message.title, 600)}", Style.BOLD)]
    out += [Line(part) for part in clean(message.body).splitlines()]
    out += [Line(part, Style.CODE) for part in message.diff for part in clean(part).splitlines()]
    if message.repeated:
        out.append(Line("(this may be the second time you get this)", Style.SMALL))
    if outcome:
        out += [Line(""), Line(one_line(outcome, 600), Style.BOLD)]
    out.append(Line(f"{message.reference}{f' · {message.at:%Y-%m-%d %H:%M} UTC' if message.at else ''}", Style.SMALL))
    return out


def telegram_pages(lines: Iterable[Line], limit: int = _SAFE) -> list[str]:
    """HTML messages, each complete in itself and within Telegram's limit (core.telegram.org/bots/api#html-style)."""
    pages: list[list[Line]] = [[]]
    used = 0
    for line in lines:
        for piece in _pieces(line, limit):
            size = _html_size(piece)
            if used + size > limit and pages[-1]:
                pages.append([])
                used = 0
            pages[-1].append(piece)
            used += size
    return [text for page in pages if (text := _page(page).strip())]


def plain_pages(text: str, limit: int = _SAFE) -> list[str]:
    """Plain text as HTML pages."""
    return telegram_pages((Line(part) for part in clean(text).splitlines()), limit)


def _page(lines: Sequence[Line]) -> str:
    out: list[str] = []
    code: list[str] = []
    for line in [*lines, Line("")]:
        if line.style is Style.CODE:
            code.append(html.escape(line.text, quote=False))
            continue
        if code:
            out.append("<pre>" + "\n".join(code) + "</pre>")
            code = []
        out.append(_styled(line))
    return "\n".join(out)


def _styled(line: Line) -> str:
    text = html.escape(line.text, quote=False)
    if not text:
        return ""
    tag = {Style.BOLD: "b", Style.SMALL: "i"}.get(line.style)
    return f"<{tag}>{text}</{tag}>" if tag else text


def _html_size(line: Line) -> int:
    return utf16(html.escape(line.text, quote=False)) + len("<pre></pre>\n")


def utf16(text: str) -> int:
    """Length in UTF-16 code units, as Telegram counts."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def _pieces(line: Line, limit: int) -> list[Line]:
    """A line too long for one page, cut where it may be: every piece is short enough however its characters escape."""
    if _html_size(line) <= limit:
        return [line]
    widest = limit // 6
    return [Line(line.text[i : i + widest], line.style) for i in range(0, len(line.text), widest)]


def discord_messages(message: Message, outcome: str = "") -> list[list[dict[str, object]]]:
    """The embeds of one or more webhook messages, each within Discord's limits."""
    body = _fenced(message)
    if message.repeated:
        body += "\n(this may be the second time you get this)"
    if outcome:
        body += f"\n\n**{_markdown(one_line(outcome, 600))}**"
    asks = "" if outcome else _how_to_answer(message)
    parts = _split(body + asks, EMBED_DESCRIPTION) or [""]
    embeds = [_embed(message, part, first=i == 0, last=i == len(parts) - 1) for i, part in enumerate(parts[: EMBEDS * 2])]
    return [[embed] for embed in embeds]


def _embed(message: Message, description: str, *, first: bool, last: bool) -> dict[str, object]:
    embed: dict[str, object] = {"color": COLOURS[message.severity]}
    if first:
        embed["title"] = cut16(f"{GLYPHS[message.severity]} {_markdown(one_line(message.title, 500))}", EMBED_TITLE)
    if description:
        embed["description"] = description
    if last:
        embed["footer"] = {"text": f"{message.severity} · {message.reference}"}
        if isinstance(message.at, datetime):
            embed["timestamp"] = message.at.isoformat()
    return embed


def _fenced(message: Message) -> str:
    body = _markdown(clean(message.body))
    if not message.diff:
        return body
    # A zero-width space inside a run of backticks keeps text from closing the fence.
    diff = "\n".join(clean(line) for line in message.diff).replace("```", "`\u200b``")
    return f"{body}\n```diff\n{diff[: EMBED_DESCRIPTION - 600]}\n```"


def _how_to_answer(message: Message) -> str:
    approval, question = message.text("approval"), message.text("question")
    if approval:
        word = message.text("word")
        return f"\n\nAnswer with: `executor approvals approve {approval}{f' --confirm {word}' if word else ''}` or `… deny {approval}`"
    return f"\n\nAnswer with: `executor project answer {question} …`" if question else ""


def _markdown(text: str) -> str:
    """Escaped so that no character of it formats, mentions or links."""
    return "".join("\\" + c if c in "\\*_~`|>#-[]()@<" else c for c in text)


def cut16(text: str, limit: int) -> str:
    """Cut to `limit` UTF-16 code units, with an ellipsis; never between a backslash and what it escapes."""
    if utf16(text) <= limit:
        return text
    kept = text
    while utf16(kept) > limit - 1:
        kept = kept[:-1]
    return kept.rstrip("\\") + "…"


def _split(text: str, limit: int) -> list[str]:
    """Pieces of at most `limit` UTF-16 units, cut at line ends where there are any."""
    out: list[str] = []
    current = ""
    for line in text.splitlines():
        while utf16(line) > limit:
            head = line
            while utf16(head) > limit:
                head = head[: max(1, len(head) - max(1, (utf16(head) - limit) // 2))]
            out += [current] if current else []
            current = ""
            out.append(head)
            line = line[len(head) :]
        joined = f"{current}\n{line}" if current else line
        if utf16(joined) > limit:
            out.append(current)
            joined = line
        current = joined
    return [*out, current] if current else out
