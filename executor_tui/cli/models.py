"""executor models: the registry as it is in force, with prices and what is wrong with it."""

import click

from executor_tui.cli.context import Cli, common, table


@click.command()
@click.option("--local", is_flag=True, help="Look for model servers on this machine and say how to use them.")
@common
def command(cli: Cli, local: bool) -> None:
    """The model registry: tiers, routes, prices."""
    from executor_tui.domain.clock import SystemClock
    from executor_tui.hydra.registry import build_registry

    config = cli.config()
    if local:
        _local(cli)
        return
    registry = build_registry(config.models, SystemClock().now().date(), last_resort=config.hydra_keys.fallback)
    models = sorted(registry.models.values(), key=lambda m: m.tier.rank)
    rows = [
        (
            m.id, m.tier, ", ".join(f"{r.provider}:{r.model_id}" for r in m.routes), f"{m.context_tokens // 1000}k",
            f"{m.price.input_usd_per_mtok:g}/{m.price.output_usd_per_mtok:g}", " ".join(sorted(m.capabilities)),
        )
        for m in models
    ]  # fmt: skip
    for line in registry.warnings:
        cli.note(f"warning: {line}")
    document = {"models": models, "fallback_chain": registry.chain, "warnings": registry.warnings}
    head = ("MODEL", "TIER", "ROUTES", "CONTEXT", "$/MTOK IN/OUT", "CAN")
    chain = "\n\nfallback: " + " → ".join(registry.chain) if registry.chain else ""
    cli.emit(document, lambda: table(head, rows, "no models; see models.json") + chain)


def _local(cli: Cli) -> None:
    import asyncio
    import json

    from executor_tui.hydra.local_servers import find_local_servers, offer

    config = cli.config()
    servers = asyncio.run(find_local_servers(config.models))
    offers = {s.provider: offer(s, config.models) for s in servers}
    lines = []
    for server in servers:
        lines.append(f"{server.provider} at {server.base_url}: {', '.join(server.models) or 'no models'}")
        if found := offers[server.provider]:
            lines.append("  to use them, add to models.json:")
            lines += ["  " + line for line in json.dumps(found, indent=2).splitlines()]
    looked = ", ".join(name for name, p in config.models.providers.items() if p.local) or "no provider marked local"
    cli.emit({"servers": servers, "offers": offers}, "\n".join(lines) or f"none found (looked for {looked})")
