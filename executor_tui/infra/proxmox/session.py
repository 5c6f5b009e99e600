"""The only module that names proxmoxer and requests: it logs in, sends one request in a thread, and translates what comes back.

proxmoxer logs every request's data at INFO, passwords included, so its logger is raised. Its own login does not go through the session,
so a pinned certificate would not be checked for it: `_PasswordAuth` logs in through the session instead.
"""

import asyncio
import hashlib
import logging
import ssl
import threading
from concurrent.futures import ThreadPoolExecutor
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import requests
from proxmoxer.backends.https import JsonSerializer, ProxmoxHTTPApiTokenAuth, ProxmoxHTTPAuth, ProxmoxHttpSession
from proxmoxer.core import AuthenticationError, ProxmoxResource, ResourceException
from requests.adapters import HTTPAdapter

from executor_tui.infra.proxmox.errors import (
    AuthError,
    DroppedError,
    ProxmoxError,
    UnreachableError,
    UntrustedError,
    from_status,
    one_line,
)
from executor_tui.infra.proxmox.target import ProxmoxTarget, normalised_fingerprint

Json = Any
"""Whatever JSON the API answers; `reading.py` turns it into ours and nothing further up sees it."""

READ_TRIES = 3
_CONNECTIONS = 16
_THREADS = ThreadPoolExecutor(max_workers=64, thread_name_prefix="proxmox")
_NEVER_SENT = (requests.exceptions.ConnectTimeout, requests.exceptions.ProxyError, requests.exceptions.InvalidURL)

logging.getLogger("proxmoxer").setLevel(logging.WARNING)
logging.getLogger("proxmoxer.core").setLevel(logging.WARNING)


class Session:
    """Requests to one cluster, from any number of tasks at once. Holds no connection of an event loop's."""

    def __init__(self, target: ProxmoxTarget) -> None:
        self.target = target
        self._http = _http_session(target)
        self._auth = _auth(target, self._http)
        self._http.auth = self._auth
        self._login = threading.Lock()

    async def get(self, path: str, **params: object) -> Json:
        """Read. A connection that breaks is tried again, up to three times in all. Raises a ProxmoxError."""
        for attempt in range(1, READ_TRIES + 1):
            try:
                return await self._in_thread("GET", path, params)
            except DroppedError:
                if attempt == READ_TRIES:
                    raise
        raise AssertionError("unreachable: the last round returns or raises")

    async def send(self, method: str, path: str, **params: object) -> Json:
        """Change something: POST, PUT or DELETE, sent once. Raises DroppedError when it is not known whether it was carried out."""
        return await self._in_thread(method, path, params)

    async def _in_thread(self, method: str, path: str, params: dict[str, object]) -> Json:
        given = {name.replace("_", "-"): _value(value) for name, value in params.items() if value is not None}
        return await asyncio.get_running_loop().run_in_executor(_THREADS, self._request, method, path, given)

    def _request(self, method: str, path: str, params: dict[str, str]) -> Json:
        what = f"{method} {path}"
        try:
            generation = self._logged_in()
            try:
                return self._once(method, path, params)
            except ResourceException as exc:
                if exc.status_code != 401 or not isinstance(self._auth, _PasswordAuth):
                    raise
                # A ticket ends after two hours, or when the cluster's key rotates; a request refused with 401 was not carried out.
                self._log_in_again(self._auth, generation)
                return self._once(method, path, params)
        except ResourceException as exc:
            fields = exc.errors if isinstance(exc.errors, dict) else {}
            reason = str(exc.content) or str(exc.status_message)
            clean = {str(k): str(v) for k, v in fields.items() if k != "errors"}
            raise from_status(self.target.name, int(exc.status_code), reason, clean, what) from exc
        except AuthenticationError as exc:
            hint = "check user, realm and password; an account with two factors needs an API token"
            raise AuthError(self.target.name, f"{self.target.user} was not let in", hint=hint) from exc
        except requests.RequestException as exc:
            raise self._translated(exc, what) from exc

    def _once(self, method: str, path: str, params: dict[str, str]) -> Json:
        resource = ProxmoxResource(base_url=self.target.url, session=self._http, serializer=JsonSerializer())(path)
        call = {"GET": resource.get, "POST": resource.post, "PUT": resource.put, "DELETE": resource.delete}[method]
        answer = call(**params)
        if isinstance(answer, dict) and isinstance(answer.get("errors"), bytes):
            raise ProxmoxError(self.target.name, f"{method} {path}: the answer is not JSON: {one_line(answer['errors'].decode('latin-1'))}")
        return answer

    def _logged_in(self) -> int:
        if not isinstance(self._auth, _PasswordAuth):
            return 0
        with self._login:
            if self._auth.generation == 0:
                self._auth.log_in()
            return self._auth.generation

    def _log_in_again(self, auth: "_PasswordAuth", generation: int) -> None:
        with self._login:
            if auth.generation == generation:
                auth.log_in()

    def _translated(self, exc: requests.RequestException, what: str) -> ProxmoxError:
        name, where = self.target.name, f"{self.target.host}:{self.target.port}"
        if isinstance(exc, requests.exceptions.SSLError):
            return self._untrusted(where)
        text = str(exc)
        if isinstance(exc, _NEVER_SENT) or "NewConnectionError" in text or "NameResolutionError" in text:
            reason = next((words for sign, words in _REASONS if sign in text), "it cannot be reached")
            return UnreachableError(name, f"{where}: {reason}", hint="is the address right, and port 8006 open to this machine?")
        reason = "no answer in time" if isinstance(exc, requests.exceptions.ReadTimeout) else "the connection broke"
        return DroppedError(name, f"{what}: {reason}", hint="look at the cluster before trying again")

    def _untrusted(self, where: str) -> UntrustedError:
        shown = _shown_fingerprint(self.target)
        if self.target.fingerprint:
            message = f"the certificate of {where} has the fingerprint {shown or 'unknown'}, not the pinned one"
            hint = "if it was renewed on purpose, pin the new one in fleet_registry.json; otherwise somebody may be in between"
        else:
            message = f"the certificate of {where} does not verify"
            hint = f'compare its fingerprint on the node, then pin it in fleet_registry.json: "fingerprint": "{shown}"' if shown else ""
        return UntrustedError(self.target.name, message, hint=hint)

    def close(self) -> None:
        self._http.close()


