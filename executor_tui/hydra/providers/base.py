"""The one interface behind which every provider stands, whatever wire it speaks.

A provider sends one call over one route with one key. It never retries, never falls back and never sleeps: the router decides those.
It reports failures as raw facts and leaves their meaning to `hydra.failures`.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, Protocol

Body = dict[str, Any]
"""A JSON object on the wire. `Any` because it is passed through: unknown fields belong to the client and the provider, not to us."""

Wire = Literal["chat", "messages", "responses", "count_tokens"]


@dataclass(frozen=True, slots=True)
class ProviderCall:
    """One attempt. `body` is in the shape of `wire` with `model` already set to the provider's own id.

    `first_token_s` bounds the wait for the first byte of a reply or stream, `stall_s` the gaps after it, `total_s` the whole call.
    `secret` never appears in a repr.
    """

    wire: Wire
    model_id: str
    body: Body
    base_url: str
    secret: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict)
    first_token_s: float = 60.0
    stall_s: float = 60.0
    total_s: float = 600.0


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens as the provider counted them; `input_tokens` excludes the cached ones.

    `cost_usd` is the provider's own figure for this call, where it states one: it may charge for more than tokens (searches, requests).
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    reported: bool = True
    cost_usd: float | None = None


@dataclass(frozen=True, slots=True)
class ProviderReply:
    """A whole answer. `headers` are lower-case and hold the provider's rate-limit headers."""

    status: int
    headers: Mapping[str, str]
    body: Body
    usage: Usage


class Chunk(NamedTuple):
    """One event of a stream: `data` is the JSON payload, `event` the SSE event name if any.

    `raw` is what a client of the same wire is sent, with its blank line; empty for an event the client did not ask for. `usage` is what the
    provider has counted so far, where this event says so. `last`: nothing follows.
    """

    data: Body
    event: str = ""
    raw: bytes = b""
    usage: Usage | None = None
    last: bool = False


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a failure before anybody decides what it means.

    `kind`: "http" (with a status), "network" (refused, reset, DNS, TLS), "timeout" (`where`: connect, first_token, stall, total)
    "stream" (`where`: error_event, malformed, truncated), "program" (opencode).
    """

    provider: str
    kind: Literal["http", "network", "timeout", "stream", "program"]
    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = ""
    where: str = ""
    detail: str = ""


class ProviderFailure(Exception):
    """A call that failed. Carries facts, not meaning; its text never holds the key."""

    def __init__(self, facts: Facts) -> None:
        super().__init__(f"{facts.provider}: {facts.kind} {facts.status or facts.where} {facts.detail}".strip())
        self.facts = facts


class ProviderStream(Protocol):
    """An open stream whose first event has already arrived: from here on there is no switching."""

    @property
    def headers(self) -> Mapping[str, str]:
        """Lower-case reply headers."""
        ...

    def batches(self) -> AsyncIterator[Sequence[Chunk]]:
        """Events in order, together as they arrived. Raises ProviderFailure of kind "stream", "network" or "timeout"."""
        ...

    async def aclose(self) -> None:
        """Stop reading and close the connection upstream, at once. Safe to call twice."""
        ...


class Provider(Protocol):
    """What the gateway needs of a provider."""

    name: str

    def wires(self) -> frozenset[Wire]:
        """The wires this provider speaks natively; the gateway translates the others."""
        ...

    async def complete(self, call: ProviderCall) -> ProviderReply:
        """One whole answer. Raises ProviderFailure."""
        ...

    async def open_stream(self, call: ProviderCall) -> ProviderStream:
        """A stream, once its first event is here. Raises ProviderFailure, also for an error sent inside HTTP 200 before any content."""
        ...

    async def verify(self, base_url: str, secret: str) -> None:
        """Ask the cheapest thing that proves a key works (listing models). Raises ProviderFailure."""
        ...

    async def aclose(self) -> None:
        """Let go of connections and children."""
        ...
