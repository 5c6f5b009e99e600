"""One connection to one router, safe to share between tasks: a lock keeps every reply with its command.

Without tags, which librouteros does not send, a router answers commands in whatever order they end (measured: two replies swapped).
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Self

from executor_tui.domain.clock import Clock, SystemClock
from executor_tui.infra.routeros.compare import Value, as_text
from executor_tui.infra.routeros.errors import RouterOsConnectionLostError, RouterOsTrapError
from executor_tui.infra.routeros.schema import HIDDEN, SECRETS
from executor_tui.infra.routeros.target import RouterOsTarget
from executor_tui.infra.routeros.where import Condition, eq
from executor_tui.infra.routeros.wire import Reply, Wire

Row = Mapping[str, str]
"""Properties as the router wrote them, `.id` among them."""


def attribute_words(values: Mapping[str, Value]) -> list[str]:
    """`=name=value` words; none clears the property with `=!name=`."""
    return [f"=!{name}=" if value is None else f"={name}={as_text(value)}" for name, value in values.items()]


class Connection:
    """Raw commands and the four ways of changing a menu. Every method raises `RouterOsTrapError` when refused and
    `RouterOsConnectionLostError` when the connection ends; after that, or after being cancelled in a command, the connection stays closed.
    """

    def __init__(self, target: RouterOsTarget, wire: Wire, clock: Clock) -> None:
        self.target = target
        self.clock = clock
        self._wire = wire
        self._lock = asyncio.Lock()

    @classmethod
    async def open(cls, target: RouterOsTarget, clock: Clock | None = None) -> Self:
        """Connect and log in. Raises `RouterOsUnreachableError`, `RouterOsCertificateError`, `RouterOsAuthError`, `ConfigError`."""
        return cls(target, await Wire.open(target), clock or SystemClock())

    @property
    def is_open(self) -> bool:
        return self._wire.is_open

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    async def close(self) -> None:
        await self._wire.close()

    def require_open(self) -> None:
        """Raises `RouterOsConnectionLostError` when the connection is gone."""
        if not self.is_open:
            raise RouterOsConnectionLostError(self.target.name, "the connection is closed")

    def abort(self) -> None:
        """Drop the connection at once; a router in safe mode then undoes what was changed over it."""
        self._wire.abort()

    async def call(self, command: str, values: Mapping[str, Value] | None = None, *conditions: Condition) -> Reply:
        """One command with its arguments and query words."""
        query_words = [word for condition in conditions for word in condition]
        return await self.send([command, *attribute_words(values or {}), *query_words])

    async def send(self, words: Sequence[str]) -> Reply:
        """One sentence as given; raises for the first trap in its reply."""
        async with self._lock:
            reply = await self._wire.exchange(words)
        if reply.traps:
            trap = reply.traps[0]
            said = "; ".join(one.words for one in reply.traps)
            raise RouterOsTrapError(self.target.name, words[0], said, category=trap.category, attributes=trap.attributes)
        return reply

    async def rows(self, menu: str, *conditions: Condition, fields: Sequence[str] = (), secrets: bool = False) -> tuple[Row, ...]:
        """The items of a menu, in order. All conditions must hold; `fields` limits what is fetched.

        Secrets come back as `(hidden)` unless `secrets` is set; then the caller keeps them out of logs, plans and screens.
        """
        values: dict[str, Value] = {".proplist": ",".join(fields)} if fields else {}
        reply = await self.call(f"{menu}/print", values, *conditions)
        return reply.rows if secrets else tuple(_without_secrets(row) for row in reply.rows)

    async def add(self, menu: str, values: Mapping[str, Value], *, place_before: str = "") -> str:
        """Add an item; gives its `.id`. `place_before` is the `.id` of an item of an ordered menu."""
        given = {name: value for name, value in values.items() if value is not None}
        if place_before:
            given["place-before"] = place_before
        return (await self.call(f"{menu}/add", given)).done.get("ret", "")

    async def set(self, menu: str, identity: str, values: Mapping[str, Value]) -> None:
        """Change an item, or with an empty `identity` the settings of a menu without items. A value of none clears the property."""
        chosen: dict[str, Value] = {".id": identity} if identity else {}
        await self.call(f"{menu}/set", {**chosen, **values})

    async def remove(self, menu: str, *identities: str) -> None:
        if identities:
            await self.call(f"{menu}/remove", {".id": ",".join(identities)})

    async def move(self, menu: str, identity: str, *, before: str = "") -> None:
        """Move an item to just before another, or to the end of the menu.

        The router takes a `before` that is not there for the end and says nothing (observed on 7.x), so it is looked up first.
        """
        values: dict[str, Value] = {"numbers": identity}
        if before:
            if not await self.rows(menu, eq(".id", before), fields=(".id",)):
                raise RouterOsTrapError(self.target.name, f"{menu}/move", f"no such item to move before: {before}")
            values["destination"] = before
        await self.call(f"{menu}/move", values)


def _without_secrets(row: Row) -> Row:
    if SECRETS.isdisjoint(row):
        return row
    return {name: HIDDEN if name in SECRETS and text not in ("", "none") else text for name, text in row.items()}
