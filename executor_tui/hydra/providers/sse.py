"""Server-sent events, parsed as they come in (html.spec.whatwg.org/multipage/server-sent-events.html).

Legal and seen in the wild: events split over reads, CR, LF or CRLF, comments, `data:` with and without a space, several data lines, a
last event without its blank line.
"""

from collections.abc import Iterator
from typing import NamedTuple

MAX_EVENT_BYTES = 16 * 1024 * 1024
SMALL_BYTES = 64 * 1024


class EventTooLargeError(Exception):
    """An event grew past the bound; whoever sends it is broken or hostile."""


class SseEvent(NamedTuple):
    """One event with data. `raw` is what to send on to a client: the event alone, with LF and a blank line, comments left out."""

    data: bytes
    name: str
    raw: bytes


class SseParser:
    """Feed it bytes, get the events they completed."""

    def __init__(self, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self._max = max_event_bytes
        self._buffer = b""
        self._scanned = 0
        self._started = False

    def feed(self, data: bytes) -> list[SseEvent]:
        """Events that are whole now. Raises EventTooLargeError."""
        if not self._started and data:
            self._started = True
            data = data.removeprefix(b"\xef\xbb\xbf")
        self._buffer += data
        events = [event for block in self._take_blocks() if (event := _parse(block)) is not None]
        if len(self._buffer) > self._max:
            raise EventTooLargeError(f"an event larger than {self._max} bytes")
        return events

    def finish(self) -> list[SseEvent]:
        """The stream is over: a last event that lacks only its blank line still counts."""
        block, self._buffer = self._buffer, b""
        event = _parse(block.rstrip(b"\r\n")) if block else None
        return [event] if event is not None else []

    def _take_blocks(self) -> Iterator[bytes]:
        """Every whole block there is. The usual case, small and with plain newlines, is one split."""
        if len(self._buffer) <= SMALL_BYTES and b"\r" not in self._buffer:
            *blocks, self._buffer = self._buffer.split(b"\n\n")
            self._scanned = 0
            yield from blocks
            return
        while (block := self._take_block()) is not None:
            yield block

    def _take_block(self) -> bytes | None:
        """Bytes up to the next blank line. What was searched before is not searched again, so a long event costs linear time."""
        buffer = self._buffer
        start = max(0, self._scanned - 3)
        end = buffer.find(b"\n\n", start)
        size = 2
        if b"\r" in buffer:
            for blank in (b"\r\n\r\n", b"\r\r", b"\n\r\n", b"\r\n\n"):
                at = buffer.find(blank, start)
                if at >= 0 and (end < 0 or at < end):
                    end, size = at, len(blank)
        if end < 0:
            self._scanned = len(buffer)
            return None
        self._buffer, self._scanned = buffer[end + size :], 0
        return buffer[:end]


def _parse(block: bytes) -> SseEvent | None:
    """An event, or None when the block carries no data (comments, `retry:`, blank lines)."""
    if block.startswith(b"data:") and b"\n" not in block and b"\r" not in block:
        data = block[6:] if block[5:6] == b" " else block[5:]
        return SseEvent(data, "", block + b"\n\n")
    name, found = "", []
    for line in block.splitlines():
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            found.append(value)
        elif field == b"event":
            name = value.decode("utf-8", "replace")
    if not found:
        return None
    data = b"\n".join(found)
    return SseEvent(data, name, encode(name, data))


def encode(name: str, data: bytes) -> bytes:
    """An event as we write it."""
    head = b"event: " + name.encode() + b"\n" if name else b""
    return head + b"".join(b"data: " + line + b"\n" for line in data.split(b"\n")) + b"\n"
