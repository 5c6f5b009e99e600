"""What a vault can do. A sealer needs no identity, so the console can take in keys it cannot read back; an opener does."""

import hashlib
from typing import Protocol


class Sealer(Protocol):
    """Turns a secret into something that may be written down."""

    scheme: str

    async def seal(self, secret_ref: str, secret: str) -> bytes | None:
        """The ciphertext for the store, or None when the secret now lives elsewhere under `secret_ref` (OpenBao). Raises VaultError."""
        ...


class Opener(Protocol):
    """Turns what was written down back into the secret. Only the gateway, the drivers and the messengers hold one."""

    async def open(self, secret_ref: str, ciphertext: bytes | None) -> str:
        """The secret. Raises VaultError when it cannot be opened, without any part of it in the message."""
        ...


def fingerprint(provider: str, secret: str) -> str:
    """Recognises the same key again without keeping it: SHA-256 over provider and key, 32 hex characters."""
    return hashlib.sha256(f"{provider}\0{secret}".encode()).hexdigest()[:32]
