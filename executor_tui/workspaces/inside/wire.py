"""Lines of JSON on a descriptor, written without ever keeping the caller waiting for a slow reader unless it asks to."""

from __future__ import annotations

import json
import os
import select
from collections.abc import Mapping


class Wire:
    """Sends frames on `descriptor`. Raises BrokenPipeError once nobody reads any more."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._waiting = bytearray()
        os.set_blocking(descriptor, False)

    def send(self, frame: Mapping[str, object]) -> None:
        """Queue a frame and write what goes at once."""
        self._waiting += json.dumps(frame).encode("ascii") + b"\n"
        self.flush()

    def flush(self) -> None:
        """Write as much as the reader takes now."""
        while self._waiting:
            try:
                sent = os.write(self._descriptor, self._waiting)
            except BlockingIOError:
                return
            del self._waiting[:sent]

    def finish(self) -> None:
        """Write everything, waiting for the reader."""
        self.flush()
        while self._waiting:
            select.select([], [self._descriptor], [])
            self.flush()
