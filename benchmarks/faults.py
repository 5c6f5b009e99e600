"""The same bad quarter of a minute through Hydra and through litellm's Router: limits, 429s, bursts of 503, resets.

Two accounts of one provider with a quota each, a second provider behind them as the fallback; a steady stream of requests. Told is how
many were answered, how many calls were sent only to be refused for a limit, and how long an answer took, each against the same schedule
and seed. Both routers know the accounts' limits from their configuration,
retry and fall back.
"""

import argparse
import asyncio
import importlib
import json
import logging
import os
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from executor_tui.config.load import Config, load
from executor_tui.core.model_router import ModelRouter
from executor_tui.domain.clock import SystemClock
from executor_tui.domain.errors import ExecutorError
from executor_tui.hydra.intake import add_key
from executor_tui.hydra.providers.base import ProviderCall, ProviderReply
from executor_tui.hydra.providers.http import HttpPool
from executor_tui.hydra.providers.openai_wire import openai_wire
from executor_tui.hydra.request import Grant, RouteRequest
from executor_tui.lab.upstreams.accounts import Account, Quota
from executor_tui.lab.upstreams.faults import Fault
from executor_tui.lab.upstreams.flavours import OpenAI
from executor_tui.lab.upstreams.provider import Pace, Spec
from executor_tui.lab.upstreams.upstreams import Upstreams
from executor_tui.store.store import Store, default_url
from executor_tui.vault.age import AgeVault

