"""The whole world outside, simulated: six providers with accounts and quotas, one schedule of faults, one recording."""

import hashlib
import random
from collections.abc import Sequence
from typing import Any

from executor_tui.domain.clock import Clock
from executor_tui.lab.upstreams.accounts import Account, Quota
from executor_tui.lab.upstreams.faults import Faults
from executor_tui.lab.upstreams.flavours import Anthropic, Gemini, OpenAI, OpenRouter, Perplexity, Zen
from executor_tui.lab.upstreams.provider import Pace, SimulatedProvider, Spec
from executor_tui.lab.upstreams.recording import Recording
from executor_tui.lab.upstreams.script import Script, echo

DAY_ZONES = {"google": "pacific"}
KINDS = {"anthropic": "anthropic"}


class Upstreams:
    """`start` gives provider → base URL. Keys of every provider are in `keys`; change `faults` and `specs` at any time."""

    def __init__(
        self, clock: Clock, script: Script = echo, *, specs: Sequence[Spec] | None = None, pace: Pace | None = None, seed: int = 0
    ) -> None:
        self.rng = random.Random(seed)
        self.recording = Recording()
        self.faults = Faults(rng=self.rng)
        self.specs: dict[str, Spec] = {s.name: s for s in (specs if specs is not None else usual())}
        if pace is not None:
            for spec in self.specs.values():
                spec.pace = pace
        self.providers = {
            name: SimulatedProvider(spec, script=script, clock=clock, faults=self.faults, recording=self.recording, rng=self.rng)
            for name, spec in self.specs.items()
        }

    @property
    def keys(self) -> dict[str, tuple[str, ...]]:
        """Provider → its keys, account by account."""
        return {name: tuple(k for a in spec.accounts for k in a.keys) for name, spec in self.specs.items()}

    def account(self, provider: str, name: str = "") -> Account:
        """An account of a provider; without a name, its first."""
        return next(a for a in self.specs[provider].accounts if name in ("", a.name))

    async def start(self) -> dict[str, str]:
        """Listen; returns provider → base URL."""
        return {name: await provider.start() for name, provider in self.providers.items()}

    async def stop(self) -> None:
        for provider in self.providers.values():
            await provider.stop()

    async def down(self, provider: str) -> None:
        """Connections to this provider are refused from now on."""
        await self.providers[provider].down()

    async def up(self, provider: str) -> None:
        """It listens again, at the same address."""
        await self.providers[provider].up()


def key_for(provider: str, account: str, number: int = 1) -> str:
    """The key of a simulated account, in the shape of that provider's keys, so that they are recognised when pasted."""
    word = f"{account}{number}".replace("-", "")
    # The end is what people recognise a masked key by: it differs from key to key, as real ones do.
    ending = hashlib.sha256(f"{provider}/{word}".encode()).hexdigest()[:6]
    filler = "LabLabLabLabLabLabLabLabLabLabLabLabLab"
    return {
        "google": "AIza" + (word + filler)[:29] + ending,
        "anthropic": f"sk-ant-lab-{word}-{filler[:20]}{ending}",
        "openai": f"sk-proj-lab-{word}-{filler[:20]}{ending}",
        "openrouter": f"sk-or-v1-lab-{word}-{filler[:20]}{ending}",
        "perplexity": f"pplx-{word}{filler[:24]}{ending}",
    }.get(provider, f"zen-lab-{word}-{filler[:20]}{ending}")


def usual() -> tuple[Spec, ...]:
    """The providers the lab starts with: two Google projects on free quotas, one account each of the others."""

    def account(provider: str, name: str, keys: int = 1, **more: Any) -> Account:
        return Account(name, tuple(key_for(provider, name, n + 1) for n in range(keys)), **more)

    free = {"*": Quota(rpm=10, rpd=250, tpm=250_000)}
    return (
        Spec("google", Gemini(), [account("google", "project-a", 2, quotas=free, day="pacific"),
                                  account("google", "project-b", 1, quotas=free, day="pacific")],
             ("gemini-2.5-pro", "gemini-2.5-flash", "gemini-2.5-flash-lite")),
        Spec("anthropic", Anthropic(), [account("anthropic", "org", quotas={"*": Quota(rpm=50, tpm=400_000)})],
             ("claude-opus-4-5", "claude-sonnet-4-6")),
        Spec("openai", OpenAI(), [account("openai", "org", quotas={"*": Quota(rpm=500, tpm=2_000_000)})], ("gpt-4o", "gpt-4o-mini")),
        Spec("openrouter", OpenRouter(), [account("openrouter", "me", balance_usd=10.0)],
             ("anthropic/claude-opus-4.5", "anthropic/claude-sonnet-4.6", "openai/gpt-4o", "google/gemini-2.5-pro")),
        Spec("opencode-zen", Zen(), [account("opencode-zen", "me")], ("claude-sonnet-4-6",)),
        Spec("perplexity", Perplexity(), [account("perplexity", "me", quotas={"*": Quota(rpm=50)})],
             ("sonar", "sonar-pro", "sonar-deep-research")),
    )  # fmt: skip
