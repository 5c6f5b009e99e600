"""Reading calls out of an answer's text, for models that write a call down instead of making it.

Three habits of small models are understood: `<tool_call>{"name": …, "arguments": …}</tool_call>`, a fenced JSON object of that shape, and
fenced files named by the line above or by the fence itself. Anything else stays text.
"""

import json
import re
from collections.abc import Iterator

from executor_tui.agents.client import ToolCall

MAX_TEXT_CHARS = 100_000
MAX_CALLS = 24

_TAGGED = re.compile(r"<tool_call>\s*(.*?)\s*(?:</tool_call>|\Z)", re.DOTALL)
_FENCE = re.compile(r"^[ \t]*(?P<mark>`{3,}|~{3,})(?P<info>[^\n`]*)\n(?P<body>.*?)^[ \t]*(?P=mark)[ \t]*$", re.DOTALL | re.MULTILINE)
_PATH = re.compile(r"(?<![\w/.-])((?:[\w.-]+/)*[\w-][\w.-]*\.[A-Za-z][A-Za-z0-9]{0,9}|(?:[\w.-]+/)*(?:Makefile|Dockerfile))(?![\w/])")
_NAMES_A_FILE = re.compile(r"^[\s#*>`\-\d.]*(?:file(?:name)?|path)?[\s:*`\"']*(?P<path>[^\s`*\"':]+)[`*\"']*\s*:?\**\s*$", re.IGNORECASE)


def calls_in(text: str, tools: tuple[str, ...]) -> tuple[ToolCall, ...]:
    """The calls written down in `text`, in order; none when it is plain prose."""
    if len(text) > MAX_TEXT_CHARS:
        return ()
    found = list(_tagged(text))
    if not found:
        found = list(_fenced_calls(text, tools))
    if not found and "write" in tools:
        found = list(_fenced_files(text))
    return tuple(ToolCall(f"text-{n}", name, arguments) for n, (name, arguments) in enumerate(found[:MAX_CALLS]))


def _tagged(text: str) -> Iterator[tuple[str, str]]:
    for match in _TAGGED.finditer(text):
        call = _as_call(match.group(1))
        yield call if call is not None else ("", match.group(1)[:2000])


def _fenced_calls(text: str, tools: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    for match in _FENCE.finditer(text):
        if match.group("info").strip().lower() in ("", "json", "tool_call", "tool"):
            call = _as_call(match.group("body"))
            if call is not None and call[0] in tools:
                yield call


def _as_call(text: str) -> tuple[str, str] | None:
    try:
        value = json.loads(text.strip().removeprefix("```json").strip("`\n "), strict=False)
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict) or not isinstance(value.get("name"), str):
        return None
    arguments = value.get("arguments", value.get("parameters", {}))
    return value["name"], arguments if isinstance(arguments, str) else json.dumps(arguments)


def _fenced_files(text: str) -> Iterator[tuple[str, str]]:
    """Fenced blocks that say which file they are: ```python src/app.py, a line `src/app.py` above, or `# src/app.py` as the first line."""
    for match in _FENCE.finditer(text):
        path = _path_in_info(match.group("info")) or _path_above(text[: match.start()]) or _path_inside(match.group("body"))
        if path:
            yield "write", json.dumps({"path": path, "text": match.group("body")})


def _path_in_info(info: str) -> str:
    words = info.replace("=", " ").replace(":", " ").replace('"', " ").split()
    return next((w for w in words if _PATH.fullmatch(w)), "")


def _path_above(before: str) -> str:
    lines = [line for line in before.rstrip("\n").splitlines()[-2:] if line.strip()]
    match = _NAMES_A_FILE.match(lines[-1]) if lines and len(lines[-1]) < 200 else None
    return match.group("path") if match and _PATH.fullmatch(match.group("path")) else ""


def _path_inside(body: str) -> str:
    first = body.lstrip("\n").split("\n", 1)[0].strip()
    for lead in ("#", "//", "--", "/*", "<!--"):
        if first.startswith(lead) and len(first) < 200:
            rest = first.removeprefix(lead).removesuffix("*/").removesuffix("-->").strip().removeprefix("file:").strip()
            return rest if _PATH.fullmatch(rest) else ""
    return ""
