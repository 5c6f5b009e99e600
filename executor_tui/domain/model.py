"""Models: tiers, prices, capabilities, and the routes by which each can be reached."""

from dataclasses import dataclass
from datetime import date
from enum import StrEnum


class Tier(StrEnum):
    """What a model may cost. CRITICAL waits for a person."""

    FREE = "free"
    STANDARD = "standard"
    PREMIUM = "premium"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        return _RANK[self]


_RANK = {Tier.FREE: 0, Tier.STANDARD: 1, Tier.PREMIUM: 2, Tier.CRITICAL: 3}


class Complexity(StrEnum):
    """How hard a request is; the tier that fits each is configuration."""

    TRIVIAL = "trivial"
    SIMPLE = "simple"
    MODERATE = "moderate"
    COMPLEX = "complex"
    CRITICAL = "critical"


class Capability(StrEnum):
    TOOLS = "tools"
    VISION = "vision"
    STREAMING = "streaming"
    JSON = "json"
    REASONING = "reasoning"
    SEARCH = "search"


@dataclass(frozen=True, slots=True)
class Price:
    """USD per million tokens, and per request. Cache reads and writes fall back to the input price when a provider has none."""

    input_usd_per_mtok: float = 0.0
    output_usd_per_mtok: float = 0.0
    cache_read_usd_per_mtok: float | None = None
    cache_write_usd_per_mtok: float | None = None
    request_usd: float = 0.0

    def cost_usd(self, input_tokens: int, output_tokens: int, cache_read_tokens: int = 0, cache_write_tokens: int = 0) -> float:
        """Cost of one call; `input_tokens` counts fresh input only, cached tokens are given apart."""
        read = self.input_usd_per_mtok if self.cache_read_usd_per_mtok is None else self.cache_read_usd_per_mtok
        write = self.input_usd_per_mtok if self.cache_write_usd_per_mtok is None else self.cache_write_usd_per_mtok
        tokens = (
            input_tokens * self.input_usd_per_mtok
            + output_tokens * self.output_usd_per_mtok
            + cache_read_tokens * read
            + cache_write_tokens * write
        )
        return tokens / 1_000_000 + self.request_usd


@dataclass(frozen=True, slots=True)
class Route:
    """One way to a model: a provider's name (config/models.json `providers`) and that provider's id for the model."""

    provider: str
    model_id: str


@dataclass(frozen=True, slots=True)
class Model:
    """An entry of the registry. `silence_s`: how long it may say nothing, before its first word and after; None: the gateway's limits."""

    id: str
    tier: Tier
    routes: tuple[Route, ...]
    context_tokens: int = 128_000
    max_output_tokens: int = 8_192
    capabilities: frozenset[Capability] = frozenset()
    price: Price = Price()
    family: str = ""
    deprecated_on: date | None = None
    silence_s: float | None = None