RPM = 30
SCHEDULE = (
    Fault("rate_limited", provider="one", account="b", from_s=2, until_s=4, retry_after_s=3.0),  # others of the account used it up
    Fault("overloaded", provider="one", from_s=5, until_s=8),
    Fault("reset", provider="two", from_s=6, until_s=7, share=0.5),
    Fault("server", provider="two", from_s=9, until_s=10, share=0.3),
    Fault("reset", provider="one", from_s=10, until_s=12, share=0.3),
)
BODY = [{"role": "user", "content": "Say something."}]
Ask = Callable[[], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of all requests; times in seconds, sorted."""

    answered: int
    asked: int
    sent: int
    limits_met: int
    times_s: tuple[float, ...]

    def at(self, share: float) -> float:
        return self.times_s[min(len(self.times_s) - 1, int(len(self.times_s) * share))] if self.times_s else float("nan")


def specs() -> tuple[Spec, ...]:
    quota = {"*": Quota(rpm=RPM)}
    one = [Account(name, (f"sk-one-account-{name}-0123456789",), quotas=quota) for name in ("a", "b")]
    two = [Account("c", ("sk-two-account-c-0123456789",))]
    return Spec("one", OpenAI(), one, ("m",)), Spec("two", OpenAI(), two, ("n",))


async def drive(upstreams: Upstreams, ask: Ask, seconds: float, per_s: float) -> Outcome:
    """A request every so often, whatever became of the others."""
    times: list[float] = []
    asked = int(seconds * per_s)

    async def one(number: int) -> None:
        await asyncio.sleep(number / per_s)
        began = time.perf_counter()
        try:
            await ask()
        except Exception:
            return
        times.append(time.perf_counter() - began)

    await asyncio.gather(*(one(n) for n in range(asked)))
    recording = upstreams.recording
    sent, limits_met = sum(recording.outcomes.values()), recording.refused()
    return Outcome(len(times), asked, sent, limits_met, tuple(sorted(times)))


async def through_hydra(seconds: float, per_s: float) -> Outcome:
    """`select_with_fallback` over the two providers, with a real store."""
    with tempfile.TemporaryDirectory() as folder:
        clock, pool = SystemClock(), HttpPool()
        upstreams = Upstreams(clock, specs=specs(), pace=Pace(latency_s=0.02))
        urls = await upstreams.start()
        config = _hydra_config(Path(folder), urls)
        store, vault = await Store.open(default_url(Path(folder)), clock), AgeVault(Path(folder) / "identity")
        for name, spec in upstreams.specs.items():
            for account in spec.accounts:
                await add_key(store, vault, config.models, name, account.keys[0], account=account.name)
        router = ModelRouter(store, vault, config, clock)
        await router.start()

        async def send(grant: Grant) -> ProviderReply:
            body = {"model": grant.route.model_id, "messages": BODY}
            times = {"first_token_s": grant.first_token_s, "stall_s": grant.stall_s, "total_s": grant.total_s}
            call = ProviderCall("chat", grant.route.model_id, body, grant.base_url, grant.secret, **times)
            return await openai_wire(grant.route.provider, pool).complete(call)

        async def ask() -> None:
            served = await router.select_with_fallback(RouteRequest("m", input_tokens=10, max_output_tokens=50, deadline_s=20.0), send)
            await served.settle(served.value.usage)

        _begin(upstreams)
        try:
            return await drive(upstreams, ask, seconds, per_s)
        finally:
            await router.close()
            await store.close()
            await pool.close()
            await upstreams.stop()


def _hydra_config(folder: Path, urls: dict[str, str]) -> Config:
    providers = {"one": {"base_url": urls["one"], "limits": {"*": {"rpm": RPM}}}, "two": {"base_url": urls["two"]}}
    price = {"input_usd_per_mtok": 1, "output_usd_per_mtok": 2}
    models = [
        {"id": name, "tier": "standard", "routes": [{"provider": at, "model_id": name}], "price": price}
        for name, at in (("m", "one"), ("n", "two"))
    ]
    (folder / "models.json").write_text(json.dumps({"providers": providers, "models": models, "fallback_chain": ["m", "n"]}))
    return load(folder)


async def through_litellm(strategy: str, seconds: float, per_s: float) -> Outcome:
    """`Router.acompletion` with the same accounts, limits, retries and fallback."""
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    litellm = importlib.import_module("litellm")
    logging.disable(logging.CRITICAL)
    litellm.suppress_debug_info = True
    upstreams = Upstreams(SystemClock(), specs=specs(), pace=Pace(latency_s=0.02))
    urls = await upstreams.start()
    deployments = [
        {"model_name": "m", "litellm_params": {"model": "openai/m", "api_key": a.keys[0], "api_base": urls["one"], "rpm": RPM}}
        for a in upstreams.specs["one"].accounts
    ]
    key = upstreams.specs["two"].accounts[0].keys[0]
    deployments.append({"model_name": "n", "litellm_params": {"model": "openai/n", "api_key": key, "api_base": urls["two"]}})
    router = litellm.Router(model_list=deployments, fallbacks=[{"m": ["n"]}], num_retries=3, timeout=20, routing_strategy=strategy)

    async def ask() -> None:
        await router.acompletion(model="m", messages=BODY, max_tokens=50)

    await ask()  # its first call sets things up
    upstreams.recording.outcomes.clear()
    upstreams.recording.by_provider.clear()
    _begin(upstreams)
    try:
        return await drive(upstreams, ask, seconds, per_s)
    finally:
        await upstreams.stop()


def _begin(upstreams: Upstreams) -> None:
    """The schedule counts from now."""
    for provider in upstreams.providers.values():
        provider.begin()
    for fault in SCHEDULE:
        upstreams.faults.add(fault)


async def compare(seconds: float, per_s: float) -> None:
    rows = {"Hydra": await through_hydra(seconds, per_s)}
    for strategy in ("simple-shuffle", "usage-based-routing-v2"):
        rows[f"litellm, {strategy}"] = await through_litellm(strategy, seconds, per_s)
    ours = rows["Hydra"]
    print(f"{'':<34} {'answered':>9} {'limits met':>11} {'calls sent':>11} {'p50':>8} {'p95':>8} {'worst':>8}")
    for name, row in rows.items():
        times = "".join(f"{row.at(share) / ours.at(share):>7.1f} ×" for share in (0.5, 0.95, 1.0))
        print(f"{name:<34} {row.answered / row.asked:>9.1%} {row.limits_met:>11} {row.sent / row.asked:>9.2f} × {times}")
    print("\nlimits met: calls refused with a 429; calls sent: per request; times: against Hydra's")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument("--per-second", type=float, default=8.0)
    given = parser.parse_args()
    try:
        asyncio.run(compare(given.seconds, given.per_second))
    except ExecutorError as exc:
        raise SystemExit(exc.message) from exc


if __name__ == "__main__":
    main()
