"""What the lab's searching models answer: made-up findings with sources on reserved names, and that they are made up."""

from collections.abc import Mapping
from typing import Any

from executor_tui.lab.upstreams.script import Answer, text_of

QUESTION = "Which clock should a cache with a time to live per entry use, and why?"
"""The question the lab asks by itself."""
_SOURCES = (
    {"title": "Clocks that never go back (simulated)", "url": "https://docs.example.org/clocks", "date": "2026-10-12"},
    {"title": "Expiry in small caches (simulated)", "url": "https://blog.example.net/expiry", "date": "2026-06-30"},
)
_KNOWN = (
    "A monotonic clock: it never goes back, so an entry cannot live again when the wall clock is set [1]. Expired entries are cheapest"
    " to drop when they are looked up, with a sweep now and then for those nobody asks for [2]."
)


def answer(request: Mapping[str, Any]) -> Answer | None:
    """The answer of a model that searches; None for any other model."""
    if not str(request.get("model", "")).startswith("sonar"):
        return None
    messages = request.get("messages") or []
    asked = text_of(next((m for m in messages if m.get("role") == "user"), {}))
    if "time to live" in asked or "cache" in asked:
        return Answer(_KNOWN, citations=_SOURCES)
    return Answer(f'I am the lab\'s script and searched nothing; I know one question: "{QUESTION}" [1]', citations=_SOURCES[:1])
