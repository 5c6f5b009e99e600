"""Event streams as providers really write them."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from executor_tui.hydra.providers.sse import EventTooLargeError, SseParser, encode


def parse(*reads: bytes) -> list[tuple[str, bytes]]:
    parser = SseParser()
    events = [e for data in reads for e in parser.feed(data)] + parser.finish()
    return [(e.name, e.data) for e in events]


@pytest.mark.parametrize(
    ("text", "events"),
    [
        (b"data: a\n\n", [("", b"a")]),
        (b"data:a\n\ndata:b\n\n", [("", b"a"), ("", b"b")]),
        (b"data: a\r\n\r\ndata: b\r\n\r\n", [("", b"a"), ("", b"b")]),
        (b"data: a\r\rdata: b\r\r", [("", b"a"), ("", b"b")]),
        (b": hello\n\ndata: a\n\n", [("", b"a")]),
        (b": hello\ndata: a\n: bye\n\n", [("", b"a")]),
        (b"event: message_stop\ndata: {}\n\n", [("message_stop", b"{}")]),
        (b"data: one\ndata: two\n\n", [("", b"one\ntwo")]),
        (b"id: 7\nretry: 10\ndata: a\n\n", [("", b"a")]),
        (b"retry: 10\n\n", []),
        (b"\xef\xbb\xbfdata: a\n\n", [("", b"a")]),
        (b"data:  two spaces\n\n", [("", b" two spaces")]),
        (b"data: [DONE]", [("", b"[DONE]")]),
        (b"\n\n\n\ndata: a\n\n\n", [("", b"a")]),
        (b"", []),
    ],
)
def test_every_legal_way_of_writing_an_event_is_understood(text: bytes, events: list[tuple[str, bytes]]) -> None:
    assert parse(text) == events


@given(
    st.lists(st.binary(min_size=1, max_size=40).filter(lambda b: not set(b"\r\n") & set(b)), min_size=1, max_size=6), st.integers(0, 2**32)
)
@settings(max_examples=150, deadline=None)
def test_however_the_network_cuts_a_stream_the_events_are_the_same(payloads: list[bytes], seed: int) -> None:
    rng = random.Random(seed)
    newline = rng.choice([b"\n", b"\r\n", b"\r"])
    text = b"".join(b"data: " + p + newline * 2 for p in payloads)
    cuts = sorted(rng.sample(range(len(text) + 1), min(len(text), rng.randrange(1, 12))))
    reads = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    assert parse(*reads) == [("", p) for p in payloads]


def test_what_is_sent_on_parses_to_the_same_event() -> None:
    parser = SseParser()
    (event,) = parser.feed(b": c\r\nevent: x\r\ndata: one\r\ndata: two\r\n\r\n")
    assert event.raw == b"event: x\ndata: one\ndata: two\n\n" == encode("x", b"one\ntwo")
    assert parse(event.raw) == [("x", b"one\ntwo")]


def test_an_event_without_end_is_given_up_instead_of_filling_memory() -> None:
    parser = SseParser(max_event_bytes=1000)
    with pytest.raises(EventTooLargeError):
        for _ in range(20):
            parser.feed(b"data: " + b"x" * 100)
