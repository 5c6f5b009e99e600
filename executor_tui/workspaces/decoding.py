"""Bytes that come in pieces, as text."""

import codecs


class TextFeed:
    """Decodes UTF-8 piece by piece; what is no UTF-8 becomes U+FFFD, and a character cut in two waits for its rest."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def add(self, data: bytes) -> str:
        """The text that is complete so far."""
        return self._decoder.decode(data)

    def end(self) -> str:
        """What is left over."""
        return self._decoder.decode(b"", final=True)
