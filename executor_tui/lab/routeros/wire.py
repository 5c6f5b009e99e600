"""Words and sentences on the wire, after the vendor's API manual: a length prefix of one to five bytes, an empty word ends a sentence.

Words are text here. Bytes that are not UTF-8 survive a round trip as surrogates, since the router keeps whatever a client sent.
"""

import asyncio
from collections.abc import Iterable

_MAX_ONE = 0x80
_MAX_TWO = 0x4000
_MAX_THREE = 0x200000
_MAX_FOUR = 0x10000000
_MAX_LENGTH = 0xFFFFFFFF


class WireError(Exception):
    """The peer sent something that is not the protocol, or more than it may."""


def encode_length(length: int) -> bytes:
    """The length prefix of a word of `length` bytes."""
    if length < 0 or length > _MAX_LENGTH:
        raise WireError(f"a word of {length} bytes cannot be sent")
    if length < _MAX_ONE:
        return length.to_bytes(1, "big")
    if length < _MAX_TWO:
        return (length | 0x8000).to_bytes(2, "big")
    if length < _MAX_THREE:
        return (length | 0xC00000).to_bytes(3, "big")
    if length < _MAX_FOUR:
        return (length | 0xE0000000).to_bytes(4, "big")
    return b"\xf0" + length.to_bytes(4, "big")


def prefix_size(first: int) -> int:
    """How many bytes the length prefix has, given its first byte."""
    if first < 0x80:
        return 1
    if first < 0xC0:
        return 2
    if first < 0xE0:
        return 3
    if first < 0xF0:
        return 4
    if first == 0xF0:
        return 5
    raise WireError(f"unknown control byte {first:#04x}")


def decode_length(prefix: bytes) -> int:
    """The length a whole prefix stands for."""
    size = prefix_size(prefix[0])
    if len(prefix) != size:
        raise WireError(f"a length prefix of {len(prefix)} bytes where {size} were announced")
    mask = (0xFF, 0x3FFF, 0x1FFFFF, 0xFFFFFFF, _MAX_LENGTH)[size - 1]
    return int.from_bytes(prefix, "big") & mask


def encode_word(word: str) -> bytes:
    data = word.encode("utf-8", "surrogateescape")
    return encode_length(len(data)) + data


def encode_sentence(words: Iterable[str]) -> bytes:
    return b"".join(encode_word(word) for word in words) + b"\x00"


async def read_sentence(reader: asyncio.StreamReader, *, max_bytes: int) -> list[str]:
    """The next sentence; empty ones are skipped, as the manual says.

    Raises `asyncio.IncompleteReadError` when the peer goes away and `WireError` on a control byte or more than `max_bytes`.
    """
    words: list[str] = []
    used = 0
    while True:
        prefix = await reader.readexactly(1)
        more = prefix_size(prefix[0]) - 1
        if more:
            prefix += await reader.readexactly(more)
        length = decode_length(prefix)
        if length == 0:
            if words:
                return words
            continue
        used += length
        if used > max_bytes:
            raise WireError(f"a sentence of more than {max_bytes} bytes")
        words.append((await reader.readexactly(length)).decode("utf-8", "surrogateescape"))
