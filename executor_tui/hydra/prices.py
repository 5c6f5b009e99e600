"""Prices and deprecation dates from litellm's price map, read as data: the file is found without importing the package."""

import importlib.util
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from executor_tui.config.models import ProviderSettings
from executor_tui.domain.model import Price

_FILE = "model_prices_and_context_window_backup.json"
_BY_HOST = {
    "generativelanguage.googleapis.com": "gemini", "openrouter.ai": "openrouter", "api.perplexity.ai": "perplexity", "api.groq.com": "groq",
    "api.mistral.ai": "mistral", "api.deepseek.com": "deepseek", "api.x.ai": "xai", "api.cerebras.ai": "cerebras",
    "api.together.xyz": "together_ai",
}  # fmt: skip
"""Host of an OpenAI-compatible endpoint → the provider part of the map's names."""


@dataclass(frozen=True, slots=True)
class PriceEntry:
    """What the map says of one name."""

    price: Price
    deprecated_on: date | None
    max_input_tokens: int | None


def price_map_file() -> Path | None:
    """The map inside the installed litellm, or None when it is not installed."""
    spec = importlib.util.find_spec("litellm")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        path = Path(folder) / _FILE
        if path.is_file():
            return path
    return None


def names_for(provider: str, settings: ProviderSettings, model_id: str) -> tuple[str, ...]:
    """Under which names the map may know a route, surest first."""
    host = settings.base_url.split("://", 1)[-1].split("/", 1)[0]
    prefix = settings.litellm_prefix or _BY_HOST.get(host, provider)
    return (f"{prefix}/{model_id}", model_id)


def read_prices(names: Iterable[str], path: Path | None = None) -> dict[str, PriceEntry]:
    """The entries of these names. The whole map (3 MB) is parsed and let go: about 50 ms. A missing or damaged map gives nothing."""
    path = path or price_map_file()
    if path is None:
        return {}
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    wanted = set(names)
    return {name: _entry(document[name]) for name in wanted if isinstance(document.get(name), Mapping)}


def _entry(raw: Mapping[str, object]) -> PriceEntry:
    def per_mtok(field: str) -> float | None:
        value = raw.get(field)
        return round(float(value) * 1e6, 6) if isinstance(value, int | float) else None

    price = Price(
        per_mtok("input_cost_per_token") or 0.0, per_mtok("output_cost_per_token") or 0.0,
        per_mtok("cache_read_input_token_cost"), per_mtok("cache_creation_input_token_cost"),
    )  # fmt: skip
    tokens = raw.get("max_input_tokens")
    return PriceEntry(price, _date(raw.get("deprecation_date")), tokens if isinstance(tokens, int) else None)


def _date(value: object) -> date | None:
    try:
        return date.fromisoformat(str(value)) if value else None
    except ValueError:
        return None
