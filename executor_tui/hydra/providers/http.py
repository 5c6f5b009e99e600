"""One bounded pool of connections for every HTTP provider, and the translation of what can go wrong on it into facts.

TLS is verified, redirects are refused (a redirected POST would hand the key to somebody else), nothing is retried here.
"""

import asyncio
import base64
import io
import json
import ssl
import urllib.request
from collections.abc import Mapping
from urllib.parse import quote, urlsplit

import aiohttp

from executor_tui.hydra.providers.base import Body, Facts, ProviderFailure

MAX_REPLY_BYTES = 64 * 1024 * 1024
MAX_ERROR_BYTES = 64 * 1024
MAX_CONNECTIONS = 1024
CONNECT_S = 15.0
_LARGE_BODY_BYTES = 512 * 1024
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


class Hidden(str):
    """A string that does not show itself: headers that carry a key survive being printed with a traceback's local variables."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"


class HttpPool:
    """Opened on first use, inside the loop that uses it."""

    def __init__(self, *, max_connections: int = MAX_CONNECTIONS) -> None:
        self._max = max_connections
        self._session: aiohttp.ClientSession | None = None
        self._proxies = {scheme: url for scheme, url in urllib.request.getproxies().items() if scheme in ("http", "https")}

    def session(self) -> aiohttp.ClientSession:
        if self._session is None or self._session.closed:
            connector = aiohttp.TCPConnector(limit=self._max, keepalive_timeout=30, enable_cleanup_closed=True)
            self._session = aiohttp.ClientSession(
                connector=connector,
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S),
                headers={"user-agent": "executor"},
                cookie_jar=aiohttp.DummyCookieJar(),
                max_line_size=32_768,
                max_field_size=32_768,
            )
        return self._session

    async def post(self, url: str, body: Body, headers: Mapping[str, str]) -> aiohttp.ClientResponse:
        """Send JSON; returns once the reply's headers are here. The caller releases or closes it."""
        data = json.dumps(body, separators=(",", ":")).encode()
        payload = io.BytesIO(data) if len(data) > _LARGE_BODY_BYTES else data
        sent = {**headers, "content-type": "application/json"}
        return await self.session().post(url, data=payload, headers=sent, allow_redirects=False, proxy=self._proxy(url))

    async def get(self, url: str, headers: Mapping[str, str]) -> aiohttp.ClientResponse:
        return await self.session().get(url, headers=headers, allow_redirects=False, proxy=self._proxy(url))

    def _proxy(self, url: str) -> str | None:
        if not self._proxies:
            return None
        parts = urlsplit(url)
        host = parts.hostname or ""
        if host in _LOOPBACK or urllib.request.proxy_bypass(host):
            return None
        return self._proxies.get(parts.scheme)

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()


def scrubbed(text: str, secret: str) -> str:
    """`text` without the key, however a provider may have quoted it."""
    if len(secret) < 4:
        return text
    for form in (secret, quote(secret, safe=""), base64.b64encode(secret.encode()).decode(), json.dumps(secret)[1:-1]):
        if form in text:
            text = text.replace(form, "[key]")
    return text


def lowered(headers: Mapping[str, str], secret: str = "") -> dict[str, str]:
    """Reply headers with lower-case names; with `secret`, without it in any value."""
    found = {name.lower(): value for name, value in headers.items()}
    found.pop("set-cookie", None)
    return {name: scrubbed(value, secret) for name, value in found.items()} if secret else found


def network_facts(provider: str, exc: Exception, secret: str) -> Facts:
    """What a failed exchange was, without anything of the request in it: aiohttp's exceptions carry its headers."""
    detail = scrubbed(_words(exc), secret)
    if isinstance(exc, aiohttp.ServerTimeoutError):
        return Facts(provider, "timeout", where="connect", detail=detail)
    if isinstance(exc, aiohttp.ClientConnectorCertificateError | aiohttp.ClientSSLError | ssl.SSLError):
        return Facts(provider, "network", where="tls", detail=detail)
    if isinstance(exc, aiohttp.ClientConnectorDNSError):
        return Facts(provider, "network", where="dns", detail=detail)
    if isinstance(exc, aiohttp.ClientConnectorError | ConnectionRefusedError):
        return Facts(provider, "network", where="connect", detail=detail)
    if isinstance(exc, aiohttp.InvalidURL | ValueError):
        return Facts(provider, "network", where="request", detail="the address or the key holds characters that HTTP cannot carry")
    return Facts(provider, "network", where="reset", detail=detail)


def _words(exc: Exception) -> str:
    if isinstance(exc, aiohttp.ClientConnectorError):
        return f"cannot connect to {exc.host}:{exc.port}: {exc.os_error.strerror or type(exc.os_error).__name__}"[:300]
    if isinstance(exc, aiohttp.ServerDisconnectedError):
        return "the server closed the connection"
    if isinstance(exc, aiohttp.ClientPayloadError):
        return "the reply broke off"
    if isinstance(exc, aiohttp.ServerTimeoutError):
        return "no connection in time"
    if isinstance(exc, OSError):
        return exc.strerror or type(exc).__name__
    return type(exc).__name__


async def read_some(response: aiohttp.ClientResponse, limit_s: float | None) -> bytes:
    """What comes next; nothing at the end. Raises TimeoutError after `limit_s`, a limit set up only when there is something to wait for."""
    content = response.content
    data = content.read_nowait()
    if data or content.at_eof():
        return data
    async with asyncio.timeout(limit_s):
        return await content.readany()


async def read_bounded(response: aiohttp.ClientResponse, limit: int, stall_s: float) -> bytes:
    """The body, up to `limit` bytes. Raises ValueError when it is larger, TimeoutError when it pauses longer than `stall_s`."""
    parts: list[bytes] = []
    size = 0
    while True:
        data = await read_some(response, stall_s)
        if not data:
            return b"".join(parts)
        size += len(data)
        if size > limit:
            raise ValueError(f"a reply larger than {limit} bytes")
        parts.append(data)


async def refusal(provider: str, response: aiohttp.ClientResponse, secret: str, stall_s: float) -> ProviderFailure:
    """The failure that a reply with an error status is, its body bounded and scrubbed."""
    detail = ""
    try:
        data = await read_bounded(response, MAX_ERROR_BYTES, min(stall_s, 10.0))
    except ValueError:
        data, detail = b"", "with an oversized body"
    except (TimeoutError, aiohttp.ClientError, OSError):
        data, detail = b"", "with a body that did not arrive"
    if 300 <= response.status < 400:
        detail = "a redirect, which is not followed"
    body = scrubbed(data.decode("utf-8", "replace"), secret)
    headers = lowered(response.headers, secret)
    return ProviderFailure(Facts(provider, "http", response.status, headers, body, detail=detail))
