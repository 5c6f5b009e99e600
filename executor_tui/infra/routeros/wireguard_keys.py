"""WireGuard keys: X25519, in base64, the same as `wg genkey`, `wg pubkey` and `wg genpsk` give."""

import base64
import binascii
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

RandomBytes = Callable[[int], bytes]
KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class KeyPair:
    private_key: str = field(repr=False)
    public_key: str


def new_key_pair(random_bytes: RandomBytes = secrets.token_bytes) -> KeyPair:
    """A fresh pair."""
    key = X25519PrivateKey.from_private_bytes(_clamped(random_bytes(KEY_BYTES)))
    private = base64.b64encode(key.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())).decode()
    return KeyPair(private, public_key(private))


def public_key(private_key: str) -> str:
    """The public key that belongs to a private one. Raises `ValueError`."""
    if not is_key(private_key):
        raise ValueError("a WireGuard key is 32 bytes in base64")
    key = X25519PrivateKey.from_private_bytes(base64.b64decode(private_key))
    return base64.b64encode(key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()


def new_preshared_key(random_bytes: RandomBytes = secrets.token_bytes) -> str:
    return base64.b64encode(random_bytes(KEY_BYTES)).decode()


def is_key(text: str) -> bool:
    """Whether a text has the form of a key."""
    try:
        return len(base64.b64decode(text, validate=True)) == KEY_BYTES
    except (binascii.Error, ValueError):
        return False


def _clamped(raw: bytes) -> bytes:
    """The bits RFC 7748 fixes, fixed in the stored key too, as `wg genkey` does."""
    octets = bytearray(raw)
    octets[0] &= 248
    octets[31] = (octets[31] & 127) | 64
    return bytes(octets)
