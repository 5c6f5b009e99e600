"""Logging in: plain since 6.43, an MD5 challenge before (vendor's API manual)."""

import hashlib
import hmac
import secrets
from collections.abc import Mapping

from executor_tui.lab.routeros.errors import FatalError, TrapError
from executor_tui.lab.routeros.state import Router, User

_MAX_TRIES = 5


class Login:
    """One connection's way in."""

    def __init__(self, router: Router) -> None:
        self._router = router
        self._challenge: bytes | None = None
        self._tries = 0

    def attempt(self, arguments: Mapping[str, str], via: str, peer: str) -> tuple[User | None, dict[str, str]]:
        """The user when the words let one in, and what goes out with `!done`. Raises `TrapError` and, after too many, `FatalError`."""
        if self._tries >= _MAX_TRIES:
            raise FatalError("too many commands before login")
        self._tries += 1
        if self._router.version < (6, 43):
            return self._old(arguments, via, peer)
        name = arguments.get("name", "")
        user = self._router.users.get(name)
        if user is None or not hmac.compare_digest(
            user.password.encode(), arguments.get("password", "").encode("utf-8", "surrogateescape")
        ):
            raise self._refused(name, via, peer)
        return user, {}

    def _old(self, arguments: Mapping[str, str], via: str, peer: str) -> tuple[User | None, dict[str, str]]:
        """Before 6.43 a login without a response gets a challenge, even one that carries a password."""
        response = arguments.get("response")
        if response is None or self._challenge is None:
            self._challenge = secrets.token_bytes(16)
            return None, {"ret": self._challenge.hex()}
        challenge, self._challenge = self._challenge, None
        name = arguments.get("name", "")
        user = self._router.users.get(name)
        password = user.password if user else ""
        digest = hashlib.md5(b"\x00" + password.encode() + challenge, usedforsecurity=False).hexdigest()
        if user is None or not hmac.compare_digest("00" + digest, response):
            raise self._refused(name, via, peer)
        return user, {}

    def _refused(self, name: str, via: str, peer: str) -> TrapError:
        self._router.log("system,error,critical", f"login failure for user {name} from {peer} via {via}")
        return TrapError("cannot log in" if self._router.version < (6, 43) else "invalid user name or password (6)")
