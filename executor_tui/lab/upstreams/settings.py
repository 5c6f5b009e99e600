"""The configuration files that point Executor at these upstreams, as a user would write them."""

import json
from typing import Any

from executor_tui.lab.upstreams.upstreams import DAY_ZONES, KINDS, Upstreams


def models_document(shipped: dict[str, Any], urls: dict[str, str]) -> dict[str, Any]:
    """A models.json: the shipped one with the simulated providers' addresses in place of the real ones, and nothing real left in it."""
    providers = {}
    for name, url in urls.items():
        settings = dict(shipped["providers"].get(name, {}))
        settings |= {"kind": KINDS.get(name, "openai"), "base_url": url}
        if name in DAY_ZONES:
            settings["daily_reset"] = DAY_ZONES[name]
        settings.pop("litellm_prefix", None)
        settings["verify_path"] = "/models"
        providers[name] = settings
    models = []
    for model in shipped["models"]:
        routes = [r for r in model["routes"] if r["provider"] in providers]
        if routes:
            models.append({**model, "routes": routes})
    known = {m["id"] for m in models}
    chain = [m for m in shipped.get("fallback_chain", ()) if m in known]
    return {**shipped, "providers": providers, "models": models, "fallback_chain": chain}


def keys_document(upstreams: Upstreams) -> dict[str, Any]:
    """A hydra_keys.json with every simulated key, each under its account."""
    entries = [
        {"provider": name, "key": key, "account": account.name, "tier": "standard"}
        for name, spec in upstreams.specs.items()
        for account in spec.accounts
        for key in account.keys
    ]
    return {"keys": entries, "rotation_strategy": "round_robin", "fallback": "opencode"}


def as_json(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=2) + "\n"
