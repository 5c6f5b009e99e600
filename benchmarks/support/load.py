"""A load client that costs little itself: plain sockets, one request after the other on each, times in seconds."""

import asyncio
import time
from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Load:
    """What came of a run: the time of every call, sorted, and of the whole."""

    times_s: tuple[float, ...]
    whole_s: float

    @property
    def p50_s(self) -> float:
        return self.times_s[len(self.times_s) // 2]

    @property
    def per_s(self) -> float:
        return len(self.times_s) / self.whole_s


def request(url: str, body: bytes, secret: str = "") -> bytes:
    """A POST to the chat path under `url`, ready to be sent any number of times."""
    parts = urlsplit(url)
    head = f"POST {parts.path}/chat/completions HTTP/1.1\r\nhost: {parts.netloc}\r\ncontent-type: application/json\r\n"
    if secret:
        head += f"authorization: Bearer {secret}\r\n"
    return f"{head}content-length: {len(body)}\r\n\r\n".encode() + body


async def run(url: str, raw: bytes, *, connections: int, calls: int) -> Load:
    """`calls` requests over `connections` sockets. Raises RuntimeError for any answer but 200."""
    left = iter(range(calls))
    times: list[float] = []
    began = time.perf_counter()
    await asyncio.gather(*(_one(url, raw, left, times) for _ in range(connections)))
    return Load(tuple(sorted(times)), time.perf_counter() - began)


async def _one(url: str, raw: bytes, left: "object", times: list[float]) -> None:
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port, limit=1 << 20)
    try:
        for _ in left:  # type: ignore[attr-defined]
            began = time.perf_counter()
            writer.write(raw)
            await _answer(reader)
            times.append(time.perf_counter() - began)
    finally:
        writer.close()


async def _answer(reader: asyncio.StreamReader) -> None:
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    if b" 200 " not in head.split(b"\r\n", 1)[0]:
        rest = await asyncio.wait_for(reader.read(2_000), 1)
        raise RuntimeError(f"{head.decode()} {rest.decode(errors='replace')}")
    if b"transfer-encoding: chunked" in head:
        await reader.readuntil(b"\r\n0\r\n\r\n")
        return
    at = head.find(b"content-length:")
    await reader.readexactly(int(head[at + 15 :].split(b"\r\n", 1)[0]))
