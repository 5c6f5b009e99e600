"""executor route: which model would be chosen, and why not the others."""

import sys
from typing import TYPE_CHECKING

import click

from executor_tui.cli.context import Cli, common, table
from executor_tui.domain.errors import UsageError
from executor_tui.domain.model import Capability, Complexity

if TYPE_CHECKING:
    from executor_tui.hydra.complexity import Estimate
    from executor_tui.hydra.select import Candidate, Selection
    from executor_tui.store.store import Store


@click.command()
@click.option("--complexity", type=click.Choice([str(c) for c in Complexity]), help="How hard the request is.")
@click.option("--prompt", default="", help="Judge the complexity of this text instead (- for stdin).")
@click.option("--model", default="executor/auto", show_default=True, help="A model, or executor/auto|free|standard|premium|critical.")
@click.option("--budget", "budget_usd", type=click.FloatRange(min=0), help="The most one call may cost, in USD.")
@click.option("--needs", multiple=True, metavar="WHAT", help="tools, vision, streaming, json, reasoning, search; may be repeated.")
@click.option("--tokens", type=click.IntRange(min=1), help="Input tokens of the request (default 1000).")
@click.option("--output-tokens", type=click.IntRange(min=1), help="Tokens of the reply to reckon with.")
@common
def command(
    cli: Cli,
    complexity: str | None,
    prompt: str,
    model: str,
    budget_usd: float | None,
    needs: tuple[str, ...],
    tokens: int | None,
    output_tokens: int | None,
) -> None:
    """Which model would be chosen, and why not the others. Nothing is sent."""
    estimate = _judged(prompt) if prompt else None
    chosen = Complexity(complexity) if complexity else estimate[0].complexity if estimate else None
    wanted = frozenset(_capability(word) for text in needs for word in text.split(","))
    tokens = tokens or (estimate[1] if estimate else 1_000)
    config = cli.config()

    async def work(store: "Store") -> "Selection":
        from executor_tui.core.model_router import ModelRouter
        from executor_tui.domain.clock import SystemClock
        from executor_tui.hydra.providers.build import Providers

        router = ModelRouter(store, None, config, SystemClock())
        await router.load()
        providers = Providers(config.models.providers, cli.places.state_dir)
        try:
            for name, program in providers.opencode().items():
                router.provider_off(name, await program.available())
        finally:
            await providers.close()
        return router.select_model(
            chosen, budget_usd, model=model, needs=wanted, input_tokens=tokens, max_output_tokens=output_tokens, explain=True
        )

    selection = cli.run(work)
    _emit(cli, selection, chosen, estimate[0] if estimate else None)
    if selection.model is None:
        raise click.exceptions.Exit(4)


def _judged(prompt: str) -> "tuple[Estimate, int]":
    from executor_tui.hydra.complexity import estimate
    from executor_tui.hydra.features import read_features

    text = sys.stdin.read() if prompt == "-" else prompt
    features = read_features("chat", {"messages": [{"role": "user", "content": text}]})
    return estimate(features), features.input_tokens


def _capability(word: str) -> Capability:
    try:
        return Capability(word.strip().lower())
    except ValueError as exc:
        raise UsageError(f"--needs {word!r} is not one of: {', '.join(Capability)}") from exc


def _emit(cli: Cli, selection: "Selection", complexity: Complexity | None, estimate: "Estimate | None") -> None:
    document = {
        "model": selection.model.id if selection.model else None,
        "provider": selection.route.provider if selection.route else None,
        "provider_model_id": selection.route.model_id if selection.route else None,
        "key_id": selection.key.id if selection.key else None,
        "pool_id": selection.key.pool_id if selection.key else None,
        "estimate_usd": selection.estimate_usd,
        "needs_approval": selection.needs_approval,
        "complexity": complexity,
        "score": {"score": estimate.score, "parts": estimate.parts} if estimate else None,
        "candidates": [
            {
                "model": c.model.id, "tier": c.model.tier, "provider": c.route.provider, "chosen": c.chosen, "reason": c.reason,
                "estimate_usd": c.estimate_usd, "available_at": c.available_at,
            }
            for c in selection.candidates
        ],
    }  # fmt: skip
    cli.emit(document, lambda: _text(selection, estimate))


def _text(selection: "Selection", estimate: "Estimate | None") -> str:
    lines = []
    if estimate:
        lines.append(f"complexity {estimate.complexity} (score {estimate.score:g})")
        lines += [f"  +{part.points:<5g}{part.name}: {part.seen}" for part in estimate.parts]
        lines.append("")
    head = ("", "MODEL", "TIER", "PROVIDER", "ESTIMATE", "WHY")
    rows = [_row(c) for c in selection.candidates]
    lines.append(table(head, rows, "no model of that kind; see: executor models"))
    if selection.model is None:
        lines.append("\nnothing can serve this now")
    return "\n".join(lines)


def _row(c: "Candidate") -> tuple[str, ...]:
    return ("→" if c.chosen else "", c.model.id, c.model.tier, c.route.provider, f"${c.estimate_usd:.4f}", c.reason)
