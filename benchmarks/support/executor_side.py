"""An Executor of its own in a folder, in front of one upstream: configuration, a sealed key, a virtual key."""

import json
from pathlib import Path

from executor_tui.config.load import load
from executor_tui.config.places import find_places
from executor_tui.core import virtual_keys
from executor_tui.domain.clock import SystemClock
from executor_tui.hydra.intake import add_key
from executor_tui.store.store import Store, default_url
from executor_tui.vault.open import open_vault


async def prepare(folder: Path, upstream_url: str) -> str:
    """Write everything a gateway needs under `folder`; returns the secret of a virtual key with a budget."""
    config_dir, state_dir = folder / "config", folder / "state"
    config_dir.mkdir()
    price = {"input_usd_per_mtok": 1.0, "output_usd_per_mtok": 2.0}
    model = {"id": "bench", "tier": "standard", "routes": [{"provider": "bench", "model_id": "bench"}], "price": price}
    providers = {"bench": {"kind": "openai", "base_url": upstream_url}}
    (config_dir / "models.json").write_text(json.dumps({"providers": providers, "models": [model], "fallback_chain": ["bench"]}))
    (config_dir / "executor.json").write_text(json.dumps({"budgets": {"day_usd": 1000.0, "key_day_usd": 1000.0}}))
    places = find_places(str(config_dir), str(state_dir))
    config = load(places.config_dir)
    store = await Store.open(default_url(places.state_dir), SystemClock())
    try:
        await add_key(store, open_vault(config.executor.vault, places), config.models, "bench", "sk-bench-0123456789abcdef")
        _, secret = await virtual_keys.issue(store, SystemClock(), "bench", agent_id="coder-001", budget_usd=1000.0)
    finally:
        await store.close()
    return secret
