"""Words and sentences on the wire."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from executor_tui.lab.routeros.wire import WireError, decode_length, encode_length, encode_sentence, prefix_size, read_sentence


def reader_of(data: bytes) -> asyncio.StreamReader:
    reader = asyncio.StreamReader()
    reader.feed_data(data)
    reader.feed_eof()
    return reader


@given(st.integers(0, 0xFFFFFFFF))
def test_every_length_survives_encoding(length: int) -> None:
    prefix = encode_length(length)
    assert prefix_size(prefix[0]) == len(prefix)
    assert decode_length(prefix) == length


@pytest.mark.parametrize(
    ("length", "size"),
    [(0, 1), (0x7F, 1), (0x80, 2), (0x3FFF, 2), (0x4000, 3), (0x1FFFFF, 3), (0x200000, 4), (0xFFFFFFF, 4), (0x10000000, 5)],
)
def test_length_prefix_has_the_size_the_manual_gives_at_each_border(length: int, size: int) -> None:
    assert len(encode_length(length)) == size


@given(st.binary(max_size=5))
def test_a_prefix_either_decodes_to_what_encodes_back_or_is_refused(prefix: bytes) -> None:
    try:
        length = decode_length(prefix)
    except (WireError, IndexError):
        return
    assert decode_length(encode_length(length)) == length


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), min_size=1, max_size=6))
def test_a_sentence_of_any_text_comes_back_as_it_was(words: list[str]) -> None:
    async def there_and_back() -> list[str]:
        return await read_sentence(reader_of(encode_sentence(words)), max_bytes=2**20)

    assert asyncio.run(there_and_back()) == words


async def test_bytes_that_are_not_utf8_are_kept() -> None:
    raw = b"\x05=\xe0\xe1=x\x00"
    words = await read_sentence(reader_of(raw), max_bytes=100)
    assert encode_sentence(words) == raw


async def test_empty_sentences_are_skipped() -> None:
    data = b"\x00\x00" + encode_sentence(["/login"])
    assert await read_sentence(reader_of(data), max_bytes=100) == ["/login"]


async def test_a_sentence_above_the_limit_is_refused() -> None:
    with pytest.raises(WireError, match="more than 10 bytes"):
        await read_sentence(reader_of(encode_sentence(["/login", "=name=somebody"])), max_bytes=10)


async def test_a_reserved_control_byte_is_refused() -> None:
    with pytest.raises(WireError, match="0xf8"):
        await read_sentence(reader_of(b"\xf8"), max_bytes=10)