_REASONS = (
    ("refused", "it refuses the connection"),
    ("NameResolution", "the name cannot be resolved"),
    ("timed out", "no connection in time"),
    ("unreachable", "no route to it"),
    ("No route", "no route to it"),
)


class _PasswordAuth(ProxmoxHTTPAuth):  # type: ignore[misc]  # proxmoxer has no types
    """Login with a password, through the session whose certificate check and timeouts count."""

    def __init__(self, target: ProxmoxTarget, http: requests.Session, timeout: tuple[float, float]) -> None:
        # The parent's own constructor would log in at once; ours waits until the first request, which may report a failure.
        self.timeout, self.service, self.verify_ssl, self.cert, self.proxies = timeout, "PVE", _verify(target), None, None
        self.base_url, self.username, self.pve_auth_ticket, self.csrf_prevention_token = target.url, target.user, "", ""
        self._target, self._http = target, http
        self.birth_time = float("inf")
        self.generation = 0

    def log_in(self) -> None:
        """A new ticket. Raises AuthenticationError, or what requests raises."""
        data = {"username": self._target.user, "password": self._target.password}
        answer = self._http.request("POST", f"{self.base_url}/access/ticket", data=data, auth=_NoAuth(self))
        if answer.status_code != 200:
            raise AuthenticationError(f"login refused with {answer.status_code}")
        try:
            body = answer.json()["data"]
            ticket, token, second_factor = str(body["ticket"]), str(body["CSRFPreventionToken"]), body.get("NeedTFA")
        except (ValueError, KeyError, TypeError) as exc:
            raise AuthenticationError("the login's answer is not Proxmox's") from exc
        if second_factor:
            raise AuthenticationError("a second factor is asked for")
        self.pve_auth_ticket, self.csrf_prevention_token = ticket, token
        self.generation += 1


class _NoAuth(requests.auth.AuthBase):
    """What the session asks of its auth, without a ticket: for the login itself."""

    def __init__(self, parent: _PasswordAuth) -> None:
        self.timeout, self.verify_ssl = parent.timeout, parent.verify_ssl

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        return request

    def get_cookies(self) -> None:
        return None


class _PinningAdapter(HTTPAdapter):
    """Connections that are given up unless the server shows the pinned certificate."""

    def __init__(self, fingerprint: str) -> None:
        self._fingerprint = fingerprint
        super().__init__(pool_connections=2, pool_maxsize=_CONNECTIONS)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, assert_fingerprint=self._fingerprint, **kwargs)


def _http_session(target: ProxmoxTarget) -> ProxmoxHttpSession:
    http = ProxmoxHttpSession()
    http.trust_env = False  # no proxy, no netrc: a machine of one's own network is meant
    http.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    http.headers["accept"] = JsonSerializer().get_accept_types()
    adapter = _PinningAdapter(normalised_fingerprint(target.fingerprint)) if target.fingerprint else HTTPAdapter(2, _CONNECTIONS)
    http.mount("https://", adapter)
    return http


def _auth(target: ProxmoxTarget, http: requests.Session) -> "_PasswordAuth | ProxmoxHTTPApiTokenAuth":
    timeout = (target.connect_s, target.answer_s)
    if target.token_name:
        return ProxmoxHTTPApiTokenAuth(target.user, target.token_name, target.token_value, verify_ssl=_verify(target), timeout=timeout)
    return _PasswordAuth(target, http, timeout)


def _verify(target: ProxmoxTarget) -> bool:
    return not target.fingerprint


def _value(value: object) -> str:
    return ("1" if value else "0") if isinstance(value, bool) else str(value)


def _shown_fingerprint(target: ProxmoxTarget) -> str:
    """SHA-256 of the certificate the server shows, for the message; empty when it cannot be had."""
    try:
        pem = ssl.get_server_certificate((target.host, target.port), timeout=target.connect_s)
    except (OSError, ValueError):
        return ""
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest()
