"""The simulated router as a server: start it, point any RouterOS API client at it, look at what came of it."""

import asyncio
import contextlib
import itertools
import ssl
from collections.abc import Mapping
from typing import Self

from executor_tui.domain.clock import Clock, SystemClock
from executor_tui.lab.routeros.certificates import TlsIdentity, make_identity
from executor_tui.lab.routeros.faults import Faults
from executor_tui.lab.routeros.menus.registry import ALL
from executor_tui.lab.routeros.safe_mode import SafeMode
from executor_tui.lab.routeros.scheduler import Scheduler
from executor_tui.lab.routeros.seed import seed
from executor_tui.lab.routeros.session import Session
from executor_tui.lab.routeros.state import Device, Effect, Health, Router, User
from executor_tui.lab.routeros.table import Table


class RouterOsSimulator:
    """One router on one socket.

    `users` maps a name to its password (group full) or to a `User`; `tls` is a certificate, or true for one made now. Everything about the
    router is in `state`, everything that changed it in `effects`, and `faults` says what shall go wrong.
    """

    def __init__(
        self,
        *,
        clock: Clock | None = None,
        version: str = "7.24",
        users: Mapping[str, str | User] | None = None,
        tls: bool | TlsIdentity = False,
        safe_mode_max_actions: int = 100,
        identity: str = "office-gw",
    ) -> None:
        self.clock = clock or SystemClock()
        self.faults = Faults()
        self.state = Router(self.clock, ALL, Device(version), _users(users or {"admin": "admin"}))
        _share_interface_numbers(self.state)
        self.safe_mode = SafeMode(self.state, safe_mode_max_actions)
        seed(self.state)
        self.state.settings["/system/identity"]["name"] = identity
        self.tls = make_identity(identity, self.clock.now()) if tls is True else (tls or None)
        if self.tls is not None:
            _list_certificate(self.state, self.tls, identity)
        self.state.on_reboot = self.cut_connections
        self._numbers = itertools.count(1)
        self._sessions: dict[asyncio.Task[None], Session] = {}
        self._server: asyncio.Server | None = None
        self._scheduler: asyncio.Task[None] | None = None
        self.host = ""
        self.port = 0

    @property
    def health(self) -> Health:
        return self.state.health

    @property
    def effects(self) -> list[Effect]:
        """Every changing command so far, in order, refused ones too."""
        return self.state.effects

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the TLS certificate in hexadecimal; empty without TLS."""
        return self.tls.fingerprint if self.tls else ""

    @property
    def session_count(self) -> int:
        return len(self._sessions)

    def values(self, path: str) -> list[dict[str, str]]:
        """The configured values of a menu's rows, in order."""
        return [dict(row.values) for row in self.state.table(path)]

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> Self:
        """Listen; with port 0 the system picks one, found in `port`."""
        context: ssl.SSLContext | None = self.tls.server_context() if self.tls else None
        self._server = await asyncio.start_server(self._accept, host, port, ssl=context)
        self.host, self.port = self._server.sockets[0].getsockname()[:2]
        self._scheduler = asyncio.ensure_future(Scheduler(self.state, self.safe_mode).run())
        return self

    async def stop(self) -> None:
        """Close the listener and every connection, and wait until they are gone."""
        if self._server is not None:
            self._server.close()
        self.cut_connections()
        await asyncio.gather(*self._sessions, return_exceptions=True)
        if self._scheduler is not None:
            self._scheduler.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._scheduler
        if self._server is not None:
            await self._server.wait_closed()

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(self, *exc: object) -> None:
        await self.stop()

    def cut_connections(self) -> None:
        """Drop every connection at once, as pulling the cable would."""
        for session in self._sessions.values():
            session.cut()

    async def settled(self) -> None:
        """Wait until every connection that was cut has also ended on the router's side."""
        while self._sessions:
            await asyncio.wait(set(self._sessions))

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.faults.refuse_connections:
            writer.transport.abort()
            return
        via = "api-ssl" if self.tls else "api"
        session = Session(next(self._numbers), self.state, self.safe_mode, self.faults, reader, writer, via)
        task = asyncio.current_task()
        assert task is not None
        self._sessions[task] = session
        try:
            await session.serve()
        finally:
            del self._sessions[task]


def _users(users: Mapping[str, str | User]) -> dict[str, User]:
    return {name: entry if isinstance(entry, User) else User(name, entry) for name, entry in users.items()}


def _share_interface_numbers(router: Router) -> None:
    """Interfaces of all kinds have their `.id` from one sequence, since `/interface` lists them together."""
    numbers = itertools.count(1)
    for path in ("/interface", "/interface/wireguard"):
        router.tables[path] = Table(numbers)


def _list_certificate(router: Router, tls: TlsIdentity, identity: str) -> None:
    router.certificate_facts.update({"common-name": identity, "fingerprint": tls.fingerprint, "private-key": "true", "trusted": "true"})
    router.table("/certificate").add({"name": "api-ssl"})
    service = router.table("/ip/service").by_value("name", "api-ssl")
    if service is not None:
        service.values["certificate"] = "api-ssl"
