"""The output of a command: the beginning and the end are kept, the middle is counted."""

from __future__ import annotations

HEAD_BYTES = 16 * 1024
TAIL_BYTES = 48 * 1024


class Capture:
    """Takes any amount of output in constant memory."""

    def __init__(self) -> None:
        self.total_bytes = 0
        self._head = bytearray()
        self._tail = bytearray()

    def add(self, data: bytes) -> None:
        """Count `data`, and keep what belongs to the beginning or the end so far."""
        self.total_bytes += len(data)
        room = HEAD_BYTES - len(self._head)
        self._head += data[:room] if room > 0 else b""
        self._tail += data[max(0, room) :]
        if len(self._tail) > 2 * TAIL_BYTES:
            del self._tail[:-TAIL_BYTES]

    @property
    def truncated(self) -> bool:
        """Whether something between the beginning and the end was dropped."""
        return self.total_bytes > HEAD_BYTES + TAIL_BYTES

    def ends(self) -> tuple[bytes, bytes]:
        """Beginning and end; while nothing is dropped, all of it is the end."""
        if not self.truncated:
            return b"", bytes(self._head + self._tail)
        return bytes(self._head), bytes(self._tail[-TAIL_BYTES:])
