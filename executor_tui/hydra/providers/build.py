"""The providers of a configuration, by name, over one pool of connections and one litellm."""

from collections.abc import Mapping
from pathlib import Path

from executor_tui.config.models import ProviderSettings
from executor_tui.domain.errors import NotFoundError
from executor_tui.hydra.providers.anthropic_wire import anthropic_wire
from executor_tui.hydra.providers.base import Provider, Wire
from executor_tui.hydra.providers.http import HttpPool
from executor_tui.hydra.providers.litellm_wire import LiteLLM, LiteLLMProvider
from executor_tui.hydra.providers.openai_wire import openai_wire
from executor_tui.hydra.providers.opencode import OpenCodeProvider


class Providers:
    """Built on demand; `reload` keeps connections open. Close it with `close`."""

    def __init__(self, settings: Mapping[str, ProviderSettings], state_dir: Path) -> None:
        self._settings = dict(settings)
        self._state_dir = state_dir
        self._pool, self._litellm = HttpPool(), LiteLLM()
        self._made: dict[str, Provider] = {}

    def get(self, name: str) -> Provider:
        """The provider of this name. Raises NotFoundError when models.json has none."""
        made = self._made.get(name)
        if made is None:
            settings = self._settings.get(name)
            if settings is None:
                raise NotFoundError(f"models.json has no provider {name!r}")
            made = self._made[name] = self._make(name, settings)
        return made

    def speaking(self, wire: Wire) -> frozenset[str]:
        """Names of the providers that speak a wire natively."""
        return frozenset(name for name in self._settings if wire in self.get(name).wires())

    def opencode(self) -> dict[str, OpenCodeProvider]:
        """The providers that run the opencode program."""
        return {name: p for name in self._settings if isinstance(p := self.get(name), OpenCodeProvider)}

    def reload(self, settings: Mapping[str, ProviderSettings]) -> None:
        """New settings; providers whose settings changed are made anew, open streams go on with the old ones."""
        for name in list(self._made):
            if settings.get(name) != self._settings.get(name):
                del self._made[name]
        self._settings = dict(settings)

    async def close(self) -> None:
        for provider in self._made.values():
            await provider.aclose()
        await self._litellm.close()
        await self._pool.close()

    def _make(self, name: str, settings: ProviderSettings) -> Provider:
        if settings.kind == "litellm":
            return LiteLLMProvider(name, settings.litellm_prefix, self._litellm)
        if settings.kind == "opencode":
            return OpenCodeProvider(name, self._state_dir)
        if settings.kind == "anthropic":
            return anthropic_wire(name, self._pool, settings.verify_path)
        wires: frozenset[Wire] = frozenset(settings.wires) or frozenset({"chat"})
        return openai_wire(name, self._pool, wires, settings.verify_path)
