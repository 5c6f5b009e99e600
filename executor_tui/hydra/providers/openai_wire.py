"""Any OpenAI-compatible endpoint: Chat Completions passed through as they are, Responses where the provider has it."""

from collections.abc import Mapping

from executor_tui.hydra.providers.base import Wire
from executor_tui.hydra.providers.dialects import ChatDialect, CountTokensDialect, Dialect, MessagesDialect, ResponsesDialect
from executor_tui.hydra.providers.http import Hidden, HttpPool
from executor_tui.hydra.providers.http_wire import HttpProvider

_DIALECTS: dict[Wire, Dialect] = {
    "chat": ChatDialect(),
    "responses": ResponsesDialect(),
    "messages": MessagesDialect(),
    "count_tokens": CountTokensDialect(),
}
PASSED_ON = frozenset(
    {"openai-beta", "openai-organization", "openai-project", "http-referer", "x-title", "anthropic-beta", "anthropic-version"}
)
"""Headers of the client that go on to the provider; everything else stays here."""


def openai_wire(name: str, pool: HttpPool, wires: frozenset[Wire] = frozenset({"chat"}), verify_path: str = "/models") -> HttpProvider:
    """A provider with `Authorization: Bearer`."""
    return HttpProvider(name, pool, [_DIALECTS[w] for w in sorted(wires)], _bearer, verify_path)


def _bearer(secret: str, given: Mapping[str, str]) -> dict[str, str]:
    headers = {k: v for k, v in given.items() if k.lower() in PASSED_ON}
    if secret:
        headers["authorization"] = Hidden(f"Bearer {secret}")
    return headers
