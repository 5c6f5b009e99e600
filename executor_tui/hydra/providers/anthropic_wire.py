"""Anthropic's own Messages API, and endpoints compatible with it, passed through: beta headers, unknown fields, thinking signatures."""

from collections.abc import Mapping

from executor_tui.hydra.providers.dialects import CountTokensDialect, MessagesDialect
from executor_tui.hydra.providers.http import Hidden, HttpPool
from executor_tui.hydra.providers.http_wire import HttpProvider

VERSION = "2023-06-01"
PASSED_ON = frozenset({"anthropic-beta", "anthropic-version"})


def anthropic_wire(name: str, pool: HttpPool, verify_path: str = "/models") -> HttpProvider:
    """A provider with `x-api-key` and `anthropic-version`."""
    return HttpProvider(name, pool, [MessagesDialect(), CountTokensDialect()], _api_key, verify_path)


def _api_key(secret: str, given: Mapping[str, str]) -> dict[str, str]:
    headers = {k.lower(): v for k, v in given.items() if k.lower() in PASSED_ON}
    headers.setdefault("anthropic-version", VERSION)
    if secret:
        headers["x-api-key"] = Hidden(secret)
    return headers
