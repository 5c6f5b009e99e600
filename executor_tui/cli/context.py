"""What every command shares: the two directories, `--json`, running against an opened store, and one way to print.

stdout is data, stderr is narration.
"""

import asyncio
import functools
import json
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import fields, is_dataclass
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from executor_tui.config.places import Places, find_places

if TYPE_CHECKING:
    from executor_tui.config.load import Config
    from executor_tui.store.store import Store

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])


class Cli:
    """One invocation."""

    def __init__(self, places: Places, as_json: bool) -> None:
        self.places, self.json = places, as_json

    def config(self) -> "Config":
        """The configuration. Raises ConfigError."""
        from executor_tui.config.load import load

        return load(self.places.config_dir)

    def run(self, work: "Callable[[Store], Awaitable[T]]") -> T:
        """Open the store, run `work` with it, close it, and return what it returned."""
        return asyncio.run(self.with_store(work))

    async def with_store(self, work: "Callable[[Store], Awaitable[T]]") -> T:
        """As `run`, inside a loop that already runs."""
        from executor_tui.domain.clock import SystemClock
        from executor_tui.store.store import Store, default_url

        url = self.config().database_url(default_url(self.places.state_dir))
        store = await Store.open(url, SystemClock())
        try:
            return await work(store)
        finally:
            await store.close()

    def emit(self, document: object, text: str | Callable[[], str]) -> None:
        """Print the result: `document` as JSON with --json, else the plain text."""
        if self.json:
            click.echo(json.dumps(plain(document), indent=2, ensure_ascii=False))
        else:
            click.echo(text if isinstance(text, str) else text())

    def line(self, document: object, text: str) -> None:
        """One line of a feed: compact JSON with --json, else the plain text."""
        click.echo(json.dumps(plain(document), ensure_ascii=False) if self.json else text)
        sys.stdout.flush()

    def note(self, text: str) -> None:
        """Narration, on stderr."""
        click.echo(text, err=True)


def common(function: F) -> F:
    """Adds --config, --state and --json to a command and hands it a `Cli` as first argument."""

    @click.option("--config", "config_dir", metavar="DIR", help="Configuration directory (EXECUTOR_CONFIG).")
    @click.option("--state", "state_dir", metavar="DIR", help="State directory (EXECUTOR_STATE).")
    @click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout.")
    @functools.wraps(function)
    def wrapped(*args: Any, config_dir: str | None, state_dir: str | None, as_json: bool, **kwargs: Any) -> Any:
        root = click.get_current_context().find_root().params
        places = find_places(config_dir or root.get("config_dir"), state_dir or root.get("state_dir"))
        return function(Cli(places, as_json or bool(root.get("as_json"))), *args, **kwargs)

    return wrapped  # type: ignore[return-value]


def plain(value: object) -> object:
    """Anything of ours as JSON: dataclasses by field, enums by value, times as RFC 3339, sets sorted."""
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in fields(value) if f.repr}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    if isinstance(value, set | frozenset):
        return sorted(str(plain(v)) for v in value)
    return value


def table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]], empty: str) -> str:
    """A plain table: columns padded to their widest cell, two spaces between, nothing a pipe would stumble over."""
    if not rows:
        return empty
    clean = [tuple(_one_line(cell) for cell in row) for row in rows]
    widths = [max(len(row[i]) for row in [head, *clean]) for i in range(len(head))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in [head, *clean]]
    return "\n".join(lines)


def _one_line(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text)


def age(then: datetime | None, now: datetime) -> str:
    """How long ago, in one unit: 5s, 3m, 2h, 4d."""
    if then is None:
        return "-"
    seconds = max(0, int((now - then).total_seconds()))
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "m")):
        if seconds >= size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"
