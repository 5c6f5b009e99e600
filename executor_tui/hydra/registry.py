"""The models that may be asked for, in tiers, with their prices; and in which order a request walks them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from difflib import get_close_matches
from types import MappingProxyType

from executor_tui.config.models import ModelSettings, ModelsSettings, ProviderSettings
from executor_tui.domain.errors import UsageError
from executor_tui.domain.model import Complexity, Model, Price, Tier
from executor_tui.hydra.prices import PriceEntry, names_for, read_prices

ANY = "executor/"
"""Names under which a tier, or `auto`, is asked for instead of a model."""
SOON_DAYS = 60


@dataclass(frozen=True, slots=True)
class Registry:
    """`last_resort` is a provider whose models end every walk; `warnings` are lines for the operator."""

    models: Mapping[str, Model]
    providers: Mapping[str, ProviderSettings]
    chain: tuple[str, ...]
    tier_of: Mapping[Complexity, Tier]
    last_resort: str = ""
    warnings: tuple[str, ...] = ()

    def names(self) -> tuple[str, ...]:
        """Everything a client may put under `model`."""
        return (*(ANY + name for name in ("auto", *(str(t) for t in Tier))), *self.models)

    def candidates(self, name: str, complexity: Complexity | None = None, chain: tuple[str, ...] | None = None) -> tuple[Model, ...]:
        """The models a request for `name` may be served by, in order; the first one's tier is never exceeded by a later one.

        Raises UsageError for a name, or a member of `chain`, that is not in the registry.
        """
        first, tier = self._first(name, complexity)
        rest = self._named(chain) if chain is not None else self._after(name, first, tier)
        seen: dict[str, Model] = {}
        for model in (*first, *rest):
            if model.tier.rank <= tier.rank:
                seen.setdefault(model.id, model)
        return tuple(seen.values())

    def larger(self, than_tokens: int, tier: Tier, known: frozenset[str]) -> tuple[Model, ...]:
        """Models of this tier or a cheaper one with more room than `than_tokens`, dearest tier first, then the smallest that fits."""
        found = [m for m in self.models.values() if m.context_tokens > than_tokens and m.tier.rank <= tier.rank and m.id not in known]
        return tuple(sorted(found, key=lambda m: (-m.tier.rank, m.context_tokens)))

    def _first(self, name: str, complexity: Complexity | None) -> tuple[tuple[Model, ...], Tier]:
        if name in self.models:
            return (self.models[name],), self.models[name].tier
        wanted = name.removeprefix(ANY)
        if not name.startswith(ANY) or wanted not in ("auto", *Tier):
            close = get_close_matches(name, self.names(), 1)
            raise UsageError(f"no model {name!r}", hint=f"did you mean {close[0]!r}?" if close else "see them with: executor models")
        tier = self.tier_of.get(complexity or Complexity.MODERATE, Tier.STANDARD) if wanted == "auto" else Tier(wanted)
        return tuple(self._of_tier(tier)), tier

    def _of_tier(self, tier: Tier) -> Iterator[Model]:
        """Those of the fallback chain first, then the others as the file lists them. Searching models only when they are all there is."""
        from_chain = [m for m in self._named(self.chain) if m.tier is tier]
        others = [m for m in self.models.values() if m.tier is tier and m not in from_chain]
        yield from from_chain
        yield from sorted(others, key=_is_search)

    def _after(self, name: str, first: tuple[Model, ...], tier: Tier) -> Iterator[Model]:
        """After a named model: the chain from where it stands in it, or all of it. After a tier: the tiers below. Then the last resort."""
        chain = self._named(self.chain)
        if name not in self.models:
            for lower in sorted((t for t in Tier if t.rank < tier.rank), key=lambda t: -t.rank):
                yield from self._of_tier(lower)
        elif first[0] in chain:
            yield from chain[chain.index(first[0]) + 1 :]
        else:
            yield from chain
        yield from (m for m in self.models.values() if any(r.provider == self.last_resort for r in m.routes))

    def _named(self, ids: tuple[str, ...]) -> tuple[Model, ...]:
        unknown = [i for i in ids if i not in self.models]
        if unknown:
            raise UsageError(f"no model {unknown[0]!r} in the chain", hint="see them with: executor models")
        return tuple(self.models[i] for i in ids)


def _is_search(model: Model) -> bool:
    return "search" in model.capabilities


def build_registry(
    settings: ModelsSettings, today: date, prices: Mapping[str, PriceEntry] | None = None, *, last_resort: str = ""
) -> Registry:
    """The registry of models.json. `prices` are read from the price map when not given."""
    if prices is None:
        prices = read_prices(name for model in settings.models for names in _route_names(settings, model) for name in names)
    models: dict[str, Model] = {}
    warnings: list[str] = []
    for entry in settings.models:
        model, lines = _build(settings, entry, today, prices)
        models[model.id] = model
        warnings += lines
    providers = MappingProxyType(dict(settings.providers))
    last = settings.provider_named(last_resort) or ""
    return Registry(MappingProxyType(models), providers, settings.fallback_chain, dict(settings.complexity), last, tuple(warnings))


def _route_names(settings: ModelsSettings, entry: ModelSettings) -> tuple[tuple[str, ...], ...]:
    return tuple(names_for(r.provider, settings.providers[r.provider], r.model_id) for r in entry.routes)


def _build(settings: ModelsSettings, entry: ModelSettings, today: date, prices: Mapping[str, PriceEntry]) -> tuple[Model, list[str]]:
    known = [next((prices[n] for n in names if n in prices), None) for names in _route_names(settings, entry)]
    price: Price | None = next((k.price for k in known if k is not None), None)
    warnings = []
    for route, found in zip(entry.routes, known, strict=True):
        ends = entry.deprecated_on or (found.deprecated_on if found else None)
        if ends is not None and (ends - today).days <= SOON_DAYS:
            when = f"ended on {ends}" if ends <= today else f"ends on {ends}"
            warnings.append(f"model {entry.id}: {route.model_id} at {route.provider} {when}; put its successor in models.json")
    free_here = entry.tier is Tier.FREE or all(_costs_nothing(settings.providers[r.provider]) for r in entry.routes)
    if entry.price is None and price is None and not free_here:
        warnings.append(f"model {entry.id}: no price is known, its calls count as $0; give one under 'price' in models.json")
    deprecations = [k.deprecated_on for k in known if k is not None and k.deprecated_on is not None]
    model = entry.to_model(price)
    return replace(model, deprecated_on=model.deprecated_on or (min(deprecations) if deprecations else None)), warnings


def _costs_nothing(provider: ProviderSettings) -> bool:
    return provider.local or provider.kind == "opencode"
