"""executor keys: add, list, import, test, park, remove, export. A key comes from stdin or a hidden prompt, never from an argument."""

import json
import sys
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from executor_tui.cli.context import Cli, age, common, table
from executor_tui.domain.errors import NotFoundError, UsageError
from executor_tui.domain.ids import new_id
from executor_tui.domain.key import Key, KeyState, Park, ParkScope, ParkSource
from executor_tui.domain.model import Tier

if TYPE_CHECKING:
    from executor_tui.hydra.intake import Taken
    from executor_tui.store.store import Store

MAX_INPUT_BYTES = 1024 * 1024
TIERS = tuple(str(t) for t in Tier)


@click.group()
def group() -> None:
    """API keys: add, test, park, remove. Nothing here ever prints one."""


@group.command("add")
@click.argument("provider")
@click.option("--account", default="", help="The account, project or organisation its quota belongs to (default: default).")
@click.option("--tier", type=click.Choice(TIERS), default="standard", show_default=True, help="free: calls with it cost nothing.")
@click.option("--label", default="", help="A word to know it by.")
@common
def add(cli: Cli, provider: str, account: str, tier: str, label: str) -> None:
    """Add one key. It is read from stdin, or asked for without being shown."""
    from executor_tui.hydra.intake import add_key
    from executor_tui.vault.open import open_vault

    config = cli.config()
    secret = _secret()

    async def work(store: "Store") -> tuple[Key, bool]:
        vault = open_vault(config.executor.vault, cli.places)
        key = await add_key(store, vault, config.models, provider, secret, account=account, tier=Tier(tier), label=label)
        pools = {k.pool_id for k in await store.keys.list() if k.provider == key.provider}
        return key, len(pools) > 1 or sum(k.pool_id == key.pool_id for k in await store.keys.list()) > 1

    key, several = cli.run(work)
    note = config.models.providers[key.provider].several_accounts
    if several and note:
        cli.note(note)
    cli.emit({"key": _public(key)}, f"{key.id}  key …{key.tail} of {key.provider} added to quota pool {key.pool_id}; it is tested next")


def _secret() -> str:
    if sys.stdin.isatty():
        return str(click.prompt("Key", hide_input=True)).strip()
    text = _from_stdin().strip()
    if not text:
        raise UsageError("no key on stdin", hint="executor keys add PROVIDER < file-with-the-key")
    if len(text.splitlines()) > 1:
        raise UsageError("more than one line on stdin", hint="several keys at once: executor keys import -")
    return text


def _from_stdin() -> str:
    data = sys.stdin.buffer.read(MAX_INPUT_BYTES + 1)
    if len(data) > MAX_INPUT_BYTES:
        raise UsageError("more than 1 MiB on stdin: that is no list of keys")
    return data.decode("utf-8-sig", errors="replace")


@group.command("list")
@common
def list_(cli: Cli) -> None:
    """Every key with its quota pool, state, park and what it cost."""

    async def work(store: "Store") -> tuple[tuple[Key, ...], tuple[Park, ...]]:
        return await store.keys.list(), await store.parks.open()

    keys, parks = cli.run(work)
    rows = [(key, [p for p in parks if _stops(p, key)]) for key in keys]
    document = {"keys": [{**_public(key), "parks": on} for key, on in rows], "parks": parks}
    cli.emit(document, lambda: _table(rows))


def _table(rows: list[tuple[Key, list[Park]]]) -> str:
    from executor_tui.domain.clock import SystemClock

    now = SystemClock().now()
    head = ("ID", "PROVIDER", "POOL", "TIER", "STATE", "KEY", "PARKED", "CALLS", "COST", "USED")
    lines = []
    for k, on in rows:
        used = (str(k.calls), f"${k.cost_usd:.4f}", age(k.last_used_at, now))
        lines.append((k.id, k.provider, k.pool_id, k.tier, k.state, f"…{k.tail}", _parked(on), *used))
    return table(head, lines, "no keys; add one with: executor keys add PROVIDER")


