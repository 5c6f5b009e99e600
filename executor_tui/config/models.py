"""config/models.json: providers, the model registry, the fallback chain."""

from datetime import date
from typing import Literal, Self

from pydantic import Field, model_validator

from executor_tui.config.base import Settings
from executor_tui.domain.model import Capability, Complexity, Model, Price, Route, Tier


class LimitSettings(Settings):
    """Limits of one quota pool; null means unknown, to be learned from the provider's answers."""

    rpm: int | None = Field(default=None, gt=0)
    tpm: int | None = Field(default=None, gt=0)
    rpd: int | None = Field(default=None, gt=0)
    tpd: int | None = Field(default=None, gt=0)
    concurrent: int | None = Field(default=None, gt=0)


class ProviderSettings(Settings):
    kind: Literal["openai", "anthropic", "litellm", "opencode"] = "openai"
    """`openai`: any OpenAI-compatible endpoint, passed through. `anthropic`: Anthropic's Messages API or one compatible with it, passed
    through. `litellm`: through litellm. `opencode`: the genuine opencode program."""
    base_url: str = ""
    """Root of the API, with /v1 where the provider has it. Required for `openai` and `anthropic`."""
    wires: tuple[Literal["chat", "responses", "messages", "count_tokens"], ...] = ()
    """For `openai`: what the endpoint speaks besides Chat Completions; empty means Chat Completions only."""
    verify_path: str = "/models"
    """Asked with GET to see whether a key is valid; must need the key."""
    litellm_prefix: str = ""
    """For `litellm`: the provider part of litellm's model names, e.g. `anthropic`."""
    needs_key: bool = True
    """False for a server that takes no key (a local one)."""
    aliases: tuple[str, ...] = ()
    """Other names under which keys of this provider may be entered."""
    key_pattern: str = ""
    """Regular expression that a key of this provider matches; used to recognise pasted keys."""
    daily_reset: Literal["utc", "pacific", "rolling"] = "utc"
    """When requests per day start anew: midnight UTC, midnight America/Los_Angeles, or 24 hours after the first."""
    limits: dict[str, LimitSettings] = Field(default_factory=dict)
    """By provider model id; `*` for each model not named. A pattern such as `*:free` is one counter shared by all models it matches."""
    several_accounts: str = ""
    """Shown when a second account of this provider is added."""
    local: bool = False
    """A server on this machine: offered when found, never assumed."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        over_http = self.kind in ("openai", "anthropic")
        if over_http and not self.base_url:
            raise ValueError(f"a provider of kind {self.kind!r} needs a base_url")
        if over_http and not self.base_url.startswith(("http://", "https://")):
            raise ValueError(f"base_url {self.base_url!r} must start with http:// or https://")
        return self


class RouteSettings(Settings):
    provider: str
    model_id: str
    """What this provider calls the model."""


class PriceSettings(Settings):
    input_usd_per_mtok: float = Field(default=0.0, ge=0)
    output_usd_per_mtok: float = Field(default=0.0, ge=0)
    cache_read_usd_per_mtok: float | None = Field(default=None, ge=0)
    cache_write_usd_per_mtok: float | None = Field(default=None, ge=0)
    request_usd: float = Field(default=0.0, ge=0)
    """Charged for each call beside its tokens, as search providers do."""


class ModelSettings(Settings):
    id: str = Field(min_length=1, pattern=r"^[A-Za-z0-9._:/-]+$")
    """The name clients use."""
    tier: Tier
    routes: tuple[RouteSettings, ...] = Field(min_length=1)
    context_tokens: int = Field(default=128_000, gt=0)
    max_output_tokens: int = Field(default=8_192, gt=0)
    capabilities: tuple[Capability, ...] = (Capability.TOOLS, Capability.STREAMING)
    price: PriceSettings | None = None
    """Null: taken from litellm's price map, by the id of the first route."""
    family: str = ""
    deprecated_on: date | None = None
    silence_s: float | None = Field(default=None, gt=0)
    """How long this model may say nothing, before its first word and after; null: gateway.first_token_s and stall_s. For models that
    search for minutes before they speak."""

    def to_model(self, price: Price | None = None) -> Model:
        """The registry's own dataclass; `price` fills in where the file gives none."""
        given = Price(**self.price.model_dump()) if self.price else (price or Price())
        return Model(
            id=self.id, tier=self.tier, routes=tuple(Route(r.provider, r.model_id) for r in self.routes),
            context_tokens=self.context_tokens, max_output_tokens=self.max_output_tokens,
            capabilities=frozenset(self.capabilities), price=given, family=self.family, deprecated_on=self.deprecated_on,
            silence_s=self.silence_s,
        )  # fmt: skip


class ModelsSettings(Settings):
    providers: dict[str, ProviderSettings] = Field(default_factory=dict)
    models: tuple[ModelSettings, ...] = ()
    fallback_chain: tuple[str, ...] = ()
    """Model ids, dearest first. Never climbs: a request that starts at one goes on to those after it."""
    complexity: dict[Complexity, Tier] = Field(
        default_factory=lambda: {
            Complexity.TRIVIAL: Tier.FREE, Complexity.SIMPLE: Tier.FREE, Complexity.MODERATE: Tier.STANDARD,
            Complexity.COMPLEX: Tier.PREMIUM, Complexity.CRITICAL: Tier.CRITICAL,
        }
    )  # fmt: skip
    """The dearest tier a request of each complexity may use."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        ids = [m.id for m in self.models]
        twice = sorted({i for i in ids if ids.count(i) > 1})
        if twice:
            raise ValueError(f"model ids must be unique; given twice: {', '.join(twice)}")
        for model in self.models:
            for route in model.routes:
                if route.provider not in self.providers:
                    known = ", ".join(sorted(self.providers)) or "none"
                    raise ValueError(
                        f"model {model.id!r} has a route to provider {route.provider!r}, which is not under 'providers' ({known})"
                    )
        unknown = [m for m in self.fallback_chain if m not in ids]
        if unknown:
            raise ValueError(f"fallback_chain names models that are not in 'models': {', '.join(unknown)}")
        return self

    def provider_named(self, name: str) -> str | None:
        """The provider of this name or alias, as it is called under `providers`."""
        if name in self.providers:
            return name
        return next((p for p, s in self.providers.items() if name in s.aliases), None)
