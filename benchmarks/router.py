"""Choosing a model, a route and a key: Hydra's `select_model` beside the pick of litellm's Router, at 10 and at 1,000 keys.

Hydra looks at limits, budgets, parks and prices of every candidate; litellm's Router picks one deployment of one model. Times are of the
thread's own processor clock, so that a busy machine does not count.
"""

import argparse
import asyncio
import importlib
import json
import logging
import os
import random
import tempfile
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from executor_tui.config.load import load
from executor_tui.core.model_router import ModelRouter
from executor_tui.domain.clock import SystemClock
from executor_tui.domain.key import FailureClass, Key, KeyState, Park, ParkScope, ParkSource, QuotaPool
from executor_tui.domain.model import Complexity, Tier
from executor_tui.gateway.__main__ import settle_memory
from executor_tui.store.store import Store, default_url

SIZES = (10, 1_000)
NOWHERE = "http://127.0.0.1:9"


def timed(pick: Callable[[], object], runs: int) -> tuple[float, float]:
    """Microseconds at the median and at the 99th percentile."""
    for _ in range(runs // 10):
        pick()
    settle_memory()  # as the gateway's process does once it listens
    taken = []
    for _ in range(runs):
        began = time.thread_time_ns()
        pick()
        taken.append(time.thread_time_ns() - began)
    taken.sort()
    return taken[len(taken) // 2] / 1e3, taken[int(len(taken) * 0.99)] / 1e3


def write_config(folder: Path) -> None:
    """One provider with limits, a premium and a standard model."""
    price = {"input_usd_per_mtok": 1, "output_usd_per_mtok": 2}
    models = [
        {"id": name, "tier": tier, "routes": [{"provider": "one", "model_id": name}], "price": price}
        for name, tier in (("big", "premium"), ("small", "standard"))
    ]
    providers = {"one": {"base_url": f"{NOWHERE}/v1", "limits": {"*": {"rpm": 100_000, "rpd": 10_000_000}}}}
    (folder / "models.json").write_text(json.dumps({"providers": providers, "models": models, "fallback_chain": ["big", "small"]}))


async def hydra(count: int, runs: int) -> dict[str, tuple[float, float]]:
    """All keys free, and then all but the last parked."""
    with tempfile.TemporaryDirectory() as folder:
        write_config(Path(folder))
        store = await Store.open(default_url(Path(folder)), SystemClock())
        try:
            for number in range(count):
                pool = QuotaPool(QuotaPool.id_for("one", f"account-{number}"), "one", f"account-{number}")
                name = f"key-{number}"
                await store.keys.add(Key(name, "one", pool.id, Tier.STANDARD, name, name, "", state=KeyState.VERIFIED), pool, b"sealed")
            router = ModelRouter(store, None, load(Path(folder)), SystemClock(), rng=random.Random(1).randrange)
            await router.load()
            found = {"all keys free": timed(lambda: router.select_model(Complexity.COMPLEX, 1.0), runs)}
            now = SystemClock().now()
            for number in range(count - 1):
                at = (ParkScope.POOL_MODEL, f"one/account-{number}", "big", "")
                hour = now + timedelta(hours=1)
                await store.parks.park(Park(f"prk-{number}", *at, FailureClass.RATE_LIMITED, ParkSource.PROVIDER, now, hour, ""))
            await router.refresh()
            found["all but one parked"] = timed(lambda: router.select_model(Complexity.COMPLEX, 1.0), runs)
            return found
        finally:
            await store.close()


def litellm_router(count: int, runs: int) -> tuple[float, float]:
    """The pick of litellm's Router among `count` deployments of one model, in its default way."""
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    litellm = importlib.import_module("litellm")
    logging.disable(logging.WARNING)
    deployments = [
        {"model_name": "big", "litellm_params": {"model": "openai/big", "api_key": f"sk-{n}", "api_base": f"{NOWHERE}/{n}", "rpm": 100}}
        for n in range(count)
    ]
    router = litellm.Router(model_list=deployments)
    asked = [{"role": "user", "content": "hello"}]
    return timed(lambda: router.get_available_deployment(model="big", messages=asked), runs)


def _print_row(name: str, few: tuple[float, float], many: tuple[float, float]) -> None:
    print(f"{name:<34} {few[0]:>7.0f}{few[1]:>7.0f} {many[0]:>8.0f}{many[1]:>8.0f} {many[1] / few[1]:>6.1f} ×")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=10_000)
    given = parser.parse_args()
    ours = {count: asyncio.run(hydra(count, given.runs)) for count in SIZES}
    theirs = {count: litellm_router(count, max(200, given.runs // (20 if count > 100 else 5))) for count in SIZES}
    print(f"{'one pick, µs':<34} {'10 keys':>14} {'1,000 keys':>16} {'growth':>8}")
    print(f"{'':<34} {'p50':>7}{'p99':>7} {'p50':>8}{'p99':>8} {'of p99':>8}")
    for state in ours[SIZES[0]]:
        _print_row(f"select_model, {state}", *(ours[count][state] for count in SIZES))
    _print_row("litellm Router", *(theirs[count] for count in SIZES))
    free = "all keys free"
    ratios = [theirs[count][1] / ours[count][free][1] for count in SIZES]
    print(f"\nlitellm's pick costs {ratios[0]:.1f} × at 10 keys, {ratios[1]:.0f} × at 1,000")


if __name__ == "__main__":
    main()
