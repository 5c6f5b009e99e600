"""Short ids people can read out and type: a prefix that tells the kind, then random base32 without look-alikes."""

import secrets
from collections.abc import Callable

_ALPHABET = "23456789abcdefghjkmnpqrstuvwxyz"
ID_LENGTH = 8

Rng = Callable[[int], int]
"""A source of randomness: given n, an integer in range(n). `secrets.randbelow` in the program, seeded in tests."""


def new_id(prefix: str, rng: Rng = secrets.randbelow) -> str:
    """`prefix-xxxxxxxx`; 31**8 ≈ 8.5e11 values, so a clash within one installation is not a practical matter."""
    return prefix + "-" + "".join(_ALPHABET[rng(len(_ALPHABET))] for _ in range(ID_LENGTH))
