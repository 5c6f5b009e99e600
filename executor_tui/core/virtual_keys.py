"""Keys of the gateway's own: random, hashed at rest, scoped to an agent, a project and a budget, revocable at once.

The secret exists in two places only: with whoever was given it, and in a request's header. The store has its SHA-256 (256 random bits need
no slower hash). Looking a key up by its digest takes no time that depends on the secret.
"""

import asyncio
import hashlib
import secrets

from executor_tui.domain.call import VirtualKey
from executor_tui.domain.clock import Clock
from executor_tui.domain.errors import ConflictError, UsageError
from executor_tui.domain.ids import new_id
from executor_tui.store.store import Store

PREFIX = "sk-executor-"
MAX_NAME_CHARS = 120
_MAX_UNKNOWN = 1024


async def issue(
    store: Store,
    clock: Clock,
    name: str,
    agent_id: str = "",
    project_id: str = "",
    budget_usd: float | None = None,
    max_requests: int | None = None,
) -> tuple[VirtualKey, str]:
    """A new key and its secret, which is never shown again. Raises ConflictError while a live key has that name."""
    name = name.strip()
    if not name or len(name) > MAX_NAME_CHARS or not name.isprintable():
        raise UsageError(f"a virtual key needs a name of 1 to {MAX_NAME_CHARS} printable characters")
    if await store.tokens.by_name(name) is not None:
        raise ConflictError(f"a virtual key named {name!r} exists", hint=f"revoke it first: executor tokens revoke {name}")
    secret = PREFIX + secrets.token_urlsafe(32)
    key = VirtualKey(
        id=new_id("vk"), name=name, digest=digest(secret), agent_id=agent_id, project_id=project_id, budget_usd=budget_usd,
        max_requests=max_requests, created_at=clock.now(),
    )  # fmt: skip
    await store.tokens.add(key)
    return key, secret


def digest(secret: str) -> str:
    """What the store keeps of a secret."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()


class Keyring:
    """The virtual keys a gateway knows, kept true by `refresh` whenever the store's topic `tokens` changes."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._keys: dict[str, VirtualKey] = {}
        self._unknown: set[str] = set()
        self._lock = asyncio.Lock()

    async def authenticate(self, secret: str) -> VirtualKey | None:
        """The live key of this secret, or None. No database is asked twice for the same key."""
        if not secret.startswith(PREFIX):
            return None
        found = digest(secret)
        key = self._keys.get(found)
        if key is None and found not in self._unknown:
            key = await self._look_up(found)
        return key if key is not None and key.revoked_at is None else None

    async def refresh(self) -> None:
        """Read every key anew, so that a revoked one stops working and one just issued starts to."""
        async with self._lock:
            self._keys = {key.digest: key for key in await self._store.tokens.list()}
            self._unknown.clear()

    async def _look_up(self, found: str) -> VirtualKey | None:
        key = await self._store.tokens.by_digest(found)
        if key is not None:
            self._keys[found] = key
        elif len(self._unknown) < _MAX_UNKNOWN:
            self._unknown.add(found)
        return key
