"""Whether anything could serve a project at all: a usable key, or a provider that needs none."""

from collections.abc import Sequence

from executor_tui.config.load import Config
from executor_tui.domain.key import Key


def can_serve(config: Config, keys: Sequence[Key]) -> bool:
    """True when some model of the registry has a route whose provider needs no key and was chosen by the user, or has a usable key."""
    providers = config.models.providers
    with_key = {config.models.provider_named(k.provider) for k in keys}
    return any(
        route.provider in with_key or (not providers[route.provider].needs_key and _chosen(config, route.provider))
        for model in config.models.models
        for route in model.routes
    )


def _chosen(config: Config, provider: str) -> bool:
    """A keyless provider counts when the user wrote the models file; in the shipped one it is offered, never assumed."""
    return "models.json" in config.sources and config.models.providers[provider].kind == "openai"


def missing_keys_text(config: Config) -> str:
    """The request for keys, with the providers it could be."""
    names = [name for name, p in config.models.providers.items() if p.needs_key]
    return f"No API key can serve this project. Enter keys of one or more accounts ({', '.join(names)}), or try the lab: executor lab"
