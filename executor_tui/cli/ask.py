"""`executor ask`: one question to a model, through the gateway."""

import asyncio
import contextlib
import json
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import click

from executor_tui.cli.context import Cli, common
from executor_tui.domain.errors import ExecutorError, UsageError
from executor_tui.domain.model import Complexity

if TYPE_CHECKING:
    import httpx

    from executor_tui.store.store import Store

DEADLINE_S = 900.0
_LOOK_S = 1.0


@dataclass(slots=True)
class Reply:
    """An answer and what it took."""

    text: str = ""
    model: str = ""
    cost_usd: float | None = None
    call_id: str = ""
    trail: str = ""
    usage: dict[str, Any] = field(default_factory=dict)
    citations: list[str] = field(default_factory=list)


@click.command("ask")
@click.argument("prompt")
@click.option("--model", "-m", help="A registry id or executor/auto|free|standard|premium|critical (default executor/auto).")
@click.option("--complexity", "-c", type=click.Choice([c.value for c in Complexity]), help="Choose the model by how hard this is.")
@click.option("--stream", is_flag=True, help="Print the answer as it comes.")
@click.option("--max-tokens", type=click.IntRange(min=1), help="The longest answer.")
@common
def command(cli: Cli, prompt: str, model: str | None, complexity: str | None, stream: bool, max_tokens: int | None) -> None:
    """One question to a model. PROMPT - reads it from standard input."""
    if model and complexity:
        raise UsageError("--model and --complexity exclude each other: one names the model, the other lets it be chosen")
    text: str = sys.stdin.read() if prompt == "-" else prompt
    if not text.strip():
        raise UsageError("the prompt is empty")
    body: dict[str, Any] = {"model": model or "executor/auto", "messages": [{"role": "user", "content": text}], "stream": stream}
    if max_tokens:
        body["max_tokens"] = max_tokens
    headers = {"x-executor-why": "asked on the command line"} | ({"x-executor-complexity": complexity} if complexity else {})

    async def work(store: "Store") -> Reply:
        from executor_tui.cli.door import open_door

        async with open_door(cli, store, "ask") as door:
            teller = asyncio.create_task(tell_of_approvals(cli, store))
            try:
                return await _ask(cli, door.url, {**headers, "authorization": f"Bearer {door.secret}"}, body)
            finally:
                teller.cancel()
                await asyncio.gather(teller, return_exceptions=True)

    reply = cli.run(work)
    cost = "" if reply.cost_usd is None else f", ${reply.cost_usd:.6f}"
    cli.note(f"{reply.model}{cost} ({reply.trail})")
    if stream:
        cli.line(reply, "")
    else:
        cli.emit(reply, reply.text + _sources(reply))


async def _ask(cli: Cli, url: str, headers: dict[str, str], body: dict[str, Any]) -> Reply:
    import httpx

    from executor_tui.agents.client import error_of
    from executor_tui.domain.clock import SystemClock

    timeout = httpx.Timeout(DEADLINE_S, connect=10.0)
    try:
        async with (
            httpx.AsyncClient(timeout=timeout, trust_env=False) as http,
            http.stream("POST", f"{url}/v1/chat/completions", json=body, headers=headers) as response,
        ):
            if response.status_code != 200:
                text = (await response.aread()).decode("utf-8", "replace")
                raise error_of(response.status_code, dict(response.headers), text, SystemClock().now())
            reply = Reply(model=response.headers.get("x-executor-model", ""), trail=response.headers.get("x-executor-trail", ""))
            reply.call_id = response.headers.get("x-executor-call-id", "")
            if body["stream"]:
                await _read_stream(cli, response, reply)
            else:
                _read_whole(response, json.loads(await response.aread()), reply)
            return reply
    except httpx.HTTPError as exc:
        raise ExecutorError(f"the gateway at {url} went away: {type(exc).__name__}", hint="see the log: executor config path") from exc


def _read_whole(response: "httpx.Response", answer: dict[str, Any], reply: Reply) -> None:
    message = (answer.get("choices") or [{}])[0].get("message") or {}
    reply.text, reply.usage = str(message.get("content") or ""), answer.get("usage") or {}
    reply.citations = [str(c) for c in answer.get("citations") or []]
    reply.cost_usd = float(response.headers.get("x-executor-cost-usd", "nan"))


async def _read_stream(cli: Cli, response: "httpx.Response", reply: Reply) -> None:
    """Print pieces as they come. Raises ExecutorError when the stream breaks; what came is printed by then."""
    async for line in response.aiter_lines():
        if line.startswith(": x-executor-"):
            _note(reply, *line.removeprefix(": x-executor-").split(" ", 1))
        if not line.startswith("data: ") or line == "data: [DONE]":
            continue
        chunk = json.loads(line[6:])
        if chunk.get("error"):
            raise ExecutorError(str(chunk["error"].get("message", "the answer broke off")), hint="what came before is not whole; ask again")
        for choice in chunk.get("choices") or []:
            piece = (choice.get("delta") or {}).get("content") or ""
            reply.text += piece
            if piece:
                _print_piece(cli, piece)


def _note(reply: Reply, name: str, value: str = "") -> None:
    """What the gateway says of its answer in comments: the cost at the end, the rest where headers were out before it was known."""
    if name == "cost-usd":
        reply.cost_usd = float(value)
    elif name in ("model", "trail", "call-id"):
        setattr(reply, name.replace("-", "_"), value)


def _print_piece(cli: Cli, piece: str) -> None:
    if cli.json:
        cli.line({"delta": piece}, "")
    else:
        click.echo(piece, nl=False)
        sys.stdout.flush()


async def tell_of_approvals(cli: Cli, store: "Store") -> None:
    """Say what a call that does not answer is waiting for."""
    told: set[str] = set()
    while True:
        await asyncio.sleep(_LOOK_S)
        with contextlib.suppress(ExecutorError):
            for approval in await store.approvals.pending():
                if approval.id not in told:
                    told.add(approval.id)
                    about = f"{approval.subject} (about ${approval.estimate_usd:.4f})"
                    cli.note(f"waiting for consent to {about}: executor approvals approve {approval.id}")


def _sources(reply: Reply) -> str:
    return "".join(f"\n[{i}] {url}" for i, url in enumerate(reply.citations, 1))
