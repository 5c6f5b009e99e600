"""What really happened behind an exception of litellm.

The provider's own reply hangs, as an `httpx.Response`, on an exception further down the chain of causes; a connection that failed shows as
the operating system's error at its end. litellm's own class and status are the last resort.
"""

import ast
import json
from collections.abc import Iterator

import aiohttp
import httpx

from executor_tui.hydra.providers.base import Facts
from executor_tui.hydra.providers.http import MAX_ERROR_BYTES, lowered, scrubbed

_BROKEN_OFF = (httpx.ReadError, httpx.RemoteProtocolError, aiohttp.ClientPayloadError, aiohttp.ServerDisconnectedError)
_MAX_LINKS = 20


def facts_of(provider: str, exc: BaseException, secret: str, *, in_stream: bool = False) -> Facts:
    """The facts of a failed call. `in_stream`: content had been received."""
    links = list(_links(exc))
    response = next((r for link in reversed(links) if (r := _reply_of(link)) is not None), None)
    if response is not None:
        body = scrubbed(_text(response, links), secret)[:MAX_ERROR_BYTES]
        return Facts(provider, "http", response.status_code, lowered(response.headers, secret), body)
    transport = _transport(provider, links, in_stream)
    if transport is not None:
        return transport
    words = scrubbed(_own_words(links), secret)[:MAX_ERROR_BYTES]
    status = _status(exc)
    if any(isinstance(link, json.JSONDecodeError) for link in links) or "invalid response" in words:
        return Facts(provider, "stream", where="malformed", detail="what came back is not JSON")
    if in_stream or type(exc).__name__ == "MidStreamFallbackError":
        return Facts(provider, "stream", status, body=words, where="error_event")
    headers = lowered(getattr(exc, "litellm_response_headers", None) or {}, secret)
    return Facts(provider, "http", status or 500, headers, words)


def _links(exc: BaseException | None) -> Iterator[BaseException]:
    """The exception, what it replaced, and what caused that."""
    seen: set[int] = set()
    while exc is not None and id(exc) not in seen and len(seen) < _MAX_LINKS:
        seen.add(id(exc))
        yield exc
        original = getattr(exc, "original_exception", None)
        exc = original if isinstance(original, BaseException) else exc.__cause__ or exc.__context__


def _reply_of(link: BaseException) -> httpx.Response | None:
    """A reply that really came: litellm hangs replies of its own making on its own exceptions."""
    if not isinstance(link, httpx.HTTPStatusError):
        return None
    return link.response


def _text(response: httpx.Response, links: list[BaseException]) -> str:
    try:
        if response.text:
            return response.text
    except (httpx.ResponseNotRead, httpx.StreamClosed, httpx.StreamConsumed):
        pass
    return _own_words(links)


def _own_words(links: list[BaseException]) -> str:
    """The innermost text that says something about the call."""
    for link in reversed(links):
        body = getattr(link, "body", None)
        if isinstance(body, dict):
            return json.dumps({"error": body})
        module = type(link).__module__
        if module.startswith("litellm.llms"):
            return _undo_bytes(str(getattr(link, "message", "") or link))
    return _undo_bytes(str(getattr(links[0], "message", "") or links[0]))


def _undo_bytes(text: str) -> str:
    """litellm prints the bytes of a streamed error as Python writes them."""
    if text.startswith(("b'", 'b"')):
        try:
            value = ast.literal_eval(text)
        except (ValueError, SyntaxError):
            return text
        return value.decode("utf-8", "replace") if isinstance(value, bytes) else text
    return text


def _transport(provider: str, links: list[BaseException], in_stream: bool) -> Facts | None:
    for link in reversed(links):
        if isinstance(link, aiohttp.ClientConnectorCertificateError | aiohttp.ClientSSLError):
            return Facts(provider, "network", where="tls", detail="the certificate is not trusted")
        if isinstance(link, aiohttp.ClientConnectorDNSError):
            return Facts(provider, "network", where="dns", detail="the name cannot be resolved")
        if isinstance(link, ConnectionRefusedError | aiohttp.ClientConnectorError):
            return Facts(provider, "network", where="connect", detail="the connection is refused")
        if isinstance(link, httpx.TimeoutException | aiohttp.ServerTimeoutError | TimeoutError):
            return Facts(provider, "timeout", where="stall" if in_stream else "first_token", detail="no answer in time")
        if isinstance(link, _BROKEN_OFF):
            return Facts(provider, "network", where="reset", detail="the reply broke off")
        if isinstance(link, httpx.ConnectError | ConnectionError):
            return Facts(provider, "network", where="reset", detail="the connection was reset")
    if any(type(link).__name__ == "Timeout" for link in links):
        return Facts(provider, "timeout", where="stall" if in_stream else "first_token", detail="no answer in time")
    return None


def _status(exc: BaseException) -> int:
    status = getattr(exc, "status_code", 0)
    return status if isinstance(status, int) and 400 <= status <= 599 else 0