def _parked(parks: list[Park]) -> str:
    if not parks:
        return "-"
    park = parks[0]
    until = "cleared" if park.ends_at is None else f"{park.ends_at:%H:%M:%S}Z"
    return f"until {until}" + (f" ({park.model_id})" if park.model_id else "") + (f" +{len(parks) - 1}" if len(parks) > 1 else "")


def _stops(park: Park, key: Key) -> bool:
    if park.key_id:
        return park.key_id == key.id
    return park.pool_id in (key.pool_id, f"{key.provider}/*")


def _public(key: Key) -> dict[str, object]:
    """What may be shown of a key: everything its row holds but the fingerprint."""
    from executor_tui.cli.context import plain

    document = plain(key)
    assert isinstance(document, dict)
    del document["fingerprint"]
    return document


@group.command("import")
@click.argument("file", metavar="FILE")
@common
def import_(cli: Cli, file: str) -> None:
    """Take in every key of a file (- for stdin): lines, NAME=value, JSON. The file is left as it is."""
    from executor_tui.hydra.intake import take_in_all
    from executor_tui.hydra.recognise import recognise
    from executor_tui.vault.open import open_vault

    config = cli.config()
    found = recognise(_from_stdin() if file == "-" else _read(Path(file)), config.models)
    taken = cli.run(lambda store: take_in_all(store, open_vault(config.executor.vault, cli.places), config.models, found))
    cli.emit({"keys": taken}, lambda: _taken_table(taken))
    if not any(t.key_id for t in taken):
        raise click.exceptions.Exit(1)
    if file != "-":
        cli.note(f"{file} still holds the keys in the clear; delete it when you no longer need it")


def _read(path: Path) -> str:
    try:
        if path.stat().st_size > MAX_INPUT_BYTES:
            raise UsageError(f"{path} is larger than 1 MiB: that is no list of keys")
        return path.read_text(encoding="utf-8-sig", errors="replace")
    except OSError as exc:
        raise UsageError(f"{path} cannot be read: {exc.strerror}") from exc


def _taken_table(taken: "tuple[Taken, ...]") -> str:
    rows = [(t.key_id or "-", t.provider or "-", t.pool_id or "-", f"…{t.tail}", t.problem or "added") for t in taken]
    return table(("ID", "PROVIDER", "POOL", "KEY", "WHAT"), rows, "no key found")


@group.command("test")
@click.argument("key_id", metavar="[ID]", required=False)
@common
def test(cli: Cli, key_id: str | None) -> None:
    """Ask providers whether keys are valid. Exit code 1 when one is not."""
    from executor_tui.cli.key_test import test_keys

    config = cli.config()
    checked = cli.run(lambda store: test_keys(store, config, cli.places, key_id))
    rows = [(k.id, k.provider, k.pool_id, f"…{k.tail}", k.state, k.state_reason or "-") for k in checked]
    head = ("ID", "PROVIDER", "POOL", "KEY", "STATE", "WHY")
    cli.emit({"keys": [_public(k) for k in checked]}, lambda: table(head, rows, "no keys to test"))
    if any(k.state is not KeyState.VERIFIED for k in checked):
        raise click.exceptions.Exit(1)


@group.command("park")
@click.argument("what", metavar="ID")
@click.option("--model", "model_id", default="", help="Only this model (the provider's own id) of the quota pool.")
@click.option("--minutes", type=click.FloatRange(min=0, min_open=True), help="For so long; without it until you unpark it.")
@common
def park(cli: Cli, what: str, model_id: str, minutes: float | None) -> None:
    """Set a key, or a quota pool (PROVIDER/ACCOUNT), aside."""

    async def work(store: "Store") -> Park:
        from executor_tui.domain.event import Event, Level

        scope, pool_id, key = await _which(store, what, model_id)
        now = store.clock.now()
        ends = None if minutes is None else now + timedelta(minutes=minutes)
        wanted = Park(
            new_id("prk"), scope, pool_id, model_id, key, "by operator", ParkSource.OPERATOR, now, ends, "set on the command line"
        )
        words = f"{what}{', ' + model_id if model_id else ''} parked by the operator"
        return await store.parks.park(wanted, Event("key.parked", words, Level.WARNING, subject_id=wanted.id))

    standing = cli.run(work)
    until = "until you unpark it" if standing.ends_at is None else f"until {standing.ends_at:%Y-%m-%d %H:%M:%S} UTC"
    cli.emit({"park": standing}, f"{standing.id}  {what} is parked {until}")


