"""Carrying out a plan on a router, on the connection that holds the guard. Secrets are opened at the last moment, for one call."""

from collections.abc import Sequence

from executor_tui.agents.device import Call, Hands, RollbackError, vault_ref
from executor_tui.agents.routers import draft as do
from executor_tui.infra.routeros.compare import Value
from executor_tui.infra.routeros.errors import GuardEndedError, RouterOsConnectionLostError
from executor_tui.infra.routeros.guards import LEFT_TO_ROUTER, Guard
from executor_tui.infra.routeros.router import RouterOs


class Maker:
    """The guard of a plan about a router."""

    def __init__(self, connection: RouterOs, guard: Guard, hands: Hands) -> None:
        self._connection, self._guard, self._hands = connection, guard, hands

    async def call(self, call: Call) -> None:
        """Make one call. Raises a RouterOsError."""
        given = call.arguments
        menu, identity, before = str(given["menu"]), str(given.get("id") or ""), str(given.get("before") or "")
        match call.what:
            case do.ADD:
                await self._connection.add(menu, await self._opened(given.get("values")), place_before=before)
            case do.SET:
                await self._connection.set(menu, identity, await self._opened(given.get("values")))
            case do.REMOVE:
                await self._connection.remove(menu, identity)
            case do.MOVE:
                await self._connection.move(menu, identity, before=before)
            case _:
                raise RollbackError(f"unknown call {call.what!r}")

    async def _opened(self, values: object) -> dict[str, Value]:
        found: dict[str, Value] = {}
        for name, value in values.items() if isinstance(values, dict) else ():
            ref = vault_ref(value)
            found[name] = await self._hands.secret(ref) if ref else value
        return found

    async def commit(self) -> None:
        """Tell the router to keep it. Raises CommitUncertainError, GuardEndedError."""
        await self._guard.commit()

    async def roll_back(self, done: Sequence[Call]) -> None:
        """Have the router take it back; cut off, it does so by itself. What it did is read afterwards.

        Raises RollbackError when the guard was gone before: nothing takes back what was called until then.
        """
        try:
            await self._guard.roll_back()
        except GuardEndedError as exc:
            raise RollbackError(exc.message, hint=exc.hint) from exc
        except RouterOsConnectionLostError:
            self._guard.outcome = LEFT_TO_ROUTER
            self._hands.say("the connection is gone, so the router takes it back by itself")