async def _which(store: "Store", what: str, model_id: str) -> tuple[ParkScope, str, str]:
    if any(pool.id == what for pool in await store.keys.pools()):
        return (ParkScope.POOL_MODEL if model_id else ParkScope.POOL), what, ""
    key = await store.keys.find(what)
    if key is None:
        raise NotFoundError(f"no key or quota pool {what!r}", hint="see them with: executor keys list")
    if model_id:
        raise UsageError(
            "--model parks a model of a quota pool, not of one key", hint=f"executor keys park {key.pool_id} --model {model_id}"
        )
    return ParkScope.KEY, key.pool_id, key.id


@group.command("unpark")
@click.argument("what", metavar="ID")
@common
def unpark(cli: Cli, what: str) -> None:
    """End the parks of a key, a quota pool, or one park by its id."""

    async def work(store: "Store") -> tuple[Park, ...]:
        from executor_tui.domain.event import Event

        found = [p for p in await store.parks.open() if what in (p.id, p.key_id) or (what == p.pool_id and not p.key_id)]
        if not found:
            raise NotFoundError(f"nothing is parked under {what!r}", hint="see parks with: executor keys list")
        for one in found:
            await store.parks.clear(one.id, "operator", Event("key.unparked", f"{what} is no longer parked", subject_id=one.id))
        return tuple(found)

    ended = cli.run(work)
    cli.emit({"parks": ended}, f"{len(ended)} park{'s' if len(ended) != 1 else ''} of {what} ended")


@group.command("remove")
@click.argument("key_id", metavar="ID")
@click.option("--yes", is_flag=True, help="Do not ask.")
@common
def remove(cli: Cli, key_id: str, yes: bool) -> None:
    """Forget a key and destroy its sealed secret."""
    key = cli.run(lambda store: store.keys.get(key_id))
    if not yes and sys.stdin.isatty() and not click.confirm(f"Remove key …{key.tail} of {key.provider} for good?"):
        raise click.Abort
    cli.run(lambda store: store.keys.remove(key_id, "the operator"))
    cli.emit({"removed": key_id}, f"key …{key.tail} of {key.provider} removed")


@group.command("export")
@click.option("--secrets", is_flag=True, help="With the keys themselves, encrypted with age to --to.")
@click.option("--to", "recipient", default="", metavar="RECIPIENT", help="An age public key (age1…).")
@common
def export(cli: Cli, secrets: bool, recipient: str) -> None:
    """Print keys as JSON: references and what is known of them. With --secrets, an age file that only RECIPIENT opens."""
    if secrets != bool(recipient):
        raise UsageError("--secrets and --to RECIPIENT belong together: keys leave only encrypted to somebody")
    from executor_tui.cli.key_export import encrypted, references

    if not secrets:
        document = {"keys": references(cli.run(lambda store: store.keys.list()))}
        click.echo(json.dumps(document, indent=2, ensure_ascii=False))
        return
    config = cli.config()
    armored = cli.run(lambda store: encrypted(store, config, cli.places, recipient))
    cli.emit({"age": armored}, armored.rstrip())


def require_any(found: tuple[Key, ...], key_id: str | None) -> tuple[Key, ...]:
    """The key asked for, or all. Raises NotFoundError."""
    if key_id is None:
        return found
    chosen = tuple(k for k in found if k.id == key_id)
    if not chosen:
        raise NotFoundError(f"no key {key_id!r}", hint="see them with: executor keys list")
    return chosen
